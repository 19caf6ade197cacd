"""The languages that readers are spoken to in: which a page offers; instants, spans and choices in their words."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from statuspage.rules.times import instant_in_words, span_in_words
from statuspage.rules.vocabulary import LABELS, Impact, RuleBroken, Stage

ENGLISH, GERMAN, FRENCH = "en", "de", "fr"
LANGUAGES: Mapping[str, str] = {ENGLISH: "English", GERMAN: "Deutsch", FRENCH: "Français"}
"""Code to the language's own name, since who looks for one knows that; the first stands in where there is nothing else."""

_MONTHS: Mapping[str, str] = {
    GERMAN: "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
    FRENCH: "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
}
_UNITS: Mapping[str, Mapping[str, str]] = {
    GERMAN: {"d": "Tage", "h": "Std.", "min": "Min.", "s": "Sek."},
    FRENCH: {"d": "j", "h": "h", "min": "min", "s": "s"},
}
_CHOICES: Mapping[str, Mapping[str, str]] = {
    GERMAN: {
        Impact.HIGH: "hoch",
        Impact.MEDIUM: "mittel",
        Impact.LOW: "gering",
        Stage.INVESTIGATING: "wird untersucht",
        Stage.IDENTIFIED: "Ursache gefunden",
        Stage.MONITORING: "wird beobachtet",
    },
    FRENCH: {
        Impact.HIGH: "élevé",
        Impact.MEDIUM: "moyen",
        Impact.LOW: "faible",
        Stage.INVESTIGATING: "en cours d’analyse",
        Stage.IDENTIFIED: "cause identifiée",
        Stage.MONITORING: "sous surveillance",
    },
}
_APOLOGIES: Mapping[str, str] = {
    ENGLISH: "We are sorry for the trouble this caused.",
    GERMAN: "Wir bitten Sie für die Unannehmlichkeiten um Entschuldigung.",
    FRENCH: "Nous vous prions de nous excuser pour la gêne occasionnée.",
}
_HELP: Mapping[str, str] = {
    ENGLISH: "If anything still looks wrong, please contact us: {}",
    GERMAN: "Falls bei Ihnen noch etwas nicht stimmt, wenden Sie sich bitte an uns: {}",
    FRENCH: "Si quelque chose ne va toujours pas, contactez-nous : {}",
}


def check_language(code: str) -> str:
    """Return the code of a language there is. Raises RuleBroken on ``language``."""
    if code not in LANGUAGES:
        raise RuleBroken({"language": "Please choose one of the languages."})
    return code


def check_languages(own: str, offered: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return a page's own language, and the others it offers in the order of LANGUAGES.

    Raises RuleBroken on ``language`` and ``languages`` for one that is not shipped.
    """
    wanted = set(offered)
    if own not in LANGUAGES:
        raise RuleBroken({"language": "Please choose one of the languages."})
    if not wanted <= LANGUAGES.keys():
        raise RuleBroken({"languages": "Please choose among the languages."})
    return own, tuple(language for language in LANGUAGES if language in wanted and language != own)


def spoken(wanted: str, own: str, offered: Collection[str]) -> str:
    """Return the language to speak: the one that is wanted, else the page's own."""
    return wanted if wanted in offered else own


def prefix(language: str, own: str) -> str:
    """Return what a page's path begins with in a language: nothing in the page's own."""
    return "" if language == own else f"/{language}"


def instant_in(language: str, instant: datetime) -> str:
    """Write an instant for readers of a language: ``21. Nov. 2026, 14:30 UTC``."""
    if language not in _MONTHS:
        return instant_in_words(instant)
    utc = instant.astimezone(UTC)
    day = f"{utc.day}." if language == GERMAN else "1er" if utc.day == 1 else str(utc.day)
    return f"{day} {_MONTHS[language].split()[utc.month - 1]} {utc:%Y, %H:%M} UTC"


def span_in(language: str, span: timedelta) -> str:
    """Write a span for readers of a language: ``2 Std. 10 Min.``."""
    if language not in _UNITS:
        return span_in_words(span)
    words = span_in_words(span).split()
    pairs = zip(words[::2], words[1::2], strict=True)
    return " ".join(
        "1 Tag" if (language, count, unit) == (GERMAN, "1", "d") else f"{count} {_UNITS[language][unit]}"
        for count, unit in pairs
    )


def choice_in(language: str, value: str) -> str:
    """Return an impact or a stage in the words of a language."""
    return _CHOICES[language][value] if language in _CHOICES else LABELS[value].lower()


def apology_in(language: str) -> str:
    """Return the apology that a resolve message opens with."""
    return _APOLOGIES.get(language, _APOLOGIES[ENGLISH])


def help_in(language: str, support_url: str) -> str:
    """Return the sentence that tells where to get help."""
    return _HELP.get(language, _HELP[ENGLISH]).format(support_url)
