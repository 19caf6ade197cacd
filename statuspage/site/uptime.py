"""Uptime as readers see it: each component's last days as bars, in words, and the days with problems one by one."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Select, bindparam, func, or_, select

from statuspage.db import UtcDateTime, db
from statuspage.models import (
    Component,
    ComponentStateChange,
    Incident,
    IncidentComponent,
    Maintenance,
    MaintenanceComponent,
)
from statuspage.rules import uptime
from statuspage.rules.times import next_month
from statuspage.rules.uptime import Condition, Day, LocalDay, Span, StateChange, UptimeRule
from statuspage.rules.vocabulary import MaintenanceStage
from statuspage.site.page import PUBLISHED, Frame

DAYS = 90
MONTHS = 12
# In lists on the front page: what is older is on the component's own page.
LISTED = 5
INCIDENTS = 500
HELD_WINDOWS = (MaintenanceStage.IN_PROGRESS, MaintenanceStage.VERIFYING, MaintenanceStage.COMPLETED)
# Maintenance is looked for from so long before the first day.
LONGEST_WINDOW = timedelta(days=31)
CACHED = 64

# A day is 4 units wide, 3 of them bar; dashes make the bars of a run. The worse, the taller: no colour is needed.
_Y = {
    Condition.NO_DATA: (22,),
    Condition.OPERATIONAL: (16,),
    Condition.MAINTENANCE: (11, 21),
    Condition.DEGRADED: (14,),
    Condition.OUTAGE: (12,),
}
CLASSES = {
    Condition.NO_DATA: "unknown",
    Condition.OPERATIONAL: "up",
    Condition.MAINTENANCE: "planned",
    Condition.DEGRADED: "slow",
    Condition.OUTAGE: "down",
}


@dataclass(frozen=True)
class ShownDay:
    """A day as it is listed."""

    date: date
    spans: tuple[tuple[str, timedelta], ...]
    """How long it was what, of ``outage``, ``degraded`` and ``maintenance``: how it was in short."""
    worst: Condition
    incidents: tuple[tuple[str, str], ...]
    """Path and title of what went on."""


@dataclass(frozen=True)
class Bar:
    """A part of the bars: the path of one condition's days; or of one day that is listed."""

    css_class: str
    path: str
    day: ShownDay | None = None


@dataclass(frozen=True)
class ComponentUptime:
    """A component's last days."""

    percent: str
    """``99.98 %``."""
    known_days: int
    """Of how many days anything is known."""
    problem_days: int
    bars: tuple[Bar, ...]
    problems: tuple[ShownDay, ...]
    """The newest days with problems, newest first."""


@dataclass(frozen=True)
class ComponentPast:
    """A component's last days and months, for its own page."""

    uptime: ComponentUptime
    days: tuple[ShownDay, ...]
    """Every one of the last days of which something is known, newest first."""
    months: tuple[tuple[date, str, timedelta], ...]
    """First day, uptime in words and downtime of each month, newest first."""


# Plain columns, whichever.
Columns = tuple[Any, ...]
Days = Mapping[str, Sequence[Day]]
Incidents = Mapping[str, Sequence[Row[*Columns]]]


def load_all(frame: Frame, now: datetime) -> Mapping[str, ComponentUptime]:
    """Return the last days of every component on the page."""
    today = frame.day(now)
    local = _local_days(frame.zone, today - timedelta(days=DAYS - 1), today)
    incidents = _incidents(local[0].begin, "")
    return {
        component_id: _shown(past, local, frame.uptime_rule, incidents.get(component_id, ()), LISTED, now)
        for component_id, past in _pasts(local, frame.uptime_rule, "", now).items()
    }


def load_one(frame: Frame, component_id: str, now: datetime) -> ComponentPast:
    """Return a component's last days and months."""
    today = frame.day(now)
    local = _local_days(frame.zone, next_month(today.replace(day=1), 1 - MONTHS), today)
    past = _pasts(local, frame.uptime_rule, component_id, now)[component_id]
    last = _Past(past.closed[1 - DAYS :], past.worst[1 - DAYS :], uptime.total(past.closed[1 - DAYS :]), past.today)
    last_local = local[-DAYS:]
    incidents = _incidents(last_local[0].begin, component_id).get(component_id, ())
    listed = [
        _shown_day(day, span, incidents, now)
        for day, span in zip(reversed([*last.closed, last.today]), reversed(last_local), strict=True)
        if day.worst is not Condition.NO_DATA
    ]
    return ComponentPast(
        _shown(last, last_local, frame.uptime_rule, incidents, DAYS, now),
        tuple(listed),
        tuple(_months([*past.closed, past.today], frame.uptime_rule)),
    )


@lru_cache(maxsize=8)
def _local_days(zone: ZoneInfo, first: date, last: date) -> Sequence[LocalDay]:
    return uptime.local_days(zone, first, last)


