"""Plan a maintenance window, tell the public about it, move it, begin and end it, call it off."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from statuspage import prose
from statuspage.actions.incidents import claim_form
from statuspage.actions.ledger import audit, mark_changed, record_override, take_page
from statuspage.db import transaction
from statuspage.delivery.announcements import announce_maintenance
from statuspage.models import (
    Component,
    Maintenance,
    MaintenanceComponent,
    MaintenanceSeries,
    MaintenanceUpdate,
    Page,
    new_id,
)
from statuspage.rules import maintenance as rules
from statuspage.rules import recurrence
from statuspage.rules.vocabulary import (
    Conflict,
    MaintenanceMessage,
    MaintenanceStage,
    NotFound,
    RuleBroken,
)

# How many windows of a series stand in the calendar.
AHEAD = 2


@dataclass(frozen=True)
class Plan:
    """A window as it is asked for."""

    title: str
    body: str
    component_ids: tuple[str, ...]
    scheduled_for: datetime
    scheduled_until: datetime
    starts_itself: bool = True
    finishes_itself: bool = True
    notifies: bool = True
    """Whether subscribers are told: now, before it begins, and of its start and end."""
    remind_minutes: int | None = 60
    rule: str = ""
    """An RRULE for work that comes again."""
    overridden: tuple[str, ...] = ()
    """Words that are marked, and that the writer posts as they are."""


@dataclass(frozen=True)
class Change:
    """What becomes of a window that is planned or runs; None stays as it is."""

    title: str | None = None
    component_ids: tuple[str, ...] | None = None
    scheduled_for: datetime | None = None
    scheduled_until: datetime | None = None
    starts_itself: bool | None = None
    finishes_itself: bool | None = None
    notifies: bool | None = None
    remind_minutes: int | None = None
    """0 for no reminder."""
    body: str = ""
    """What is said about a move; empty for the usual words."""
    tell: bool = False
    """Whether subscribers hear of a move; whoever was told of the window does in any case."""
    overridden: tuple[str, ...] = ()
    """Words that are marked, and that the writer posts as they are."""


@dataclass(frozen=True)
class Message:
    """What is said about a window."""

    body: str
    """Empty for the usual words."""
    tell: bool = True
    """Whether subscribers get it; whoever was told of the window hears in any case that it is called off."""
    overridden: tuple[str, ...] = ()
    """Words that are marked, and that the writer posts as they are."""


@dataclass(frozen=True)
class SeriesEnd:
    """What becomes of the windows that a series has in the calendar when it ends."""

    keeps_windows: bool = False
    body: str = ""
    """Why those that are called off are; empty for the usual words."""


def schedule(plan: Plan, nonce: str, by: str | None, now: datetime) -> str:
    """Plan a window, and a series of them if it comes again. Return the window's id.

    The same nonce again returns the window that it made the first time.
    Raises RuleBroken for whatever can't be.
    """
    with transaction(now) as session:
        take_page(session)
        maintenance_id = new_id()
        earlier = claim_form(session, nonce, maintenance_id, repr(plan), by, now)
        if earlier is not None:
            return earlier
        plan = check(session, plan, now)
        series = _begin_series(session, plan, by, now) if plan.rule else None
        announce_at = now if plan.notifies else None
        _make(session, maintenance_id, plan, series, announce_at, by, now)
        record_override(session, "maintenance", maintenance_id, None, plan.overridden, by, now)
        audit(session, by, "schedule", "maintenance", maintenance_id, now, title=plan.title, rule=plan.rule)
        if series is not None:
            plan_ahead(session, series, now)
        return maintenance_id


def check(session: Session, plan: Plan, now: datetime) -> Plan:
    """Return a plan whose every part can be. Raises RuleBroken with a sentence for each that can't."""
    errors: dict[str, str] = {}
    checks: tuple[Callable[[], object], ...] = (
        lambda: rules.check_title(plan.title),
        lambda: rules.check_body(plan.body),
        lambda: require_components(session, plan.component_ids),
        lambda: rules.check_new(plan.scheduled_for, plan.scheduled_until, now),
        lambda: rules.check_reminder(plan.remind_minutes),
        lambda: _check_rule(plan, page_zone(session)),
    )
    for each in checks:
        try:
            each()
        except RuleBroken as broken:
            errors |= broken.errors
    if errors:
        raise RuleBroken(errors)
    rule = recurrence.parse(plan.rule).text if plan.rule else ""
    return replace(plan, title=rules.check_title(plan.title), body=rules.check_body(plan.body), rule=rule)


