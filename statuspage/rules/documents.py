"""The longer texts about an incident: their fields, their checks, the text made of them.

The direct e-mail, the post-incident e-mail and the post-mortem (the brief's
table "What each message must carry").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from statuspage.rules.messages import check_paragraph
from statuspage.rules.times import instant_in_words, span_in_words
from statuspage.rules.vocabulary import DocumentKind, DocumentState, RuleBroken

FIELD_LIMIT = 5_000
COMMENT_LIMIT = 1_000


@dataclass(frozen=True)
class Field:
    """One thing the writer is asked for."""

    name: str
    label: str
    help: str
    required: bool = True


FIELDS: Mapping[DocumentKind, tuple[Field, ...]] = {
    DocumentKind.DIRECT_EMAIL: (
        Field(
            "message",
            "Message",
            "What is affected, what customers may notice, what is being done, when they hear more. No technical detail.",
        ),
    ),
    DocumentKind.POST_INCIDENT_EMAIL: (
        Field("what_happened", "What happened", "In plain sentences, as you would tell a customer on the phone."),
        Field("prevention", "What prevents a repeat", "What you changed or will change, and by when."),
    ),
    DocumentKind.POST_MORTEM: (
        Field("summary", "Summary", "Two or three sentences for somebody who was not there."),
        Field("root_cause", "Root cause", "Systems and conditions, not people."),
        Field(
            "contributing_factors", "Contributing factors", "What made it likelier, longer or worse.", required=False
        ),
        Field("went_well", "What went well", "", required=False),
        Field("went_poorly", "What went poorly", "", required=False),
        Field("impact", "Impact", "Users affected, duration, business."),
        Field("action_items", "Action items", "One a line: action, owner, priority, due date."),
        Field("lessons", "Lessons learned", "", required=False),
        Field(
            "public_text",
            "Public version",
            "What customers may read on the incident’s page. Leave it empty if none is published.",
            required=False,
        ),
    ),
}

# Which step may follow which: the house's answer to "who may do what with a text now".
EDITABLE = (DocumentState.DRAFT, DocumentState.IN_REVIEW)


@dataclass(frozen=True)
class About:
    """What a text says beside what was typed."""

    title: str
    started_at: datetime
    resolved_at: datetime | None
    author: str
    reviewer: str
    """Empty until somebody reviewed it."""


def customer_fields(kind: DocumentKind) -> tuple[str, ...]:
    """Return the names of the fields that customers read."""
    if kind is DocumentKind.POST_MORTEM:
        return ("public_text",)
    return tuple(field.name for field in FIELDS[kind])


def check_fields(kind: DocumentKind, typed: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a text with plain line ends.

    Raises RuleBroken with one sentence for every field that is wrong.
    """
    values: dict[str, str] = {}
    errors: dict[str, str] = {}
    for field in FIELDS[kind]:
        text = typed.get(field.name, "")
        if not text.strip() and not field.required:
            values[field.name] = ""
            continue
        try:
            values[field.name] = check_paragraph(field.name, text, FIELD_LIMIT)
        except RuleBroken as broken:
            errors |= broken.errors
    if errors:
        raise RuleBroken(errors)
    return values


def render(kind: DocumentKind, fields: Mapping[str, str], about: About) -> str:
    """Return the finished text (Markdown) as its readers get it; of a post-mortem the whole, for colleagues."""
    if kind is DocumentKind.DIRECT_EMAIL:
        return fields.get("message", "")
    if kind is DocumentKind.POST_INCIDENT_EMAIL:
        return _post_incident_email(fields, about)
    sections = [(field.label, fields.get(field.name, "")) for field in FIELDS[kind] if field.name != "public_text"]
    written = "\n\n".join(f"## {label}\n\n{text}" for label, text in sections if text)
    return f"{written}\n\n{_lasted(about)}\n\n{_signed(about)}"


def _post_incident_email(fields: Mapping[str, str], about: About) -> str:
    return "\n\n".join(
        (
            f"**What happened.** {fields.get('what_happened', '')}",
            f"**How long it lasted.** {_lasted(about)}",
            f"**What prevents a repeat.** {fields.get('prevention', '')}",
            _signed(about),
        )
    )


def _lasted(about: About) -> str:
    if about.resolved_at is None:
        return f"It began {instant_in_words(about.started_at)} and goes on."
    lasted = span_in_words(about.resolved_at - about.started_at)
    return f"{lasted}, from {instant_in_words(about.started_at)} to {instant_in_words(about.resolved_at)}."


def _signed(about: About) -> str:
    reviewed = f", reviewed by {about.reviewer}" if about.reviewer else ""
    return f"Written by {about.author}{reviewed}."


def check_comment(text: str, *, required: bool) -> str:
    """Return a reviewer's comment. Raises RuleBroken on ``comment`` if it is missing or too long."""
    if not text.strip() and not required:
        return ""
    try:
        return check_paragraph("comment", text, COMMENT_LIMIT)
    except RuleBroken:
        if not text.strip():
            raise RuleBroken({"comment": "Please say what should be changed."}) from None
        raise
