"""Links, logos and languages of a page: what is taken and what is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.branding import LOGO_LIMIT, MOST_LINKS, Brand, Link, Logo, check_links, check_logo
from statuspage.rules.languages import LANGUAGES, check_languages, prefix, spoken
from statuspage.rules.vocabulary import RuleBroken
from tests.pictures import jpeg, png, webp


def test_links_are_taken_in_order_and_empty_lines_left_out() -> None:
    lines = [("Product", "https://example.com/"), ("", " "), ("Help", "https://example.com/help?a=b#c")]
    assert check_links("header", lines) == (Link(*lines[0]), Link(*lines[2]))


@pytest.mark.parametrize(
    ("label", "address"),
    [
        ("Product", "http://example.com/"),
        ("Product", "javascript:alert(1)"),
        ("Product", "https://"),
        ("Product", "https://user:word@example.com/"),
        ("Product", "https://example.com/ x"),
        ("Product", "https://exam\\ple.com/"),
        ("Product", "https://example.com:x/"),
        ("Product", "https://example.com/" + "x" * 500),
        ("Product", ""),
        ("", "https://example.com/"),
        ("x" * 41, "https://example.com/"),
        ("two\nlines", "https://example.com/"),
    ],
)
def test_a_link_that_is_none_is_refused_beside_its_line(label: str, address: str) -> None:
    with pytest.raises(RuleBroken) as refused:
        check_links("footer", [("Help", "https://example.com/"), (label, address)])
    assert set(refused.value.errors) == {"footer_1"}


def test_there_may_be_so_many_links_and_no_more() -> None:
    lines = [(f"Link {number}", "https://example.com/") for number in range(MOST_LINKS + 1)]
    assert len(check_links("header", lines[:-1])) == MOST_LINKS
    with pytest.raises(RuleBroken):
        check_links("header", lines)


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (png(240, 60), "png"),
        (jpeg(240, 60), "jpeg"),
        (webp("VP8 ", 240, 60), "webp"),
        (webp("VP8L", 240, 60), "webp"),
        (webp("VP8X", 240, 60), "webp"),
    ],
)
def test_a_logo_is_known_by_its_bytes_and_its_size_is_read(content: bytes, suffix: str) -> None:
    found = check_logo(content)
    assert (found.suffix, found.width, found.height) == (suffix, 240, 60)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"GIF89a\x01\0\x01\0",
        png(240, 60)[:-20],
        png(0, 60),
        png(5_000, 60),
        png(240, 60)[:24],
        jpeg(240, 60)[:-2],
        b"\xff\xd8\xff\xe0\0\x10JFIF\xff\xd9",
        b"RIFF" + struct.pack("<I", 9_999) + b"WEBPVP8 " + bytes(30),
        b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8 " + bytes(30),
        png(240, 60) + bytes(LOGO_LIMIT),
    ],
)
def test_what_is_no_such_picture_is_refused(content: bytes) -> None:
    with pytest.raises(RuleBroken) as refused:
        check_logo(content)
    assert set(refused.value.errors) == {"logo"}


@given(
    content=st.binary(max_size=80),
    head=st.sampled_from([b"", png(1, 1)[:16], b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8 "]),
)
def test_no_bytes_make_the_check_fail_in_another_way(content: bytes, head: bytes) -> None:
    try:
        check_logo(head + content)
    except RuleBroken as refused:
        assert set(refused.errors) == {"logo"}  # noqa: PT017  (some pass)


@pytest.mark.parametrize(
    ("size", "shown"), [((240, 60), (144, 36)), ((2_000, 100), (200, 10)), ((20, 10), (20, 10)), ((4_000, 1), (200, 1))]
)
def test_a_logo_is_shown_in_its_own_proportions(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert Logo("/assets/logo.png", *size).shown == shown


def test_a_page_without_wishes_has_no_styles_of_its_own() -> None:
    assert Brand().stylesheet == ""


def test_own_css_comes_after_the_colours() -> None:
    colours, _, css = Brand(accent="#2f4cc2", custom_css=".top { color: red }").stylesheet.rpartition("\n")
    assert colours.startswith(":root { --accent: #2f4cc2; --on-accent: #ffffff; --focus: #2f4cc2; }")
    assert "prefers-color-scheme: dark" in colours
    assert css == ".top { color: red }"


def test_the_languages_offered_leave_out_the_pages_own_and_keep_their_order() -> None:
    assert check_languages("de", ["fr", "de", "en"]) == ("de", ("en", "fr"))
    assert check_languages("en", []) == ("en", ())


@pytest.mark.parametrize(("own", "offered"), [("xx", []), ("", []), ("en", ["xx"]), ("en", ["../de"])])
def test_a_language_that_is_not_shipped_is_refused(own: str, offered: list[str]) -> None:
    with pytest.raises(RuleBroken):
        check_languages(own, offered)


@pytest.mark.parametrize(
    ("wanted", "language"), [("de", "de"), ("en", "en"), ("", "en"), ("fr", "en"), ("nonsense", "en")]
)
def test_what_is_not_offered_is_answered_in_the_pages_own_language(wanted: str, language: str) -> None:
    assert spoken(wanted, "en", ("de",)) == language


def test_paths_begin_with_every_language_but_the_pages_own() -> None:
    assert {language: prefix(language, "de") for language in LANGUAGES} == {"en": "/en", "de": "", "fr": "/fr"}
