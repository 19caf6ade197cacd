"""The communication policy: how soon the public hears, per severity."""

from dataclasses import dataclass
from datetime import timedelta

from statuspage.rules.vocabulary import Severity


@dataclass(frozen=True)
class Policy:
    """What is owed under one severity; None means not owed."""

    first_update: timedelta | None
    next_update: timedelta | None


# The brief's table of promises, rows "first public update" and "every further public update".
DEFAULT_POLICIES = {
    Severity.SEV1: Policy(timedelta(minutes=15), timedelta(minutes=30)),
    Severity.SEV2: Policy(timedelta(minutes=15), timedelta(minutes=30)),
    Severity.SEV3: Policy(None, None),
    Severity.SEV4: Policy(None, None),
}

# Offered where the policy owes nothing but the writer may still promise something.
UNOWED_NEXT_UPDATE = timedelta(hours=1)
