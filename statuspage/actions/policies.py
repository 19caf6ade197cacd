"""The communication policy of each severity: the shipped one until somebody edits it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.db import db, insert_once, transaction
from statuspage.models import Account, PolicyVersion, new_id
from statuspage.rules.policy import DEFAULT_POLICIES, Policy, as_json, from_json
from statuspage.rules.vocabulary import Conflict, RuleBroken, Severity


def policy_of(severity: Severity) -> Policy:
    """Return the policy in force for a severity."""
    return policy_in(_newest(db.session(), severity), severity)


def version_of(severity: Severity) -> int:
    """Return the number of the policy in force; 0 for the shipped one that nothing was promised under yet."""
    found = _newest(db.session(), severity)
    return found.version if found else 0


def policy_in(version: PolicyVersion | None, severity: Severity) -> Policy:
    """Return the policy that a version holds; the shipped one for None."""
    shipped = DEFAULT_POLICIES[severity]
    return from_json(version.body, shipped) if version else shipped


def version_in_force(session: Session, severity: Severity, now: datetime) -> PolicyVersion:
    """Return the version in force for a severity; the shipped policy becomes version 1 when first needed."""
    found = _newest(session, severity)
    if found is not None:
        return found
    values = {
        "id": new_id(),
        "severity": severity,
        "version": 1,
        "body": as_json(DEFAULT_POLICIES[severity]),
        "created_at": now,
    }
    insert_once(session, PolicyVersion.__table__, values)  # type: ignore[arg-type]
    made = _newest(session, severity)
    if made is None:
        raise Conflict("The policy could not be kept. Please try again.")
    return made


def edit_policy(
    severity: Severity, changes: Mapping[str, Any], version: int | None, by: str | None, now: datetime
) -> int:
    """Put another policy in force for promises opened from now on. Return its version.

    ``changes`` names what is replaced, in the API's shape; ``version`` is the
    one the writer saw, None for whatever it is.

    Raises RuleBroken for bad input or an address without an account, Conflict
    if somebody else changed the policy meanwhile.
    """
    with transaction(now) as session:
        present = version_in_force(session, severity, now)
        if version is not None and not _is_what_was_seen(present, version):
            raise Conflict(
                "Somebody else changed this policy meanwhile. Yours is kept below: please look and save again."
            )
        policy = from_json(changes, policy_in(present, severity))
        _check_people(session, policy)
        number = present.version + 1
        body = as_json(policy)
        values = {
            "id": new_id(),
            "severity": severity,
            "version": number,
            "body": body,
            "created_at": now,
            "created_by_id": by,
        }
        if not insert_once(session, PolicyVersion.__table__, values):  # type: ignore[arg-type]
            raise Conflict("Somebody else changed this policy just now. Please look and save again.")
        audit(session, by, "edit_policy", "policy", severity.value, now, version=number, policy=body)
        return number


def _is_what_was_seen(present: PolicyVersion, version: int) -> bool:
    """Tell whether this is the version a writer saw; the shipped policy says the same as 0 and as 1."""
    shipped = present.version == 1 and present.created_by_id is None
    return version == present.version or (version == 0 and shipped)


def _newest(session: Session, severity: Severity) -> PolicyVersion | None:
    return session.scalar(
        select(PolicyVersion)
        .where(PolicyVersion.severity == severity)
        .order_by(PolicyVersion.version.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )


def _check_people(session: Session, policy: Policy) -> None:
    """Refuse a step that goes to nobody."""
    for name in ("nudges", "reminders"):
        for nudge in getattr(policy, name):
            if "@" not in nudge.to:
                continue
            account = session.scalar(select(Account).where(Account.email == nudge.to))
            if account is None or account.disabled_at is not None:
                raise RuleBroken({name: f"Nobody has an account with the address {nudge.to}."})
