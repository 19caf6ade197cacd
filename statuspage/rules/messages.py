"""The fields of each public message, their checks, and the text made of them.

A template holds placeholders such as ``{affected}`` and nothing else: no
expressions, no includes. Anything that is not a known placeholder in braces
stays as it was typed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from statuspage.rules.languages import ENGLISH, apology_in, choice_in, instant_in, span_in
from statuspage.rules.times import instant_in_words, parse_typed_instant, require_utc, typed_deadline, typed_instant
from statuspage.rules.vocabulary import LABELS, OPEN_STAGES, Impact, MessageKind, RuleBroken, Stage

FieldKind = Literal["line", "paragraph", "instant", "choice"]

TITLE_LIMIT = 150
LINE_LIMIT = 200
PARAGRAPH_LIMIT = 2_000
TEMPLATE_LIMIT = 4_000
# A promise further away than this is a slip of the keyboard.
FURTHEST_PROMISE = timedelta(days=14)
# The console's clock and the writer's may differ by this much.
CLOCK_TOLERANCE = timedelta(minutes=2)

# CR, LF, the other line breaks str.splitlines() knows, and every other control character.
_LINE_BREAKERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# In paragraphs, tab and newline are text.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True)
class Field:
    """One thing the writer is asked for."""

    name: str
    label: str
    help: str
    example: str
    kind: FieldKind = "line"
    required: bool = True
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Draft:
    """A message whose fields have been checked: field name to text, instant or None."""

    kind: MessageKind
    values: Mapping[str, str | datetime | None]

    def text(self, name: str) -> str:
        """Return a text field; empty when it was left out."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def instant(self, name: str) -> datetime | None:
        """Return an instant field; None when it was left out."""
        value = self.values.get(name)
        return value if isinstance(value, datetime) else None

    @property
    def stage(self) -> Stage:
        """The stage the incident is in once this is posted."""
        return Stage.RESOLVED if self.kind is MessageKind.RESOLVE else Stage(self.text("stage"))


_STAGES = tuple((stage.value, LABELS[stage]) for stage in OPEN_STAGES)
_IMPACTS = tuple((impact.value, LABELS[impact]) for impact in Impact)
_NEXT_UPDATE = Field(
    "next_update_by",
    "Next update by (UTC)",
    "The promise readers see. Keep it even if you will only say that you are still investigating.",
    "2026-11-21 14:30",
    kind="instant",
)

FIELDS: Mapping[MessageKind, tuple[Field, ...]] = {
    MessageKind.ACKNOWLEDGE: (
        Field(
            "affected",
            "What is affected",
            "The feature or service, in the words customers use.",
            "Signing in to the web app",
        ),
        Field(
            "symptoms",
            "What customers may notice",
            "What they see: slow, errors, cannot … No technical detail.",
            "Sign-in may take over a minute or fail with an error.",
            kind="paragraph",
        ),
        _NEXT_UPDATE,
        Field("impact", "Impact on customers", "", "medium", kind="choice", choices=_IMPACTS),
        Field("stage", "Stage", "", "investigating", kind="choice", choices=_STAGES),
        Field(
            "started_at",
            "Started (UTC)",
            "When customers first noticed, as well as you know.",
            "2026-11-21 13:55",
            kind="instant",
        ),
    ),
    MessageKind.UPDATE: (
        Field(
            "affected",
            "What is affected now",
            "Say it even if nothing changed: many readers see only this update.",
            "Signing in is still slow for some customers in Europe.",
            kind="paragraph",
        ),
        Field(
            "being_done",
            "What is being done",
            "One or two plain sentences.",
            "We have found the cause and are undoing this morning's change.",
            kind="paragraph",
        ),
        _NEXT_UPDATE,
        Field("stage", "Stage", "", "identified", kind="choice", choices=_STAGES),
        Field(
            "expected_resolution",
            "When we expect it to be resolved",
            "Leave empty unless you are sure.",
            "within the next hour",
            required=False,
        ),
    ),
    MessageKind.RESOLVE: (
        Field("affected", "What was affected", "In the words customers use.", "Signing in to the web app"),
        Field(
            "experienced",
            "What customers experienced",
            "",
            "Signing in took over a minute or failed with an error.",
            kind="paragraph",
        ),
        Field(
            "what_happened",
            "What happened",
            "One or two plain sentences, without technical detail.",
            "A change we made this morning overloaded sign-in. We have undone it.",
            kind="paragraph",
        ),
        Field(
            "resolved_at",
            "Resolved at (UTC)",
            "When service was restored. The duration is computed from it.",
            "2026-11-21 15:10",
            kind="instant",
        ),
        Field(
            "follow_up",
            "What follows",
            "What readers can expect from you next.",
            "We will send a summary of what happened within 24 hours.",
            required=False,
        ),
        Field(
            "apology",
            "Apology",
            "In your own words.",
            "We are sorry for the trouble this caused.",
        ),
        Field(
            "help",
            "Where to get help",
            "",
            "If anything still looks wrong, please contact support.",
            required=False,
        ),
    ),
}

