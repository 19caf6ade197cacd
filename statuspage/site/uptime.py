"""Uptime as readers see it: each component's last days as bars, in words, and the days with problems one by one."""

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Select, String, bindparam, func, or_, select

from statuspage.db import UtcDateTime, db
from statuspage.models import Component, ComponentStateChange, Maintenance, MaintenanceComponent
from statuspage.rules import uptime
from statuspage.rules.times import next_month
from statuspage.rules.uptime import Condition, Day, LocalDay, Span, StateChange, UptimeRule
from statuspage.rules.vocabulary import MaintenanceStage
from statuspage.site.listing import Place
from statuspage.site.page import Frame
from statuspage.site.roster import Roster
from statuspage.site.shelf import Shelf

DAYS = 90
MONTHS = 12
# In lists on the front page: what is older is on the component's own page.
LISTED = 5
HELD_WINDOWS = (MaintenanceStage.IN_PROGRESS, MaintenanceStage.VERIFYING, MaintenanceStage.COMPLETED)
# Maintenance and incidents are looked for from so long before the first day.
LONGEST_WINDOW = timedelta(days=31)
# Components in one statement.
AT_ONCE = 500

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
# Path and title of what went on.
Named = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class _Past:
    """The days of a component."""

    closed: "_Closed"
    today: Day


@dataclass(frozen=True)
class Pasts:
    """The last days and months of every component on the page."""

    _frame: Frame
    _local: Sequence[LocalDay]
    _of: Mapping[str, _Past]
    _shelf: Shelf
    _now: datetime

    def in_brief(self) -> Mapping[str, ComponentUptime]:
        """Return the last days of each component."""
        return {each: self._shown(past, self._named(each), LISTED) for each, past in self._of.items()}

    def in_full(self, component_id: str) -> ComponentPast:
        """Return a component's last days and months."""
        past, named = self._of[component_id], self._named(component_id)
        last = [*past.closed.last, past.today]
        return ComponentPast(
            self._shown(past, named, DAYS),
            tuple(
                _shown_day(last[index], named[index])
                for index in reversed(range(len(last)))
                if last[index].worst is not Condition.NO_DATA
            ),
            tuple(_months(past, self._frame.uptime_rule)),
        )

    def _named(self, component_id: str) -> Sequence[Named]:
        """Return what went on on each of the last days, the newest first."""
        local = self._local[-DAYS:]
        # One that began long before and ended in these days is not named; its time counts all the same.
        places = self._shelf.incidents.of_component(component_id, local[0].begin - LONGEST_WINDOW)
        return _by_day(places, local, self._now)

    def _shown(self, past: _Past, named: Sequence[Named], listed: int) -> ComponentUptime:
        days = [*past.closed.last, past.today]
        worst = [*past.closed.worst, past.today.worst]
        problems = [index for index, condition in enumerate(worst) if condition in uptime.PROBLEMS]
        newest = problems[-listed:]
        shown = {index: _shown_day(days[index], named[index]) for index in newest}
        return ComponentUptime(
            percent=uptime.percent_in_words(uptime.uptime((past.closed.total, past.today), self._frame.uptime_rule)),
            known_days=len(worst) - worst.count(Condition.NO_DATA),
            problem_days=len(problems),
            bars=tuple(_bars(worst, shown)),
            problems=tuple(shown[index] for index in reversed(newest)),
        )


def load_pasts(frame: Frame, roster: Roster, shelf: Shelf, now: datetime) -> Pasts:
    """Return the last days and months of every component on the page, today so far included."""
    today = frame.day(now)
    local = _local_days(frame.zone, next_month(today.replace(day=1), 1 - MONTHS), today)
    windows: dict[str, list[_Window]] = {}
    early = local[0].begin - LONGEST_WINDOW
    for component_id, *window in db.session.execute(_WINDOWS, {"early": early}):
        windows.setdefault(component_id, []).append(_Window(*window))
    asked = {
        each.id: _Asked(_begin(each.start_date, local), tuple(windows.get(each.id, ())))
        for each in roster.listed.values()
    }
    pasts = {}
    for component_id, closed in _renewed(asked, local, frame.uptime_rule, now).items():
        begin, held = asked[component_id]
        (so_far,) = uptime.daily(closed.changes, _spans(held, now), local[-1:], begin, now, frame.uptime_rule)
        pasts[component_id] = _Past(closed, so_far)
    return Pasts(frame, local, pasts, shelf, now)