# --- what is on record -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Closed:
    """The days of a component that are over, and what today begins with."""

    days: Sequence[Day]
    worst: Sequence[Condition]
    total: Day
    changes: Sequence[StateChange]


@dataclass(frozen=True)
class _Past:
    """The days of a component."""

    closed: Sequence[Day]
    worst: Sequence[Condition]
    """Of each closed day."""
    total: Day
    """Of the closed days."""
    today: Day


# Days that are over are reckoned again only after something was added to the ledger, or maintenance changed.
_known: dict[object, Mapping[str, _Closed]] = {}


def forget() -> None:
    """Let everything be reckoned anew."""
    _known.clear()


def _pasts(local: Sequence[LocalDay], rule: UptimeRule, component_id: str, now: datetime) -> Mapping[str, _Past]:
    """Return the days of one component, or of all for an empty id; today so far included."""
    first, today = local[0].begin, local[-1]
    asked = {"first": first, "early": first - LONGEST_WINDOW, "component": component_id}
    components = db.session.execute(_components(bool(component_id)), asked).all()
    windows = db.session.execute(_windows(bool(component_id)), asked).all()
    key = (str(db.engine.url), first, today.date, rule, tuple(map(tuple, components)), tuple(map(tuple, windows)))
    spans = _spans(windows, now)
    begins = {row.id: _begin(row.start_date, local) for row in components}
    closed = _known.get(key)
    if closed is None:
        closed = _closed(components, spans, begins, local, rule, asked)
        while len(_known) >= CACHED:
            _known.pop(next(iter(_known)), None)
        _known[key] = closed
    pasts = {}
    for each, known in closed.items():
        (so_far,) = uptime.daily(known.changes, spans.get(each, ()), [today], begins[each], now, rule)
        pasts[each] = _Past(known.days, known.worst, known.total, so_far)
    return pasts


def _closed(
    components: Sequence[Row[*Columns]],
    spans: Mapping[str, Sequence[Span]],
    begins: Mapping[str, datetime | None],
    local: Sequence[LocalDay],
    rule: UptimeRule,
    asked: Mapping[str, object],
) -> Mapping[str, _Closed]:
    first, today = local[0].begin, local[-1].begin
    changes: dict[str, list[StateChange]] = {row.id: [] for row in components}
    for row in components:
        if row.state is not None:
            changes[row.id].append(StateChange(first, row.state))
    for each, *change in db.session.execute(_changes(bool(asked["component"])), asked):
        # Those of archived components are nobody's.
        if each in changes:
            changes[each].append(StateChange(*change))
    closed = {}
    for each, found in changes.items():
        days = uptime.daily(found, spans.get(each, ()), local[:-1], begins[each], today, rule)
        worst = [day.worst for day in days]
        closed[each] = _Closed(days, worst, uptime.total(days), _since(found, today))
    return closed


def _since(changes: Sequence[StateChange], moment: datetime) -> list[StateChange]:
    """What holds at a moment, and what comes after it."""
    earlier = [change for change in changes if change.at < moment]
    return [*(change._replace(at=moment) for change in earlier[-1:]), *changes[len(earlier) :]]


def _begin(start_date: date | None, local: Sequence[LocalDay]) -> datetime | None:
    """When a component with a start date began to count; None if that is long ago or unknown."""
    if start_date is None or start_date <= local[0].date:
        return None
    return next((day.begin for day in local if day.date == start_date), local[-1].end)


# The queries are built once, since building takes as long as asking: for one component and for all.


