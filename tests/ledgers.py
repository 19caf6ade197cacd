"""Promises and holding updates written straight into the database, for tests of what only reads them."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from statuspage.db import transaction
from statuspage.models import PolicyVersion, Promise, Update
from statuspage.rules.vocabulary import PromiseKind, PromiseState, Severity


def promise(
    incident_id: str,
    state: PromiseState,
    opened_at: datetime,
    *,
    severity: Severity = Severity.SEV1,
    kind: PromiseKind = PromiseKind.FIRST_UPDATE,
    late: timedelta = timedelta(minutes=1),
    **changes: Any,
) -> str:
    """Write a promise straight into the database, due 15 minutes after it was opened; return its id."""
    due_at = opened_at + timedelta(minutes=15)
    met_at = {PromiseState.KEPT: due_at, PromiseState.LATE: due_at + late}.get(state)
    with transaction(opened_at) as session:
        versions = select(func.count()).select_from(PolicyVersion).where(PolicyVersion.severity == severity)
        policy = PolicyVersion(
            severity=severity, version=(session.scalar(versions) or 0) + 1, body={}, created_at=opened_at
        )
        alike = select(func.count()).where(Promise.incident_id == incident_id, Promise.kind == kind)
        made = Promise(
            incident_id=incident_id,
            kind=kind,
            ordinal=(session.scalar(alike) or 0) + 1,
            policy=policy,
            opened_at=opened_at,
            due_at=due_at,
            met_at=met_at,
            state=state,
            settled_at=None if state is PromiseState.OPEN else met_at or due_at,
        )
        for name, value in changes.items():
            setattr(made, name, value)
        session.add(made)
        session.flush()
        return made.id


def automatic(update_id: str, now: datetime) -> None:
    """Mark an update as a holding update."""
    with transaction(now) as session:
        session.get_one(Update, update_id).is_automatic = True