def _check_rule(plan: Plan, zone: ZoneInfo) -> None:
    if not plan.rule:
        return
    rule = recurrence.parse(plan.rule)
    if not recurrence.starts_with(rule, plan.scheduled_for, zone):
        raise RuleBroken({"rule": "The first window does not fall on a day that this rule names."})
    following = recurrence.occurrences(rule, plan.scheduled_for, plan.scheduled_until, zone, plan.scheduled_for)
    second = next(following, None)
    if second is None:
        raise RuleBroken({"rule": "After the first window this rule names no day within five years."})
    if second[0] < plan.scheduled_until:
        raise RuleBroken({"rule": "The next window would begin before this one ends."})


def page_zone(session: Session) -> ZoneInfo:
    """Return the page's own time zone."""
    name = session.scalar(select(Page.time_zone))
    if name is None:
        raise Conflict("There is no status page yet: please run `statuspage init` first.")
    return ZoneInfo(name)


def require_components(session: Session, component_ids: Sequence[str]) -> None:
    """Raise RuleBroken on ``components`` unless there is at least one and each is on the page."""
    if not component_ids:
        raise RuleBroken({"components": "Please choose at least one component that this work is about."})
    known = set(
        session.scalars(select(Component.id).where(Component.id.in_(component_ids), Component.archived_at.is_(None)))
    )
    if set(component_ids) - known:
        raise RuleBroken({"components": "One of the components does not exist any more: please choose again."})


def _begin_series(session: Session, plan: Plan, by: str | None, now: datetime) -> MaintenanceSeries:
    series = MaintenanceSeries(
        id=new_id(),
        title=plan.title,
        body=plan.body,
        component_ids=list(plan.component_ids),
        rule=plan.rule,
        time_zone=page_zone(session).key,
        first_for=plan.scheduled_for,
        first_until=plan.scheduled_until,
        starts_itself=plan.starts_itself,
        finishes_itself=plan.finishes_itself,
        notifies=plan.notifies,
        remind_minutes=plan.remind_minutes,
        created_by_id=by,
        created_at=now,
    )
    session.add(series)
    session.flush()
    return series


def plan_ahead(session: Session, series: MaintenanceSeries, now: datetime) -> None:
    """Put the next windows of a series into the calendar, in an open transaction.

    What passed while no worker was there is left out: nobody was told of it.
    """
    zone, rule = ZoneInfo(series.time_zone), recurrence.parse(series.rule)
    known = set(session.scalars(select(Maintenance.occurrence_at).where(Maintenance.series_id == series.id)))
    listed = select(Component.id).where(Component.id.in_(series.component_ids), Component.archived_at.is_(None))
    components = tuple(session.scalars(listed))
    following = recurrence.occurrences(rule, series.first_for, series.first_until, zone, now)
    coming = list(itertools.islice(following, AHEAD))
    for begins, ends in coming:
        if begins in known:
            continue
        plan = Plan(
            series.title,
            series.body,
            components,
            begins,
            ends,
            series.starts_itself,
            series.finishes_itself,
            series.notifies,
            series.remind_minutes,
        )
        announce_at = max(begins - rules.SERIES_NOTICE, now) if series.notifies else None
        maintenance_id = new_id()
        _make(session, maintenance_id, plan, series, announce_at, None, now)
        audit(session, None, "schedule", "maintenance", maintenance_id, now, series_id=series.id)
    # Each window that begins makes room for another; a rule that names fewer has come to its end.
    series.plan_at = coming[0][0] if len(coming) == AHEAD else None


def _make(
    session: Session,
    maintenance_id: str,
    plan: Plan,
    series: MaintenanceSeries | None,
    announce_at: datetime | None,
    by: str | None,
    now: datetime,
) -> None:
    maintenance = Maintenance(
        id=maintenance_id,
        title=plan.title,
        stage=MaintenanceStage.SCHEDULED,
        scheduled_for=plan.scheduled_for,
        scheduled_until=plan.scheduled_until,
        starts_itself=plan.starts_itself,
        finishes_itself=plan.finishes_itself,
        notifies=plan.notifies,
        remind_minutes=plan.remind_minutes,
        announce_at=announce_at,
        series_id=series.id if series else None,
        occurrence_at=plan.scheduled_for if series else None,
        created_by_id=by,
        created_at=now,
        updated_at=now,
    )
    before_start = plan.remind_minutes and plan.scheduled_for - timedelta(minutes=plan.remind_minutes)
    if before_start and before_start <= now:
        # Whoever is told now needs no reminder.
        maintenance.reminded_at = now
    session.add(maintenance)
    session.add_all(
        MaintenanceComponent(maintenance_id=maintenance_id, component_id=each) for each in plan.component_ids
    )
    session.flush()
    tell = announce_at is not None and announce_at <= now
    say(session, maintenance, MaintenanceMessage.SCHEDULED, plan.body, tell, by, now)


