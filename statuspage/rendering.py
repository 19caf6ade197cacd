"""The Jinja environment of page, feeds and mail, and the filters every template knows."""

import json
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from statuspage.rules.times import instant_in_words, moment_in_words, span_in_words
from statuspage.rules.vocabulary import LABELS

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"


def machine_instant(instant: datetime) -> str:
    """Write an instant for a ``datetime`` attribute: ``2026-11-21T14:30:00Z``."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def label(word: str) -> str:
    """Return a state, stage or role as readers see it."""
    return LABELS[word]


def remembered(macro: Callable[..., str]) -> Callable[..., str]:
    """Give a macro a memory: what is the same as in the last publication is not written out again."""

    @lru_cache(maxsize=4096)
    def written(*arguments: Hashable) -> str:
        return macro(*arguments)

    return written


FILTERS: Mapping[str, Callable[..., Any]] = {
    "instant": instant_in_words,
    "moment": moment_in_words,
    "machine_instant": machine_instant,
    "span": span_in_words,
    "label": label,
    "remembered": remembered,
}


@cache
def environment() -> Environment:
    """Return the environment that knows nothing of requests or sessions."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html", "xml", "svg"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    return made


def json_text(content: object) -> bytes:
    """Return JSON as Rails writes it: nothing in it can end a script or start a tag."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    # Outside texts JSON has none of these characters.
    for character in "&<>\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()
