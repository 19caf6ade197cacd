"""What the page of a post-mortem shows beside its text: facts, timeline, marks, action items, who would be told."""

from collections.abc import Mapping
from typing import Any

from flask import current_app
from markupsafe import Markup
from sqlalchemy import select

from statuspage import prose
from statuspage.actions.audiences import reach
from statuspage.actions.timelines import timeline_of
from statuspage.actions.wording import own_words
from statuspage.db import db
from statuspage.models import Account, ActionItem, Document, Incident
from statuspage.rules import documents, timeline
from statuspage.rules.vocabulary import ActionItemState, DocumentKind, DocumentState, Priority, Visibility

KIND = DocumentKind.POST_MORTEM


def values(incident: Incident, document: Document | None, shown: Mapping[str, str]) -> dict[str, Any]:
    """Return what the template needs for these texts, typed or saved, of the newest document."""
    recorded = timeline_of(db.session(), incident)
    kept = document.fields.get(documents.TIMELINE, "") if document else recorded
    is_public = incident.visibility is Visibility.PUBLIC
    return {
        "by_name": {field.name: field for field in documents.FIELDS[KIND]},
        "timeline": timeline.read(kept),
        "is_outgrown": kept != recorded and document is not None and document.state in documents.EDITABLE,
        "marks": documents.marks(KIND, shown, own_words()),
        "sections": sections(document.fields) if document else (),
        "public_html": _prose(document.fields.get(documents.PUBLIC_TEXT, "")) if document else "",
        "told": reach(incident.id, "subscribers") if is_public and _is_approved(document) else 0,
        "items": items_of(incident.id),
        **item_form(),
    }


def item_form() -> dict[str, Any]:
    """Return what a form of an action item lets choose from."""
    query = select(Account).where(Account.disabled_at.is_(None)).order_by(Account.name, Account.email)
    return {
        "owners": [(each.id, f"{each.name} ({each.email})") for each in db.session.scalars(query)],
        "priorities": [(each.value, each.value.capitalize()) for each in Priority],
        "has_tracker": current_app.config["STATUSPAGE"].github is not None,
    }


def items_of(incident_id: str) -> list[ActionItem]:
    """Return an incident's action items: the open ones first, the soonest first."""
    query = (
        select(ActionItem)
        .where(ActionItem.incident_id == incident_id)
        .order_by(ActionItem.state != ActionItemState.OPEN, ActionItem.due_on, ActionItem.created_at)
        .execution_options(populate_existing=True)
    )
    return list(db.session.scalars(query))


def sections(fields: Mapping[str, str]) -> list[tuple[str, Markup]]:
    """Return the written parts of a post-mortem with their headings, as HTML."""
    return [
        (field.label, _prose(fields[field.name]))
        for field in documents.FIELDS[KIND]
        if field.name != documents.PUBLIC_TEXT and fields.get(field.name)
    ]


def prevention_of(incident_id: str) -> str:
    """Return what the newest post-incident e-mail that went out says about repeats; empty if none did."""
    query = (
        select(Document.fields)
        .where(
            Document.incident_id == incident_id,
            Document.kind == DocumentKind.POST_INCIDENT_EMAIL,
            Document.state == DocumentState.SENT,
        )
        .order_by(Document.sent_at.desc())
        .limit(1)
    )
    fields = db.session.scalar(query) or {}
    return str(fields.get("prevention", ""))


def _is_approved(document: Document | None) -> bool:
    return document is not None and document.state is DocumentState.APPROVED


def _prose(text: str) -> Markup:
    # Cleaned by prose.
    return Markup(prose.to_html(text))  # noqa: S704
