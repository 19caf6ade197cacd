"""Maintenance windows by the API: Statuspage plans them as incidents that have ``scheduled_for``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, select
from sqlalchemy.orm import selectinload

from statuspage.actions import maintenances
from statuspage.actions.maintenances import Change, Message, Plan, SeriesEnd
from statuspage.db import db
from statuspage.models import Component, FormSubmission, Maintenance
from statuspage.rules import maintenance as rules
from statuspage.rules.vocabulary import Conflict, MaintenanceStage, NotFound
from statuspage.web.api import bodies, keys, shapes
from statuspage.web.api.bodies import Fields
from statuspage.web.api.pages import find_frame
from statuspage.web.api.routes import answer
from statuspage.web.publishing import publish_at_once

PLANNING, CHANGING, TELLING = "maintenance", "maintenance_change", "maintenance_message"
ENDING = "maintenance_series"
NOTHING_SAID = "We will carry out planned maintenance during this time."
_OPTIONS = (selectinload(Maintenance.updates), selectinload(Maintenance.components), selectinload(Maintenance.series))


def is_wanted(fields: Fields) -> bool:
    """Tell whether a body asks for a window rather than an incident."""
    return fields.has("scheduled_for") or fields.has("scheduled_until")


def find(maintenance_id: str) -> Maintenance | None:
    """Return a window by its id; None if there is none."""
    return db.session.get(Maintenance, maintenance_id, populate_existing=True)


def create(page_id: str, fields: Fields, now: datetime) -> ResponseReturnValue:
    """Plan a window."""
    plan = _plan(fields, now)
    maintenance_id = maintenances.schedule(plan, keys.nonce(PLANNING), None, now)
    publish_at_once(now)
    return answer(shown(page_id, maintenance_id), 201)


def shown(page_id: str, maintenance_id: str) -> dict[str, object]:
    """Return a window as the API gives it."""
    frame = find_frame(page_id)
    found = load(select(Maintenance).where(Maintenance.id == maintenance_id))
    if not found:
        raise NotFound("maintenance")
    return shapes.maintenance(frame, found[0])


def load(query: Select[Maintenance]) -> Sequence[Maintenance]:
    """Read windows with all that is shown of them."""
    found = db.session.scalars(query.options(*_OPTIONS).execution_options(populate_existing=True))
    return found.unique().all()


def listed(page_id: str, stages: Sequence[MaintenanceStage]) -> ResponseReturnValue:
    """List the windows in some stages, the soonest first."""
    frame = find_frame(page_id)
    size, offset = bodies.paging()
    query = select(Maintenance).where(Maintenance.stage.in_(stages))
    soonest = query.order_by(Maintenance.scheduled_for, Maintenance.id).limit(size).offset(offset)
    return answer([shapes.maintenance(frame, each) for each in load(soonest)])


def _plan(fields: Fields, now: datetime) -> Plan:
    begins, ends = fields.instant("scheduled_for"), fields.instant("scheduled_until")
    for name, instant in (("scheduled_for", begins), ("scheduled_until", ends)):
        if instant is None:
            fields.refuse(name, "Maintenance needs a start and an end: scheduled_for and scheduled_until.")
    if fields.text("status") not in ("", MaintenanceStage.SCHEDULED):
        fields.refuse("status", "Maintenance begins as scheduled: please start it with a PATCH.")
    both = fields.flag("scheduled_auto_transition")
    plan = Plan(
        title=fields.text("name"),
        body=_body(fields) or NOTHING_SAID,
        component_ids=tuple(_components(fields) or ()),
        scheduled_for=begins or now,
        scheduled_until=ends or (begins or now) + timedelta(hours=1),
        # As Statuspage has it: what a program does not ask for it does itself.
        starts_itself=_first(fields.flag("scheduled_auto_in_progress"), both, otherwise=False),
        finishes_itself=_first(fields.flag("scheduled_auto_completed"), both, otherwise=False),
        notifies=_first(fields.flag("deliver_notifications"), otherwise=True),
        remind_minutes=_reminder(fields) or None,
        rule=fields.text("recurrence"),
    )
    with fields.noting():
        maintenances.check(db.session(), plan, now)
    fields.done()
    return plan


def _first(*values: bool | None, otherwise: bool) -> bool:
    return next((value for value in values if value is not None), otherwise)


def _reminder(fields: Fields) -> int | None:
    """Return how many minutes before the start; 0 for no reminder, None if nothing is said."""
    minutes = fields.number("remind_minutes")
    if minutes is not None:
        with fields.noting():
            rules.check_reminder(minutes or None)
        return minutes
    wanted = fields.flag("scheduled_remind_prior")
    if wanted is None:
        return None
    return rules.DEFAULT_REMINDER // timedelta(minutes=1) if wanted else 0


def _body(fields: Fields) -> str:
    # Statuspage's older name for it.
    name = "message" if fields.has("message") and not fields.has("body") else "body"
    text = fields.text(name)
    if text.strip():
        with fields.noting():
            return rules.check_body(text)
    return ""


def _components(fields: Fields) -> list[str] | None:
    """Return the components named, in whatever state: a window overlays, it sets none. A group stands for its own."""
    if not fields.has("components") and not fields.has("component_ids"):
        return None
    rows = db.session.execute(select(Component.id, Component.group_id).where(Component.archived_at.is_(None)))
    members = [(row.id, row.group_id) for row in rows]
    found: dict[str, None] = {}
    for name in [*fields.texts("component_ids"), *fields.mapping("components")]:
        named = [component_id for component_id, group_id in members if name in (component_id, group_id)]
        if not named:
            fields.refuse("components", f"There is no component {name[:40]}.")
        found |= dict.fromkeys(named)
    return list(found)


@dataclass(frozen=True)
class _Wanted:
    """What becomes of a window: a change first, then one message."""

    version: int | None
    change: Change
    act: Callable[[int, str], str] | None


def edit(page_id: str, maintenance_id: str, now: datetime) -> ResponseReturnValue:
    """Change, move, extend, start, finish or call off a window."""
    find_frame(page_id)
    fields = bodies.read("incident")
    if fields.has("end_series"):
        return _end_series(page_id, maintenance_id, fields, now)
    nonces = {step: keys.nonce(step, maintenance_id, repr(request.get_data())) for step in (CHANGING, TELLING)}
    if not any(keys.may_be_a_retry() and db.session.get(FormSubmission, each) for each in nonces.values()):
        window = find(maintenance_id)
        if window is None:
            raise NotFound("maintenance")
        _carry_out(window, _changes(fields, window, now), nonces, now)
        publish_at_once(now)
    return answer(shown(page_id, maintenance_id))


def _end_series(page_id: str, maintenance_id: str, fields: Fields, now: datetime) -> ResponseReturnValue:
    """End the series a window belongs to: a request of its own, since it is about other windows too."""
    window = find(maintenance_id)
    if window is None:
        raise NotFound("maintenance")
    if fields.flag("end_series") is False or window.series_id is None:
        fields.refuse("end_series", "Only true, and only of a window that belongs to a series.")
    end = SeriesEnd(fields.flag("keep_windows") or False, _body(fields))
    for name in ("name", "status", "cancel", "scheduled_for", "scheduled_until", "components", "component_ids"):
        if fields.has(name):
            fields.refuse(name, "Ending a series changes nothing else of a window: please send this by itself.")
    fields.done()
    maintenances.end_series(str(window.series_id), end, keys.nonce(ENDING, maintenance_id), None, now)
    publish_at_once(now)
    return answer(shown(page_id, maintenance_id))


def _carry_out(window: Maintenance, wanted: _Wanted, nonces: dict[str, str], now: datetime) -> None:
    maintenance_id, version = window.id, window.version
    if wanted.version is not None and wanted.version != version:
        raise Conflict(f"This window has version {version} by now, not {wanted.version}: please read it again.")
    if wanted.change != Change(tell=wanted.change.tell):
        maintenances.change(maintenance_id, wanted.change, version, nonces[CHANGING], None, now)
        version += 1
    if wanted.act is not None:
        wanted.act(version, nonces[TELLING])


def _changes(fields: Fields, window: Maintenance, now: datetime) -> _Wanted:
    version, both = fields.number("version"), fields.flag("scheduled_auto_transition")
    tell = _first(fields.flag("deliver_notifications"), otherwise=window.notifies)
    components = _components(fields)
    change = Change(
        title=fields.text("name") if fields.has("name") else None,
        component_ids=tuple(components) if components is not None else None,
        scheduled_for=_unless_same(fields.instant("scheduled_for"), window.scheduled_for),
        scheduled_until=_unless_same(fields.instant("scheduled_until"), window.scheduled_until),
        starts_itself=_or_none(fields.flag("scheduled_auto_in_progress"), both),
        finishes_itself=_or_none(fields.flag("scheduled_auto_completed"), both),
        remind_minutes=_reminder(fields),
        tell=tell,
    )
    if fields.has("recurrence"):
        fields.refuse("recurrence", "A window keeps the series it was planned in.")
    if fields.has("backfill_date") or fields.flag("backfilled"):
        fields.refuse("backfilled", "The past comes in with `statuspage import`.")
    cancels = fields.flag("cancel") or False
    message = Message(_body(fields), tell)
    stage = _stage(fields, window, cancels=cancels)
    _check(change, window, fields, now)
    fields.done()
    return _Wanted(version, change, _act(window, stage, message, now, cancels=cancels))


def _or_none(*values: bool | None) -> bool | None:
    return next((value for value in values if value is not None), None)


def _unless_same(wanted: datetime | None, present: datetime) -> datetime | None:
    """None where it is the present one, to the millisecond that is given out."""
    if wanted is None or abs(wanted - present) < timedelta(milliseconds=1):
        return None
    return wanted


def _check(change: Change, window: Maintenance, fields: Fields, now: datetime) -> None:
    """Refuse, before the first step, what the change would refuse."""
    if change.title is not None:
        with fields.noting():
            rules.check_title(change.title)
    if change.component_ids is not None and not change.component_ids:
        fields.refuse("components", "Please name at least one component.")
    begins, ends = change.scheduled_for or window.scheduled_for, change.scheduled_until or window.scheduled_until
    if change.scheduled_for is None and change.scheduled_until is None:
        return
    with fields.noting():
        if window.stage is MaintenanceStage.SCHEDULED:
            rules.check_new(begins, ends, now)
        elif change.scheduled_for is None:
            rules.check_running_end(begins, ends, now)


def _stage(fields: Fields, window: Maintenance, *, cancels: bool) -> MaintenanceStage | None:
    """Return the stage a message is to bring; None if nothing is said."""
    word = fields.text("status")
    if word and word not in set(MaintenanceStage):
        fields.refuse("status", f"Maintenance is one of {', '.join(MaintenanceStage)}.")
        return None
    if cancels and word not in ("", MaintenanceStage.COMPLETED):
        fields.refuse("status", "What is called off is completed.")
    if not word:
        return window.stage if fields.has("body") or fields.has("message") or cancels else None
    stage = MaintenanceStage(word)
    if stage is window.stage and not _body(fields) and not cancels:
        # A program that says what is so already changes nothing.
        return None
    return stage


def _act(
    window: Maintenance, stage: MaintenanceStage | None, message: Message, now: datetime, *, cancels: bool
) -> Callable[[int, str], str] | None:
    """Return what is to be done at last; a window that never began can't be completed, only called off."""
    window_id = window.id
    if stage is None:
        return None
    ends = cancels or stage is MaintenanceStage.COMPLETED
    if ends and (cancels or window.stage is MaintenanceStage.SCHEDULED):
        return lambda version, nonce: maintenances.cancel(window_id, message, version, nonce, None, now)
    if ends:
        return lambda version, nonce: maintenances.finish(window_id, message, version, nonce, None, now)
    if stage is MaintenanceStage.IN_PROGRESS and window.stage is MaintenanceStage.SCHEDULED:
        return lambda version, nonce: maintenances.start(window_id, message, version, nonce, None, now)
    if not rules.may_turn(window.stage, stage):
        raise Conflict("This window is over already, or can’t go back to that stage.")
    return lambda version, nonce: maintenances.post_update(window_id, stage, message, version, nonce, None, now)
