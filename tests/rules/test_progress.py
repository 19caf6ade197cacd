"""How far an announcement has come, in words."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.progress import ALONE, RECEIPTS_TAKE, WORDS, progress, reach_in_words
from statuspage.rules.vocabulary import SubscriptionMethod


def test_states_that_mean_the_same_to_a_writer_are_counted_together() -> None:
    counts = {"submitted": 3, "delivered": 9, "bounced": 1, "dropped": 1, "complained": 1, "queued": 2, "leased": 2}
    found = progress(counts | {"unknown": 1, "dead": 1}, timedelta(minutes=1))
    assert found.parts == (
        ("handed over", 3),
        ("delivered", 9),
        ("bounced", 3),
        ("waiting", 4),
        ("answer missing", 1),
        ("failed", 1),
    )
    assert (found.total, found.waiting, found.done) == (21, 5, 16)


@pytest.mark.parametrize(
    ("age", "word"),
    [(RECEIPTS_TAKE, "handed over"), (RECEIPTS_TAKE + timedelta(seconds=1), "handed over, no receipt")],
)
def test_after_an_hour_no_receipt_is_expected_any_more(age: timedelta, word: str) -> None:
    assert progress({"submitted": 2}, age).parts == ((word, 2),)


@given(st.dictionaries(st.sampled_from(sorted(WORDS)), st.integers(0, 10**6)))
def test_nobody_is_counted_twice_or_lost(counts: dict[str, int]) -> None:
    found = progress(counts, timedelta(0))
    assert sum(count for _, count in found.parts) == found.total == found.done + found.waiting == sum(counts.values())
    assert all(count for _, count in found.parts)


def test_every_state_has_words_by_itself_too() -> None:
    assert set(ALONE) == set(WORDS)


@pytest.mark.parametrize(
    ("reach", "words"),
    [
        ({}, ""),
        ({"email": 1}, "1 person by e-mail"),
        ({"slack": 3, "email": 1204, "webhook": 12}, "1,204 people by e-mail, 12 webhooks, 3 Slack rooms"),
        ({"teams": 1, "discord": 2, "email": 0}, "1 Teams room, 2 Discord rooms"),
    ],
)
def test_reach_is_told_by_method(reach: dict[str, int], words: str) -> None:
    assert reach_in_words({SubscriptionMethod(method): count for method, count in reach.items()}) == words
