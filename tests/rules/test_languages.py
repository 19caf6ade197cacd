"""Messages in the words of their language, and what changed between two wordings."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules import messages
from statuspage.rules.differences import Mark, compare
from statuspage.rules.languages import (
    LANGUAGES,
    apology_in,
    check_language,
    choice_in,
    help_in,
    instant_in,
    span_in,
)
from statuspage.rules.progress import ways_in_words
from statuspage.rules.vocabulary import OPEN_STAGES, Impact, RuleBroken, SubscriptionMethod

INSTANT = datetime(2026, 3, 1, 9, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", "1 Mar 2026, 09:05 UTC"),
        ("de", "1. März 2026, 09:05 UTC"),
        ("fr", "1er mars 2026, 09:05 UTC"),
        ("tlh", "1 Mar 2026, 09:05 UTC"),
    ],
)
def test_instants_are_written_as_a_language_writes_them(language: str, written: str) -> None:
    assert instant_in(language, INSTANT) == written


@pytest.mark.parametrize(
    ("language", "span", "written"),
    [
        ("en", timedelta(hours=2, minutes=10), "2 h 10 min"),
        ("de", timedelta(hours=2, minutes=10), "2 Std. 10 Min."),
        ("de", timedelta(days=1, hours=3), "1 Tag 3 Std."),
        ("de", timedelta(days=2), "2 Tage"),
        ("fr", timedelta(days=2, hours=4), "2 j 4 h"),
        ("fr", timedelta(seconds=45), "45 s"),
    ],
)
def test_spans_are_written_as_a_language_writes_them(language: str, span: timedelta, written: str) -> None:
    assert span_in(language, span) == written


@given(
    st.sampled_from(list(LANGUAGES)),
    st.timedeltas(timedelta(0), timedelta(days=400)),
    st.datetimes(timezones=st.just(UTC)),
)
def test_every_span_and_instant_can_be_written(language: str, span: timedelta, instant: datetime) -> None:
    assert span_in(language, span)
    assert instant_in(language, instant).endswith(" UTC")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_words_for_every_choice(language: str) -> None:
    words = [choice_in(language, value.value) for value in (*Impact, *OPEN_STAGES)]
    assert len(set(words)) == len(words)
    assert apology_in(language)
    assert help_in(language, "https://help.example.com").endswith(": https://help.example.com")


def test_a_language_there_is_not_is_refused() -> None:
    with pytest.raises(RuleBroken) as refused:
        check_language("tlh")
    assert refused.value.errors == {"language": "Please choose one of the languages."}


def test_a_saved_reply_holds_what_is_known_beforehand_and_nothing_else() -> None:
    typed = {"affected": " Signing in ", "symptoms": "It fails.\r\nOften.", "impact": "high", "csrf_token": "x"}
    assert messages.check_opening(typed) == {"affected": "Signing in", "symptoms": "It fails.\nOften."}
    with pytest.raises(RuleBroken) as refused:
        messages.check_opening({})
    assert set(refused.value.errors) == {"affected", "symptoms"}


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("a\nb", "a\nb", [("same", "a"), ("same", "b")]),
        ("a\nb", "a\nc", [("same", "a"), ("removed", "b"), ("added", "c")]),
        ("a", "a\n\nb", [("same", "a"), ("added", ""), ("added", "b")]),
        ("a\nb\nc", "c", [("removed", "a"), ("removed", "b"), ("same", "c")]),
    ],
)
def test_what_changed_is_told_line_by_line(before: str, after: str, lines: list[tuple[str, str]]) -> None:
    assert [(line.mark.value, line.text) for line in compare(before, after)] == lines


@given(st.text("ab\n"), st.text("ab\n"))
def test_a_comparison_holds_both_texts_whole(before: str, after: str) -> None:
    lines = compare(before, after)
    assert "\n".join(line.text for line in lines if line.mark is not Mark.ADDED) == before
    assert "\n".join(line.text for line in lines if line.mark is not Mark.REMOVED) == after


@pytest.mark.parametrize(
    ("reach", "words"),
    [
        ({}, (("E-mail", "nobody"), ("Slack", "nobody"))),
        (
            {SubscriptionMethod.EMAIL: 1240, SubscriptionMethod.SLACK: 1, SubscriptionMethod.WEBHOOK: 3},
            (("E-mail", "1,240 people"), ("Slack", "1 room"), ("Webhooks", "3 addresses")),
        ),
    ],
)
def test_each_way_is_told_with_how_many_it_reaches(
    reach: dict[SubscriptionMethod, int], words: tuple[tuple[str, str], ...]
) -> None:
    assert ways_in_words(reach) == words