# What a template may hold besides the fields, with what it stands for.
COMPUTED: Mapping[MessageKind, Mapping[str, str]] = {
    MessageKind.ACKNOWLEDGE: {},
    MessageKind.UPDATE: {},
    MessageKind.RESOLVE: {
        "duration": "how long it lasted, from start to resolution",
        "started_at": "when it started, in UTC",
    },
}


def text_fields(kind: MessageKind) -> tuple[str, ...]:
    """Return the names of the fields that hold words for customers."""
    return tuple(field.name for field in FIELDS[kind] if field.kind in ("line", "paragraph"))


def placeholders(kind: MessageKind) -> dict[str, bool]:
    """Return the placeholders a template of this kind may hold: name to whether it must."""
    names = {field.name: field.required and field.kind != "choice" for field in FIELDS[kind]}
    return names | {name: name == "duration" for name in COMPUTED[kind]}


def defaults(
    kind: MessageKind, known: Mapping[str, str], next_update: timedelta, stage: Stage, now: datetime
) -> dict[str, str]:
    """Return what the form of this kind opens with, as it would be typed.

    ``known`` holds what earlier messages said, by field. The next update is
    promised ``next_update`` from now.
    """
    fresh = {
        "next_update_by": typed_deadline(now + next_update, now),
        "resolved_at": typed_instant(now),
        "stage": stage.value,
        "apology": known.get("apology", apology_in(ENGLISH)),
    }
    names = [field.name for field in FIELDS[kind]]
    return {name: fresh.get(name) or known.get(name, "") for name in names}


# What a saved reply may fill in: what is known before anything has happened.
OPENING_FIELDS = ("affected", "symptoms")


def check_opening(typed: Mapping[str, str]) -> dict[str, str]:
    """Return what the form of a first message is to open with.

    Raises RuleBroken with one sentence for every field that is wrong.
    """
    values: dict[str, str] = {}
    errors: dict[str, str] = {}
    for field in FIELDS[MessageKind.ACKNOWLEDGE]:
        if field.name in OPENING_FIELDS:
            try:
                values[field.name] = str(_parse_field(field, typed.get(field.name, "")))
            except RuleBroken as broken:
                errors |= broken.errors
    if errors:
        raise RuleBroken(errors)
    return values


def check_template(kind: MessageKind, template: str) -> str:
    """Return the template with its line ends made plain.

    Raises RuleBroken naming every unknown or missing placeholder.
    """
    plain = template.replace("\r\n", "\n").strip()
    if len(plain) > TEMPLATE_LIMIT:
        raise RuleBroken({"text": f"Please keep the template under {TEMPLATE_LIMIT} characters."})
    known = placeholders(kind)
    found = set(_PLACEHOLDER.findall(plain))
    unknown = sorted(found - known.keys())
    missing = [name for name, required in known.items() if required and name not in found]
    sentences = [f"There is no placeholder {{{name}}}." for name in unknown]
    if missing:
        *others, last = [f"{{{name}}}" for name in missing]
        sentences.append(
            f"The placeholders {', '.join(others)} and {last} are missing."
            if others
            else f"The placeholder {last} is missing."
        )
    if sentences:
        raise RuleBroken({"text": " ".join(sentences)})
    return plain


def check_title(text: str) -> str:
    """Return an incident's title without surrounding blanks, or raise RuleBroken on ``title``."""
    try:
        return check_line("title", text, TITLE_LIMIT)
    except RuleBroken:
        if not text.strip():
            raise RuleBroken({"title": "Please give the incident a title customers understand."}) from None
        raise


def check_line(name: str, text: str, limit: int = LINE_LIMIT) -> str:
    """Return one line of text without surrounding blanks.

    Raises RuleBroken if it is empty, longer than ``limit`` characters, or
    holds a line break or control character.
    """
    plain = text.strip(" \t")
    if _LINE_BREAKERS.search(plain):
        raise RuleBroken({name: "Please use one line of text, without line breaks or control characters."})
    if not plain.strip():
        raise RuleBroken({name: "Please fill this in."})
    if len(plain) > limit:
        raise RuleBroken({name: f"Please shorten this to {limit} characters (now {len(plain)})."})
    return plain


