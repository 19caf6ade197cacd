"""Uptime by day, from recorded states: what counts, what counts neither way, and what nobody knows."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from statuspage.rules.vocabulary import ComponentState, RuleBroken, worst_state

ZERO = timedelta(0)


class Condition(StrEnum):
    """How a component was at a moment, in rising order of how much a day is known for it."""

    NO_DATA = "no_data"
    OPERATIONAL = "operational"
    MAINTENANCE = "maintenance"
    DEGRADED = "degraded"
    OUTAGE = "outage"


CONDITIONS = tuple(Condition)
PROBLEMS = (Condition.DEGRADED, Condition.OUTAGE)


@dataclass(frozen=True)
class UptimeRule:
    """What a page counts as downtime, beside outage."""

    degraded_percent: int = 0
    """How much of degraded time counts: 0 not at all, 100 like outage."""
    excludes_maintenance: bool = True
    """Whether time under planned maintenance counts neither as up nor as down."""


class StateChange(NamedTuple):
    """From this moment on a component was in this state."""

    at: datetime
    state: ComponentState
    incident_id: str | None = None
    """The incident that says so; None for what was set by hand."""


class Span(NamedTuple):
    """A stretch of time, its end not included."""

    begin: datetime
    end: datetime


class LocalDay(NamedTuple):
    """A calendar day in the page's own time zone: 23, 24 or 25 hours."""

    date: date
    begin: datetime
    end: datetime


class Day(NamedTuple):
    """How long a component was how on one day; together the day's length, today's so far."""

    date: date
    no_data: timedelta
    operational: timedelta
    maintenance: timedelta
    degraded: timedelta
    outage: timedelta

    @property
    def worst(self) -> Condition:
        """The worst that the day saw; no data only if nothing else is known."""
        # Written out: it is asked of every day of every component, whenever a page is written.
        if self.outage:
            return Condition.OUTAGE
        if self.degraded:
            return Condition.DEGRADED
        if self.maintenance:
            return Condition.MAINTENANCE
        return Condition.OPERATIONAL if self.operational else Condition.NO_DATA

    @property
    def is_problem(self) -> bool:
        """Whether something was wrong on this day."""
        return bool(self.degraded or self.outage)


def check_degraded_percent(text: str) -> int:
    """Read how much of degraded time counts as downtime. Raises RuleBroken if it is no whole number from 0 to 100."""
    plain = text.strip().removesuffix("%").strip()
    if not plain.isascii() or not plain.isdigit() or len(plain) > 3 or int(plain) > 100:
        raise RuleBroken({"degraded_percent": "Please give a whole number from 0 to 100."})
    return int(plain)


def local_days(zone: ZoneInfo, first: date, last: date) -> list[LocalDay]:
    """List the days from ``first`` to ``last`` with the instants at which they begin and end."""
    count = (last - first).days + 1
    dates = [first + timedelta(days=number) for number in range(count + 1)]
    begins = [datetime.combine(each, time(), zone).astimezone(UTC) for each in dates]
    return [LocalDay(dates[number], begins[number], begins[number + 1]) for number in range(count)]


def daily(
    changes: Sequence[StateChange],
    windows: Sequence[Span],
    days: Sequence[LocalDay],
    since: datetime | None,
    until: datetime,
    rule: UptimeRule,
) -> list[Day]:
    """Say of each day how long the component was how.

    ``changes`` come in the order of their moments, of one moment the last
    holds. Nothing is known before the first of them nor before ``since``, and
    ``until`` (now) ends the last day. ``days`` come in order, without gaps.
    """
    pieces = _pieces(changes, windows if rule.excludes_maintenance else (), since, until)
    found, next_piece = [], 0
    for day in days:
        begin, end = day.begin, min(day.end, until)
        if end <= begin:
            found.append(Day(day.date, ZERO, ZERO, ZERO, ZERO, ZERO))
            continue
        while next_piece < len(pieces) and pieces[next_piece][1] <= begin:
            next_piece += 1
        spent = [ZERO] * len(CONDITIONS)
        known, index = ZERO, next_piece
        while index < len(pieces) and pieces[index][0] < end:
            length = min(pieces[index][1], end) - max(pieces[index][0], begin)
            spent[pieces[index][2]] += length
            known += length
            index += 1
        spent[0] = end - begin - known
        found.append(Day(day.date, *spent))
    return found


_RANKS = {state: CONDITIONS.index(Condition(state.value)) for state in ComponentState}
_MAINTENANCE_RANK = CONDITIONS.index(Condition.MAINTENANCE)


def _pieces(
    changes: Sequence[StateChange], windows: Sequence[Span], since: datetime | None, until: datetime
) -> list[tuple[datetime, datetime, int]]:
    """Cut the known time into stretches of one condition (its rank), in order, none over another."""
    pieces: list[tuple[datetime, datetime, int]] = []
    for number, change in enumerate(changes):
        begin = change.at if since is None else max(change.at, since)
        end = min(changes[number + 1].at, until) if number + 1 < len(changes) else until
        if begin < end:
            pieces.append((begin, end, _RANKS[change.state]))
    for window in _merged(windows):
        pieces = _overlaid(pieces, window)
    return pieces


