"""The report of promises: what was owed in a month, and what became of it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from statuspage.rules.times import span_in_words
from statuspage.rules.vocabulary import PromiseKind, PromiseState, Severity

_TYPED_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")


class Outcome(StrEnum):
    """What became of a promise, as a reader counts it: open ones past their time stand apart."""

    KEPT = "kept"
    LATE = "late"
    MISSED = "missed"
    OVERDUE = "overdue"
    OPEN = "open"
    WAIVED = "waived"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class PromiseFact:
    """One promise, as the report needs it."""

    incident_id: str
    incident_title: str
    severity: Severity
    """Of the policy it was made under; the incident may have been graded anew since."""
    kind: PromiseKind
    opened_at: datetime
    due_at: datetime
    met_at: datetime | None
    state: PromiseState
    is_met_automatically: bool
    is_recorded_later: bool
    reason: str

    def outcome(self, now: datetime) -> Outcome:
        """Return what became of it until ``now``."""
        if self.state is PromiseState.OPEN and self.due_at < now:
            return Outcome.OVERDUE
        return Outcome(self.state.value)

    def late_by(self, now: datetime) -> timedelta | None:
        """Return how long after its time it was met, or has been overdue; None where neither is so."""
        if self.state is PromiseState.LATE and self.met_at is not None:
            return self.met_at - self.due_at
        return now - self.due_at if self.outcome(now) is Outcome.OVERDUE else None


@dataclass(frozen=True)
class IncidentFact:
    """One incident, as the report needs it."""

    id: str
    title: str
    severity: Severity | None
    is_public: bool
    declared_at: datetime
    started_at: datetime
    resolved_at: datetime | None
    first_posted_at: datetime | None
    """When customers read of it first; None until then, and on internal incidents."""
    updates: int
    """Public ones that people wrote."""
    automatic_updates: int
    """Public ones that went out as a holding update."""
    wording_overrides: int = 0
    """Texts that went out as they were although words in them were marked."""

    @property
    def to_declaration(self) -> timedelta:
        """How long nobody had declared it."""
        return _between(self.started_at, self.declared_at)

    @property
    def to_first_update(self) -> timedelta | None:
        """How long customers read nothing after it was declared."""
        return _between(self.declared_at, self.first_posted_at) if self.first_posted_at else None

    @property
    def to_resolve(self) -> timedelta | None:
        """How long it took from the declaration to the end."""
        return _between(self.declared_at, self.resolved_at) if self.resolved_at else None

    @property
    def to_resolve_from_start(self) -> timedelta | None:
        """How long it took from the start to the end."""
        return _between(self.started_at, self.resolved_at) if self.resolved_at else None


@dataclass(frozen=True)
class PromiseFigures:
    """What became of a number of promises. Each is counted once, in one of the outcomes."""

    counts: Mapping[Outcome, int]
    kept_automatically: int
    """Of the kept ones, those that a holding update met; ``late_automatically`` likewise."""
    late_automatically: int
    late_by_median: timedelta | None
    late_by_worst: timedelta | None
    overdue_by_worst: timedelta | None

    @property
    def made(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    @property
    def due(self) -> int:
        """How many had to be kept by now: neither waived nor withdrawn, nor still in time."""
        return sum(self.counts[each] for each in (Outcome.KEPT, Outcome.LATE, Outcome.MISSED, Outcome.OVERDUE))

    @property
    def kept_percent(self) -> int | None:
        """Kept ones of those that had to be kept, never rounded up; None when there is none."""
        return self.counts[Outcome.KEPT] * 100 // self.due if self.due else None


@dataclass(frozen=True)
class IncidentFigures:
    """How a number of incidents went."""

    incidents: int
    public: int
    announced: int
    """Those that customers read of."""
    resolved: int
    updates: int
    automatic_updates: int
    to_declaration: timedelta | None
    to_first_update: timedelta | None
    to_resolve: timedelta | None
    to_resolve_from_start: timedelta | None
    """These four are medians over the incidents that came that far."""
    wording_overrides: int = 0

    @property
    def updates_each(self) -> float | None:
        """Updates that people wrote, per public incident."""
        return self.updates / self.public if self.public else None

    @property
    def automatic_updates_each(self) -> float | None:
        """Holding updates, per public incident."""
        return self.automatic_updates / self.public if self.public else None


@dataclass(frozen=True)
class SeverityFigures:
    """A month's incidents and promises of one severity."""

    severity: Severity | None
    """None: imported incidents whose source knew no severity."""
    incidents: IncidentFigures
    promises: Mapping[PromiseKind, PromiseFigures]
    """By kind; only kinds that something was promised of."""


@dataclass(frozen=True)
class Report:
    """What was promised in a month and what became of it, as of a moment."""

    month: date
    as_of: datetime
    total: PromiseFigures
    severities: tuple[SeverityFigures, ...]
    """The worst first; only those that had something."""
    incidents: tuple[IncidentFact, ...]
    promises: tuple[PromiseFact, ...]


def parse_month(text: str) -> date | None:
    """Return the first day of the month written ``2026-11``; None if it is none of the years 2000 to 2100."""
    match = _TYPED_MONTH.fullmatch(text)
    if match is None or not (2000 <= int(match[1]) <= 2100 and 1 <= int(match[2]) <= 12):
        return None
    return date(int(match[1]), int(match[2]), 1)