def post_update(
    maintenance_id: str,
    stage: MaintenanceStage,
    message: Message,
    version: int,
    nonce: str,
    by: str | None,
    now: datetime,
) -> str:
    """Say something about a window that is planned or runs; a later stage begins with it. Return the update's id.

    Raises NotFound, RuleBroken for an empty text, Conflict if the window is
    over, changed since the writer saw it, or can't come to that stage.
    """

    def act(session: Session, maintenance: Maintenance) -> str:
        if not rules.may_turn(maintenance.stage, stage):
            raise Conflict("The window can’t go back to that stage.")
        if not message.body.strip() and stage is maintenance.stage:
            raise RuleBroken({"body": "Please write what you want to say."})
        kind = MaintenanceMessage.UPDATE
        body = rules.check_body(message.body) if message.body.strip() else rules.CHECKING
        if maintenance.stage is MaintenanceStage.SCHEDULED and stage is not maintenance.stage:
            kind, maintenance.started_at = MaintenanceMessage.STARTED, now
            if not message.body.strip() and stage is MaintenanceStage.IN_PROGRESS:
                body = rules.WORDINGS[kind]
        maintenance.stage = stage
        return say(session, maintenance, kind, body, message.tell, by, now)

    return _once(maintenance_id, f"update: {stage.value}", message, version, nonce, act, by, now)


def start(maintenance_id: str, message: Message, version: int, nonce: str, by: str | None, now: datetime) -> str:
    """Begin the work, earlier or later than planned. Return the update's id.

    Raises NotFound, Conflict if it began already or the window changed since
    the writer saw it.
    """

    def act(session: Session, maintenance: Maintenance) -> str:
        if maintenance.stage is not MaintenanceStage.SCHEDULED:
            raise Conflict("This work has begun already.")
        maintenance.stage, maintenance.started_at = MaintenanceStage.IN_PROGRESS, now
        if maintenance.scheduled_until <= now:
            # Begun after its end it would be over at once.
            maintenance.finishes_itself = False
        return say(session, maintenance, MaintenanceMessage.STARTED, message.body, message.tell, by, now)

    return _once(maintenance_id, "start", message, version, nonce, act, by, now)


def finish(maintenance_id: str, message: Message, version: int, nonce: str, by: str | None, now: datetime) -> str:
    """End the work, earlier or later than planned. Return the update's id.

    Raises NotFound, Conflict if it has not begun or the window changed since
    the writer saw it.
    """

    def act(session: Session, maintenance: Maintenance) -> str:
        if maintenance.stage is MaintenanceStage.SCHEDULED:
            raise Conflict("This work has not begun: please start it first, or cancel it.")
        maintenance.stage, maintenance.completed_at = MaintenanceStage.COMPLETED, now
        return say(session, maintenance, MaintenanceMessage.FINISHED, message.body, message.tell, by, now)

    return _once(maintenance_id, "finish", message, version, nonce, act, by, now)


def cancel(maintenance_id: str, message: Message, version: int, nonce: str, by: str | None, now: datetime) -> str:
    """Call a window off; it stays on the page as cancelled. Return the update's id.

    Whoever was told of it is told. Raises NotFound, Conflict if it is over or
    changed since the writer saw it.
    """

    def act(session: Session, maintenance: Maintenance) -> str:
        return _call_off(session, maintenance, message, by, now)

    return _once(maintenance_id, "call off", message, version, nonce, act, by, now)


def _call_off(session: Session, maintenance: Maintenance, message: Message, by: str | None, now: datetime) -> str:
    body = message.body
    if not body.strip() and maintenance.stage is not MaintenanceStage.SCHEDULED:
        body = rules.ENDED_EARLY
    maintenance.stage = MaintenanceStage.COMPLETED
    maintenance.completed_at = maintenance.cancelled_at = now
    tell = rules.must_tell(message.tell, was_told(maintenance))
    return say(session, maintenance, MaintenanceMessage.CANCELLED, body, tell, by, now)


def change(maintenance_id: str, wanted: Change, version: int, nonce: str, by: str | None, now: datetime) -> None:
    """Change what a window is called, covers and does by itself; move it; extend it while it runs.

    A move is told in an update, by mail to everybody who was told of the
    window. Raises NotFound, RuleBroken, Conflict if it is over, has begun
    where its start is to change, or changed since the writer saw it.
    """

    def act(session: Session, maintenance: Maintenance) -> str:
        errors: dict[str, str] = {}
        for part in (_change_words, _change_components, _change_clock, _change_times):
            try:
                part(session, maintenance, wanted, by, now)
            except RuleBroken as broken:
                errors |= broken.errors
        if errors:
            raise RuleBroken(errors)
        return maintenance.id

    _once(maintenance_id, "change", wanted, version, nonce, act, by, now)


