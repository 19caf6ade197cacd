"""What readers are told in their language: the catalogs of texts, and dates and spans as each language writes them."""

import gettext
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from statuspage.rules.languages import ENGLISH
from statuspage.rules.maintenance import window_in_words, zone_name
from statuspage.rules.times import instant_in_words, span_in_words
from statuspage.rules.vocabulary import LABELS

CATALOGS = Path(__file__).resolve().parent / "translations"

Filters = Mapping[str, Callable[..., Any]]


@cache
def catalog(language: str) -> gettext.NullTranslations:
    """Return the texts of a language; English is what the templates are written in."""
    if language == ENGLISH:
        return gettext.NullTranslations()
    return gettext.translation("messages", CATALOGS, [language])


def translated(text: str, language: str, **values: object) -> str:
    """Return a text in a language, with its values put in; as it is where the catalog does not know it."""
    # The empty text is the catalog's own head.
    said = catalog(language).gettext(text) if text else text
    return said % values if values else said


@cache
def filters(language: str) -> Filters:
    """Return the filters of templates that write states, dates and spans."""

    def label(word: str) -> str:
        """Return a state, stage or role as readers see it."""
        return translated(LABELS[word], language)

    def said(text: str) -> str:
        """Return a text of the program, not of a template, as readers see it."""
        return translated(text, language)

    return {"label": label, "said": said, **(_ENGLISH if language == ENGLISH else _of(language))}


def _english_date(form: str) -> Callable[[date], str]:
    # The day stands apart: a leading zero has no name of its own in strftime.
    return lambda day: day.strftime(form.replace("%-d", str(day.day)))


_ENGLISH: Filters = {
    "instant": instant_in_words,
    "span": span_in_words,
    "long_day": _english_date("%a, %-d %B"),
    "short_day": _english_date("%-d %b"),
    "month": _english_date("%B %Y"),
    "window": window_in_words,
    "decimal": str,
    "inside": str.lower,
}


# How other languages write an instant, a day of this year, the same in short, and a month (Unicode TR 35).
_FORMS: Mapping[str, tuple[str, str, str, str]] = {
    "de": ("d. MMM y, HH:mm", "EEE, d. MMMM", "d. MMM", "MMMM y"),
    "fr": ("d MMM y, HH:mm", "EEE d MMMM", "d MMM", "MMMM y"),
}
_UNITS = {"d": "day", "h": "hour", "min": "minute", "s": "second"}


def _of(language: str) -> Filters:
    # Nouns keep their capitals in German.
    inside = str if language == "de" else str.lower

    # Names of days and months in every language of the world: only who speaks another than English needs them.
    from babel.dates import format_date, format_datetime
    from babel.units import format_unit

    forms = _FORMS[language]

    def instant(moment: datetime) -> str:
        return f"{format_datetime(moment.astimezone(UTC), forms[0], locale=language)} UTC"

    def span(length: timedelta) -> str:
        parts = span_in_words(length).split()
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return " ".join(format_unit(int(n), f"duration-{_UNITS[unit]}", "short", locale=language) for n, unit in pairs)

    def local(moment: datetime, zone: ZoneInfo) -> str:
        here = moment.astimezone(zone)
        if here.utcoffset() == timedelta(0):
            return instant(moment)
        there = moment.astimezone(UTC)
        beside = f"{there:%H:%M} UTC" if here.date() == there.date() else instant(moment)
        return f"{format_datetime(here.replace(tzinfo=None), forms[0], locale=language)} {zone_name(here)} ({beside})"

    def window(begins: datetime, ends: datetime, zone: ZoneInfo) -> str:
        return f"{local(begins, zone)} – {local(ends, zone)}, {span(ends - begins)}"

    def decimal(number: str) -> str:
        return number.replace(".", ",")

    def dated(form: str) -> Callable[[date], str]:
        return lambda day: str(format_date(day, form, locale=language))

    named = zip(("long_day", "short_day", "month"), forms[1:], strict=True)
    dates = {name: dated(form) for name, form in named}
    return {"instant": instant, "span": span, "window": window, "decimal": decimal, "inside": inside, **dates}
