"""Keep what people type in an incident room until they post it, and note who is there."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from statuspage.db import db, insert_once, one_by_one, transaction
from statuspage.models import FormSubmission, Incident, MessageDraft, Presence
from statuspage.rules.vocabulary import MessageKind, NotFound

# A room that is open asks every few seconds; not each of them is worth a write.
NOTED_EVERY = timedelta(seconds=10)


def save_draft(
    incident_id: str, kind: MessageKind, fields: Mapping[str, str], nonce: str, by: str, now: datetime
) -> bool:
    """Keep what an account has changed in a message's form; no change is no draft. Tell whether one is kept.

    A form that was posted keeps nothing: its last autosave may come in after
    it. Raises NotFound.
    """
    with transaction(now) as session:
        if not may_keep(session, incident_id, nonce, by):
            return False
        if not fields:
            _delete(session, incident_id, kind, by)
            return False
        draft = session.get(MessageDraft, (incident_id, kind, by))
        if draft is None:
            draft = MessageDraft(incident_id=incident_id, kind=kind, account_id=by, begun_at=now)
            session.add(draft)
        draft.fields, draft.saved_at = dict(fields), now
        return True


def may_keep(session: Session, incident_id: str, nonce: str, by: str) -> bool:
    """Tell whether a form may keep a draft: once it was posted or saved, no more. Raises NotFound."""
    if session.get(Incident, incident_id) is None:
        raise NotFound("incident")
    after_one_another(session, by)
    return session.get(FormSubmission, nonce) is None


def discard_draft(incident_id: str, kind: MessageKind, by: str, now: datetime) -> None:
    """Throw an account's draft of a message away."""
    with transaction(now) as session:
        after_one_another(session, by)
        _delete(session, incident_id, kind, by)


def forget_draft(session: Session, incident_id: str, kind: MessageKind, by: str | None) -> None:
    """Delete the draft of a message that is being posted, in the transaction that posts it."""
    if by is not None:
        after_one_another(session, by)
        _delete(session, incident_id, kind, by)


def be_present(incident_id: str, by: str, now: datetime) -> None:
    """Note that an account looks at an incident's room, unless that was noted a moment ago. Raises NotFound."""
    presence = db.session.get(Presence, (incident_id, by), populate_existing=True)
    if presence is not None and now - presence.seen_at < NOTED_EVERY:
        return
    with transaction(now) as session:
        if session.get(Incident, incident_id) is None:
            raise NotFound("incident")
        values = {"incident_id": incident_id, "account_id": by, "seen_at": now}
        if not insert_once(session, Presence.__table__, values):  # type: ignore[arg-type]
            session.execute(
                update(Presence)
                .where(Presence.incident_id == incident_id, Presence.account_id == by)
                .values(seen_at=now)
            )


def after_one_another(session: Session, account_id: str) -> None:
    """Have what an account does with drafts happen one by one: an autosave and a post never pass each other unseen."""
    one_by_one(session, f"drafts of {account_id}")


def _delete(session: Session, incident_id: str, kind: MessageKind, account_id: str) -> None:
    session.execute(
        delete(MessageDraft).where(
            MessageDraft.incident_id == incident_id,
            MessageDraft.kind == kind,
            MessageDraft.account_id == account_id,
        )
    )
