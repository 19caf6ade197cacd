"""What is to be translated, read from the templates and the code; `make texts` writes it into the catalogs."""

import ast
import inspect
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from statuspage.actions import people, subscriptions
from statuspage.delivery import guard, notes
from statuspage.languages import CATALOGS
from statuspage.rendering import TEMPLATES
from statuspage.rules import subscriptions as subscription_rules
from statuspage.rules.languages import ENGLISH, LANGUAGES
from statuspage.rules.vocabulary import (
    LABELS,
    PAGE_STATE_WORDS,
    ComponentState,
    Impact,
    MaintenanceMessage,
    MaintenanceStage,
    Stage,
    SubscriptionKind,
    SubscriptionMethod,
)
from statuspage.site import banner, cards, feeds, headline, notices
from statuspage.web import subscribe

TRANSLATED = [language for language in LANGUAGES if language != ENGLISH]
# A catalog says nothing of when it was made: it changes with the texts alone.
WRITTEN = datetime(2026, 11, 21, tzinfo=UTC)
HEAD: dict[str, Any] = {
    "header_comment": "# What readers of the status page are told. Renewed by `make texts`.",
    "project": "statuspage",
    "version": "1",
    "creation_date": WRITTEN,
    "revision_date": WRITTEN,
    "last_translator": "statuspage",
    "language_team": "statuspage",
    "msgid_bugs_address": "none",
}
# What readers see; the console and the team's mails are English.
FOR_READERS = ("public/*.html", "mail/**/*.html", "mail/**/*.txt", "components/*.html")
SHOWN = (ComponentState, Stage, MaintenanceStage, MaintenanceMessage, Impact, SubscriptionMethod, SubscriptionKind)
# Names that are the same in every language.
NAMES = {"Slack", "Microsoft Teams", "Discord", "Webhook"}
# Where sentences stand that are shown beside a field of the sign-up form.
SPEAKING = (subscription_rules, subscriptions, guard, subscribe, people.check_email)
PACKAGE = CATALOGS.parent
OTHERS = {"Update", feeds.ABOUT, notes.ENDPOINT_TEST, *feeds.KINDS.values()}


def template_texts() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Each template's name and a text in it; of counted things both forms."""
    for file in sorted({file for pattern in FOR_READERS for file in TEMPLATES.glob(pattern)}):
        options = {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
        functions = {"_": None, "gettext": None, "ngettext": (1, 2)}
        for _, _, texts, _ in babel_extract(io.BytesIO(file.read_bytes()), list(functions), (), options):
            name = str(file.relative_to(TEMPLATES))
            # With values to be put in the extractor gives more than the text.
            strings = tuple(text for text in (texts if isinstance(texts, tuple) else (texts,)) if text is not None)
            yield name, strings if len(strings) == 2 else strings[0]


def program_texts() -> set[str]:
    """What is translated by its words: labels, and sentences about what was typed."""
    labels = {LABELS[member] for kind in SHOWN for member in kind if member in LABELS} - NAMES
    sentences = {text for part in SPEAKING for text in _sentences(part)}
    asked = {text for file in PACKAGE.rglob("*.py") for text in _asked(file)}
    shown = {*PAGE_STATE_WORDS.values(), *headline.WORDS, *notices.WORDS, *cards.PICTURES.values()}
    return labels | shown | sentences | asked | {*banner.WORDS.values()} | OTHERS


def _asked(file: Path) -> Iterator[str]:
    """The texts that code asks for by their English words."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "translated":
            text = node.args[0]
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield text.value


def _sentences(part: ModuleType | object) -> Iterator[str]:
    tree = ast.parse(inspect.getsource(part))  # type: ignore[arg-type]
    inside = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "RuleBroken"]
    told = {
        node.value
        for call in inside
        for node in ast.walk(call)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    told |= {
        node.value
        for statement in ast.walk(tree)
        if isinstance(statement, ast.Assign)
        for node in ast.walk(statement.value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    yield from (text for text in told if text.endswith(".") and text[0].isupper() and " " in text)


def wanted() -> dict[str, set[str]]:
    """Every text, and where it stands; of counted things the first form stands for both."""
    found: dict[str, set[str]] = {}
    for name, text in template_texts():
        found.setdefault(text if isinstance(text, str) else text[0], set()).add(name)
    for text in program_texts():
        found.setdefault(text, set()).add("the program")
    return found


def catalog_file(language: str, suffix: str = "po") -> Path:
    return CATALOGS / language / "LC_MESSAGES" / f"messages.{suffix}"


def read(language: str) -> Catalog:
    with catalog_file(language).open("rb") as file:
        return read_po(file, locale=language)


def compiled(catalog: Catalog) -> bytes:
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def renew(language: str) -> None:
    """Write what is new into a catalog, take out what is gone, compile it."""
    before = read(language) if catalog_file(language).exists() else Catalog(locale=language)
    made = Catalog(locale=language, charset="utf-8", fuzzy=False, **HEAD)
    plurals = {text[0]: text for _, text in template_texts() if not isinstance(text, str)}
    for text, places in sorted(wanted().items()):
        known = before.get(text)
        empty = ("", "") if text in plurals else ""
        string = known.string if known is not None and known.string else empty
        made.add(plurals.get(text, text), string, locations=[(place, None) for place in sorted(places)])
    catalog_file(language).parent.mkdir(parents=True, exist_ok=True)
    with catalog_file(language).open("wb") as file:
        write_po(file, made, omit_header=False, width=118, sort_output=True, include_lineno=False)
    catalog_file(language, "mo").write_bytes(compiled(read(language)))


def main() -> None:
    for language in TRANSLATED:
        renew(language)
        missing = [message.id for message in read(language) if message.id and not message.string]
        print(language, "lacks", len(missing), "texts" + "".join(f"\n  {text}" for text in missing))  # noqa: T201


if __name__ == "__main__":
    main()
