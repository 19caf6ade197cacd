"""What becomes of a mail: no order of a provider's events moves it backwards."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules import deliveries
from statuspage.rules.deliveries import DeliveryState, Event, Verdict, after_event, blames_address, read_event

S, E = DeliveryState, Event
OURS = (S.QUEUED, S.LEASED, S.UNKNOWN, S.CANCELLED, S.SUPERSEDED, S.DEAD)
# From the least to the most that a provider can tell.
PROVEN = (S.SUBMITTED, S.DROPPED, S.DELIVERED, S.BOUNCED, S.COMPLAINED)
SAYS = {
    E.PROCESSED: S.SUBMITTED,
    E.DEFERRED: S.SUBMITTED,
    E.DROPPED: S.DROPPED,
    E.DELIVERED: S.DELIVERED,
    E.BOUNCE: S.BOUNCED,
    E.BLOCKED: S.BOUNCED,
    E.COMPLAINT: S.COMPLAINED,
}


def rank(state: DeliveryState) -> int:
    return PROVEN.index(state) + 1 if state in PROVEN else 0


def after(state: DeliveryState, events: list[Event]) -> DeliveryState:
    for event in events:
        state = after_event(state, event)
    return state


@pytest.mark.parametrize("state", OURS)
@pytest.mark.parametrize(("event", "expected"), SAYS.items())
def test_whatever_we_supposed_the_provider_knows_better(
    state: DeliveryState, event: Event, expected: DeliveryState
) -> None:
    assert after_event(state, event) is expected


@pytest.mark.parametrize(
    ("state", "event", "expected"),
    [
        (S.SUBMITTED, E.PROCESSED, S.SUBMITTED),
        (S.SUBMITTED, E.DELIVERED, S.DELIVERED),
        (S.DELIVERED, E.PROCESSED, S.DELIVERED),
        (S.DELIVERED, E.DEFERRED, S.DELIVERED),
        (S.DELIVERED, E.BOUNCE, S.BOUNCED),
        (S.DELIVERED, E.BLOCKED, S.BOUNCED),
        (S.DELIVERED, E.COMPLAINT, S.COMPLAINED),
        (S.DELIVERED, E.DROPPED, S.DELIVERED),
        (S.DROPPED, E.PROCESSED, S.DROPPED),
        (S.DROPPED, E.DELIVERED, S.DELIVERED),
        (S.BOUNCED, E.DELIVERED, S.BOUNCED),
        (S.BOUNCED, E.COMPLAINT, S.COMPLAINED),
        (S.COMPLAINED, E.BOUNCE, S.COMPLAINED),
        (S.COMPLAINED, E.DELIVERED, S.COMPLAINED),
    ],
)
def test_what_was_proven_gives_way_only_to_more(state: DeliveryState, event: Event, expected: DeliveryState) -> None:
    assert after_event(state, event) is expected


@pytest.mark.parametrize("state", DeliveryState)
@pytest.mark.parametrize("event", [E.OTHER, E.UNSUBSCRIBE])
def test_reading_and_unsubscribing_change_no_delivery(state: DeliveryState, event: Event) -> None:
    assert after_event(state, event) is state


@given(st.sampled_from(DeliveryState), st.sampled_from(Event))
def test_no_event_moves_a_delivery_backwards(state: DeliveryState, event: Event) -> None:
    assert rank(after_event(state, event)) >= rank(state)


@given(st.data(), st.sampled_from(DeliveryState), st.lists(st.sampled_from(Event), max_size=8))
def test_any_order_and_any_repetition_end_in_the_same_state(
    data: st.DataObject, state: DeliveryState, events: list[Event]
) -> None:
    again = data.draw(st.lists(st.sampled_from(events), max_size=8) if events else st.just([]))
    shuffled = data.draw(st.permutations(events + again))
    assert after(state, shuffled) is after(state, events)


@given(st.sampled_from(DeliveryState), st.lists(st.sampled_from(Event), min_size=1))
def test_a_complaint_is_never_forgotten(state: DeliveryState, events: list[Event]) -> None:
    assert (after(state, events) is S.COMPLAINED) is (state is S.COMPLAINED or E.COMPLAINT in events)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("processed", "", E.PROCESSED),
        ("bounce", "bounce", E.BOUNCE),
        ("bounce", "", E.BOUNCE),
        ("bounce", "blocked", E.BLOCKED),
        ("bounce", "expired", E.BLOCKED),
        ("spamreport", "", E.COMPLAINT),
        ("group_unsubscribe", "", E.UNSUBSCRIBE),
        ("group_resubscribe", "", E.OTHER),
        ("open", "", E.OTHER),
        ("account_status_change", "", E.OTHER),
        ("", "", E.OTHER),
    ],
)
def test_the_words_of_the_provider(name: str, kind: str, expected: Event) -> None:
    assert read_event(name, kind) is expected


@pytest.mark.parametrize(
    ("event", "reason", "expected"),
    [
        (E.PROCESSED, "", Verdict.NOTHING),
        (E.DEFERRED, "450 4.2.1 later", Verdict.NOTHING),
        (E.DELIVERED, "", Verdict.REACHED),
        (E.BOUNCE, "550 5.1.1", Verdict.HARD_BOUNCE),
        (E.BLOCKED, "550 5.7.1", Verdict.SOFT_BOUNCE),
        (E.COMPLAINT, "", Verdict.COMPLAINT),
        (E.UNSUBSCRIBE, "", Verdict.UNSUBSCRIBE),
        (E.DROPPED, "Bounced Address", Verdict.HARD_BOUNCE),
        (E.DROPPED, "Invalid", Verdict.HARD_BOUNCE),
        (E.DROPPED, "Spam Reporting Address", Verdict.COMPLAINT),
        (E.DROPPED, "Unsubscribed Address", Verdict.UNSUBSCRIBE),
        (E.DROPPED, "Invalid SMTPAPI header", Verdict.NOTHING),
        (E.DROPPED, "Recipient List over Package Quota", Verdict.NOTHING),
        (E.DROPPED, "Spam Content", Verdict.NOTHING),
        (E.DROPPED, "", Verdict.NOTHING),
        (E.OTHER, "Bounced Address", Verdict.NOTHING),
    ],
)
def test_what_an_event_tells_of_the_address(event: Event, reason: str, expected: Verdict) -> None:
    assert deliveries.verdict(event, reason) is expected


@pytest.mark.parametrize(
    ("count", "days", "expected"), [(4, 30, False), (5, 6.9, False), (5, 7, True), (50, 1, False), (6, 8, True)]
)
def test_soft_bounces_count_in_a_row_and_over_a_week(count: int, days: float, expected: bool) -> None:
    first = datetime(2026, 11, 1, tzinfo=UTC)
    assert deliveries.is_given_up(count, first, first + timedelta(days=days)) is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("550 5.1.1 <ada@example.com>: Recipient address rejected: User unknown", True),
        ("550-5.1.1 The email account that you tried to reach does not exist.", True),
        ("550 #5.1.1 no such user", True),
        ("554 5.1.2 Domain not found", True),
        ("556 5.1.10 Recipient address has a null MX", True),
        ("550 5.2.1 The email account that you tried to reach is disabled.", True),
        ("550 No such user here", True),
        ("550 user ada does not exist", True),
        ("553 Invalid recipient ada@example.com", True),
        ("552 5.2.2 Mailbox full", False),
        ("550 5.7.1 Message blocked by policy", False),
        ("550 5.7.515 Access denied, sending domain does not meet the required level", False),
        ("550 5.7.1 <ada@example.com>: Recipient address rejected: User unknown", False),
        ("553 5.1.8 Sender address rejected: Domain not found", False),
        ("550 Sender unknown", False),
        ("550 relaying denied for unknown user", False),
        ("550 Message rejected as spam by Content Filtering.", False),
        ("550 mailbox unavailable", False),
        ("554 user unknown", False),
        ("450 4.1.1 User unknown in local recipient table", False),
        ("5.1.1 user unknown", False),
        ("5501 5.1.1", False),
        ("Connection unexpectedly closed", False),
        ("", False),
    ],
)
def test_only_refusals_that_blame_the_address_count_against_it(answer: str, expected: bool) -> None:
    assert blames_address(answer) is expected
