"""Which step of a promise is due, and when to look again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules import escalation
from statuspage.rules.escalation import HOLDING, Step, may_hold, stand_ins, steps, turn, ways
from statuspage.rules.policy import DEFAULT_POLICIES, Nudge
from statuspage.rules.vocabulary import IncidentRole, PromiseKind, Severity

T0 = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
SEV1 = DEFAULT_POLICIES[Severity.SEV1]
HELD = replace(SEV1, holding_update=replace(SEV1.holding_update, enabled=True))


def minutes(count: float) -> datetime:
    return T0 + timedelta(minutes=count)


def shape(listed: tuple[Step, ...]) -> list[tuple[float, str]]:
    return [((step.at - T0) / timedelta(minutes=1), step.to) for step in listed]


def test_the_shipped_escalation_of_an_update() -> None:
    assert shape(steps(SEV1, PromiseKind.NEXT_UPDATE, T0, minutes(30))) == [
        (25, "comms_lead"),
        (30, "commander"),
        (35, "backup"),
        (40, "everyone"),
    ]


def test_an_email_owed_in_a_day_is_thought_of_hours_before() -> None:
    day = 24 * 60
    listed = shape(steps(SEV1, PromiseKind.POST_INCIDENT_EMAIL, T0, minutes(day)))
    assert listed[:3] == [(day - 360, "comms_lead"), (day - 60, "comms_lead"), (day - 5, "comms_lead")]


def test_a_late_internal_update_does_not_wake_everyone() -> None:
    assert "everyone" not in [to for _, to in shape(steps(SEV1, PromiseKind.INTERNAL_UPDATE, T0, minutes(15)))]


def test_a_short_promise_has_its_nudge_in_the_second_half() -> None:
    assert shape(steps(SEV1, PromiseKind.NEXT_UPDATE, T0, minutes(4)))[0] == (2, "comms_lead")


def test_only_an_overdue_next_update_is_held() -> None:
    assert HOLDING in [step.number for step in steps(HELD, PromiseKind.NEXT_UPDATE, T0, minutes(30))]
    for kind in set(PromiseKind) - {PromiseKind.NEXT_UPDATE}:
        assert HOLDING not in [step.number for step in steps(HELD, kind, T0, minutes(30))]


def test_nothing_is_due_before_its_time() -> None:
    listed = steps(SEV1, PromiseKind.NEXT_UPDATE, T0, minutes(30))
    now = minutes(24.9)
    assert turn(listed, set(), None, now) == escalation.Turn(None, (), None, minutes(25))


def test_after_hours_only_the_newest_step_is_told() -> None:
    listed = steps(HELD, PromiseKind.NEXT_UPDATE, T0, minutes(30))
    found = turn(listed, {0}, None, minutes(600))
    assert found.nudge is not None
    assert found.nudge.to == "everyone"
    assert [step.to for step in found.caught_up] == ["commander", "backup"]
    assert found.holding is not None
    assert found.next_at is None


def test_somebody_on_it_holds_nudges_back_and_not_the_holding_update() -> None:
    listed = steps(HELD, PromiseKind.NEXT_UPDATE, T0, minutes(30))
    found = turn(listed, {0}, minutes(38), minutes(36))
    assert found.nudge is None
    assert found.holding is not None
    assert found.next_at == minutes(38)
    later = turn(listed, {0, HOLDING}, minutes(38), minutes(38))
    assert later.nudge is not None
    assert (later.nudge.to, [step.to for step in later.caught_up]) == ("backup", ["commander"])


@given(
    st.lists(st.integers(-3600, 3600), max_size=8),
    st.integers(1, 7200),
    st.lists(st.integers(1, 600), max_size=60),
    st.none() | st.integers(0, 9000),
)
def test_every_step_is_taken_once_and_never_early(
    offsets: list[int], span: int, waits: list[int], snoozed: int | None
) -> None:
    nudges = tuple(Nudge(timedelta(seconds=offset), "commander") for offset in offsets)
    policy, due_at = replace(HELD, nudges=nudges), T0 + timedelta(seconds=span)
    listed = steps(policy, PromiseKind.NEXT_UPDATE, T0, due_at)
    until = None if snoozed is None else T0 + timedelta(seconds=snoozed)
    taken: list[int] = []
    now = T0
    for wait in [*waits, 100_000]:
        now += timedelta(seconds=wait)
        found = turn(listed, taken, until, now)
        told = [step for step in (found.nudge, *found.caught_up, found.holding) if step is not None]
        assert all(step.at <= now for step in told)
        taken += [step.number for step in told]
        assert found.next_at is None or found.next_at > now
    assert sorted(taken) == sorted(step.number for step in listed)


@pytest.mark.parametrize(
    ("flags", "most", "answer"),
    [
        ([], 2, False),
        ([True], 2, False),
        ([False], 2, True),
        ([False, True], 2, True),
        ([False, True, True], 2, False),
        ([False, True, True, False], 2, True),
        ([False, True], 1, False),
    ],
)
def test_holding_updates_follow_a_person_and_not_each_other_for_ever(
    flags: list[bool], most: int, answer: bool
) -> None:
    assert may_hold(flags, most) is answer


def test_nobodys_role_is_everybodys() -> None:
    assert stand_ins(IncidentRole.COMMANDER) == ("commander", "comms_lead", "backup", "everyone")


@pytest.mark.parametrize(
    ("by", "available", "reserve", "answer"),
    [
        ("", {"email", "chat"}, {"pager"}, (("email", "chat"), ("pager",))),
        ("", {"email"}, set(), (("email",), ())),
        ("chat", {"email", "chat"}, set(), (("chat",), ("email",))),
        ("pager", {"email", "chat"}, {"pager"}, (("pager",), ("email", "chat"))),
        ("pager", {"email"}, set(), (("email",), ())),
        ("chat", set(), set(), ((), ())),
    ],
)
def test_the_ways_a_nudge_goes(by: str, available: set[str], reserve: set[str], answer: tuple[object, object]) -> None:
    assert ways(by, available, reserve) == answer


@pytest.mark.parametrize(("now", "word"), [(minutes(10), "Due"), (minutes(20), "Overdue since")])
def test_a_nudge_names_the_incident_the_promise_and_the_time(now: datetime, word: str) -> None:
    title = escalation.nudge_title(PromiseKind.FIRST_UPDATE, "Sign-in fails", "SEV1", minutes(15), False, now)
    assert title == f"{word} 14:15 UTC: first public update for “Sign-in fails” (SEV1)"
    assert escalation.nudge_title(PromiseKind.FIRST_UPDATE, "x", "SEV1", minutes(15), True, now).startswith("DRILL: ")
    assert "5 min" in escalation.nudge_text(PromiseKind.FIRST_UPDATE, "x", minutes(15), "Because.", now)