def check_paragraph(name: str, text: str, limit: int = PARAGRAPH_LIMIT) -> str:
    """Return a paragraph with plain line ends, or raise RuleBroken as check_line does."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not plain:
        raise RuleBroken({name: "Please fill this in."})
    if _CONTROLS.search(plain):
        raise RuleBroken({name: "Please remove the control characters from this text."})
    if len(plain) > limit:
        raise RuleBroken({name: f"Please shorten this to {limit} characters (now {len(plain)})."})
    return plain


def parse(kind: MessageKind, typed: Mapping[str, str], now: datetime) -> Draft:
    """Check what was typed into the form of this kind.

    Raises RuleBroken with one sentence for every field that is wrong.
    """
    require_utc(now)
    values: dict[str, str | datetime | None] = {}
    errors: dict[str, str] = {}
    for field in FIELDS[kind]:
        try:
            values[field.name] = _parse_field(field, typed.get(field.name, ""))
        except RuleBroken as broken:
            errors |= broken.errors
    errors |= check_instants(values, now)
    if errors:
        raise RuleBroken(errors)
    return Draft(kind, values)


def sketch(kind: MessageKind, typed: Mapping[str, str], now: datetime) -> Draft:
    """Return a draft of what was typed so far, for the live preview.

    What is missing or wrong shows as its label in square brackets; instants
    fall back to ``now``.
    """
    require_utc(now)
    values: dict[str, str | datetime | None] = {}
    for field in FIELDS[kind]:
        try:
            values[field.name] = _parse_field(field, typed.get(field.name, ""))
        except RuleBroken:
            values[field.name] = _stand_in(field, now)
    return Draft(kind, values)


def _stand_in(field: Field, now: datetime) -> str | datetime:
    if field.kind == "instant":
        return now
    return field.choices[0][0] if field.kind == "choice" else f"[{field.label}]"


def _parse_field(field: Field, text: str) -> str | datetime | None:
    if not text.strip() and not field.required:
        return ""
    if field.kind == "instant":
        instant = parse_typed_instant(text)
        if instant is None:
            raise RuleBroken({field.name: f"Please give a date and time in UTC, like {field.example}."})
        return instant
    if field.kind == "choice":
        if text not in [value for value, _ in field.choices]:
            raise RuleBroken({field.name: "Please choose one of the options."})
        return text
    check = check_paragraph if field.kind == "paragraph" else check_line
    return check(field.name, text)


def check_instants(values: Mapping[str, str | datetime | None], now: datetime) -> dict[str, str]:
    """Return one sentence for every instant, by field, that lies where it can't be."""
    errors = {}
    promised = values.get("next_update_by")
    if isinstance(promised, datetime):
        if promised <= now:
            errors["next_update_by"] = f"This is in the past; it is {instant_in_words(now)} now."
        elif promised - now > FURTHEST_PROMISE:
            errors["next_update_by"] = "Please promise the next update within 14 days."
    for name in ("started_at", "resolved_at"):
        past = values.get(name)
        if isinstance(past, datetime) and past > now + CLOCK_TOLERANCE:
            errors[name] = f"This is in the future; it is {instant_in_words(now)} now."
    return errors


def render(template: str, draft: Draft, started_at: datetime, language: str = ENGLISH) -> str:
    """Return the finished text: the template with the draft's values in place, in the words of a language.

    A line whose placeholders all have nothing to say is left out, and so are
    the blank lines it leaves at the ends or in a row.
    """
    words = _words(draft, started_at, language)
    lines = []
    for line in template.split("\n"):
        names = [name for name in _PLACEHOLDER.findall(line) if name in words]
        if names and not any(words[name] for name in names):
            continue
        lines.append(_PLACEHOLDER.sub(lambda match: words.get(match[1], match[0]), line))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _words(draft: Draft, started_at: datetime, language: str) -> dict[str, str]:
    words = dict.fromkeys(placeholders(draft.kind), "")
    words |= {name: _in_words(value, language) for name, value in draft.values.items()}
    for field in FIELDS[draft.kind]:
        if field.kind == "choice":
            chosen = draft.text(field.name)
            words[field.name] = choice_in(language, chosen) if chosen in dict(field.choices) else ""
    resolved_at = draft.instant("resolved_at")
    if resolved_at is not None:
        words["duration"] = span_in(language, resolved_at - started_at)
        words["started_at"] = instant_in(language, started_at)
    return words


def _in_words(value: str | datetime | None, language: str) -> str:
    if isinstance(value, datetime):
        return instant_in(language, value)
    return value or ""
