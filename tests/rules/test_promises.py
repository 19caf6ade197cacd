"""What is owed for an incident: tables of cases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from statuspage.rules import promises
from statuspage.rules.policy import DEFAULT_POLICIES, Policy
from statuspage.rules.promises import Event, Promise, check_next_update, ledger, still_owed
from statuspage.rules.vocabulary import EventKind, PromiseKind, PromiseState, RuleBroken, Severity, Visibility

T0 = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
SEV1, SEV2, SEV3 = (DEFAULT_POLICIES[severity] for severity in (Severity.SEV1, Severity.SEV2, Severity.SEV3))


def minutes(count: float) -> datetime:
    """This many minutes after the declaration."""
    return T0 + timedelta(minutes=count)


class Story:
    """An incident's events as they come, each at a minute after the declaration."""

    def __init__(
        self,
        policy: Policy = SEV1,
        visibility: Visibility = Visibility.PUBLIC,
        *,
        recorded: float = 0,
        down: bool = True,
    ) -> None:
        self.policy, self.visibility, self.events, self.down = policy, visibility, list[Event](), down
        self.add(EventKind.DECLARED, recorded, occurred_at=T0, is_down=down)

    def add(self, kind: EventKind, at: float, **more: Any) -> "Story":
        fields = {"occurred_at": minutes(at), "is_down": self.down} | more
        event = Event(len(self.events) + 1, kind, recorded_at=minutes(at), policy=self.policy, policy_id="p", **fields)
        self.events.append(event)
        return self

    def posted(self, at: float, next_at: float | None = None, **more: Any) -> "Story":
        return self.add(EventKind.POSTED, at, next_update_by=minutes(at + 30 if next_at is None else next_at), **more)

    def regraded(self, at: float, policy: Policy) -> "Story":
        self.policy = policy
        return self.add(EventKind.REGRADED, at, reason="It is worse than we thought.")

    def resolved(self, at: float, restored: float | None = None) -> "Story":
        return self.add(
            EventKind.RESOLVED, at, occurred_at=minutes(at if restored is None else restored), is_down=False
        )

    @property
    def promises(self) -> tuple[Promise, ...]:
        return ledger(self.events, T0, self.visibility).promises

    def told(self) -> list[tuple[str, str, float]]:
        """Kind, state and due time (in minutes after the declaration) of each promise."""
        return [(p.kind.value, p.state.value, (p.due_at - T0) / timedelta(minutes=1)) for p in self.promises]

    def of(self, kind: str) -> list[tuple[str, float]]:
        return [(state, due) for found, state, due in self.told() if found == kind]


@pytest.mark.parametrize(
    ("policy", "owed"),
    [
        (SEV1, [("first_update", 15), ("direct_email", 60), ("internal_update", 15)]),
        (SEV2, [("first_update", 15), ("direct_email", 30), ("internal_update", 30)]),
        (SEV3, []),
    ],
)
def test_a_declaration_starts_the_clocks(policy: Policy, owed: list[tuple[str, float]]) -> None:
    assert Story(policy).told() == [(kind, "open", due) for kind, due in owed]


def test_customers_are_owed_nothing_for_an_internal_incident() -> None:
    story = Story(SEV1, Visibility.INTERNAL).posted(5).resolved(60)
    assert {kind for kind, _, _ in story.told()} == {"internal_update", "post_mortem"}


def test_a_drill_owes_what_a_real_incident_owes() -> None:
    drill, real = Story(SEV1, Visibility.DRILL).posted(5).resolved(60), Story(SEV1).posted(5).resolved(60)
    assert drill.told() == real.told()


@pytest.mark.parametrize(("at", "state"), [(1, "kept"), (15, "kept"), (15.1, "late"), (300, "late")])
def test_the_first_update_is_kept_until_its_time_and_late_after(at: float, state: str) -> None:
    assert Story().posted(at).of("first_update") == [(state, 15)]


def test_each_update_keeps_the_open_promise_and_opens_the_next() -> None:
    story = Story().posted(10).posted(30).posted(70)
    assert story.of("next_update") == [("kept", 40), ("late", 60), ("open", 100)]


def test_the_next_update_is_due_when_its_writer_says() -> None:
    assert Story().posted(10, next_at=25).of("next_update") == [("open", 25)]


