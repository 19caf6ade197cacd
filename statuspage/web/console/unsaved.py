"""What a form of a text shows of the words that its writer has not saved yet."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import request
from flask_login import current_user

from statuspage.actions.text_drafts import text_drafts_of
from statuspage.models import Document, Incident
from statuspage.rules.documents import FIELDS
from statuspage.rules.drafts import fingerprint
from statuspage.rules.vocabulary import DocumentKind
from statuspage.web.forms import StaleForm, posted_nonce


@dataclass(frozen=True)
class Unsaved:
    """Somebody's words that are in no saved text."""

    fields: dict[str, str]
    nonces: Sequence[str]
    """Of the forms they were typed into."""
    saved_at: datetime | None = None
    is_outdated: bool = False
    """Somebody saved the text after the form was opened."""


def unsaved_of(incident: Incident, kind: DocumentKind, document: Document | None, saved: Mapping[str, str]) -> Unsaved:
    """Return what the one who asks has typed and not saved; of two forms the later one's word counts."""
    found = text_drafts_of(incident.id, kind, current_user.id)
    fields = {name: text for draft in found for name, text in draft.fields.items()}
    fields = {name: text for name, text in fields.items() if text != saved.get(name, "")}
    version = document.version if document and kind is not DocumentKind.DIRECT_EMAIL else 0
    return Unsaved(
        fields,
        [draft.nonce for draft in found],
        found[-1].saved_at if found else None,
        any(draft.version != version for draft in found) and kind is not DocumentKind.DIRECT_EMAIL,
    )


def posted_drafts() -> list[str]:
    """Return the nonces of the drafts that the posted form showed."""
    return request.form.get("drafts", "").split()


def posted_forms() -> list[str]:
    """Return the same with the posted form's own, for the form that shows its words again."""
    try:
        return [*posted_drafts(), posted_nonce()]
    except StaleForm:
        return posted_drafts()


def fingerprints(kind: DocumentKind, shown: Mapping[str, str]) -> str:
    """Return what tells later which fields of a form were changed."""
    return json.dumps({field.name: fingerprint(shown.get(field.name, "")) for field in FIELDS[kind]})