@cache
def _components(is_one: bool) -> Select[*Columns]:
    """The components on the page, the state in which they came into the first day, and how far the ledger goes."""
    table = ComponentStateChange
    before = (
        select(table.state)
        .where(table.component_id == Component.id, table.changed_at < bindparam("first"))
        .order_by(table.changed_at.desc(), table.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    newest = select(func.max(table.id)).scalar_subquery()
    query: Select[*Columns] = select(Component.id, Component.start_date, before.label("state"), newest.label("newest"))
    query = query.where(Component.archived_at.is_(None))
    return query.where(Component.id == bindparam("component")) if is_one else query


@cache
def _changes(is_one: bool) -> Select[*Columns]:
    table = ComponentStateChange
    query: Select[*Columns] = select(table.component_id, table.changed_at, table.state)
    query = query.where(table.changed_at >= bindparam("first")).order_by(table.changed_at, table.id)
    return query.where(table.component_id == bindparam("component")) if is_one else query


@cache
def _windows(is_one: bool) -> Select[*Columns]:
    """Maintenance that was or is being done; what is only planned takes nothing away from a day."""
    query: Select[*Columns] = (
        select(MaintenanceComponent.component_id)
        .add_columns(func.coalesce(Maintenance.started_at, Maintenance.scheduled_for, type_=UtcDateTime))
        .add_columns(Maintenance.scheduled_until, Maintenance.completed_at, Maintenance.stage)
        .join(Maintenance)
        .where(Maintenance.stage.in_(HELD_WINDOWS), Maintenance.scheduled_for >= bindparam("early"))
        # What was called off before it began took nothing away either.
        .where(or_(Maintenance.cancelled_at.is_(None), Maintenance.started_at.is_not(None)))
        .order_by(Maintenance.scheduled_for, Maintenance.id)
    )
    return query.where(MaintenanceComponent.component_id == bindparam("component")) if is_one else query


def _spans(windows: Iterable[Row[*Columns]], now: datetime) -> Mapping[str, Sequence[Span]]:
    spans: dict[str, list[Span]] = {}
    for component_id, begin, planned_end, completed_at, stage in windows:
        end = completed_at or planned_end if stage is MaintenanceStage.COMPLETED else now
        spans.setdefault(component_id, []).append(Span(begin, end))
    return spans


@cache
def _went_on(is_one: bool) -> Select[*Columns]:
    """What readers may see of the incidents of these days; newest first."""
    query: Select[*Columns] = (
        select(IncidentComponent.component_id, Incident.id, Incident.title, Incident.started_at, Incident.resolved_at)
        .join(Incident)
        # One that began long before and ended in these days is not named; its time counts all the same.
        .where(PUBLISHED, Incident.started_at >= bindparam("early"))
        .order_by(Incident.started_at.desc())
        .limit(INCIDENTS)
    )
    return query.where(IncidentComponent.component_id == bindparam("component")) if is_one else query


def _incidents(first: datetime, component_id: str) -> Incidents:
    asked = {"early": first - LONGEST_WINDOW, "component": component_id}
    found: dict[str, list[Row[*Columns]]] = {}
    for row in db.session.execute(_went_on(bool(component_id)), asked):
        found.setdefault(row.component_id, []).append(row)
    return found


# --- how it is shown -------------------------------------------------------------------------------


def _shown(
    past: _Past,
    local: Sequence[LocalDay],
    rule: UptimeRule,
    incidents: Sequence[Row[*Columns]],
    listed: int,
    now: datetime,
) -> ComponentUptime:
    days = [*past.closed, past.today]
    worst = [*past.worst, past.today.worst]
    problems = [index for index, condition in enumerate(worst) if condition in uptime.PROBLEMS]
    newest = problems[-listed:]
    shown = {index: _shown_day(days[index], local[index], incidents, now) for index in newest}
    return ComponentUptime(
        percent=uptime.percent_in_words(uptime.uptime((past.total, past.today), rule)),
        known_days=len(worst) - worst.count(Condition.NO_DATA),
        problem_days=len(problems),
        bars=tuple(_bars(worst, shown)),
        problems=tuple(shown[index] for index in reversed(newest)),
    )


def _bars(worst: Sequence[Condition], named: Mapping[int, ShownDay]) -> list[Bar]:
    """One path for each condition's days; the days that are listed have one of their own."""
    bars: list[Bar] = []
    paths = dict.fromkeys(reversed(uptime.CONDITIONS), "")
    index = 0
    for condition, run in itertools.groupby(worst):
        first, index = index, index + sum(1 for _ in run)
        for day in range(first, index):
            own = named.get(day)
            if own is not None:
                paths[condition] += _run(condition, first, day - 1)
                bars.append(Bar(CLASSES[condition], _run(condition, day, day), own))
                first = day + 1
        paths[condition] += _run(condition, first, index - 1)
    return [*(Bar(CLASSES[condition], path) for condition, path in paths.items() if path), *bars]


def _run(condition: Condition, first: int, last: int) -> str:
    if last < first:
        return ""
    return "".join(f"M{4 * first} {y}h{4 * (last - first) + 3}" for y in _Y[condition])


def _shown_day(day: Day, local: LocalDay, incidents: Iterable[Row[*Columns]], now: datetime) -> ShownDay:
    spans = tuple(
        (name, span) for name, span in zip(("maintenance", "degraded", "outage"), day[3:], strict=True) if span
    )
    went_on = tuple(
        (f"/incidents/{row.id}", row.title)
        for row in incidents
        if row.started_at < local.end and (row.resolved_at or now) >= local.begin
    )
    return ShownDay(day.date, spans[::-1], day.worst, went_on)


def _months(days: Sequence[Day], rule: UptimeRule) -> Iterable[tuple[date, str, timedelta]]:
    months: dict[date, list[Day]] = {}
    for day in days:
        months.setdefault(day.date.replace(day=1), []).append(day)
    for month, found in reversed(months.items()):
        if any(day.worst is not Condition.NO_DATA for day in found):
            outage = sum((day.outage for day in found), timedelta(0))
            yield month, uptime.percent_in_words(uptime.uptime(found, rule)), outage