def test_an_update_without_a_word_on_the_next_owes_it_by_policy() -> None:
    assert Story().add(EventKind.POSTED, 10).of("next_update") == [("open", 40)]


def test_where_nothing_is_owed_the_writers_word_is() -> None:
    assert Story(SEV3).posted(10, next_at=120).of("next_update") == [("open", 120)]
    assert Story(SEV3).add(EventKind.POSTED, 10).told() == []


def test_an_internal_update_keeps_nothing_public() -> None:
    story = Story().add(EventKind.INTERNAL_UPDATE_POSTED, 5)
    assert story.of("first_update") == [("open", 15)]
    assert story.of("internal_update") == [("kept", 15), ("open", 20)]


def test_a_resolution_keeps_the_open_update_and_says_so_in_time() -> None:
    story = Story().posted(10).resolved(39, restored=20)
    assert story.of("next_update") == [("kept", 40)]
    assert story.of("resolution_update") == [("kept", 50)]


def test_a_resolution_told_long_after_service_was_back_is_late() -> None:
    assert Story().posted(10).resolved(39, restored=5).of("resolution_update") == [("late", 35)]


def test_what_follows_a_resolution_counts_from_when_service_was_back() -> None:
    story = Story().posted(10).resolved(100, restored=90)
    assert story.of("post_incident_email") == [("open", 90 + 24 * 60)]
    assert story.of("post_mortem") == [("open", 90 + 48 * 60)]
    assert story.of("public_post_mortem") == [("open", 90 + 48 * 60)]


@pytest.mark.parametrize(("policy", "owed"), [(SEV1, 1), (SEV2, 1), (SEV3, 0)])
def test_a_post_incident_email_is_owed_by_severity(policy: Policy, owed: int) -> None:
    assert len(Story(policy).posted(10).resolved(60).of("post_incident_email")) == owed


@pytest.mark.parametrize(("down_until", "owed"), [(29, 0), (30, 1), (90, 1)])
def test_a_public_post_mortem_is_owed_when_customers_were_down_half_an_hour(down_until: float, owed: int) -> None:
    story = Story().posted(down_until, is_down=False).resolved(100)
    assert len(story.of("public_post_mortem")) == owed


def test_being_down_counts_from_when_customers_first_noticed() -> None:
    story = Story().posted(25, is_down=False).resolved(100)
    assert len(ledger(story.events, minutes(-5), Visibility.PUBLIC).promises) == len(story.promises) + 1


def test_degraded_is_not_down() -> None:
    assert Story(down=False).posted(10).resolved(200).of("public_post_mortem") == []


@pytest.mark.parametrize(("restored", "state"), [(20, "withdrawn"), (29.9, "withdrawn"), (30, "open"), (90, "open")])
def test_sev2_owes_a_direct_email_once_the_impact_has_lasted_half_an_hour(restored: float, state: str) -> None:
    assert Story(SEV2).posted(10).resolved(restored).of("direct_email") == [(state, 30)]


def test_sev1_owes_a_direct_email_however_short_it_was() -> None:
    story = Story().posted(5).resolved(8)
    assert story.of("direct_email") == [("open", 60)]
    assert story.add(EventKind.DIRECT_EMAIL_SENT, 50).of("direct_email") == [("kept", 60)]


def test_raising_takes_the_earlier_of_both_times() -> None:
    assert Story(SEV2).regraded(10, SEV1).of("direct_email") == [("open", 30)]
    slow = replace(SEV1, first_update=timedelta(minutes=5), direct_email=timedelta(minutes=10))
    story = Story(SEV2).regraded(3, slow)
    assert (story.of("first_update"), story.of("direct_email")) == ([("open", 8)], [("open", 13)])


def test_raising_makes_owed_what_was_not_counted_from_the_change() -> None:
    story = Story(SEV3).regraded(50, SEV1)
    assert story.of("first_update") == [("open", 65)]
    assert story.of("direct_email") == [("open", 110)]
    assert Story(SEV3).add(EventKind.POSTED, 5).regraded(50, SEV1).of("next_update") == [("open", 80)]


