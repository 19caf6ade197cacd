"""Every text that readers see is translated, with the same placeholders and the same marks, and compiled."""

import gettext
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from statuspage.languages import catalog, filters, translated
from statuspage.rules.languages import LANGUAGES
from tests import catalogs

PLACEHOLDER = re.compile(r"%\([a-z_]+\)s|%%")
TAG = re.compile(r"</?[a-z]+[^>]*>")
NOW = datetime(2026, 11, 1, 14, 30, tzinfo=UTC)


def strings(language: str) -> list[tuple[str, str]]:
    """Each text with its translation; of counted things each form."""
    found = []
    for message in catalogs.read(language):
        if message.id:
            texts = message.id if isinstance(message.id, tuple) else (message.id,)
            said = message.string if isinstance(message.string, tuple) else (message.string,)
            found += zip(texts, said, strict=True)
    return found


@pytest.mark.parametrize("language", catalogs.TRANSLATED)
def test_every_text_has_a_translation_and_no_catalog_has_another(language: str) -> None:
    message_ids = {each.id[0] if isinstance(each.id, tuple) else each.id for each in catalogs.read(language)} - {""}
    assert message_ids == set(catalogs.wanted()), "run `make texts`"
    assert [text for text, said in strings(language) if not said] == []


@pytest.mark.parametrize("language", catalogs.TRANSLATED)
def test_translations_have_the_placeholders_and_the_marks_of_the_english_text(language: str) -> None:
    for text, said in strings(language):
        assert sorted(PLACEHOLDER.findall(said)) == sorted(PLACEHOLDER.findall(text)), text
        assert sorted(TAG.findall(said)) == sorted(TAG.findall(text)), text
        assert said[-1:] in ".!?:…" or text[-1:] not in ".!?:…", text
        assert not said.startswith((" ", "\n"))
        assert "% " not in said.replace("%%", "")


@pytest.mark.parametrize("language", catalogs.TRANSLATED)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    compiled = catalog(language)
    assert isinstance(compiled, gettext.GNUTranslations)
    for message in catalogs.read(language):
        if isinstance(message.id, tuple):
            forms = [compiled.ngettext(*message.id, count) for count in (1, 2)]
            assert forms == list(message.string), "run `make texts`"
        elif message.id:
            assert compiled.gettext(message.id) == message.string, "run `make texts`"


def test_no_french_line_breaks_before_a_colon() -> None:
    assert [said for _, said in strings("fr") if re.search(r" [:;!?»]|« ", said)] == []


def test_people_are_addressed_politely() -> None:
    informal = {"de": r"\b(du|dich|dir|dein\w*|euch)\b", "fr": r"\b(tu|te|toi|ton|ta|tes)\b"}
    for language, words in informal.items():
        assert [said for _, said in strings(language) if re.search(words, said, re.IGNORECASE)] == []


def test_every_language_is_called_what_it_calls_itself() -> None:
    assert list(LANGUAGES.values()) == ["English", "Deutsch", "Français"]


@pytest.mark.parametrize(
    ("language", "instant", "span", "long_day", "short_day", "month"),
    [
        ("en", "1 Nov 2026, 14:30 UTC", "2 h 10 min", "Sun, 1 November", "1 Nov", "November 2026"),
        ("de", "1. Nov. 2026, 14:30 UTC", "2 Std. 10 Min.", "So., 1. November", "1. Nov.", "November 2026"),
        ("fr", "1 nov. 2026, 14:30 UTC", "2 h 10 min", "dim. 1 novembre", "1 nov.", "novembre 2026"),
    ],
)
def test_dates_and_spans_are_written_as_the_language_does(
    language: str, instant: str, span: str, long_day: str, short_day: str, month: str
) -> None:
    write = filters(language)
    day = date(2026, 11, 1)
    assert write["instant"](NOW) == instant
    assert " ".join(write["span"](timedelta(hours=2, minutes=10)).split()) == span
    assert (write["long_day"](day), write["short_day"](day), write["month"](day)) == (long_day, short_day, month)


def test_a_window_is_written_in_the_pages_zone_and_in_utc() -> None:
    write = filters("de")["window"]
    said = write(NOW, NOW + timedelta(hours=2), ZoneInfo("Europe/Berlin"))
    assert said == "1. Nov. 2026, 15:30 CET (14:30 UTC) – 1. Nov. 2026, 17:30 CET (16:30 UTC), 2 Std."
    assert write(NOW, NOW + timedelta(hours=2), ZoneInfo("Etc/UTC")).startswith("1. Nov. 2026, 14:30 UTC – ")


def test_words_of_the_program_are_translated_by_themselves() -> None:
    assert translated("Investigating", "de") == "Wird untersucht"
    assert translated("Investigating", "en") == "Investigating"
    # What nobody knows, such as a stage of somebody's own, stays; so does nothing at all.
    assert translated("Our own word", "fr") == "Our own word"
    assert translated("", "de") == ""
