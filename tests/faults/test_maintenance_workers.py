"""Two workers race for the steps of maintenance windows: each is done once."""

import threading
from collections import Counter
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage.actions import maintenance_clock
from statuspage.db import db
from statuspage.delivery.providers import transport_for
from statuspage.models import Announcement, Maintenance, MaintenanceUpdate
from statuspage.settings import Settings
from statuspage.worker import Worker
from tests import builders


def race(app: Flask, now: datetime) -> None:
    """Let four workers do at once whatever is due."""
    gate, failures = threading.Barrier(4), []

    def work() -> None:
        with app.app_context():
            try:
                found = (maintenance_clock.due_series(now), maintenance_clock.due_windows(now))
                gate.wait()
                for series_id in found[0]:
                    maintenance_clock.plan_next(series_id, now)
                for window_id in found[1]:
                    maintenance_clock.take_step(window_id, now)
            except Exception as error:  # noqa: BLE001  Told by the test's own thread.
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    db.session.rollback()


def test_each_step_is_done_once_whoever_comes_first(app: Flask, now: datetime) -> None:
    builders.page(now)
    component_id = builders.component(now)
    for _ in range(3):
        builders.window(now, (component_id,))
    builders.window(now, (component_id,), rule="FREQ=DAILY;COUNT=4")
    for hours in range(0, 24 * 6, 1):
        at = now + timedelta(hours=hours)
        if maintenance_clock.due_windows(at) or maintenance_clock.due_series(at):
            race(app, at)
    said = Counter(
        tuple(row) for row in db.session.execute(select(MaintenanceUpdate.maintenance_id, MaintenanceUpdate.kind))
    )
    assert set(said.values()) == {1}
    assert len(list(db.session.scalars(select(Maintenance.id)))) == 3 + 4
    told = Counter(db.session.scalars(select(Announcement.subject_id).where(Announcement.kind == "maintenance_update")))
    assert set(told.values()) == {1}
    assert len(told) == sum(said.values())


def test_the_worker_takes_a_window_through_its_life_and_a_broken_one_holds_up_no_other(
    app: Flask, settings: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.page(now)
    component_id = builders.component(now)
    broken, well = (builders.window(now, (component_id,)) for _ in range(2))
    take = maintenance_clock.take_step

    def take_step(window_id: str, at: datetime) -> bool:
        if window_id == broken:
            raise ValueError("broken")
        return take(window_id, at)

    monkeypatch.setattr(maintenance_clock, "take_step", take_step)
    worker = Worker(settings, transport_for(settings))
    for hours in (23, 24, 26):
        worker.tick(now + timedelta(hours=hours))
    db.session.rollback()
    assert db.session.get_one(Maintenance, well).stage == "completed"
    assert db.session.get_one(Maintenance, broken).stage == "scheduled"