def month_of(instant: datetime) -> date:
    """Return the first day of the calendar month, in UTC, that an instant lies in."""
    return instant.astimezone(UTC).date().replace(day=1)


def begin_of(month: date) -> datetime:
    """Return the instant a month begins, in UTC."""
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def make_report(
    month: date, incidents: Iterable[IncidentFact], promises: Iterable[PromiseFact], now: datetime
) -> Report:
    """Make a month's report of all that was declared and promised in it."""
    incidents = tuple(sorted(incidents, key=lambda each: (each.declared_at, each.id)))
    promises = tuple(sorted(promises, key=_in_order))
    severities = []
    for severity in (*Severity, None):
        graded = [each for each in incidents if each.severity is severity]
        owed = [each for each in promises if each.severity is severity]
        if graded or owed:
            severities.append(SeverityFigures(severity, incident_figures(graded), _by_kind(owed, now)))
    return Report(month, now, promise_figures(promises, now), tuple(severities), incidents, promises)


def promise_figures(promises: Sequence[PromiseFact], now: datetime) -> PromiseFigures:
    """Count what became of the promises until ``now``."""
    by_outcome: dict[Outcome, list[PromiseFact]] = {outcome: [] for outcome in Outcome}
    for each in promises:
        by_outcome[each.outcome(now)].append(each)
    late = _spans(each.late_by(now) for each in by_outcome[Outcome.LATE])
    overdue = _spans(each.late_by(now) for each in by_outcome[Outcome.OVERDUE])
    return PromiseFigures(
        counts={outcome: len(those) for outcome, those in by_outcome.items()},
        kept_automatically=sum(each.is_met_automatically for each in by_outcome[Outcome.KEPT]),
        late_automatically=sum(each.is_met_automatically for each in by_outcome[Outcome.LATE]),
        late_by_median=median(late),
        late_by_worst=max(late, default=None),
        overdue_by_worst=max(overdue, default=None),
    )


def incident_figures(incidents: Sequence[IncidentFact]) -> IncidentFigures:
    """Sum up how the incidents went."""
    public = [each for each in incidents if each.is_public]
    return IncidentFigures(
        incidents=len(incidents),
        public=len(public),
        announced=sum(each.to_first_update is not None for each in public),
        resolved=sum(each.resolved_at is not None for each in incidents),
        updates=sum(each.updates for each in public),
        automatic_updates=sum(each.automatic_updates for each in public),
        to_declaration=median(_spans(each.to_declaration for each in incidents)),
        to_first_update=median(_spans(each.to_first_update for each in public)),
        to_resolve=median(_spans(each.to_resolve for each in incidents)),
        to_resolve_from_start=median(_spans(each.to_resolve_from_start for each in incidents)),
        wording_overrides=sum(each.wording_overrides for each in incidents),
    )


def median(spans: Sequence[timedelta]) -> timedelta | None:
    """Return the span in the middle; the mean of the two in the middle when their number is even; None of none."""
    if not spans:
        return None
    ordered = sorted(spans)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def in_words(figures: PromiseFigures) -> str:
    """Sum up in one sentence what became of the promises."""
    kept, late, missed, overdue = (
        figures.counts[each] for each in (Outcome.KEPT, Outcome.LATE, Outcome.MISSED, Outcome.OVERDUE)
    )
    if not figures.made:
        return "Nothing was promised."
    if not figures.due:
        made = "1 promise was made" if figures.made == 1 else f"{figures.made} promises were made"
        return f"{made}; nothing had to be kept by now."
    if figures.due == kept:
        first = "The only promise was kept" if kept == 1 else f"All {kept} promises kept"
    else:
        first = f"{kept} of {figures.due} {'promise' if figures.due == 1 else 'promises'} kept"
    if figures.kept_automatically:
        first += f", {figures.kept_automatically} of them by an automatic holding update"
    parts = [first]
    if late and figures.late_by_worst is not None:
        by = span_in_words(figures.late_by_worst)
        parts.append(f"1 met {by} late" if late == 1 else f"{late} met late, the worst by {by}")
    if missed:
        parts.append(f"{missed} missed")
    if overdue and figures.overdue_by_worst is not None:
        by = span_in_words(figures.overdue_by_worst)
        parts.append(f"1 overdue by {by}" if overdue == 1 else f"{overdue} overdue, the worst by {by}")
    return "; ".join(parts) + "."


def _by_kind(promises: Sequence[PromiseFact], now: datetime) -> dict[PromiseKind, PromiseFigures]:
    by_kind = {kind: [each for each in promises if each.kind is kind] for kind in PromiseKind}
    return {kind: promise_figures(those, now) for kind, those in by_kind.items() if those}


def _in_order(promise: PromiseFact) -> tuple[datetime, str, int, datetime]:
    return promise.opened_at, promise.incident_id, list(PromiseKind).index(promise.kind), promise.due_at


def _between(earlier: datetime, later: datetime) -> timedelta:
    """Return the span; zero where the order is another, as it is when a time was corrected afterwards."""
    return max(timedelta(0), later - earlier)


def _spans(spans: Iterable[timedelta | None]) -> list[timedelta]:
    return [span for span in spans if span is not None]
