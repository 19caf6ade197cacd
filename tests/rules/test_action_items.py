"""What is to be done after an incident: what may be typed, when its owner is reminded, what the issue says."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules import action_items
from statuspage.rules.vocabulary import ActionItemState, Priority, RuleBroken

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
TODAY = NOW.date()
TYPED = {"title": "Watch the memory", "owner_id": "ada", "priority": "high", "due_on": "2026-11-30"}


def test_what_is_right_is_taken() -> None:
    task = action_items.check(TYPED, TODAY, NOW)
    assert task == action_items.Task("Watch the memory", "ada", Priority.HIGH, date(2026, 11, 30))


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("title", " ", "fill this in"),
        ("title", "x" * 201, "shorten"),
        ("title", "two\nlines", "one line"),
        ("owner_id", "", "who sees to it"),
        ("priority", "urgent", "high, medium or low"),
        ("due_on", "soon", "like 2026-11-30"),
        ("due_on", "2026-02-30", "like 2026-11-30"),
        ("due_on", "2026-11-20", "over"),
        ("due_on", "2126-11-20", "two years"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(field: str, text: str, sentence: str) -> None:
    with pytest.raises(RuleBroken) as broken:
        action_items.check(TYPED | {field: text}, TODAY, NOW)
    assert list(broken.value.errors) == [field]
    assert sentence in broken.value.errors[field]


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(RuleBroken) as broken:
        action_items.check({}, TODAY, NOW)
    assert set(broken.value.errors) == {"title", "owner_id", "priority", "due_on"}


def test_dropping_takes_a_reason() -> None:
    with pytest.raises(RuleBroken):
        action_items.check_reason(" ")
    assert action_items.check_reason(" The part is gone. ") == "The part is gone."


DUE = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("at", "newest", "next_day"),
    [
        (datetime(2026, 11, 23, 8, 59, tzinfo=UTC), None, 23),
        (datetime(2026, 11, 23, 9, 0, tzinfo=UTC), 0, 30),
        (datetime(2026, 11, 30, 8, 59, tzinfo=UTC), 0, 30),
        (datetime(2026, 11, 30, 9, 0, tzinfo=UTC), 1, 37),
        (datetime(2026, 12, 24, 0, 0, tzinfo=UTC), 4, 58),
    ],
)
def test_the_owner_is_reminded_on_the_due_day_then_weekly(at: datetime, newest: int | None, next_day: int) -> None:
    assert action_items.newest_reminder(DUE, at) == newest
    assert action_items.next_reminder_at(DUE, at) == datetime(2026, 11, 1, 9, tzinfo=UTC) + timedelta(days=next_day - 1)


@given(
    st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    st.timedeltas(timedelta(days=-3000), timedelta(days=3000)),
)
def test_the_next_reminder_lies_ahead_and_no_further_than_it_must(due_on: date, off: timedelta) -> None:
    at = NOW + off
    upcoming = action_items.next_reminder_at(due_on, at)
    assert upcoming > at
    assert upcoming == action_items.reminder_at(due_on, 0) or upcoming - at <= action_items.REMINDED_EVERY


@pytest.mark.parametrize(
    ("state", "due_on", "overdue"),
    [
        (ActionItemState.OPEN, date(2026, 11, 20), True),
        (ActionItemState.OPEN, TODAY, False),
        (ActionItemState.DONE, date(2026, 11, 20), False),
        (ActionItemState.DROPPED, date(2026, 11, 20), False),
    ],
)
def test_overdue_is_what_is_open_when_its_day_is_over(state: ActionItemState, due_on: date, overdue: bool) -> None:
    assert action_items.is_overdue(state, due_on, NOW) is overdue


@pytest.mark.parametrize(
    ("attempts", "asked", "minutes"), [(1, 0, 1), (2, 0, 2), (5, 0, 16), (9, 0, 60), (500, 0, 60), (1, 7200, 120)]
)
def test_each_try_waits_longer_and_as_long_as_it_is_asked_to(attempts: int, asked: float, minutes: int) -> None:
    assert action_items.retry_after(attempts, asked) == timedelta(minutes=minutes)


def test_an_issue_says_who_and_when_pings_nobody_and_carries_its_mark() -> None:
    issue = action_items.Issue(
        "item00000001", "Watch it", "high", DUE, "Ada", "@all: see #12", "https://status.example.com/console/x"
    )
    body = action_items.issue_body(issue)
    assert "- Owner: Ada\n- Priority: high\n- Due: 2026-11-23" in body
    assert "@all" not in body
    assert "#12" not in body
    assert body.endswith(action_items.marker("item00000001"))