@lru_cache(maxsize=8)
def _local_days(zone: ZoneInfo, first: date, last: date) -> Sequence[LocalDay]:
    return uptime.local_days(zone, first, last)


# --- what is on record -----------------------------------------------------------------------------


class _Window(NamedTuple):
    """Maintenance of a component."""

    begin: datetime
    planned_end: datetime
    completed_at: datetime | None
    stage: MaintenanceStage


class _Asked(NamedTuple):
    """What decides a component's days, beside the ledger of its states."""

    begin: datetime | None
    windows: tuple[_Window, ...]


@dataclass(frozen=True)
class _Closed:
    """The days of a component that are over, and what today begins with."""

    last: Sequence[Day]
    """The last days."""
    worst: Sequence[Condition]
    """Of each of them."""
    total: Day
    """Of all of them."""
    months: Sequence[Day]
    """Each month so far, as if it were one long day: the first of it."""
    changes: Sequence[StateChange]
    asked: _Asked


@dataclass
class _Known:
    """Days that are over: reckoned again only after something was added to the ledger, or maintenance changed."""

    basis: object = None
    newest: int = 0
    """Of the ledger."""
    closed: dict[str, _Closed] = field(default_factory=dict)


# Of this process; whoever publishes holds the folder's lock.
_known = _Known()


def forget() -> None:
    """Let everything be reckoned anew."""
    _known.basis = None


def _renewed(
    asked: Mapping[str, _Asked], local: Sequence[LocalDay], rule: UptimeRule, now: datetime
) -> Mapping[str, _Closed]:
    """Return the closed days of each component."""
    newest = db.session.scalar(_NEWEST) or 0
    basis = (str(db.engine.url), local[0], local[-1], rule)
    if basis != _known.basis or newest < _known.newest:
        _known.closed.clear()
    elif newest > _known.newest:
        for component_id in db.session.scalars(_TOUCHED, {"newest": _known.newest}):
            _known.closed.pop(component_id, None)
    _known.basis, _known.newest = basis, newest
    held = _known.closed
    missing = [each for each, wanted in asked.items() if each not in held or held[each].asked != wanted]
    for start in range(0, len(missing), AT_ONCE):
        ids = missing[start : start + AT_ONCE]
        for each, found in _changes(ids, local[0].begin).items():
            held[each] = _closed(found, asked[each], local, rule, now)
    return {each: held[each] for each in asked}


def _closed(
    changes: Sequence[StateChange], asked: _Asked, local: Sequence[LocalDay], rule: UptimeRule, now: datetime
) -> _Closed:
    today = local[-1].begin
    days = uptime.daily(changes, _spans(asked.windows, now), local[:-1], asked.begin, today, rule)
    last = days[1 - DAYS :]
    by_month = itertools.groupby(days, key=lambda day: (day.date.year, day.date.month))
    months = [uptime.total(list(found)) for _, found in by_month]
    return _Closed(last, [day.worst for day in last], uptime.total(last), months, _since(changes, today), asked)


def _changes(component_ids: Sequence[str], first: datetime) -> Mapping[str, list[StateChange]]:
    """Return the state each component came with into the first day, and how it changed since."""
    bound = {"ids": component_ids, "first": first}
    changes: dict[str, list[StateChange]] = {each: [] for each in component_ids}
    for component_id, state in db.session.execute(_BEFORE, bound):
        if state is not None:
            changes[component_id].append(StateChange(first, state))
    for component_id, *change in db.session.execute(_SINCE, bound):
        changes[component_id].append(StateChange(*change))
    return changes


