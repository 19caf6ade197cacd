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
from statuspage.rules.wording import Finding, OwnWords, warnings
from statuspage.rules.wording_entries import Category

FIELD_LIMIT = 5_000
COMMENT_LIMIT = 1_000
# The one field of a post-mortem that readers outside get, and the one that nobody types.
PUBLIC_TEXT, TIMELINE = "public_text", "timeline"


@dataclass(frozen=True)
class Field:
    """One thing the writer is asked for."""

    name: str
    label: str
    help: str
    required: bool = True
    example: str = ""


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
        Field(
            "summary",
            "Summary",
            "Two or three sentences for somebody who was not there.",
            example="For 40 minutes nobody could sign in. A change to the session store filled its memory. We undid it.",
        ),
        Field(
            "timeline_notes",
            "Added to the timeline by hand",
            "What the record above does not know: alerts, what was tried, what was found. A line each, with the time in UTC.",
            required=False,
            example="14:12 The graphs of the session store show no free memory.",
        ),
        Field(
            "root_cause",
            "Root cause",
            "The system and the condition without which it would not have happened; not people.",
            example="Sessions were written without an end date, and nothing watched the memory they take.",
        ),
        Field(
            "contributing_factors",
            "Contributing factors",
            "What made it likelier, longer or worse.",
            required=False,
            example="The alert on sign-in errors waits for ten minutes.",
        ),
        Field(
            "went_well",
            "What went well",
            "What you would do the same way again, and where you were lucky.",
            required=False,
            example="The first public update was out after seven minutes.",
        ),
        Field(
            "went_poorly",
            "What went poorly",
            "Where time was lost, and which tool, check or page was missing.",
            required=False,
            example="The page on how to undo a change named a tool that no longer exists.",
        ),
        Field(
            "impact",
            "Impact on users",
            "How many, and what they could not do. How long it lasted is computed.",
            example="About 12,000 people could not sign in. Who was signed in noticed nothing.",
        ),
        Field(
            "impact_business",
            "Impact on the business",
            "Orders, contracts, support: figures where there are any.",
            required=False,
            example="310 orders fewer than on other Mondays; 84 questions to support.",
        ),
        Field(
            "lessons",
            "Lessons learned",
            "What the next team should know.",
            required=False,
            example="Whatever is stored needs an end date and a limit.",
        ),
        Field(
            PUBLIC_TEXT,
            "Public version",
            "What customers may read on the incident’s page: what happened, what they noticed, what prevents a repeat. "
            "No technical detail. Leave it empty if none is published.",
            required=False,
            example="For 40 minutes nobody could sign in, because a change filled up a part of our sign-in system. "
            "That part now has limits that we watch.",
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
    severity: str = ""


def customer_fields(kind: DocumentKind) -> tuple[str, ...]:
    """Return the names of the fields that customers read."""
    if kind is DocumentKind.POST_MORTEM:
        return (PUBLIC_TEXT,)
    return tuple(field.name for field in FIELDS[kind])


def check_fields(kind: DocumentKind, typed: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a text with plain line ends; of a post-mortem, which is long, a draft may lack some.

    Raises RuleBroken with one sentence for every field that is wrong.
    """
    values: dict[str, str] = {}
    errors: dict[str, str] = {}
    for field in FIELDS[kind]:
        text = typed.get(field.name, "")
        if not text.strip() and (kind is DocumentKind.POST_MORTEM or not field.required):
            values[field.name] = ""
            continue
        try:
            values[field.name] = check_paragraph(field.name, text, FIELD_LIMIT)
        except RuleBroken as broken:
            errors |= broken.errors
    if errors:
        raise RuleBroken(errors)
    return values


def require_complete(kind: DocumentKind, fields: Mapping[str, str]) -> None:
    """Raise RuleBroken unless every field that a reader needs says something."""
    missing = [field for field in FIELDS[kind] if field.required and not fields.get(field.name, "")]
    if missing:
        raise RuleBroken({field.name: "Please fill this in before it is reviewed." for field in missing})


def marks(kind: DocumentKind, fields: Mapping[str, str], own: OwnWords) -> dict[str, tuple[Finding, ...]]:
    """Return by field what a post-mortem should not say: blame and people's names; technical detail in public."""
    if kind is not DocumentKind.POST_MORTEM:
        return {}
    found = {field.name: warnings(fields.get(field.name, ""), own) for field in FIELDS[kind]}
    kept = {
        name: tuple(each for each in told if name == PUBLIC_TEXT or each.category is Category.BLAME)
        for name, told in found.items()
    }
    return {name: told for name, told in kept.items() if told}


def public_start(fields: Mapping[str, str], prevention: str) -> str:
    """Return a beginning for the public version: never a word of the cause, which is the team's.

    ``prevention`` is what customers were told already in the post-incident e-mail; empty if nothing.
    """
    parts = (
        ("What happened", fields.get("summary", "")),
        ("What you may have noticed", fields.get("impact", "")),
        ("What prevents a repeat", prevention),
    )
    return "\n\n".join(f"**{label}.** {text}" for label, text in parts if text)


def render(kind: DocumentKind, fields: Mapping[str, str], about: About) -> str:
    """Return the finished text (Markdown) as its readers get it; of a post-mortem the whole, for colleagues."""
    if kind is DocumentKind.DIRECT_EMAIL:
        return fields.get("message", "")
    if kind is DocumentKind.POST_INCIDENT_EMAIL:
        return _post_incident_email(fields, about)
    sections = []
    for field in FIELDS[kind]:
        if field.name == "timeline_notes":
            recorded = fields.get(TIMELINE, "").splitlines()
            sections.append(("Timeline", "\n".join(f"- {line}" for line in recorded)))
        if field.name != PUBLIC_TEXT:
            sections.append((field.label, fields.get(field.name, "")))
    written = "\n\n".join(f"## {label}\n\n{text}" for label, text in sections if text)
    severity = f"Severity: {about.severity}. " if about.severity else ""
    return f"{written}\n\n{severity}{_lasted(about)}\n\n{_signed(about)}"


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
