"""Alive, and ready: what watchers ask."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from statuspage import clock
from statuspage.db import db, transaction
from statuspage.models import Change, Heartbeat
from statuspage.rules.vocabulary import AccountRole
from statuspage.settings import Settings
from statuspage.site import publisher
from statuspage.web import health
from tests import builders
from tests.web.conftest import Visitor


def beat(at: datetime) -> None:
    with transaction(at) as session:
        session.merge(Heartbeat(name="worker", beat_at=at))


def test_ready_is_when_database_worker_and_site_are_well(
    app: Flask, anonymous: Visitor, settings: Settings, started: datetime
) -> None:
    builders.page(started)
    assert anonymous.get("/readyz").json == {
        "ready": False, "database": "ok", "worker": "silent", "snapshot": "missing", "mail": "ok"
    }  # fmt: skip
    beat(started)
    publisher.refresh(settings, started)
    answer = anonymous.get("/readyz")
    assert (answer.status_code, answer.json["ready"]) == (200, True)


def test_a_worker_that_is_silent_for_a_minute_is_said_so(
    anonymous: Visitor, settings: Settings, started: datetime
) -> None:
    builders.page(started)
    publisher.refresh(settings, started)
    beat(clock.now() - timedelta(seconds=61))
    answer = anonymous.get("/readyz")
    assert (answer.status_code, answer.json["worker"]) == (503, "silent")


def test_a_site_that_is_behind_for_a_minute_is_said_so(
    anonymous: Visitor, settings: Settings, started: datetime
) -> None:
    builders.page(started)
    publisher.refresh(settings, started)
    beat(started)
    builders.component(started)
    assert anonymous.get("/readyz").json["snapshot"] == "ok"
    db.session.execute(update(Change).values(changed_at=clock.now() - timedelta(seconds=61)))
    db.session.commit()
    answer = anonymous.get("/readyz")
    assert (answer.status_code, answer.json["snapshot"]) == (503, "behind")


CONSOLE_PAGES = ("/console/", "/console/reports/2026-11", "/console/account/", "/admin/people/")


def words(page: str) -> str:
    return " ".join(page.replace("<code>", "").replace("</code>", "").split())


@pytest.mark.parametrize("path", CONSOLE_PAGES)
def test_every_console_page_says_since_when_the_worker_is_silent(
    path: str, arrive: Callable[[AccountRole], Visitor], started: datetime
) -> None:
    builders.page(started)
    visitor = arrive(AccountRole.ADMIN)
    shown = words(visitor.get(path).get_data(as_text=True))
    assert "The clock worker has never run: reminders and mails are not going out." in shown
    beat(clock.now())
    assert "clock worker" not in visitor.get(path).get_data(as_text=True)
    silent = datetime(2024, 2, 29, 14, 2, tzinfo=UTC)
    beat(silent)
    assert (
        "The clock worker has been silent since 29 Feb 2024, 14:02 UTC: reminders and mails are not going out. "
        "Restart it: statuspage worker."
    ) in words(visitor.get(path).get_data(as_text=True))


def test_on_the_same_day_the_time_alone_is_enough(
    app: Flask, started: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(datetime(started.year, started.month, started.day, tzinfo=UTC))
    monkeypatch.setattr(health.clock, "now", lambda: datetime(started.year, started.month, started.day, 12, tzinfo=UTC))
    assert health.silence_of_worker() == "has been silent since 00:00 UTC"


def test_readers_are_told_nothing_of_it(anonymous: Visitor, started: datetime) -> None:
    builders.page(started)
    for path in ("/login", "/subscribe"):
        assert "clock worker" not in anonymous.get(path).get_data(as_text=True)
