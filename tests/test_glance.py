"""The glance at the worker's heartbeat: what a web process watches with before it has an application."""

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from statuspage.db import transaction
from statuspage.glance import LOOK_EVERY, SILENCE, Glance, last_sign
from statuspage.models import Heartbeat
from statuspage.settings import Settings
from tests import builders

ROOT = Path(__file__).resolve().parents[1]
SECOND = timedelta(seconds=1)


def beat(now: datetime) -> None:
    with transaction(now) as session:
        session.merge(Heartbeat(name="worker", beat_at=now))


@pytest.mark.usefixtures("app")
def test_it_sees_the_page_and_then_every_beat(settings: Settings, now: datetime) -> None:
    assert last_sign(settings) is None
    builders.page(now)
    page_made = last_sign(settings)
    assert page_made is not None
    beat(now + SECOND)
    first = last_sign(settings)
    assert first not in (None, page_made)
    beat(now + 6 * SECOND)
    assert last_sign(settings) not in (None, page_made, first)


@pytest.mark.usefixtures("app")
def test_the_alarm_is_near_once_there_was_no_sign_for_long(settings: Settings, now: datetime) -> None:
    builders.page(now)
    beat(now)
    glance = Glance(settings, lambda: None)
    begun = timedelta(hours=5)
    assert not glance.look(begun)
    beat(now + 60 * SECOND)
    assert not glance.look(begun + 60 * SECOND)
    assert not glance.look(begun + 60 * SECOND + SILENCE - LOOK_EVERY - SECOND)
    assert glance.look(begun + 60 * SECOND + SILENCE - LOOK_EVERY)


def test_a_database_that_does_not_answer_is_no_silence(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    away = Settings(**{**vars(settings), "database_url": f"sqlite:///{settings.data_dir}/away.db"})
    glance = Glance(away, lambda: None)
    assert not glance.look(timedelta(hours=5))
    assert not glance.look(timedelta(hours=6))
    assert "the database does not answer" in caplog.text
    assert not (settings.data_dir / "away.db").exists()


def test_a_process_that_only_serves_readers_imports_no_application(tmp_path: Path) -> None:
    program = """
import sys, wsgi
from io import BytesIO
said = []
body = wsgi.app({"PATH_INFO": "/", "REQUEST_METHOD": "GET", "HTTP_HOST": "127.0.0.1", "wsgi.input": BytesIO()},
                lambda status, headers: said.append(status))
assert said == ["503 Service Unavailable"], said
heavy = {"flask", "sqlalchemy", "jinja2", "requests"} & set(sys.modules)
assert not heavy, heavy
"""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path), "PUBLIC_URL": "http://127.0.0.1:8000"}
    subprocess.run([sys.executable, "-c", program], env=environ, cwd=ROOT, check=True, timeout=60)
