"""What the clock does with maintenance windows: announce, remind, start, finish, plan the next of a series."""

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit, take_page
from statuspage.actions.maintenances import page_zone, plan_ahead, say, settle, window_of
from statuspage.db import db, transaction
from statuspage.delivery.announcements import announce_maintenance
from statuspage.models import Maintenance, MaintenanceSeries, MaintenanceUpdate
from statuspage.rules import maintenance as rules
from statuspage.rules.maintenance import Due, Step
from statuspage.rules.vocabulary import MaintenanceMessage, MaintenanceStage

AT_ONCE = 100
PUSHED_BACK_BY = timedelta(minutes=1)


def due_windows(now: datetime) -> list[str]:
    """Return the ids of the windows with a step that is due, the oldest first. One indexed query."""
    db.session.rollback()
    query = select(Maintenance.id).where(Maintenance.next_step_at <= now).order_by(Maintenance.next_step_at)
    return list(db.session.scalars(query.limit(AT_ONCE)))


def take_step(maintenance_id: str, now: datetime) -> bool:
    """Do what is due with a window; tell whether there was anything.

    Of any number of workers one takes it: the claim is an update that must
    change exactly one row. After a downtime every start and end is recorded
    with the time it fell due, and only the newest is told.
    """
    with transaction(now) as session:
        take_page(session)
        claimed = session.execute(
            update(Maintenance)
            .where(Maintenance.id == maintenance_id, Maintenance.next_step_at <= now)
            .values(next_step_at=None)
        )
        if claimed.rowcount != 1:  # type: ignore[attr-defined]
            return False
        maintenance = session.get_one(Maintenance, maintenance_id, populate_existing=True)
        window = window_of(maintenance)
        steps = rules.steps_due(window, now)
        worth = [each for each in steps if _is_worth(each, window, now)]
        for each in steps:
            if each in worth:
                _carry_out(session, maintenance, each, maintenance.notifies and each is worth[-1], now)
            else:
                _let_pass(maintenance, each, now)
        settle(session, maintenance, now)
        return True


def _is_worth(due: Due, window: rules.Window, now: datetime) -> bool:
    if due.step is Step.REMIND:
        return rules.is_worth_reminding(window, now)
    return due.step is not Step.ANNOUNCE or now < window.scheduled_until


def _let_pass(maintenance: Maintenance, due: Due, now: datetime) -> None:
    """Leave out what comes too late to be of use: neither told nor recorded."""
    if due.step is Step.REMIND:
        maintenance.reminded_at = now
    else:
        maintenance.announce_at = None


def _carry_out(session: Session, maintenance: Maintenance, due: Due, tell: bool, now: datetime) -> None:
    match due.step:
        case Step.ANNOUNCE:
            maintenance.announce_at = None
            if tell:
                _announce(session, maintenance, now)
        case Step.REMIND:
            maintenance.reminded_at = now
            zone = page_zone(session)
            words = rules.window_in_words(maintenance.scheduled_for, maintenance.scheduled_until, zone)
            body = rules.reminder_words(maintenance.scheduled_for - now, words)
            say(session, maintenance, MaintenanceMessage.REMINDER, body, tell, None, now, due.at)
        case Step.START:
            maintenance.stage, maintenance.started_at = MaintenanceStage.IN_PROGRESS, due.at
            say(session, maintenance, MaintenanceMessage.STARTED, "", tell, None, now, due.at)
        case Step.FINISH:
            maintenance.stage, maintenance.completed_at = MaintenanceStage.COMPLETED, due.at
            maintenance.next_step_at = None
            say(session, maintenance, MaintenanceMessage.FINISHED, "", tell, None, now, due.at)
    if due.step in (Step.START, Step.FINISH):
        # Whoever has the window open in a form is told that it changed.
        maintenance.version += 1
    audit(session, None, due.step.value, "maintenance", maintenance.id, now, fell_due_at=due.at.isoformat())


def _announce(session: Session, maintenance: Maintenance, now: datetime) -> None:
    """Tell subscribers what has been on the page for a while: that a window of a series is planned."""
    first = session.scalars(
        select(MaintenanceUpdate)
        .where(MaintenanceUpdate.maintenance_id == maintenance.id)
        .order_by(MaintenanceUpdate.sequence)
        .limit(1)
    ).one()
    first.is_told = True
    announce_maintenance(session, first.id, now)


def push_back(maintenance_id: str, now: datetime) -> None:
    """Look at a window again later: something about it is broken, and others wait."""
    with transaction(now) as session:
        session.execute(
            update(Maintenance)
            .where(Maintenance.id == maintenance_id, Maintenance.next_step_at <= now)
            .values(next_step_at=now + PUSHED_BACK_BY)
        )


def due_series(now: datetime) -> list[str]:
    """Return the ids of the series whose next window is to be planned. One indexed query."""
    db.session.rollback()
    query = select(MaintenanceSeries.id).where(MaintenanceSeries.plan_at <= now).order_by(MaintenanceSeries.plan_at)
    return list(db.session.scalars(query.limit(AT_ONCE)))


def plan_next(series_id: str, now: datetime) -> bool:
    """Put the next windows of a series into the calendar; tell whether this worker did. Claimed as steps are."""
    with transaction(now) as session:
        take_page(session)
        claimed = session.execute(
            update(MaintenanceSeries)
            .where(MaintenanceSeries.id == series_id, MaintenanceSeries.plan_at <= now)
            .values(plan_at=None)
        )
        if claimed.rowcount != 1:  # type: ignore[attr-defined]
            return False
        plan_ahead(session, session.get_one(MaintenanceSeries, series_id, populate_existing=True), now)
        return True


def push_back_series(series_id: str, now: datetime) -> None:
    """Look at a series again later: something about it is broken, and others wait."""
    with transaction(now) as session:
        session.execute(
            update(MaintenanceSeries)
            .where(MaintenanceSeries.id == series_id, MaintenanceSeries.plan_at <= now)
            .values(plan_at=now + PUSHED_BACK_BY)
        )
