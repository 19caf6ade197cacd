"""The languages the product speaks to readers, and which of them a page offers."""

from collections.abc import Collection, Iterable, Mapping

from statuspage.rules.vocabulary import RuleBroken

ENGLISH = "en"
# Each in its own words: who looks for a language knows that name of it.
LANGUAGES: Mapping[str, str] = {ENGLISH: "English", "de": "Deutsch", "fr": "Français"}


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
