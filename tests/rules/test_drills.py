"""Drills: what the players are told when, and how a drill is scored."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.drills import (
    SCENARIOS,
    PromiseResult,
    Scenario,
    ScoreSheet,
    injects_until,
    next_inject_at,
    score,
)
from statuspage.rules.messages import check_title
from statuspage.rules.vocabulary import PromiseKind, PromiseState

BEGAN = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
OUTAGE = SCENARIOS["database-outage"]

scenarios = st.sampled_from(list(SCENARIOS.values()))
minutes = st.integers(min_value=0, max_value=180)


def at(minute: float) -> datetime:
    return BEGAN + timedelta(minutes=minute)


def promise(kind: PromiseKind, state: PromiseState, due: float, met: float | None = None) -> PromiseResult:
    return PromiseResult(kind, state, at(due), None if met is None else at(met))


def scored(
    *promises: PromiseResult, updates: tuple[float, ...] = (), resolved: float | None = None, until: float = 60
) -> ScoreSheet:
    resolved_at = None if resolved is None else at(resolved)
    return score(promises, [at(minute) for minute in updates], BEGAN, resolved_at, at(until))


# --- the scenarios ---------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: str(scenario.name))
def test_a_scenario_tells_six_to_ten_things_in_order_and_begins_at_once(scenario: Scenario) -> None:
    moments = [inject.at for inject in scenario.injects]
    assert 6 <= len(moments) <= 10
    assert moments == sorted(set(moments))
    assert moments[0] == timedelta(0)
    # Long enough that a first and at least one further update fall due.
    assert timedelta(minutes=45) <= moments[-1] <= timedelta(minutes=90)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: str(scenario.name))
def test_a_scenario_has_all_its_words(scenario: Scenario) -> None:
    assert check_title(f"DRILL: {scenario.title}")
    assert scenario.summary.endswith((".", "?"))
    assert scenario.components_hint.endswith(".")
    assert len(scenario.name) <= 40
    assert all(inject.source.strip() and inject.text.endswith((".", "?")) for inject in scenario.injects)


def test_every_name_leads_to_its_scenario() -> None:
    assert {name: scenario.name for name, scenario in SCENARIOS.items()} == {name: name for name in SCENARIOS}
    assert len(SCENARIOS) == 3


# --- what is told when -----------------------------------------------------


@pytest.mark.parametrize(
    ("minute", "count", "following"),
    [(-1, 0, 0), (0, 1, 3), (2.9, 1, 3), (3, 2, 7), (57.9, 9, 58), (58, 10, None), (500, 10, None)],
)
def test_the_players_are_told_one_thing_after_the_other(minute: float, count: int, following: float | None) -> None:
    assert len(injects_until(OUTAGE, BEGAN, at(minute))) == count
    assert next_inject_at(OUTAGE, BEGAN, at(minute)) == (None if following is None else at(following))


def test_the_newest_is_told_first_with_its_time() -> None:
    told = injects_until(OUTAGE, BEGAN, at(4))
    assert [(each.told_at, each.source) for each in told] == [(at(3), "Support"), (at(0), "Monitoring")]


@given(scenario=scenarios, earlier=minutes, later=minutes)
def test_what_was_told_is_never_taken_back(scenario: Scenario, earlier: int, later: int) -> None:
    earlier, later = sorted((earlier, later))
    before = injects_until(scenario, BEGAN, at(earlier))
    after = injects_until(scenario, BEGAN, at(later))
    assert after[len(after) - len(before) :] == before
    following = next_inject_at(scenario, BEGAN, at(earlier))
    assert (following is None) == (len(before) == len(scenario.injects))
    assert following is None or following > at(earlier)


# --- the score -------------------------------------------------------------

FIRST, NEXT = PromiseKind.FIRST_UPDATE, PromiseKind.NEXT_UPDATE
OPEN, KEPT, LATE, MISSED = PromiseState.OPEN, PromiseState.KEPT, PromiseState.LATE, PromiseState.MISSED


def test_promises_are_counted_kind_by_kind() -> None:
    sheet = scored(
        promise(NEXT, KEPT, 40, 35),
        promise(NEXT, LATE, 65, 72),
        promise(NEXT, LATE, 95, 98),
        promise(NEXT, OPEN, 130),
        promise(FIRST, KEPT, 15, 9),
        promise(PromiseKind.INTERNAL_UPDATE, MISSED, 30),
        promise(PromiseKind.DIRECT_EMAIL, PromiseState.WAIVED, 30),
        promise(PromiseKind.POST_MORTEM, PromiseState.WITHDRAWN, 30),
        updates=(9, 35, 72, 98),
        until=110,
    )
    assert [(each.kind, each.kept, each.late, each.missed, each.open, each.late_by) for each in sheet.kinds] == [
        (FIRST, 1, 0, 0, 0, None),
        (NEXT, 1, 2, 0, 1, timedelta(minutes=7)),
        (PromiseKind.INTERNAL_UPDATE, 0, 0, 1, 0, None),
    ]


def test_the_promises_of_a_kind_are_put_into_words() -> None:
    late, more_late = promise(NEXT, LATE, 40, 47), promise(NEXT, LATE, 70, 73)
    kept, missed = promise(NEXT, KEPT, 40, 35), promise(NEXT, MISSED, 90)
    for promises, words in (
        ((kept,), "1 kept"),
        ((late,), "1 late; 7 min overdue"),
        ((missed,), "1 missed"),
        (
            (kept, late, more_late, missed, promise(NEXT, OPEN, 130)),
            "1 kept, 2 late, 1 missed, 1 open; up to 7 min overdue",
        ),
    ):
        (found,) = scored(*promises, until=100).kinds
        assert found.in_words == words


def test_an_open_promise_is_overdue_until_the_drill_ends() -> None:
    (first,) = scored(promise(FIRST, OPEN, 15), until=40).kinds
    assert (first.open, first.late_by) == (1, timedelta(minutes=25))
    (first,) = scored(promise(FIRST, OPEN, 15), until=15).kinds
    assert (first.open, first.late_by) == (1, None)


@pytest.mark.parametrize(
    ("updates", "resolved", "until", "first", "silence"),
    [
        ((), None, 60, None, None),
        ((9,), None, 60, 9, 51),
        ((9, 30, 55), None, 60, 9, 25),
        ((9, 30), None, 90, 9, 60),
        ((9, 30, 55), 55, 90, 9, 25),
        ((9,), 9, 90, 9, None),
    ],
)
def test_times_are_measured(
    updates: tuple[float, ...], resolved: float | None, until: float, first: float | None, silence: float | None
) -> None:
    sheet = scored(updates=updates, resolved=resolved, until=until)
    as_span = [None if value is None else timedelta(minutes=value) for value in (first, silence, resolved)]
    assert [sheet.first_update_after, sheet.longest_silence, sheet.resolved_after] == as_span
    assert sheet.updates == len(updates)


@pytest.mark.parametrize(
    ("promises", "updates", "resolved", "went_well", "to_practise"),
    [
        ((), (), None, "You held a drill", "The first update: say early"),
        (((FIRST, OPEN, 15, None),), (), None, "You held a drill", "The first update: say early"),
        (((FIRST, KEPT, 15, 9),), (9,), None, "Every promise that fell due was kept.", "The end: this drill has no"),
        (((FIRST, KEPT, 15, 9),), (9, 30), 30, "Every promise that fell due was kept.", "Nothing stands out."),
        (
            ((FIRST, KEPT, 15, 9), (NEXT, LATE, 39, 51)),
            (9, 51),
            51,
            "The first update came in time, 9 min after the declaration.",
            "Next public update: it was 12 min late. Next time, post before the promised time",
        ),
        (
            ((FIRST, KEPT, 15, 9), (NEXT, OPEN, 39, None)),
            (9,),
            None,
            "The first update came in time",
            "Next public update: it was 21 min late.",
        ),
        (
            ((FIRST, LATE, 15, 20), (NEXT, KEPT, 50, 45)),
            (20, 45),
            45,
            "1 of 2 promises were kept.",
            "First public update: it was 5 min late. Next time, say early what customers notice",
        ),
        (
            ((FIRST, LATE, 15, 20),),
            (20, 45),
            45,
            "The incident was brought to its end, 45 min after the declaration.",
            "First public update: it was 5 min late.",
        ),
        (((FIRST, LATE, 15, 20),), (20,), None, "Customers would have heard from you once.", "First public update"),
        (((FIRST, LATE, 15, 20),), (20, 25), None, "Customers would have heard from you 2 times.", "First public"),
        (
            ((FIRST, KEPT, 15, 9), (PromiseKind.INTERNAL_UPDATE, MISSED, 30, None)),
            (9, 30),
            30,
            "The first update came in time",
            "Internal update: it was left out. Next time, decide early who writes it.",
        ),
    ],
)
def test_a_sheet_says_what_went_well_and_what_to_practise(
    promises: tuple[tuple[PromiseKind, PromiseState, float, float | None], ...],
    updates: tuple[float, ...],
    resolved: float | None,
    went_well: str,
    to_practise: str,
) -> None:
    sheet = scored(*(promise(*each) for each in promises), updates=updates, resolved=resolved)
    assert sheet.went_well.startswith(went_well)
    assert sheet.to_practise.startswith(to_practise)


@given(
    states=st.lists(st.tuples(st.sampled_from(PromiseKind), st.sampled_from(PromiseState), minutes, minutes)),
    posted=st.lists(minutes, unique=True),
    until=minutes,
)
def test_any_drill_can_be_scored(
    states: list[tuple[PromiseKind, PromiseState, int, int]], posted: list[int], until: int
) -> None:
    promises = [
        promise(kind, state, due, due + delay + 1 if state is LATE else due if state is KEPT else None)
        for kind, state, due, delay in states
    ]
    sheet = score(promises, [at(minute) for minute in sorted(posted)], BEGAN, None, at(until))
    counted = sum(each.kept + each.late + each.missed + each.open for each in sheet.kinds)
    assert counted == sum(each.state in (OPEN, KEPT, LATE, MISSED) for each in promises)
    assert all(each.late_by is None or each.late_by > timedelta(0) for each in sheet.kinds)
    assert (sheet.longest_silence is None) == (not posted)
    assert sheet.longest_silence is None or sheet.longest_silence >= timedelta(0)
    assert sheet.went_well.endswith(".")
    assert sheet.to_practise.endswith(".")
