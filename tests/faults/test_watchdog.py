"""Real web processes and no worker: one alarm by a real mail server, however many processes watch."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import select

from statuspage import clock
from statuspage.db import db, transaction
from statuspage.models import Alarm, Heartbeat
from statuspage.rules.vocabulary import AccountRole
from tests import builders, mailservers, servers
from tests.mailservers import MailServer

ROOT = Path(__file__).resolve().parents[2]
# The watchdog and the glance before it as they are, but in seconds; every process of `statuspage web` reads this when it starts.
HASTE = """
from datetime import timedelta
from statuspage import glance
glance.SILENCE, glance.LOOK_EVERY = timedelta(seconds=2), timedelta(seconds=0.3)
"""


@pytest.fixture
def smtp(tmp_path: Path) -> Iterator[MailServer]:
    with mailservers.running("smtp", tmp_path / "smtp") as server:
        yield server


@pytest.fixture
def web(app: object, environ: dict[str, str], smtp: MailServer, tmp_path: Path) -> Iterator[str]:
    """``statuspage web`` with two web workers, on a database whose worker beat a moment ago; its address."""
    started = clock.now()
    builders.page(started)
    builders.account(started, AccountRole.ADMIN, "admin@example.com")
    builders.account(started, AccountRole.COMMS, "comms@example.com")
    with transaction(started) as session:
        session.add(Heartbeat(name="worker", beat_at=started))
    haste, port = tmp_path / "haste", servers.free_port()
    haste.mkdir()
    (haste / "sitecustomize.py").write_text(HASTE)
    given = {
        "PYTHONPATH": f"{haste}:{ROOT}",
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "WEB_WORKERS": "2",
        "SMTP_URL": smtp.url,
        "MAIL_FROM": "status@example.com",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "statuspage", "web"], cwd=ROOT, env={**os.environ, **environ, **given}
    )
    try:
        yield given["PUBLIC_URL"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def alarms() -> list[Alarm]:
    db.session.rollback()
    db.session.expire_all()
    found = list(db.session.scalars(select(Alarm).order_by(Alarm.silent_since)))
    db.session.rollback()
    return found


def test_two_web_workers_raise_one_alarm_for_each_silence(web: str, smtp: MailServer) -> None:
    smtp.wait_for(2, seconds=60)
    # Time enough for the other one to raise it as well.
    time.sleep(3)
    assert sorted(str(mail["To"]) for mail in smtp.mails()) == ["admin@example.com", "comms@example.com"]
    assert [alarm.told for alarm in alarms()] == [["Ada", "Ada"]]
    assert requests.get(f"{web}/readyz", timeout=30).json()["database"] == "ok"
    with transaction(clock.now()) as session:
        session.merge(Heartbeat(name="worker", beat_at=clock.now()))
    smtp.wait_for(4, seconds=30)
    time.sleep(2)
    assert (len(smtp.mails()), len(alarms())) == (4, 2)
