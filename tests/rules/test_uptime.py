"""Uptime by day: every second of a day counts once, and never as more than it was."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from statuspage.rules import uptime
from statuspage.rules.uptime import Condition, Day, LocalDay, Span, StateChange, UptimeRule
from statuspage.rules.vocabulary import ComponentState, RuleBroken, worst_state

UP, SLOW, DOWN = ComponentState.OPERATIONAL, ComponentState.DEGRADED, ComponentState.OUTAGE
ORDINARY = UptimeRule()
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
FIRST = date(2026, 11, 1)
START = datetime(2026, 11, 1, tzinfo=UTC)
UTC_ZONE = ZoneInfo("Etc/UTC")


def at(hours: float) -> datetime:
    """So many hours after the first day began."""
    return START + timedelta(hours=hours)


def days_of(
    changes: Sequence[StateChange],
    windows: Sequence[Span] = (),
    *,
    count: int = 1,
    since: datetime | None = None,
    until: datetime | None = None,
    rule: UptimeRule = ORDINARY,
) -> list[Day]:
    days = uptime.local_days(UTC_ZONE, FIRST, FIRST + timedelta(days=count - 1))
    return uptime.daily(changes, windows, days, since, until or days[-1].end, rule)


ALWAYS_UP = StateChange(at(-100), UP)


@pytest.mark.parametrize(
    ("what", "changes", "windows", "expected"),
    [
        ("nothing recorded", [], [], {"no_data": 24}),
        ("up all day", [ALWAYS_UP], [], {"operational": 24}),
        ("down for two hours", [ALWAYS_UP, StateChange(at(3), DOWN), StateChange(at(5), UP)], [],
         {"operational": 22, "outage": 2}),
        ("down since the day before", [StateChange(at(-2), DOWN), StateChange(at(1), UP)], [],
         {"operational": 23, "outage": 1}),
        ("down, then degraded", [ALWAYS_UP, StateChange(at(1), DOWN), StateChange(at(2), SLOW), StateChange(at(5), UP)],
         [], {"operational": 20, "outage": 1, "degraded": 3}),
        ("first heard of at noon", [StateChange(at(12), UP)], [], {"no_data": 12, "operational": 12}),
        ("under maintenance", [ALWAYS_UP], [Span(at(2), at(4))], {"operational": 22, "maintenance": 2}),
        ("windows that overlap", [ALWAYS_UP], [Span(at(2), at(4)), Span(at(3), at(6)), Span(at(6), at(7))],
         {"operational": 19, "maintenance": 5}),
        ("down for longer than the window", [ALWAYS_UP, StateChange(at(1), DOWN), StateChange(at(6), UP)],
         [Span(at(2), at(4))], {"operational": 19, "maintenance": 2, "outage": 3}),
        ("a window that never was", [ALWAYS_UP], [Span(at(4), at(4)), Span(at(5), at(3))], {"operational": 24}),
        ("maintenance before there was anything", [StateChange(at(12), UP)], [Span(at(10), at(14))],
         {"no_data": 12, "maintenance": 2, "operational": 10}),
        ("two words at one moment", [ALWAYS_UP, StateChange(at(3), UP), StateChange(at(3), DOWN), StateChange(at(4), UP)],
         [], {"operational": 23, "outage": 1}),
    ],
)  # fmt: skip
def test_a_day_is_cut_into_what_was(
    what: str, changes: list[StateChange], windows: list[Span], expected: dict[str, float]
) -> None:
    (day,) = days_of(changes, windows)
    spent = {name: length / HOUR for name, length in day._asdict().items() if name != "date" and length}
    assert spent == expected, what


def test_maintenance_counts_like_any_other_time_where_the_page_says_so() -> None:
    changes = [ALWAYS_UP, StateChange(at(1), DOWN), StateChange(at(2), UP)]
    (day,) = days_of(changes, [Span(at(0), at(12))], rule=UptimeRule(excludes_maintenance=False))
    assert (day.outage, day.maintenance) == (HOUR, timedelta(0))


def test_before_its_start_date_nothing_is_known_of_a_component() -> None:
    first, second = days_of([ALWAYS_UP], count=2, since=at(24))
    assert (first.worst, second.worst) == (Condition.NO_DATA, Condition.OPERATIONAL)
    assert uptime.uptime([first], ORDINARY) is None


def test_today_ends_now_and_tomorrow_is_not_known() -> None:
    today, tomorrow = days_of([ALWAYS_UP], count=2, until=at(9))
    assert today.operational == 9 * HOUR
    assert tomorrow.worst is Condition.NO_DATA
    assert not any(tomorrow[1:])


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Europe/Berlin", date(2026, 7, 1), 24),
        ("America/Santiago", date(2026, 9, 6), 23),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Pacific/Apia", date(2011, 12, 30), 0),
        ("Etc/UTC", date(2028, 2, 29), 24),
    ],
)
def test_a_day_is_as_long_as_it_is_where_the_page_is(zone: str, day: date, hours: float) -> None:
    days = uptime.local_days(ZoneInfo(zone), day, day)
    (found,) = uptime.daily([StateChange(at(-1_000_000), UP)], [], days, None, at(24 * 365 * 5), ORDINARY)
    assert found.operational / HOUR == hours


@pytest.mark.parametrize(
    ("changes", "worst"),
    [
        ([], Condition.NO_DATA),
        ([StateChange(at(12), UP)], Condition.OPERATIONAL),
        ([ALWAYS_UP, StateChange(at(23), SLOW)], Condition.DEGRADED),
        ([ALWAYS_UP, StateChange(at(1), DOWN), StateChange(at(2), SLOW)], Condition.OUTAGE),
    ],
)
def test_a_day_is_remembered_for_its_worst(changes: list[StateChange], worst: Condition) -> None:
    assert days_of(changes)[0].worst is worst


@pytest.mark.parametrize(
    ("down", "slow", "percent", "words"),
    [
        (timedelta(0), 24 * HOUR, 0, "100 %"),
        (timedelta(0), 12 * HOUR, 50, "75.00 %"),
        (timedelta(0), 24 * HOUR, 100, "0.00 %"),
        (6 * HOUR, timedelta(0), 0, "75.00 %"),
        # Floor, not round: one second in a day is 99.9988… %.
        (timedelta(seconds=1), timedelta(0), 0, "99.99 %"),
        (timedelta(microseconds=1), timedelta(0), 0, "99.99 %"),
        (timedelta(0), timedelta(seconds=1), 1, "99.99 %"),
        (24 * HOUR, timedelta(0), 0, "0.00 %"),
    ],
)
def test_uptime_is_rounded_down(down: timedelta, slow: timedelta, percent: int, words: str) -> None:
    day = Day(FIRST, timedelta(0), 24 * HOUR - down - slow, timedelta(0), slow, down)
    assert uptime.percent_in_words(uptime.uptime([day], UptimeRule(percent))) == words


def test_what_was_all_maintenance_or_unknown_has_no_uptime() -> None:
    zero = timedelta(0)
    days = [Day(FIRST, 24 * HOUR, zero, zero, zero, zero), Day(FIRST, zero, zero, 24 * HOUR, zero, zero)]
    assert uptime.percent_in_words(uptime.uptime(days, ORDINARY)) == "No data"


@pytest.mark.parametrize(("text", "value"), [("0", 0), (" 50 ", 50), ("100 %", 100), ("007", 7)])
def test_a_share_of_degraded_time_is_read(text: str, value: int) -> None:
    assert uptime.check_degraded_percent(text) == value


@pytest.mark.parametrize("text", ["", "-1", "101", "12.5", "half", "٥", "1e1", "9999999999999999999999", "%"])
def test_another_share_is_refused(text: str) -> None:
    with pytest.raises(RuleBroken, match="0 to 100"):
        uptime.check_degraded_percent(text)


# --- at random ---------------------------------------------------------------------------------------

MINUTES = st.integers(min_value=-600, max_value=3 * 1440 + 600)
CHANGES = st.lists(st.tuples(MINUTES, st.sampled_from(ComponentState)), max_size=12).map(
    lambda rows: [StateChange(START + minute * MINUTE, state) for minute, state in sorted(rows, key=lambda row: row[0])]
)
WINDOWS = st.lists(st.tuples(MINUTES, MINUTES), max_size=4).map(
    lambda rows: [Span(START + min(row) * MINUTE, START + max(row) * MINUTE) for row in rows]
)
RULES = st.builds(UptimeRule, st.integers(min_value=0, max_value=100), st.booleans())
BERLIN_DAYS = uptime.local_days(ZoneInfo("Europe/Berlin"), date(2026, 3, 27), date(2026, 3, 31))


def by_the_minute(
    changes: Sequence[StateChange],
    windows: Sequence[Span],
    days: Sequence[LocalDay],
    since: datetime | None,
    until: datetime,
) -> list[dict[str, int]]:
    """The same the slow way: look at every minute."""
    found = []
    for day in days:
        spent = dict.fromkeys(uptime.CONDITIONS, 0)
        moment = day.begin
        while moment < min(day.end, until):
            before = [change for change in changes if change.at <= moment]
            if not before or (since is not None and moment < since):
                spent[Condition.NO_DATA] += 1
            elif any(window.begin <= moment < window.end for window in windows):
                spent[Condition.MAINTENANCE] += 1
            else:
                spent[Condition(before[-1].state.value)] += 1
            moment += MINUTE
        found.append({condition.value: minutes for condition, minutes in spent.items()})
    return found


@given(CHANGES, WINDOWS, st.none() | MINUTES, MINUTES)
def test_it_is_what_looking_at_every_minute_gives(
    changes: list[StateChange], windows: list[Span], since: int | None, until: int
) -> None:
    days = uptime.local_days(UTC_ZONE, FIRST, FIRST + timedelta(days=1))
    begin = None if since is None else START + since * MINUTE
    end = START + until * MINUTE
    found = uptime.daily(changes, windows, days, begin, end, ORDINARY)
    minutes = [{name: length // MINUTE for name, length in day._asdict().items() if name != "date"} for day in found]
    assert minutes == by_the_minute(changes, windows, days, begin, end)


@given(CHANGES, WINDOWS, RULES)
def test_the_parts_of_a_day_are_its_length(changes: list[StateChange], windows: list[Span], rule: UptimeRule) -> None:
    shifted = [change._replace(at=change.at - timedelta(days=217)) for change in changes]
    found = uptime.daily(shifted, windows, BERLIN_DAYS, None, BERLIN_DAYS[-1].end, rule)
    for day, local in zip(found, BERLIN_DAYS, strict=True):
        assert sum(day[1:], timedelta(0)) == local.end - local.begin
        assert all(length >= timedelta(0) for length in day[1:])


@given(CHANGES, WINDOWS, MINUTES, RULES)
def test_saying_again_what_is_so_changes_nothing(
    changes: list[StateChange], windows: list[Span], minute: int, rule: UptimeRule
) -> None:
    moment = START + minute * MINUTE
    before = [change for change in changes if change.at <= moment]
    assume(before)
    again = [*before, StateChange(moment, before[-1].state), *changes[len(before) :]]
    assert days_of(again, windows, count=3, rule=rule) == days_of(changes, windows, count=3, rule=rule)


@given(CHANGES, WINDOWS, MINUTES, MINUTES, RULES)
def test_another_outage_never_raises_uptime(
    changes: list[StateChange], windows: list[Span], one: int, other: int, rule: UptimeRule
) -> None:
    begin, end = START + min(one, other) * MINUTE, START + max(one, other) * MINUTE
    assume(changes and changes[0].at <= begin)
    with_outage = sorted([*changes, *uptime.raised(changes, DOWN, "i", begin, end)], key=lambda change: change.at)
    if end not in {change.at for change in with_outage} and begin < end:
        present = [change for change in changes if change.at <= end]
        with_outage = sorted([*with_outage, present[-1]._replace(at=end)], key=lambda change: change.at)
    before = uptime.uptime(days_of(changes, windows, count=3, rule=rule), rule)
    after = uptime.uptime(days_of(with_outage, windows, count=3, rule=rule), rule)
    assert (after if after is not None else Fraction(0)) <= (before if before is not None else Fraction(1))


# --- what a backdated incident adds to the ledger -------------------------------------------------------


def state_at(timeline: Sequence[StateChange], moment: datetime) -> ComponentState | None:
    return next((change.state for change in reversed(timeline) if change.at <= moment), None)


def with_added(timeline: list[StateChange], added: list[StateChange]) -> list[StateChange]:
    """As the ledger gives them: by moment, of one moment the newest last."""
    return sorted([*timeline, *added], key=lambda change: change.at)


@given(CHANGES, st.sampled_from([SLOW, DOWN]), MINUTES, MINUTES)
def test_a_backdated_start_makes_the_past_as_bad_as_it_was_and_touches_nothing_else(
    timeline: list[StateChange], state: ComponentState, one: int, other: int
) -> None:
    since, until = START + min(one, other) * MINUTE, START + max(one, other) * MINUTE
    after = with_added(timeline, uptime.raised(timeline, state, "i", since, until))
    for minute in range(-600, 3 * 1440 + 600, 41):
        moment = START + minute * MINUTE
        before = state_at(timeline, moment)
        if since <= moment < until:
            assert state_at(after, moment) is worst_state([state, *([before] if before else [])])
        elif before is not None:
            assert state_at(after, moment) is before


OTHERS = st.lists(st.tuples(MINUTES, MINUTES, st.sampled_from([SLOW, DOWN])), max_size=3).map(
    lambda rows: [(Span(START + min(a, b) * MINUTE, START + max(a, b) * MINUTE), state) for a, b, state in rows]
)


@given(CHANGES, st.lists(st.booleans(), min_size=12, max_size=12), OTHERS, MINUTES, MINUTES)
def test_a_backdated_end_lets_the_others_stand_and_what_was_set_by_hand(
    changes: list[StateChange], by_hand: list[bool], others: list[tuple[Span, ComponentState]], one: int, other: int
) -> None:
    timeline = [
        change._replace(incident_id=None if hand else "i") for change, hand in zip(changes, by_hand, strict=False)
    ]
    since, until = START + min(one, other) * MINUTE, START + max(one, other) * MINUTE
    after = with_added(timeline, uptime.lifted(timeline, UP, others, "i", since, until))
    for minute in range(-600, 3 * 1440 + 600, 41):
        moment = START + minute * MINUTE
        present = next((change for change in reversed(timeline) if change.at <= moment), None)
        if present is None:
            assert state_at(after, moment) is None
        elif since <= moment < until and present.incident_id is not None:
            theirs = worst_state(state for span, state in others if span.begin <= moment < span.end)
            expected = present.state if worst_state([present.state, theirs]) is theirs else theirs
            assert state_at(after, moment) is expected
        else:
            assert state_at(after, moment) is present.state
