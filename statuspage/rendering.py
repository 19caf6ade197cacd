"""The Jinja environment of page, feeds and mail, and the filters every template knows."""

import json
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_eval_context, select_autoescape
from jinja2.nodes import EvalContext
from markupsafe import Markup

from statuspage.languages import catalog, filters, translated
from statuspage.rules.languages import ENGLISH
from statuspage.rules.times import moment_in_words

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"


def machine_instant(instant: datetime) -> str:
    """Write an instant for a ``datetime`` attribute: ``2026-11-21T14:30:00Z``."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def remembered(macro: Callable[..., str]) -> Callable[..., str]:
    """Give a macro a memory: what is the same as in the last publication is not written out again."""

    @lru_cache(maxsize=4096)
    def written(*arguments: Hashable) -> str:
        return macro(*arguments)

    return written


FILTERS: Mapping[str, Callable[..., Any]] = {
    **filters(ENGLISH),
    "moment": moment_in_words,
    "machine_instant": machine_instant,
    "remembered": remembered,
}


@cache
def environment(language: str = ENGLISH, prefix: str = "") -> Environment:
    """Return the environment that knows nothing of requests or sessions.

    It speaks one language; ``prefix`` is what the paths of the page begin
    with in it, like ``/de``.
    """
    made = Environment(
        extensions=["jinja2.ext.i18n"],
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html", "xml", "svg"]),
        undefined=StrictUndefined,
        # Publishers know the templates by a fingerprint that is taken once.
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Of the extension, which has no types.
    made.install_gettext_translations(catalog(language), newstyle=True)  # type: ignore[attr-defined]
    made.filters.update({**FILTERS, **filters(language)})
    subscribe_url = f"/subscribe?language={language}" if prefix else "/subscribe"
    made.globals.update(language=language, prefix=prefix, subscribe_url=subscribe_url, _=_sayer(language))
    return made


def _sayer(language: str) -> Callable[..., str]:
    """Return what templates call ``_``: the extension's own takes ten times as long for a text without values."""

    @cache
    def known(text: str, is_markup: bool) -> str:
        said = translated(text, language)
        return Markup(said) if is_markup else said  # noqa: S704  (of the templates and catalogs)

    @cache
    def whole(text: str, is_markup: bool) -> str:
        return known(text, is_markup) % {}

    @pass_eval_context
    def say(context: EvalContext, text: str, **values: object) -> str:
        return known(text, context.autoescape) % values if values else whole(text, context.autoescape)

    return say


def json_text(content: object) -> bytes:
    """Return JSON as Rails writes it: nothing in it can end a script or start a tag."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    # Outside texts JSON has none of these characters.
    for character in "&<>\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()
