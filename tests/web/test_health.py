"""Alive, and ready: what watchers ask."""

from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import update

from statuspage import clock
from statuspage.db import db, transaction
from statuspage.models import Change, Heartbeat
from statuspage.settings import Settings
from statuspage.site import publisher
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
        "ready": False, "database": "ok", "worker": "silent", "snapshot": "missing"
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
