"""What every action writes beside its facts: the audit entry and the public change."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from statuspage.db import API_KEY_ID
from statuspage.models import AuditEntry, Change, Page, WordingOverride
from statuspage.rules.vocabulary import Conflict


def audit(
    session: Session, by: str | None, action: str, object_kind: str, object_id: str, now: datetime, **detail: Any
) -> None:
    """Record who did what; ``by`` is an account's id, None for a program: then the key that it came with is kept."""
    session.add(
        AuditEntry(
            acted_at=now,
            account_id=by,
            token_id=session.info.get(API_KEY_ID),
            action=action,
            object_kind=object_kind,
            object_id=object_id,
            detail=detail,
        )
    )


def record_override(
    session: Session,
    subject_kind: str,
    subject_id: str,
    incident_id: str | None,
    words: Sequence[str],
    by: str | None,
    now: datetime,
) -> None:
    """Record that a text goes out as it is although these words in it are marked; nothing if none are."""
    if words:
        session.add(
            WordingOverride(
                subject_kind=subject_kind,
                subject_id=subject_id,
                incident_id=incident_id,
                words=list(words),
                account_id=by,
                overridden_at=now,
            )
        )


def take_page(session: Session) -> None:
    """Let public changes happen one after the other, from their first look to their commit.

    Whoever changes component states takes this before anything else, so that
    two incidents never miss each other's word.
    """
    session.execute(select(Page.id).with_for_update())


def mark_changed(session: Session, subject_kind: str, subject_id: str, now: datetime) -> None:
    """Tell every publisher that this subject's public pages are to be written anew.

    The page's row is locked until the commit, so that revisions are visible
    in their order: a publisher that has seen number 7 has seen number 6.
    """
    revision = session.execute(
        update(Page).values(revision=Page.revision + 1, updated_at=now).returning(Page.revision)
    ).scalar()
    if revision is None:
        raise Conflict("There is no status page yet: please run `statuspage init` first.")
    session.add(Change(revision=revision, subject_kind=subject_kind, subject_id=subject_id, changed_at=now))
