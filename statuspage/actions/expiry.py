"""What is kept for a time only, since nobody asks for it later and it would grow for ever."""

from datetime import datetime, timedelta
from itertools import takewhile

from sqlalchemy import delete, func, select

from statuspage.actions.people import SESSION_LIFETIME
from statuspage.db import transaction
from statuspage.models import DocumentDraft, LoginSession, MessageDraft, ProviderEvent

# Two or three for each mail. They are kept so that one that comes again counts once; SendGrid tries for 24 hours.
REPORTS_KEPT = timedelta(days=30)
# After they have ended. Who signed in, when and from where stays in the audit log.
SESSIONS_KEPT = timedelta(days=30)
# Since it was last typed into: whoever wants it later would have saved it.
DRAFTS_KEPT = timedelta(days=90)
EXPIRED_AT_ONCE = 2_000


def expire(now: datetime) -> bool:
    """Delete the provider's reports, ended sessions and drafts that are older; tell whether there may be more of them."""
    with transaction(now) as session:
        # The last one of each stays: the list of people says when that was.
        last = select(func.max(LoginSession.created_at)).group_by(LoginSession.account_id).scalar_subquery()
        ended = LoginSession.created_at < now - SESSION_LIFETIME - SESSIONS_KEPT
        session.execute(delete(LoginSession).where(ended, LoginSession.created_at.not_in(last)))
        for table in (MessageDraft, DocumentDraft):
            session.execute(delete(table).where(table.saved_at < now - DRAFTS_KEPT))
        # The oldest have the lowest ids: no index by date is needed to find them.
        oldest = select(ProviderEvent.id, ProviderEvent.received_at).order_by(ProviderEvent.id).limit(EXPIRED_AT_ONCE)
        is_old = takewhile(lambda row: row.received_at < now - REPORTS_KEPT, session.execute(oldest).all())
        ids = [row.id for row in is_old]
        if ids:
            session.execute(delete(ProviderEvent).where(ProviderEvent.id <= ids[-1]))
        return len(ids) == EXPIRED_AT_ONCE