def _merged(windows: Sequence[Span]) -> list[Span]:
    """Join windows that overlap or touch."""
    joined: list[Span] = []
    for window in sorted(each for each in windows if each.begin < each.end):
        if joined and window.begin <= joined[-1].end:
            joined[-1] = Span(joined[-1].begin, max(joined[-1].end, window.end))
        else:
            joined.append(window)
    return joined


def _overlaid(pieces: Iterable[tuple[datetime, datetime, int]], window: Span) -> list[tuple[datetime, datetime, int]]:
    """Turn what lies in the window into maintenance; what nobody knows stays unknown."""
    result = []
    for begin, end, rank in pieces:
        inner_begin, inner_end = max(begin, window.begin), min(end, window.end)
        if inner_begin >= inner_end:
            result.append((begin, end, rank))
            continue
        if begin < inner_begin:
            result.append((begin, inner_begin, rank))
        result.append((inner_begin, inner_end, _MAINTENANCE_RANK))
        if inner_end < end:
            result.append((inner_end, end, rank))
    return result


def total(days: Sequence[Day]) -> Day:
    """Add days up, as if they were one long day with the date of the first."""
    _, *spent = zip(*days, strict=True)
    return Day(days[0].date, *(sum(lengths, ZERO) for lengths in spent))


def uptime(days: Iterable[Day], rule: UptimeRule) -> Fraction | None:
    """Return the part of the counted time that the component was up, from 0 to 1; None if no time counts."""
    counted = down = ZERO
    for day in days:
        counted += day.operational + day.degraded + day.outage
        down += day.outage * 100 + day.degraded * rule.degraded_percent
    microsecond = timedelta(microseconds=1)
    whole = counted // microsecond * 100
    return Fraction(whole - down // microsecond, whole) if whole else None


def percent_in_words(part: Fraction | None) -> str:
    """Write an uptime for readers: ``99.98 %``. Rounded down: with any downtime it is never ``100 %``."""
    if part is None:
        return "No data"
    hundredths = part.numerator * 10_000 // part.denominator
    return "100 %" if hundredths == 10_000 else f"{hundredths // 100}.{hundredths % 100:02} %"


# --- backdated incidents: what to add to a ledger that only grows ---------------------------------


def raised(
    timeline: Sequence[StateChange], state: ComponentState, by: str, since: datetime, until: datetime
) -> list[StateChange]:
    """List what to add so that the component was at least this bad from ``since`` up to ``until``."""

    def wanted(present: StateChange | None, _at: datetime) -> ComponentState:
        return worst_state([state, present.state]) if present is not None else state

    return _rewritten(timeline, (), wanted, by, since, until)


def lifted(
    timeline: Sequence[StateChange],
    left: ComponentState,
    others: Sequence[tuple[Span, ComponentState]],
    by: str,
    since: datetime,
    until: datetime,
) -> list[StateChange]:
    """List what to add so that an incident weighs on the component no more from ``since`` up to ``until``.

    The component is then no worse than the incident ``left`` it and the other
    incidents made it. What was set by hand stays.
    """

    def wanted(present: StateChange | None, at: datetime) -> ComponentState | None:
        if present is None:
            return None
        if present.incident_id is None:
            return present.state
        ceiling = worst_state([left, *(state for span, state in others if span.begin <= at < span.end)])
        return present.state if worst_state([present.state, ceiling]) is ceiling else ceiling

    cuts = [moment for span, _ in others for moment in span]
    return _rewritten(timeline, cuts, wanted, by, since, until)


def _rewritten(
    timeline: Sequence[StateChange],
    cuts: Iterable[datetime],
    wanted: Callable[[StateChange | None, datetime], ComponentState | None],
    by: str,
    since: datetime,
    until: datetime,
) -> list[StateChange]:
    """List the changes that, put after the timeline's own of the same moments, make a stretch what is wanted."""
    own = {change.at for change in timeline}
    moments = sorted({since} | {at for at in (*own, *cuts) if since < at < until})
    added: list[StateChange] = []
    in_force: ComponentState | None = None
    for at in moments if since < until else ():
        present = _in_force(timeline, at)
        if at == since or at in own:
            in_force = present.state if present is not None else None
        state = wanted(present, at)
        if state is not None and state is not in_force:
            added.append(StateChange(at, state, by))
            in_force = state
    last = _in_force(timeline, until)
    if added and until not in own and last is not None and last.state is not in_force:
        added.append(StateChange(until, last.state, last.incident_id))
    return added


def _in_force(timeline: Sequence[StateChange], at: datetime) -> StateChange | None:
    found = None
    for change in timeline:
        if change.at > at:
            break
        found = change
    return found
