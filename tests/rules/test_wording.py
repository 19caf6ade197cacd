"""Plain language: what is marked, and what is left alone."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.wording import (
    SHAPES,
    TEXT_LIMIT,
    WORDS,
    Category,
    OwnWords,
    findings,
    in_words,
    warnings,
)
from tests.rules.wording_examples import PLAIN, TECHNICAL

EXAMPLES = {name: (marked, left_alone) for name, marked, left_alone in (*TECHNICAL, *PLAIN)}
FORMS = {words.name: {form.lower() for form, _ in words.pairs} for words in WORDS}
PATTERNS = {shape.name: re.compile(shape.pattern, re.IGNORECASE if shape.any_case else 0) for shape in SHAPES}


def _is_found_by(name: str, text: str) -> bool:
    if name in PATTERNS:
        return any(PATTERNS[name].fullmatch(each.found) for each in findings(text))
    spoken = [each.found.lower().replace("-", " ").replace("/", " ") for each in findings(text)]
    return any(each in FORMS[name] for each in spoken)


def test_every_rule_has_an_example_and_a_near_miss_of_its_own() -> None:
    names = [each.name for each in (*SHAPES, *WORDS)]
    assert len(set(names)) == len(names) == len(TECHNICAL) + len(PLAIN)
    assert set(names) == set(EXAMPLES)
    assert len(names) >= 150
    assert {each.category for each in (*SHAPES, *WORDS)} == set(Category)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_rule_finds_its_example_and_its_near_miss_is_left_alone(name: str) -> None:
    marked, left_alone = EXAMPLES[name]
    assert _is_found_by(name, marked)
    assert findings(left_alone) == ()


def test_no_form_stands_in_two_rules() -> None:
    forms = [form for words in WORDS for form, _ in words.pairs]
    assert sorted(forms) == sorted(set(forms))


def test_every_rule_says_what_to_do_instead() -> None:
    assert all(each.advice and not each.advice.endswith(".") for each in (*SHAPES, *WORDS))


def test_what_stands_in_place_of_words_is_plain_itself() -> None:
    replacements = {replacement for words in WORDS for _, replacement in words.pairs if replacement}
    assert {each: findings(each) for each in replacements if findings(each)} == {}


def test_a_link_to_a_machine_of_ours_is_marked_all_the_same() -> None:
    assert [each.found for each in findings("See https://graphs.ops.internal/d/7 for more.")] == ["graphs.ops.internal"]


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("We mitigated it.", "We eased it."),
        ("Mitigating it takes long.", "Easing it takes long."),
        ("Utilize the form.", "Use the form."),
        ("It broke prior\nto noon.", "It broke before noon."),
        ("We are rolling-back a change.", "We are undoing a change."),
        ("We fix it ASAP.", "We fix it as soon as we can."),
        ("We regret any inconvenience.", "We are sorry for the trouble."),
    ],
)
def test_a_replacement_can_be_put_in_as_it_is(text: str, replaced: str) -> None:
    (found,) = findings(text)
    assert text[: found.start] + found.replacement + text[found.end :] == replaced


@pytest.mark.parametrize(
    "text",
    [
        "Signing in may take over a minute or fail with an error.",
        "About 500 customers are affected. We will tell you more by 14:30 UTC.",
        "A change we made this morning overloaded sign-in. We have undone it.",
        "Paying by card fails for most customers. Paying by bank transfer works.",
        "We are sorry for the trouble this caused.",
        "Please select a seat from the list, or update your profile.",
        "We are still working on this, and we are sorry that it takes so long.",
        "A fix has been put in place and we are watching the results.",
        "All services work again. Started 2026-11-21 13:55 UTC, lasted 1 h 15 min.",
        "Write to support@db-01.example.com, or see https://example.com/cache/pods?db_id=5.",
        "- Log out.\n- Log in again.\n\n1. Wait.\n2. Try again.",
        "**What happened.** A cable broke.",
        "Search on www.node.example and api.cluster.example is slow.",
    ],
)
def test_plain_sentences_are_left_alone(text: str) -> None:
    assert findings(text) == ()


# Sentences of the kind real status pages post, and what is marked in each: they keep the rules from drifting.
REAL = [
    ("We have deployed a fix and are monitoring the results.", ["deployed"]),
    ("The issue has been identified and a fix is being implemented.", []),
    ("We are investigating an increase in 5xx errors for downloads.", ["5xx errors"]),
    ("We are continuing to work through the backlog of page builds.", []),
    ("Load balancer upgrade has been completed.", ["Load balancer"]),
    ("Some users may see delays in search results.", []),
    ("We have rolled back to a previous deploy.", ["rolled back", "deploy"]),
    ("Clear your browser cache, then log in again.", []),
    ("There is scheduled maintenance for the cloud platform this evening.", []),
    ("We received a spike in traffic, which impacted our caching layer.", ["impacted", "caching"]),
    ("Due to a network hardware failure, some users see errors.", []),
    ("Webhook deliveries are paused.", []),
    ("This was due to a capacity problem on our vendor.", ["vendor"]),
    ("Outgoing messages will be held and sent once the work is complete.", []),
    ("We are seeing an elevated error rate.", ["error rate"]),
    ("All scheduled reports not sent out this morning have been sent.", []),
]


@pytest.mark.parametrize(("sentence", "marked"), REAL)
def test_real_sentences_are_marked_where_a_careful_editor_would(sentence: str, marked: list[str]) -> None:
    assert [each.found for each in findings(sentence)] == marked


LONG = "We saw that " + "the page is slow and " * 8 + "we look at it now."


@pytest.mark.parametrize(
    ("sentence", "advice"),
    [
        (LONG, "split it"),
        ("WE ARE WORKING ON IT NOW", "small letters"),
        ("It was seen, the page was stopped, a part was replaced and mail is held.", "who does what"),
        ("Examination, evaluation and determination of availability and reliability need an extension.", "use verbs"),
    ],
)
def test_a_sentence_that_is_hard_to_read_is_marked_as_a_whole(sentence: str, advice: str) -> None:
    (found,) = findings(f"All is well. {sentence}\nAll is well.")
    assert (found.category, found.found, found.replacement) == (Category.HARD, sentence, "")
    assert advice in found.plain


def test_a_long_sentence_is_shown_by_its_beginning() -> None:
    (found,) = findings(LONG)
    assert found.shown.endswith("…")
    assert len(found.shown) <= 60


def test_a_word_is_told_once_and_in_its_order() -> None:
    assert [each.found for each in warnings("The cache, then DNS, then the cache again.")] == ["cache", "DNS"]
    assert in_words(findings("DNS, a cluster, DNS.")) == ("DNS", "cluster")


def test_the_longest_phrase_wins_and_nothing_is_marked_twice() -> None:
    (found,) = findings("We saw an elevated error rates.".replace("an ", ""))
    assert (found.found, found.replacement) == ("elevated error rates", "more errors")


OWN = OwnWords(
    internal=("Falcon", "billing core"),
    allowed=("Search Cluster", "webhooks", "DNS"),
    people=("Alex Kim", "Will Page", "Comms Team", "Zoë O’Hara", "Bo Li"),
)


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("Falcon stopped.", ["Falcon"]),
        ("The billing core stopped.", ["billing core"]),
        ("The Search Cluster is slow.", []),
        ("A cluster is slow.", ["cluster"]),
        ("DNS is slow.", []),
        ("Alex Kim restarted it.", ["Alex Kim"]),
        ("We thank Alex for it.", ["Alex"]),
        ("Will it work? See the page.", []),
        ("We thank Will Page for it.", ["Will Page"]),
        ("Our comms team writes again.", ["comms team"]),
        ("Our team writes again.", []),
        ("Zoë restarted it.", ["Zoë"]),
        ("The bo tree is fine.", []),
    ],
)
def test_an_installation_has_words_of_its_own(text: str, marked: list[str]) -> None:
    assert [each.found for each in findings(text, OWN)] == marked


def test_the_names_of_people_count_as_blame() -> None:
    (found,) = findings("Alex Kim restarted it.", OWN)
    assert (found.category, found.replacement) == (Category.BLAME, "")
    assert "leave the name out" in found.plain


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_no_pattern_can_take_longer_than_its_text_is_long(shape: object) -> None:
    """Every repetition is bounded, so each place in a text costs a bounded number of steps."""
    pattern = re.sub(r"\\.|\[[^\]]*\]", "x", shape.pattern)  # type: ignore[attr-defined]
    assert not re.search(r"[*+]|\{\d*,\}", pattern)


WORDY = st.sampled_from(
    ["SELECT ", "a.", "1:", "::", "db-", "-", "_", "x_", "/var/", "We are ", "<a ", "\n", "[4", "5xx "]
)


@given(st.lists(WORDY, max_size=400).map("".join) | st.text(max_size=2_000))
def test_no_text_is_too_odd(text: str) -> None:
    found = findings(text, OWN)
    assert all(text[each.start : each.end] == each.found for each in found)
    words = [each for each in found if each.category is not Category.HARD]
    assert all(earlier.end <= later.start for earlier, later in itertools.pairwise(words))


def test_nothing_is_looked_for_beyond_the_limit() -> None:
    before = "All is well.\n" * (TEXT_LIMIT // 13)
    assert [each.found for each in findings(f"{before[:-40]}\nDNS. {before}")] == ["DNS"]
    assert findings(f"{before}{before}DNS") == ()
