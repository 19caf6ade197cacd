"""What every way of sending has in common: a message or a note, its recipients, a receipt for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol


@dataclass(frozen=True)
class Message:
    """A mail, written once for all its recipients.

    Text, HTML and header values may hold marks that stand for each recipient's
    own values.
    """

    subject: str
    text: str
    html: str
    headers: Mapping[str, str]
    batch: str = ""
    """What its recipients are handed over as, for a provider that reports on them later."""


class Recipient(NamedTuple):
    """One address, and what its marks stand for."""

    delivery_id: int
    address: str
    substitutions: Mapping[str, str]

    def fill(self, text: str) -> str:
        """Return the text with this recipient's values in place of the marks."""
        for mark, value in self.substitutions.items():
            text = text.replace(mark, value)
        return text


@dataclass(frozen=True)
class Note:
    """What a channel is told, as plain text."""

    title: str
    text: str
    url: str = ""
    url_label: str = ""


class Outcome(StrEnum):
    """What became of one hand-over."""

    SUBMITTED = "submitted"
    REFUSED = "refused"
    """For good: this address or this mail will never do."""
    LATER = "later"
    """Surely not taken; worth another try."""
    UNKNOWN = "unknown"
    """The answer went missing: it may have been taken."""
    UNTRIED = "untried"
    """Its turn did not come: no attempt is counted."""


class Receipt(NamedTuple):
    """What became of one delivery."""

    delivery_id: int
    outcome: Outcome
    error: str = ""
    retry_after: float = 0
    """Seconds that the other side asked for before another try."""


class ChannelDown(Exception):
    """The provider takes nothing just now; nobody was handed anything by this call."""

    def __init__(self, reason: str, retry_after: float, *, needs_person: bool = False) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        """Seconds to leave the provider alone."""
        self.needs_person = needs_person
        """Waiting won't help: a key, a sender or an address is wrong."""


# A batch ends soon after this, whatever is left of it: a stopping worker is killed after 25 s
# (supervisor.py), and a lease lasts 120 s (outbox.py).
START_WITHIN_SECONDS = 15


class Transport(Protocol):
    """A way to hand mails over."""

    batch_size: int
    """As many as it likes to be given at once."""
    batches_at_once: int
    """How many batches it may be handing over at the same time."""

    def deliver(self, message: Message, recipients: Sequence[Recipient]) -> list[Receipt]:
        """Hand the message over to each recipient; a receipt for each, in any order.

        No hand-over but the first begins later than START_WITHIN_SECONDS.
        Raises ChannelDown.
        """
