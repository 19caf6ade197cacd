"""Maintenance windows: their checks, the steps of the clock, and what covers what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.maintenance import (
    RUNNING,
    Step,
    Window,
    after,
    check_end,
    check_new,
    check_reminder,
    check_running_end,
    is_overlaid,
    local_in_words,
    may_turn,
    must_tell,
    next_step,
    overlap,
    parse_local,
    reminder_words,
    steps_due,
    typed_local,
    window_in_words,
)
from statuspage.rules.vocabulary import ComponentState, MaintenanceStage, RuleBroken

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
PLANNED = Window(MaintenanceStage.SCHEDULED, NOW + timedelta(hours=10), NOW + timedelta(hours=12))


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@pytest.mark.parametrize(
    ("at", "window", "steps"),
    [
        (0, PLANNED, []),
        (539, PLANNED, []),
        (540, PLANNED, [Step.REMIND]),
        (600, replace(PLANNED, is_reminded=True), [Step.START]),
        (720, PLANNED, [Step.REMIND, Step.START, Step.FINISH]),
        (9999, replace(PLANNED, starts_itself=False), [Step.REMIND]),
        (9999, replace(PLANNED, finishes_itself=False), [Step.REMIND, Step.START]),
        (9999, replace(PLANNED, remind_before=None), [Step.START, Step.FINISH]),
        (60, replace(PLANNED, announce_at=NOW + minutes(60)), [Step.ANNOUNCE]),
        (540, replace(PLANNED, announce_at=NOW + minutes(540)), [Step.ANNOUNCE, Step.REMIND]),
        (719, replace(PLANNED, stage=MaintenanceStage.VERIFYING), []),
        (720, replace(PLANNED, stage=MaintenanceStage.VERIFYING), [Step.FINISH]),
        (9999, replace(PLANNED, stage=MaintenanceStage.COMPLETED), []),
    ],
)
def test_the_steps_that_are_due(at: float, window: Window, steps: list[Step]) -> None:
    assert [due.step for due in steps_due(window, NOW + minutes(at))] == steps


_windows = st.builds(
    lambda start, length, **given: Window(
        scheduled_for=NOW + minutes(start), scheduled_until=NOW + minutes(start + length), **given
    ),
    start=st.integers(-500, 5000),
    length=st.integers(1, 3000),
    stage=st.sampled_from(MaintenanceStage),
    starts_itself=st.booleans(),
    finishes_itself=st.booleans(),
    remind_before=st.none() | st.integers(1, 900).map(minutes),
    is_reminded=st.booleans(),
    announce_at=st.none() | st.integers(-500, 5000).map(lambda at: NOW + minutes(at)),
)


@given(window=_windows, looks=st.lists(st.integers(0, 9000), min_size=1, max_size=12))
def test_no_step_is_taken_twice_however_often_the_clock_looks(window: Window, looks: list[int]) -> None:
    """One who looks all the time and one who slept through everything take the same steps, in the same order."""
    taken: list[Step] = []
    present = window
    for at in sorted(looks):
        for due in steps_due(present, NOW + minutes(at)):
            assert due.at <= NOW + minutes(at)
            taken.append(due.step)
            present = after(present, due.step)
    at_once = [due.step for due in steps_due(window, NOW + minutes(max(looks)))]
    assert taken == at_once
    assert len(set(taken)) == len(taken)
    if Step.FINISH in taken and Step.START in taken:
        assert taken.index(Step.START) < taken.index(Step.FINISH)
    left = next_step(present)
    assert left is None or left.at > NOW + minutes(max(looks))


@given(state=st.sampled_from(ComponentState), covered=st.booleans())
def test_maintenance_never_hides_a_problem(state: ComponentState, covered: bool) -> None:
    assert is_overlaid(state, covered) == (covered and state is ComponentState.OPERATIONAL)


@pytest.mark.parametrize(
    ("start", "end", "field", "part"),
    [
        (-3, 60, "scheduled_for", "in the past"),
        (-1, 60, "", ""),
        (0, 1, "", ""),
        (60, 60, "scheduled_until", "after the start"),
        (60, 30, "scheduled_until", "after the start"),
        (60, 60 + 30 * 24 * 60, "", ""),
        (60, 61 + 30 * 24 * 60, "scheduled_until", "30 days"),
        (60 * 24 * 732, 60 * 24 * 733, "scheduled_for", "two years"),
    ],
)
def test_the_times_of_a_new_window(start: float, end: float, field: str, part: str) -> None:
    if not field:
        check_new(NOW + minutes(start), NOW + minutes(end), NOW)
        return
    with pytest.raises(RuleBroken) as refused:
        check_new(NOW + minutes(start), NOW + minutes(end), NOW)
    assert part in refused.value.errors[field]


def test_a_running_window_ends_in_the_future() -> None:
    check_running_end(NOW - minutes(10), NOW + minutes(1), NOW)
    with pytest.raises(RuleBroken, match="finish it"):
        check_running_end(NOW - minutes(10), NOW, NOW)
    with pytest.raises(RuleBroken, match="after the start"):
        check_end(NOW, NOW)


@pytest.mark.parametrize(("count", "is_right"), [(None, True), (1, True), (20160, True), (0, False), (20161, False)])
def test_a_reminder_comes_within_two_weeks_of_the_start(count: int | None, is_right: bool) -> None:
    if is_right:
        assert check_reminder(count) == count
        return
    with pytest.raises(RuleBroken):
        check_reminder(count)


@pytest.mark.parametrize(
    ("before", "later", "may"),
    [
        ("scheduled", "scheduled", True),
        ("scheduled", "in_progress", True),
        ("scheduled", "verifying", True),
        ("in_progress", "verifying", True),
        ("verifying", "in_progress", True),
        ("in_progress", "scheduled", False),
        ("verifying", "scheduled", False),
        ("in_progress", "completed", False),
        ("completed", "in_progress", False),
    ],
)
def test_which_stage_a_message_may_bring(before: str, later: str, may: bool) -> None:
    assert may_turn(MaintenanceStage(before), MaintenanceStage(later)) is may


def test_windows_overlap_when_they_share_a_moment() -> None:
    later = replace(PLANNED, scheduled_for=PLANNED.scheduled_until, scheduled_until=NOW + timedelta(hours=14))
    assert not overlap(PLANNED, later)
    assert overlap(PLANNED, replace(later, scheduled_for=later.scheduled_for - minutes(1)))
    assert overlap(PLANNED, PLANNED)


def test_whoever_was_told_is_told() -> None:
    assert [must_tell(wanted, told) for wanted, told in ((True, False), (False, True), (False, False))] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("typed", "zone", "expected"),
    [
        ("2026-11-21T02:00", "Etc/UTC", "2026-11-21T02:00"),
        ("2026-11-21 02:00", "Europe/Berlin", "2026-11-21T01:00"),
        ("2026-07-21T02:00", "Europe/Berlin", "2026-07-21T00:00"),
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30"),
        ("2026-11-21T02:00", "Asia/Kathmandu", "2026-11-20T20:15"),
    ],
)
def test_times_are_typed_in_the_zone_of_the_page(typed: str, zone: str, expected: str) -> None:
    instant = parse_local("scheduled_for", typed, ZoneInfo(zone))
    assert f"{instant:%Y-%m-%dT%H:%M}" == expected
    assert typed_local(instant, ZoneInfo(zone)) == typed.replace(" ", "T")


@pytest.mark.parametrize(
    ("typed", "part"),
    [("", "like 2026"), ("tomorrow", "like 2026"), ("2026-13-01T00:00", "like 2026"), ("2026-03-29T02:30", "clocks")],
)
def test_what_is_no_time_there_is_refused(typed: str, part: str) -> None:
    with pytest.raises(RuleBroken) as refused:
        parse_local("scheduled_for", typed, BERLIN)
    assert part in refused.value.errors["scheduled_for"]


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Etc/UTC", "21 Nov 2026, 23:30 UTC"),
        ("Europe/Berlin", "22 Nov 2026, 00:30 CET (21 Nov 2026, 23:30 UTC)"),
        ("America/New_York", "21 Nov 2026, 18:30 EST (23:30 UTC)"),
        ("Asia/Kathmandu", "22 Nov 2026, 05:15 UTC+05:45 (21 Nov 2026, 23:30 UTC)"),
    ],
)
def test_times_are_told_in_the_zone_of_the_page_and_in_utc(zone: str, words: str) -> None:
    instant = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    assert local_in_words(instant, ZoneInfo(zone)) == words
    assert window_in_words(instant, instant + minutes(90), ZoneInfo(zone)).startswith(f"{words} to ")


def test_a_reminder_that_comes_a_second_late_is_still_an_hour_before() -> None:
    assert reminder_words(minutes(60) - timedelta(seconds=2), "…").startswith("This planned work begins in 1 h")


def test_running_is_what_covers_components() -> None:
    assert RUNNING == (MaintenanceStage.IN_PROGRESS, MaintenanceStage.VERIFYING)
