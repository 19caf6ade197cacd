"""Keep what people type into a text until they save it: each open form apart, so that none takes another's words."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from statuspage.actions.drafts import after_one_another, may_keep
from statuspage.db import db, transaction
from statuspage.models import DocumentDraft
from statuspage.rules.vocabulary import DocumentKind


def save_text_draft(
    incident_id: str, kind: DocumentKind, fields: Mapping[str, str], nonce: str, version: int, by: str, now: datetime
) -> bool:
    """Keep what was changed in the form of this nonce, which showed this version; tell whether anything is kept.

    A form that was saved keeps nothing: its last autosave may come in after
    it. Raises NotFound.
    """
    with transaction(now) as session:
        if not may_keep(session, incident_id, nonce, by):
            return False
        if not fields:
            forget_text_drafts(session, (nonce,), by)
            return False
        draft = session.get(DocumentDraft, nonce, populate_existing=True)
        if draft is None:
            draft = DocumentDraft(nonce=nonce, incident_id=incident_id, kind=kind, account_id=by, version=version)
            session.add(draft)
        draft.fields, draft.saved_at = dict(fields), now
        return True


def text_drafts_of(incident_id: str, kind: DocumentKind, by: str) -> Sequence[DocumentDraft]:
    """Return what an account has typed and not saved, the oldest first."""
    query = select(DocumentDraft).where(
        DocumentDraft.incident_id == incident_id, DocumentDraft.kind == kind, DocumentDraft.account_id == by
    )
    return db.session.scalars(query.order_by(DocumentDraft.saved_at).execution_options(populate_existing=True)).all()


def discard_text_drafts(incident_id: str, kind: DocumentKind, by: str, now: datetime) -> None:
    """Throw away all that an account has typed into a text and not saved."""
    with transaction(now) as session:
        nonces = [each.nonce for each in text_drafts_of(incident_id, kind, by)]
        forget_text_drafts(session, nonces, by)


def forget_text_drafts(session: Session, nonces: Collection[str], by: str) -> None:
    """Delete an account's drafts from these forms, in the transaction that saves what they held."""
    after_one_another(session, by)
    session.execute(delete(DocumentDraft).where(DocumentDraft.nonce.in_(nonces), DocumentDraft.account_id == by))
