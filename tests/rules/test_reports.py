"""What a month's report counts, and how it says so."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.reports import (
    IncidentFact,
    Outcome,
    PromiseFact,
    begin_of,
    in_words,
    incident_figures,
    make_report,
    median,
    month_of,
    parse_month,
    promise_figures,
)
from statuspage.rules.vocabulary import PromiseKind, PromiseState, Severity

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
MONTH = date(2026, 11, 1)
MINUTE = timedelta(minutes=1)


def promise(state: PromiseState = PromiseState.KEPT, late: timedelta = MINUTE, **changes: object) -> PromiseFact:
    """A promise that was due two hours ago; ``late`` is how long after that it was met late."""
    due_at = NOW - timedelta(hours=2)
    met_at = {PromiseState.KEPT: due_at, PromiseState.LATE: due_at + late}.get(state)
    values: dict[str, object] = {
        "incident_id": "incident0001",
        "incident_title": "Sign-in fails",
        "severity": Severity.SEV1,
        "kind": PromiseKind.FIRST_UPDATE,
        "opened_at": due_at - 15 * MINUTE,
        "due_at": due_at,
        "met_at": met_at,
        "state": state,
        "is_met_automatically": False,
        "is_recorded_later": False,
        "reason": "",
    }
    return PromiseFact(**(values | changes))  # type: ignore[arg-type]


def incident(**changes: object) -> IncidentFact:
    """A public incident: declared after 5 minutes, first update after 10 more, resolved after an hour."""
    values: dict[str, object] = {
        "id": "incident0001",
        "title": "Sign-in fails",
        "severity": Severity.SEV1,
        "is_public": True,
        "started_at": NOW - timedelta(hours=3),
        "declared_at": NOW - timedelta(hours=3) + 5 * MINUTE,
        "first_posted_at": NOW - timedelta(hours=3) + 15 * MINUTE,
        "resolved_at": NOW - timedelta(hours=2) + 5 * MINUTE,
        "updates": 3,
        "automatic_updates": 1,
    }
    return IncidentFact(**(values | changes))  # type: ignore[arg-type]


STATES = st.sampled_from(list(PromiseState))
PROMISES = st.lists(
    st.builds(
        promise,
        STATES,
        st.timedeltas(timedelta(microseconds=1), timedelta(days=40)),
        severity=st.sampled_from(list(Severity)),
        kind=st.sampled_from(list(PromiseKind)),
        opened_at=st.datetimes(datetime(2026, 11, 1), datetime(2026, 11, 30), timezones=st.just(UTC)),  # noqa: DTZ001
        is_met_automatically=st.booleans(),
        incident_id=st.sampled_from(["incident0001", "incident0002"]),
    ),
    max_size=30,
)
MOMENTS = st.sampled_from([NOW - timedelta(days=1), NOW - timedelta(hours=2), NOW, NOW + timedelta(days=400)])
SPANS = st.lists(st.timedeltas(timedelta(0), timedelta(days=400)), min_size=1)


@pytest.mark.parametrize(
    ("state", "due_in", "outcome"),
    [
        (PromiseState.KEPT, -1, Outcome.KEPT),
        (PromiseState.LATE, -1, Outcome.LATE),
        (PromiseState.MISSED, -1, Outcome.MISSED),
        (PromiseState.WAIVED, -1, Outcome.WAIVED),
        (PromiseState.WITHDRAWN, -1, Outcome.WITHDRAWN),
        (PromiseState.OPEN, 1, Outcome.OPEN),
        # What is met at the very moment it is due is kept.
        (PromiseState.OPEN, 0, Outcome.OPEN),
        (PromiseState.OPEN, -1, Outcome.OVERDUE),
    ],
)
def test_an_open_promise_past_its_time_is_overdue_and_nothing_else_is(
    state: PromiseState, due_in: int, outcome: Outcome
) -> None:
    assert promise(state, due_at=NOW + due_in * MINUTE).outcome(NOW) is outcome


def test_a_late_promise_is_late_by_what_it_was_met_after_and_an_overdue_one_by_what_has_passed() -> None:
    assert promise(PromiseState.LATE, 14 * MINUTE).late_by(NOW) == 14 * MINUTE
    assert promise(PromiseState.OPEN).late_by(NOW) == timedelta(hours=2)
    for state in (PromiseState.KEPT, PromiseState.MISSED, PromiseState.WAIVED, PromiseState.WITHDRAWN):
        assert promise(state).late_by(NOW) is None


@given(PROMISES, MOMENTS)
def test_every_promise_is_counted_once(promises: list[PromiseFact], now: datetime) -> None:
    report = make_report(MONTH, [], promises, now)
    assert report.total.made == len(promises) == len(report.promises)
    by_kind = [figures for each in report.severities for figures in each.promises.values()]
    assert sum(figures.made for figures in by_kind) == len(promises)
    for outcome in Outcome:
        assert sum(figures.counts[outcome] for figures in by_kind) == report.total.counts[outcome]
    states = Counter(each.state for each in promises)
    for state in PromiseState:
        alike = (Outcome.OPEN, Outcome.OVERDUE) if state is PromiseState.OPEN else (Outcome(state.value),)
        assert sum(report.total.counts[outcome] for outcome in alike) == states[state]
    assert report.total.due <= report.total.made


@given(PROMISES.flatmap(lambda those: st.tuples(st.just(those), st.permutations(those))), MOMENTS)
def test_the_order_things_come_in_does_not_matter(
    promises: tuple[list[PromiseFact], list[PromiseFact]], now: datetime
) -> None:
    one, other = (make_report(MONTH, [], order, now) for order in promises)
    assert (one.total, one.severities) == (other.total, other.severities)


def test_incidents_and_promises_come_in_the_order_they_began() -> None:
    later = incident(id="incident0000", declared_at=NOW)
    made_later = promise(opened_at=NOW)
    report = make_report(MONTH, [later, incident()], [made_later, promise()], NOW)
    assert report.incidents == (incident(), later)
    assert report.promises == (promise(), made_later)


@given(SPANS)
def test_a_median_lies_between_the_least_and_the_worst(spans: list[timedelta]) -> None:
    middle = median(spans)
    assert middle is not None
    assert min(spans) <= middle <= max(spans)
    assert sum(each <= middle for each in spans) * 2 >= len(spans)
    assert sum(each >= middle for each in spans) * 2 >= len(spans)


@given(PROMISES, MOMENTS)
def test_a_share_is_none_or_from_0_to_100_and_100_only_if_all_were_kept(
    promises: list[PromiseFact], now: datetime
) -> None:
    figures = promise_figures(promises, now)
    if not figures.due:
        assert figures.kept_percent is None
    else:
        assert 0 <= (figures.kept_percent or 0) <= 100
        assert (figures.kept_percent == 100) == (figures.counts[Outcome.KEPT] == figures.due)


def test_a_share_is_never_rounded_up() -> None:
    many = [promise()] * 999 + [promise(PromiseState.LATE)]
    assert promise_figures(many, NOW).kept_percent == 99


def test_what_need_not_be_kept_is_in_no_share() -> None:
    others = [promise(PromiseState.WAIVED), promise(PromiseState.WITHDRAWN), promise(PromiseState.OPEN, due_at=NOW)]
    assert promise_figures([promise(), *others], NOW).kept_percent == 100
    assert promise_figures(others, NOW).kept_percent is None
    overdue, missed = promise(PromiseState.OPEN), promise(PromiseState.MISSED)
    assert promise_figures([promise(), overdue, missed, *others], NOW).kept_percent == 33


def test_what_a_holding_update_met_is_counted_apart() -> None:
    promises = [
        promise(),
        promise(is_met_automatically=True),
        promise(PromiseState.LATE, is_met_automatically=True),
        promise(PromiseState.LATE),
    ]
    figures = promise_figures(promises, NOW)
    assert (figures.counts[Outcome.KEPT], figures.kept_automatically) == (2, 1)
    assert (figures.counts[Outcome.LATE], figures.late_automatically) == (2, 1)


def test_how_late_is_of_late_ones_alone() -> None:
    late = [promise(PromiseState.LATE, minutes * MINUTE) for minutes in (2, 30, 4)]
    figures = promise_figures([promise(), promise(PromiseState.OPEN), *late], NOW)
    assert (figures.late_by_median, figures.late_by_worst) == (4 * MINUTE, 30 * MINUTE)
    assert figures.overdue_by_worst == timedelta(hours=2)


def test_severities_come_with_the_worst_first_and_only_if_they_had_something() -> None:
    imported, slight = incident(id="incident0002", severity=None), promise(severity=Severity.SEV3)
    report = make_report(MONTH, [imported, incident()], [slight], NOW)
    assert [each.severity for each in report.severities] == [Severity.SEV1, Severity.SEV3, None]
    assert [each.incidents.incidents for each in report.severities] == [1, 0, 1]
    assert list(report.severities[1].promises) == [PromiseKind.FIRST_UPDATE]


def test_incidents_are_summed_up() -> None:
    slow = incident(
        id="incident0002",
        declared_at=NOW - timedelta(hours=3) + 15 * MINUTE,
        first_posted_at=NOW - timedelta(hours=3) + 45 * MINUTE,
        resolved_at=None,
        updates=0,
        automatic_updates=2,
    )
    figures = incident_figures([incident(), slow])
    assert (figures.incidents, figures.announced, figures.resolved) == (2, 2, 1)
    assert figures.to_declaration == 10 * MINUTE
    assert figures.to_first_update == 20 * MINUTE
    assert figures.to_resolve == 60 * MINUTE
    assert figures.to_resolve_from_start == 65 * MINUTE
    assert (figures.updates_each, figures.automatic_updates_each) == (1.5, 1.5)


def test_internal_incidents_are_in_no_figure_about_what_customers_read() -> None:
    internal = incident(id="incident0002", is_public=False, first_posted_at=None, updates=0, automatic_updates=0)
    figures = incident_figures([incident(), internal])
    assert (figures.incidents, figures.public, figures.announced) == (2, 1, 1)
    assert figures.updates_each == 3
    alone = incident_figures([internal])
    assert (alone.updates_each, alone.automatic_updates_each, alone.to_first_update) == (None, None, None)
    assert alone.to_resolve == 60 * MINUTE


def test_a_time_corrected_afterwards_makes_no_negative_span() -> None:
    figures = incident_figures([incident(declared_at=NOW)])
    assert (figures.to_first_update, figures.to_resolve) == (timedelta(0), timedelta(0))


KEPT, HELD, LATE, MISSED = (
    promise(),
    promise(is_met_automatically=True),
    promise(PromiseState.LATE, 14 * MINUTE),
    promise(PromiseState.MISSED),
)
OVERDUE, WAIVED = promise(PromiseState.OPEN), promise(PromiseState.WAIVED)


@pytest.mark.parametrize(
    ("promises", "sentence"),
    [
        ([], "Nothing was promised."),
        ([WAIVED], "1 promise was made; nothing had to be kept by now."),
        ([WAIVED] * 2, "2 promises were made; nothing had to be kept by now."),
        ([KEPT, WAIVED], "The only promise was kept."),
        ([KEPT] * 12, "All 12 promises kept."),
        ([KEPT] * 10 + [HELD] * 2, "All 12 promises kept, 2 of them by an automatic holding update."),
        ([KEPT] * 11 + [LATE], "11 of 12 promises kept; 1 met 14 min late."),
        ([KEPT, LATE, promise(PromiseState.LATE)], "1 of 3 promises kept; 2 met late, the worst by 14 min."),
        ([KEPT, MISSED], "1 of 2 promises kept; 1 missed."),
        ([OVERDUE], "0 of 1 promise kept; 1 overdue by 2 h."),
        ([OVERDUE] * 2, "0 of 2 promises kept; 2 overdue, the worst by 2 h."),
    ],
)
def test_a_month_in_a_sentence(promises: list[PromiseFact], sentence: str) -> None:
    assert in_words(promise_figures(promises, NOW)) == sentence


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("2026-11", MONTH),
        ("2000-01", date(2000, 1, 1)),
        ("2100-12", date(2100, 12, 1)),
        ("1999-12", None),
        ("2101-01", None),
        ("2026-13", None),
        ("2026-00", None),
        ("2026-1", None),
        ("2026-11-01", None),
        ("2026-11\n", None),
        ("٢٠٢٦-١١", None),
        ("", None),
    ],
)
def test_typed_months(text: str, month: date | None) -> None:
    assert parse_month(text) == month


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_instant_lies_in_its_month(instant: datetime) -> None:
    month = month_of(instant)
    assert month.day == 1
    assert begin_of(month) <= instant < begin_of(month) + timedelta(days=32)