def _change_words(_session: Session, maintenance: Maintenance, wanted: Change, _by: str | None, _now: datetime) -> None:
    if wanted.title is not None:
        maintenance.title = rules.check_title(wanted.title)


def _change_components(
    session: Session, maintenance: Maintenance, wanted: Change, _by: str | None, now: datetime
) -> None:
    present = {each.component_id: each for each in maintenance.components}
    if wanted.component_ids is None or set(wanted.component_ids) == present.keys():
        return
    require_components(session, [each for each in wanted.component_ids if each not in present] or wanted.component_ids)
    for component_id in present.keys() - set(wanted.component_ids):
        session.delete(present[component_id])
        # Its own page lists the window no more.
        mark_changed(session, "component", component_id, now)
    for component_id in wanted.component_ids:
        if component_id not in present:
            session.add(MaintenanceComponent(maintenance_id=maintenance.id, component_id=component_id))
    session.flush()
    session.refresh(maintenance, ["components"])


def _change_clock(_session: Session, maintenance: Maintenance, wanted: Change, _by: str | None, _now: datetime) -> None:
    for name in ("starts_itself", "finishes_itself", "notifies"):
        value = getattr(wanted, name)
        if value is not None:
            setattr(maintenance, name, value)
    if not maintenance.notifies:
        maintenance.announce_at = None
    if wanted.remind_minutes is not None:
        minutes = rules.check_reminder(wanted.remind_minutes or None)
        if minutes != maintenance.remind_minutes:
            maintenance.remind_minutes, maintenance.reminded_at = minutes, None


def _change_times(session: Session, maintenance: Maintenance, wanted: Change, by: str | None, now: datetime) -> None:
    old_for, old_until = maintenance.scheduled_for, maintenance.scheduled_until
    new_for, new_until = wanted.scheduled_for or old_for, wanted.scheduled_until or old_until
    if (new_for, new_until) == (old_for, old_until):
        return
    zone = page_zone(session)
    if maintenance.stage is MaintenanceStage.SCHEDULED:
        rules.check_new(new_for, new_until, now)
        before, window = (
            rules.window_in_words(old_for, old_until, zone),
            rules.window_in_words(new_for, new_until, zone),
        )
        body = rules.moved_words(before, window)
        maintenance.reminded_at = None
        if maintenance.announce_at is not None:
            maintenance.announce_at = max(new_for - rules.SERIES_NOTICE, now)
    else:
        if new_for != old_for:
            raise RuleBroken({"scheduled_for": "This work has begun already: only its end can still change."})
        rules.check_running_end(old_for, new_until, now)
        ends = rules.local_in_words(new_until, zone)
        body = rules.extended_words(ends, is_longer=new_until > old_until)
        # Its end is looked forward to once more.
    maintenance.scheduled_for, maintenance.scheduled_until = new_for, new_until
    if old_for.astimezone(zone).strftime("%Y-%m") != new_for.astimezone(zone).strftime("%Y-%m"):
        mark_changed(session, "month", f"{old_for.astimezone(zone):%Y-%m}", now)
    said = rules.check_body(wanted.body) + "\n\n" + body if wanted.body.strip() else body
    tell = rules.must_tell(wanted.tell, was_told(maintenance))
    say(session, maintenance, MaintenanceMessage.MOVED, said, tell, by, now)


def end_series(series_id: str, end: SeriesEnd, nonce: str, by: str | None, now: datetime) -> None:
    """Plan no further windows of a series, and call off those that have not begun, unless they are to be kept.

    Whoever was told of a window is told that it is called off. Raises
    NotFound, RuleBroken, Conflict if the series ended before.
    """
    with transaction(now) as session:
        take_page(session)
        if claim_form(session, nonce, series_id, repr((series_id, end)), by, now) is not None:
            return
        series = session.get(MaintenanceSeries, series_id, populate_existing=True)
        if series is None:
            raise NotFound("series")
        if series.ended_at is not None:
            raise Conflict("This series was ended already.")
        series.ended_at, series.plan_at = now, None
        ends = [] if end.keeps_windows else planned_windows(session, series_id)
        for window in ends:
            window.version, window.next_step_at = window.version + 1, None
            _call_off(session, window, Message(end.body, tell=False), by, now)
            audit(session, by, "change", "maintenance", window.id, now, did="called off with its series")
        audit(session, by, "end_series", "maintenance_series", series_id, now, title=series.title, called_off=len(ends))


