"""Kill -9 of real workers at bad moments: nothing lost, nothing twice unless it was marked unknown."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update

from statuspage import clock
from statuspage.db import db
from statuspage.models import Announcement, Delivery
from statuspage.rules.vocabulary import ComponentState, MessageKind
from tests import builders, mailservers
from tests.delivery.conftest import subscribed
from tests.mailservers import MailServer

READERS = 60
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    with mailservers.running("sendgrid", tmp_path / "mail") as running:
        yield running


@pytest.fixture
def worker_environ(environ: dict[str, str], server: MailServer) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    settings = {"SENDGRID_API_KEY": "SG.test", "SENDGRID_URL": server.url, "MAIL_FROM": "status@example.com"}
    return kept | environ | settings | {"PYTHONPATH": str(ROOT)}


@pytest.fixture
def readers(app: Flask) -> list[str]:
    """Confirmed subscribers, and one update announced to them. The clock is the real one here."""
    now = clock.now()
    builders.page(now)
    by = builders.account(now)
    addresses = [f"reader{number}@example.com" for number in range(READERS)]
    for address in addresses:
        subscribed(address, now)
    db.session.execute(update(Delivery).values(state=Delivery.CANCELLED))
    db.session.commit()
    incident_id = builders.declared(by, {builders.component(now): ComponentState.OUTAGE}, now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {}, by, now)
    return addresses


def start_worker(environ: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "statuspage", "worker"], cwd=ROOT, env=environ, stderr=subprocess.DEVNULL
    )


def rows() -> list[Delivery]:
    db.session.rollback()
    db.session.expire_all()
    query = select(Delivery).join(Announcement).where(Announcement.kind == "incident_update")
    return list(db.session.scalars(query))


def wait_until_settled(seconds: float = 60) -> None:
    """Wait until no delivery has anything before it."""
    end = time.monotonic() + seconds
    while True:
        states = {row.state for row in rows()}
        if states and states <= {Delivery.SUBMITTED, Delivery.DEAD}:
            return
        assert time.monotonic() < end, Counter(row.state for row in rows())
        time.sleep(0.1)


def let_time_pass() -> None:
    """Bring leases and waits to their end, as if their two minutes had gone by."""
    past = clock.now() - timedelta(seconds=1)
    db.session.rollback()
    db.session.execute(update(Delivery).where(Delivery.state == Delivery.LEASED).values(lease_until=past))
    db.session.execute(update(Delivery).where(Delivery.state == Delivery.UNKNOWN).values(not_before=past))
    db.session.commit()


def check(server: MailServer, readers: list[str]) -> None:
    """Nobody missing, nobody but the readers, a second copy only where the answer went missing."""
    copies = Counter(mail["To"] for mail in server.mails())
    marked = {row.address for row in rows() if row.was_unknown}
    assert set(copies) == set(readers)
    assert max(copies.values()) <= 2
    assert {address for address, count in copies.items() if count > 1} <= marked


def test_a_worker_killed_while_the_provider_takes_the_batch(
    readers: list[str], server: MailServer, worker_environ: dict[str, str]
) -> None:
    server.behave("slow")
    worker = start_worker(worker_environ)
    end = time.monotonic() + 30
    while not (server.folder / "seen").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    worker.kill()
    worker.wait()
    server.wait_for(READERS)
    server.behave("ok")
    worker = start_worker(worker_environ)
    try:
        let_time_pass()
        while not all(row.was_unknown for row in rows()):
            assert time.monotonic() < end + 30
            time.sleep(0.1)
        let_time_pass()
        wait_until_settled()
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    check(server, readers)


def test_workers_killed_at_random_moments(
    readers: list[str], server: MailServer, worker_environ: dict[str, str]
) -> None:
    for pause in (0.9, 1.3, 1.6, 2.0):
        worker = start_worker(worker_environ)
        time.sleep(pause)
        worker.kill()
        worker.wait()
        let_time_pass()
    worker = start_worker(worker_environ)
    try:
        end = time.monotonic() + 60
        while not {row.state for row in rows()} <= {Delivery.SUBMITTED, Delivery.DEAD} or not rows():
            assert time.monotonic() < end, Counter(row.state for row in rows())
            let_time_pass()
            time.sleep(0.5)
    finally:
        worker.kill()
        worker.wait()
    check(server, readers)


def test_two_workers_on_one_queue_send_nothing_twice(
    readers: list[str], server: MailServer, worker_environ: dict[str, str]
) -> None:
    workers = [start_worker(worker_environ) for _ in range(2)]
    try:
        wait_until_settled()
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        assert [worker.wait(30) for worker in workers] == [0, 0]
    assert Counter(mail["To"] for mail in server.mails()) == dict.fromkeys(readers, 1)
