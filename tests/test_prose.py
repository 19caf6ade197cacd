"""What people write, as plain text shows it best."""

import pytest

from statuspage import prose


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("**What happened.** Signing in failed.", "What happened. Signing in failed."),
        ("__Now__ and **then**", "Now and then"),
        ("See [our blog](https://example.com/a_b).", "See our blog (https://example.com/a_b)."),
        ("Write to [us](mailto:help@example.com)", "Write to us (mailto:help@example.com)"),
        # What is no mark stays as it was typed.
        ("2 ** 3 ** 4", "2 ** 3 ** 4"),
        ("snake_case and __init__.py", "snake_case and init.py"),
        ("[not a link] (at all)", "[not a link] (at all)"),
        ("[no](javascript:alert)", "[no](javascript:alert)"),
        ("- one\n- two", "- one\n- two"),
        ("", ""),
    ],
)
def test_plain_text_is_without_stars_and_says_where_links_lead(written: str, read: str) -> None:
    assert prose.to_text(written) == read