def planned_windows(session: Session, series_id: str) -> Sequence[Maintenance]:
    """Return the windows of a series that have not begun, the soonest first."""
    planned = select(Maintenance).where(
        Maintenance.series_id == series_id, Maintenance.stage == MaintenanceStage.SCHEDULED
    )
    soonest = planned.order_by(Maintenance.scheduled_for).execution_options(populate_existing=True)
    return session.scalars(soonest).all()


def _once(
    maintenance_id: str,
    did: str,
    wanted: Message | Change,
    version: int,
    nonce: str,
    act: Callable[[Session, Maintenance], str],
    by: str | None,
    now: datetime,
) -> str:
    """Do something with an open window in one transaction; the same nonce again returns the first one's result."""
    with transaction(now) as session:
        take_page(session)
        claim_id = new_id()
        earlier = claim_form(session, nonce, claim_id, repr((maintenance_id, did, wanted)), by, now)
        if earlier is not None:
            return earlier
        maintenance = _take(session, maintenance_id, version)
        if maintenance.stage is MaintenanceStage.COMPLETED:
            raise Conflict("This maintenance is over already.")
        result = act(session, maintenance)
        maintenance.updated_at = now
        settle(session, maintenance, now)
        record_override(session, "maintenance", maintenance_id, None, wanted.overridden, by, now)
        audit(session, by, "change", "maintenance", maintenance_id, now, stage=maintenance.stage, did=did)
        return result


def _take(session: Session, maintenance_id: str, version: int) -> Maintenance:
    """Take the window for a change; of two writers who saw the same version one gets it."""
    taken = session.execute(
        update(Maintenance)
        .where(Maintenance.id == maintenance_id, Maintenance.version == version)
        # Set again when the change is done.
        .values(version=Maintenance.version + 1, next_step_at=None)
    )
    maintenance = session.get(Maintenance, maintenance_id, populate_existing=True)
    if maintenance is None:
        raise NotFound("maintenance")
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        raise Conflict("This window changed while you were writing. Your text is kept below.")
    return maintenance


def window_of(maintenance: Maintenance) -> rules.Window:
    """Return what decides which step of a window is due."""
    minutes = maintenance.remind_minutes if maintenance.notifies else None
    return rules.Window(
        stage=maintenance.stage,
        scheduled_for=maintenance.scheduled_for,
        scheduled_until=maintenance.scheduled_until,
        starts_itself=maintenance.starts_itself,
        finishes_itself=maintenance.finishes_itself,
        remind_before=timedelta(minutes=minutes) if minutes else None,
        is_reminded=maintenance.reminded_at is not None,
        announce_at=maintenance.announce_at,
    )


def settle(session: Session, maintenance: Maintenance, now: datetime) -> None:
    """Set when the clock looks at a window next, and have its pages written anew."""
    maintenance.next_step_at = rules.next_step_at(window_of(maintenance))
    mark_changed(session, "maintenance", maintenance.id, now)
    session.flush()


def was_told(maintenance: Maintenance) -> bool:
    """Tell whether subscribers were told of a window."""
    return any(each.is_told for each in maintenance.updates)


def say(
    session: Session,
    maintenance: Maintenance,
    kind: MaintenanceMessage,
    body: str,
    tell: bool,
    by: str | None,
    now: datetime,
    fell_due_at: datetime | None = None,
) -> str:
    """Write a message into the window, and what is to be told into the same transaction. Return its id.

    ``fell_due_at`` is given for what the clock says: when it should have been said.
    """
    text = rules.check_body(body) if body.strip() else rules.WORDINGS[kind]
    latest = maintenance.last_posted_at
    posted_at = now if fell_due_at is None else max(fell_due_at, latest or fell_due_at)
    update_id = new_id()
    session.add(
        MaintenanceUpdate(
            id=update_id,
            maintenance_id=maintenance.id,
            sequence=len(maintenance.updates) + 1,
            kind=kind,
            stage=maintenance.stage,
            body=text,
            body_html=prose.to_html(text),
            is_told=tell,
            is_automatic=fell_due_at is not None,
            author_id=by,
            posted_at=posted_at,
            created_at=now,
        )
    )
    maintenance.last_posted_at, maintenance.updated_at = posted_at, now
    if tell:
        # Whoever is told anything has been told that it is planned.
        maintenance.announce_at = None
        announce_maintenance(session, update_id, now)
    session.flush()
    session.refresh(maintenance, ["updates"])
    settle(session, maintenance, now)
    return update_id
