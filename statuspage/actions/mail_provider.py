"""Whether the mail provider takes anything: kept for the console, and told to the team once."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.db import db, transaction
from statuspage.delivery.announcements import announce_to_channel
from statuspage.models import Channel, ProviderState

NAME = "mail"


def stop(reason: str, needs_person: bool, retry_at: datetime, now: datetime) -> None:
    """Record that a provider takes nothing; tell the team's channels the first time that somebody has to look."""
    with transaction(now) as session:
        state = _take(session)
        is_news = needs_person and not (state.stopped_at and state.needs_person)
        state.stopped_at = state.stopped_at or now
        state.retry_at, state.reason, state.needs_person = retry_at, reason[:500], needs_person
        if is_news:
            audit(session, None, "mail_stopped", "integration", NAME, now, reason=state.reason)
            detail = {"reason": state.reason}
            for channel_id in session.scalars(
                select(Channel.id).where(Channel.account_id.is_(None), Channel.removed_at.is_(None))
            ):
                announce_to_channel(session, "mail_stopped", channel_id, channel_id, detail, None, now)


def resume(now: datetime) -> None:
    """Record that a provider takes mail; nothing is written if that was known."""
    db.session.rollback()
    state = db.session.get(ProviderState, NAME, populate_existing=True)
    if state is None or state.stopped_at is None:
        return
    with transaction(now) as session:
        state = _take(session)
        state.stopped_at = state.retry_at = None
        state.reason, state.needs_person = "", False
        audit(session, None, "mail_resumed", "integration", NAME, now)


def _take(session: Session) -> ProviderState:
    found = session.get(ProviderState, NAME, with_for_update=True)
    if found is None:
        found = ProviderState(name=NAME)
        session.add(found)
        session.flush()
    return found
