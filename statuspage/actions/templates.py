"""The wording of messages: shipped with the product, edited by administrators."""

from datetime import datetime
from functools import cache
from pathlib import Path

from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.db import db, transaction
from statuspage.models import MessageTemplate
from statuspage.rules.messages import check_template
from statuspage.rules.vocabulary import MessageKind

_SHIPPED = Path(__file__).resolve().parents[2] / "templates" / "messages"


@cache
def shipped_template(kind: MessageKind) -> str:
    """Return the wording this product ships for a kind of message."""
    return (_SHIPPED / f"{kind.value}.txt").read_text(encoding="utf-8").strip()


def template_for(kind: MessageKind, session: Session | None = None) -> str:
    """Return the wording in force for a kind of message."""
    edited = (session or db.session()).get(MessageTemplate, kind)
    return edited.text if edited else shipped_template(kind)


def edit_template(kind: MessageKind, text: str, by: str, now: datetime) -> None:
    """Put another wording in force for messages from now on.

    Raises RuleBroken naming every unknown or missing placeholder.
    """
    checked = check_template(kind, text)
    with transaction(now) as session:
        session.merge(MessageTemplate(kind=kind, text=checked, updated_at=now, updated_by_id=by))
        audit(session, by, "edit_template", "template", kind.value, now, text=checked)


def restore_template(kind: MessageKind, by: str, now: datetime) -> None:
    """Put the shipped wording back in force."""
    with transaction(now) as session:
        edited = session.get(MessageTemplate, kind)
        if edited is not None:
            session.delete(edited)
        audit(session, by, "restore_template", "template", kind.value, now)
