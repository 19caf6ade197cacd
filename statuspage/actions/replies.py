"""Saved replies: what incidents of a common kind are declared and first told with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.db import db, transaction
from statuspage.models import Component, SavedReply, new_id
from statuspage.rules.languages import check_language
from statuspage.rules.messages import check_opening, check_title
from statuspage.rules.vocabulary import ComponentState, Conflict, NotFound, RuleBroken, Severity, choose

CHANGED = "Somebody else changed this reply while you were writing. Yours is kept below."


@dataclass(frozen=True)
class Reply:
    """What is asked for when a reply is saved."""

    title: str
    severity: str
    language: str
    states: Mapping[str, ComponentState]
    """Component id to the state the incident gives it."""
    fields: Mapping[str, str]
    """What the form of the first message opens with."""


def saved_replies(*, archived: bool = False) -> list[SavedReply]:
    """Return the replies to choose from, or those put away: the worst first, then by title."""
    is_archived = SavedReply.archived_at.is_not(None) if archived else SavedReply.archived_at.is_(None)
    return list(
        db.session.scalars(
            select(SavedReply)
            .where(is_archived)
            .order_by(SavedReply.severity, func.lower(SavedReply.title), SavedReply.id)
        )
    )


def get_reply(reply_id: str) -> SavedReply:
    """Return a reply as it stands now. Raises NotFound."""
    found = db.session.get(SavedReply, reply_id, populate_existing=True)
    if found is None:
        raise NotFound("reply")
    return found


def add_reply(reply: Reply, by: str, now: datetime) -> str:
    """Save a reply to a common failure. Return its id. Raises RuleBroken for bad input."""
    with transaction(now) as session:
        reply_id = new_id()
        values = _checked(session, reply)
        session.add(SavedReply(id=reply_id, created_at=now, updated_at=now, **values))
        audit(session, by, "add_reply", "reply", reply_id, now, **values)
        return reply_id


def edit_reply(reply_id: str, reply: Reply, version: int, by: str, now: datetime) -> None:
    """Change a saved reply; incidents declared with it stay as they are.

    Raises NotFound, RuleBroken for bad input, Conflict if somebody else changed it meanwhile.
    """
    with transaction(now) as session:
        saved = _take(session, reply_id)
        if saved.version != version:
            raise Conflict(CHANGED)
        values = _checked(session, reply)
        for name, value in values.items():
            setattr(saved, name, value)
        saved.version, saved.updated_at = version + 1, now
        audit(session, by, "edit_reply", "reply", reply_id, now, **values)


def archive_reply(reply_id: str, by: str, now: datetime) -> None:
    """Put a reply away: it is not offered any more. Doing it twice is doing it once. Raises NotFound."""
    with transaction(now) as session:
        saved = _take(session, reply_id)
        if saved.archived_at is None:
            saved.archived_at = now
            audit(session, by, "archive_reply", "reply", reply_id, now)


def restore_reply(reply_id: str, by: str, now: datetime) -> None:
    """Offer a reply again that was put away. Raises NotFound."""
    with transaction(now) as session:
        saved = _take(session, reply_id)
        if saved.archived_at is not None:
            saved.archived_at = None
            audit(session, by, "restore_reply", "reply", reply_id, now)


def _take(session: Session, reply_id: str) -> SavedReply:
    saved = session.get(SavedReply, reply_id, with_for_update=True, populate_existing=True)
    if saved is None:
        raise NotFound("reply")
    return saved


def _checked(session: Session, reply: Reply) -> dict[str, object]:
    """Return the columns of a reply; every mistake is told at once."""
    errors: dict[str, str] = {}
    values: dict[str, object] = {"states": dict(reply.states)}
    for name, check in (
        ("title", lambda: check_title(reply.title)),
        ("severity", lambda: choose(Severity, reply.severity, "severity", "Please choose a severity.")),
        ("language", lambda: check_language(reply.language)),
        ("fields", lambda: check_opening(reply.fields)),
    ):
        try:
            values[name] = check()
        except RuleBroken as broken:
            errors |= broken.errors
    query = select(Component.id).where(Component.id.in_(reply.states), Component.archived_at.is_(None))
    if not reply.states:
        errors["components"] = "Please choose at least one component and its state."
    elif reply.states.keys() - set(session.scalars(query)):
        errors["components"] = "One of the components does not exist any more: please choose again."
    if errors:
        raise RuleBroken(errors)
    return values