def _since(changes: Sequence[StateChange], moment: datetime) -> list[StateChange]:
    """What holds at a moment, and what comes after it."""
    earlier = [change for change in changes if change.at < moment]
    return [*(change._replace(at=moment) for change in earlier[-1:]), *changes[len(earlier) :]]


def _begin(start_date: date | None, local: Sequence[LocalDay]) -> datetime | None:
    """When a component with a start date began to count; None if that is long ago or unknown."""
    if start_date is None or start_date <= local[0].date:
        return None
    return next((day.begin for day in local if day.date == start_date), local[-1].end)


# The queries are built once, since building takes as long as asking.
_LEDGER = ComponentStateChange
_IDS = bindparam("ids", expanding=True, type_=String)
_NEWEST = select(func.max(_LEDGER.id))
_TOUCHED = select(_LEDGER.component_id).where(_LEDGER.id > bindparam("newest")).distinct()
_BEFORE: Select[*Columns] = select(
    Component.id,
    select(_LEDGER.state)
    .where(_LEDGER.component_id == Component.id, _LEDGER.changed_at < bindparam("first"))
    .order_by(_LEDGER.changed_at.desc(), _LEDGER.id.desc())
    .limit(1)
    .scalar_subquery(),
).where(Component.id.in_(_IDS))
_SINCE: Select[*Columns] = (
    select(_LEDGER.component_id, _LEDGER.changed_at, _LEDGER.state)
    .where(_LEDGER.component_id.in_(_IDS), _LEDGER.changed_at >= bindparam("first"))
    .order_by(_LEDGER.changed_at, _LEDGER.id)
)
# Maintenance that was or is being done; what is only planned takes nothing away from a day.
_WINDOWS: Select[*Columns] = (
    select(MaintenanceComponent.component_id)
    .add_columns(func.coalesce(Maintenance.started_at, Maintenance.scheduled_for, type_=UtcDateTime))
    .add_columns(Maintenance.scheduled_until, Maintenance.completed_at, Maintenance.stage)
    .join(Maintenance)
    .where(Maintenance.stage.in_(HELD_WINDOWS), Maintenance.scheduled_for >= bindparam("early"))
    # What was called off before it began took nothing away either.
    .where(or_(Maintenance.cancelled_at.is_(None), Maintenance.started_at.is_not(None)))
    .order_by(Maintenance.scheduled_for, Maintenance.id)
)


def _spans(windows: Iterable[_Window], now: datetime) -> list[Span]:
    return [
        Span(each.begin, each.completed_at or each.planned_end if each.stage is MaintenanceStage.COMPLETED else now)
        for each in windows
    ]


# --- how it is shown -------------------------------------------------------------------------------


def _by_day(places: Sequence[Place], local: Sequence[LocalDay], now: datetime) -> Sequence[Named]:
    """Return path and title of what went on on each day, in the order given."""
    if not places:
        return [()] * len(local)
    begins = [day.begin for day in local]
    named: list[list[tuple[str, str]]] = [[] for _ in local]
    for place in places:
        first = bisect_right(begins, place.began_at) - 1
        last = bisect_right(begins, place.ended_at or now) - 1
        for index in range(max(first, 0), last + 1):
            named[index].append((f"/incidents/{place.id}", place.title))
    return named


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


def _shown_day(day: Day, named: Named) -> ShownDay:
    spans = tuple(
        (name, span) for name, span in zip(("maintenance", "degraded", "outage"), day[3:], strict=True) if span
    )
    return ShownDay(day.date, spans[::-1], day.worst, tuple(named))


def _months(past: _Past, rule: UptimeRule) -> Iterable[tuple[date, str, timedelta]]:
    months, today = list(past.closed.months), past.today
    if months and months[-1].date.month == today.date.month:
        months[-1] = uptime.total((months[-1], today))
    else:
        months.append(today)
    for month in reversed(months):
        if month.worst is not Condition.NO_DATA:
            yield month.date.replace(day=1), uptime.percent_in_words(uptime.uptime((month,), rule)), month.outage
