"""The languages messages can be written in: their names, and instants, spans and choices in their words."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from statuspage.rules.times import instant_in_words, span_in_words
from statuspage.rules.vocabulary import LABELS, Impact, RuleBroken, Stage

ENGLISH, GERMAN, FRENCH = "en", "de", "fr"
LANGUAGES: Mapping[str, str] = {ENGLISH: "English", GERMAN: "Deutsch", FRENCH: "Français"}
"""Code to the language's own name; the first is what stands in where there is nothing else."""

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