def test_lowering_withdraws_what_is_owed_no_more() -> None:
    assert {state for _, state, _ in Story(SEV1).regraded(10, SEV3).told()} == {"withdrawn"}


def test_lowering_never_withdraws_what_is_late_already() -> None:
    story = Story(SEV1).regraded(16, SEV3)
    assert story.of("first_update") == [("open", 15)]
    assert story.of("direct_email") == [("withdrawn", 60)]
    assert story.posted(20).of("first_update") == [("late", 15)]


def test_lowering_does_not_give_more_time() -> None:
    assert Story(SEV1).regraded(5, SEV2).of("internal_update") == [("open", 15)]


def test_grading_anew_after_the_resolution_follows_too() -> None:
    story = Story(SEV3).posted(5).resolved(40).regraded(60, SEV1)
    assert story.of("post_incident_email") == [("open", 60 + 24 * 60)]
    assert story.of("first_update") == []
    assert Story(SEV1).posted(5).resolved(40).regraded(60, SEV3).of("post_incident_email")[0][0] == "withdrawn"


def test_reopening_owes_updates_again_and_no_email_yet() -> None:
    story = Story().posted(10).resolved(60).add(EventKind.REOPENED, 90, reason="It is back.")
    assert story.of("next_update")[-1] == ("open", 105)
    assert story.of("post_incident_email") == [("withdrawn", 60 + 24 * 60)]
    again = story.posted(100).resolved(120)
    assert again.of("post_incident_email") == [("withdrawn", 60 + 24 * 60), ("open", 120 + 24 * 60)]


def test_reopening_does_not_make_an_overdue_email_forgotten() -> None:
    day = 24 * 60
    story = Story().posted(10).resolved(60).add(EventKind.REOPENED, 60 + day + 1, reason="It is back.")
    assert story.of("post_incident_email") == [("missed", 60 + day)]


def test_an_email_that_was_sent_stays_sent_after_reopening() -> None:
    story = Story().posted(10).resolved(60).add(EventKind.POST_INCIDENT_EMAIL_SENT, 70)
    again = story.add(EventKind.REOPENED, 90, reason="It is back.").posted(95).resolved(120)
    assert [state for state, _ in again.of("post_incident_email")] == ["kept", "open"]


def test_entered_after_the_fact_owes_what_it_would_have_and_late_is_late() -> None:
    story = Story(recorded=120).posted(125)
    assert story.of("first_update") == [("late", 15)]
    assert {promise.is_recorded_later for promise in story.promises[:3]} == {True}
    assert not any(promise.is_recorded_later for promise in Story().promises)


def test_an_earlier_declaration_brings_the_clocks_forward() -> None:
    story = Story().add(
        EventKind.DECLARATION_CORRECTED, 5, occurred_at=minutes(-10), reason="The first call came then."
    )
    assert story.of("first_update") == [("open", 5)]


def test_a_later_declaration_gives_the_time_back_but_not_once_it_is_late() -> None:
    later = {"occurred_at": minutes(5), "reason": "That call was about something else."}
    assert Story().add(EventKind.DECLARATION_CORRECTED, 10, **later).of("first_update") == [("open", 20)]
    assert Story().add(EventKind.DECLARATION_CORRECTED, 16, **later).of("first_update") == [("open", 15)]
    assert Story().posted(16).add(EventKind.DECLARATION_CORRECTED, 18, **later).of("first_update") == [("late", 15)]


def test_a_kept_promise_turns_late_when_impact_was_confirmed_earlier() -> None:
    story = Story().posted(14).add(EventKind.DECLARATION_CORRECTED, 20, occurred_at=minutes(-10), reason="Earlier.")
    assert story.of("first_update") == [("late", 5)]


def test_an_internal_update_that_never_came_is_missed() -> None:
    assert Story().posted(5).resolved(40).of("internal_update") == [("missed", 15)]
    assert Story().posted(5).resolved(10).of("internal_update") == [("withdrawn", 15)]


def test_a_holding_update_meets_the_promise_as_what_it_is() -> None:
    story = Story().posted(10).posted(42, is_automatic=True)
    met = [promise for promise in story.promises if promise.kind is PromiseKind.NEXT_UPDATE]
    assert [(promise.state.value, promise.is_met_automatically) for promise in met] == [("late", True), ("open", False)]


