"""Plain language: what is marked, and what is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.wording import RULES, Category, warnings


@pytest.mark.parametrize(
    ("text", "category", "found"),
    [
        ("10.0.3.7 does not answer.", Category.ADDRESS, "10.0.3.7"),
        ("We restarted db-01.internal.", Category.ADDRESS, "db-01.internal"),
        ("Requests fail with HTTP 503.", Category.ERROR_CODE, "HTTP 503"),
        ("You may see 502s.", Category.ERROR_CODE, "502s"),
        ("The cause is ORA-00600.", Category.ERROR_CODE, "ORA-00600"),
        ("A NullPointerException was thrown.", Category.PROGRAM_TEXT, "NullPointerException"),
        ("SELECT name FROM users was slow.", Category.PROGRAM_TEXT, "SELECT name FROM"),
        ("Our Postgres was overloaded.", Category.JARGON, "Postgres"),
        ("We are rolling back a change.", Category.JARGON, "rolling back"),
        ("We are seeing high latency.", Category.JARGON, "latency"),
        ("It was human error.", Category.BLAME, "human error"),
        ("An engineer forgot to renew it.", Category.BLAME, "An engineer forgot"),
    ],
)
def test_what_customers_do_not_understand_is_marked_with_a_plain_word(
    text: str, category: Category, found: str
) -> None:
    marked = [(each.category, each.found) for each in warnings(text)]
    assert (category, found) in marked
    assert all(each.plain for each in warnings(text))


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
    ],
)
def test_plain_sentences_are_left_alone(text: str) -> None:
    assert warnings(text) == ()


def test_a_word_is_marked_once_and_in_its_order() -> None:
    found = [each.found for each in warnings("The cache, then DNS, then the cache again.")]
    assert found == ["cache", "DNS"]


def test_every_rule_says_what_to_write_instead() -> None:
    assert all(rule.plain and rule.pattern for rule in RULES)


@given(st.text(max_size=2_000))
def test_no_text_is_too_odd(text: str) -> None:
    assert all(each.found in text for each in warnings(text))
