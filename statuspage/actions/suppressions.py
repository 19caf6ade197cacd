"""What an operator does with the addresses that are left alone."""

from datetime import datetime

from statuspage.actions.ledger import audit
from statuspage.db import transaction
from statuspage.delivery.suppression import is_erased, lift_row
from statuspage.models import Suppression
from statuspage.rules.messages import check_line
from statuspage.rules.vocabulary import Conflict, NotFound

REASON_LIMIT = 200


def lift_suppression(suppression_id: str, reason: str, by: str, now: datetime) -> None:
    """Write to an address again; the worker has the mail provider do the same.

    A bounce needs no reason. Raises NotFound; RuleBroken on ``reason`` where a
    complaint is lifted without one; Conflict if it was lifted already, or if
    nobody knows the address any more.
    """
    with transaction(now) as session:
        row = session.get(Suppression, suppression_id, with_for_update=True)
        if row is None:
            raise NotFound("suppression")
        if row.lifted_at is not None:
            raise Conflict("Somebody has lifted this already.")
        if is_erased(row):
            raise Conflict("The owner of this address had all data erased: nobody knows it any more.")
        is_complaint = row.reason == Suppression.COMPLAINT
        said = check_line("reason", reason, REASON_LIMIT) if is_complaint or reason.strip() else ""
        lift_row(session, row, now)
        # Without the address: it may have to be erased, and the ledger can't be.
        audit(session, by, "lift_suppression", "suppression", row.id, now, of=row.reason, reason=said)