def test_a_waiver_settles_what_it_names_only() -> None:
    story = Story().posted(5).resolved(60)
    story.add(EventKind.WAIVED, 70, promise_kind=PromiseKind.POST_INCIDENT_EMAIL, reason="Nobody outside noticed.")
    assert story.of("post_incident_email")[0][0] == "waived"
    assert story.of("post_mortem")[0][0] == "open"


def test_an_update_can_not_be_waived() -> None:
    story = Story().add(EventKind.WAIVED, 5, promise_kind=PromiseKind.FIRST_UPDATE, reason="We are tired.")
    assert story.of("first_update") == [("open", 15)]


def test_what_is_still_owed_comes_soonest_first() -> None:
    kinds = [promise.kind.value for promise in still_owed(Story().promises)]
    assert kinds == ["first_update", "internal_update", "direct_email"]


def test_every_change_is_on_record() -> None:
    story = Story().posted(16)
    changes = [
        (c.key[0].value, c.event_sequence, c.state.value) for c in ledger(story.events, T0, story.visibility).changes
    ]
    assert changes[:3] == [("first_update", 1, "open"), ("direct_email", 1, "open"), ("internal_update", 1, "open")]
    assert changes[3:] == [("first_update", 2, "late"), ("next_update", 2, "open")]


@pytest.mark.parametrize(
    ("ahead", "reason", "answer"),
    [(30, "", ""), (29, "ignored", ""), (31, " We wait for a supplier. ", "We wait for a supplier.")],
)
def test_a_reason_is_kept_where_it_is_needed(ahead: float, reason: str, answer: str) -> None:
    assert check_next_update(SEV1, minutes(ahead), reason, T0) == answer


@pytest.mark.parametrize(("ahead", "reason"), [(31, ""), (31, "  "), (10, "x" * 501)])
def test_later_than_the_policy_needs_a_reason_of_bearable_length(ahead: float, reason: str) -> None:
    with pytest.raises(RuleBroken) as broken:
        check_next_update(SEV1, minutes(ahead), reason, T0)
    assert list(broken.value.errors) == ["next_update_reason"]


def test_without_a_policy_any_time_will_do() -> None:
    assert check_next_update(SEV3, minutes(3000), "", T0) == ""


def test_every_kind_of_event_is_known_to_the_rules() -> None:
    assert set(promises._STEPS) == set(EventKind)
    assert {PromiseState.OPEN} == {promise.state for promise in Story().promises}


def test_whether_the_impact_was_too_short_is_asked_of_the_severity_it_ended_with() -> None:
    assert Story(SEV2).regraded(5, SEV1).posted(6).resolved(20).of("direct_email") == [("open", 30)]
    assert Story(SEV1).regraded(5, SEV2).posted(6).resolved(10).of("direct_email") == [("withdrawn", 35)]


@pytest.mark.parametrize(("restored", "owed"), [(20, 0), (120, 1)])
def test_sev2_found_out_after_the_resolution_owes_a_direct_email_if_it_lasted(restored: float, owed: int) -> None:
    assert len(Story(SEV3).posted(5).resolved(restored).regraded(130, SEV2).of("direct_email")) == owed


def test_correcting_twice_is_correcting_once() -> None:
    story = Story().posted(10)
    story.add(EventKind.DECLARATION_CORRECTED, 20, occurred_at=minutes(5), reason="Later.")
    story.add(EventKind.DECLARATION_CORRECTED, 21, occurred_at=minutes(-10), reason="Earlier after all.")
    assert story.of("first_update") == [("late", 5)]


def test_being_down_counts_from_a_corrected_declaration_and_ends_when_service_was_back() -> None:
    earlier = Story().posted(5).add(EventKind.DECLARATION_CORRECTED, 6, occurred_at=minutes(-20), reason="Earlier.")
    assert len(earlier.resolved(20).of("public_post_mortem")) == 1
    assert Story().posted(40).resolved(50, restored=10).of("public_post_mortem") == []


def test_the_word_of_a_writer_stands_whatever_the_severity() -> None:
    slow = replace(SEV3, nudges=())
    assert Story(SEV3).posted(10, next_at=120).regraded(20, slow).of("next_update") == [("open", 120)]
