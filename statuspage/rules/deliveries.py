"""What becomes of a mail, by what its provider says: the states of a delivery, and what is known of its address."""

import re
from datetime import datetime, timedelta
from enum import StrEnum


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    QUEUED = "queued"
    LEASED = "leased"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    DROPPED = "dropped"
    COMPLAINED = "complained"
    DEAD = "dead"


class Event(StrEnum):
    """What a provider reports of a mail that it took."""

    PROCESSED = "processed"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BOUNCE = "bounce"
    """Refused for good: the address will never do."""
    BLOCKED = "blocked"
    """Refused for a reason that may pass."""
    DROPPED = "dropped"
    """Taken, and never tried: the provider keeps a list of its own."""
    COMPLAINT = "spamreport"
    UNSUBSCRIBE = "unsubscribe"
    OTHER = "other"
    """Whatever changes nothing: opened, clicked, subscribed again to a group."""


class Verdict(StrEnum):
    """What an event tells of the address itself."""

    NOTHING = "nothing"
    REACHED = "reached"
    SOFT_BOUNCE = "soft_bounce"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"


# So many in a row, over at least so long, are as good as a hard bounce.
SOFT_BOUNCES = 5
SOFT_BOUNCE_SPAN = timedelta(days=7)

# What only the provider can know outweighs what we supposed, and the later of two facts the earlier. The order
# matters where a mail left twice: one copy delivered, the other dropped, is delivered.
_RANKS = {
    DeliveryState.SUBMITTED: 1,
    DeliveryState.DROPPED: 2,
    DeliveryState.DELIVERED: 3,
    DeliveryState.BOUNCED: 4,
    DeliveryState.COMPLAINED: 5,
}
# Who reports anything of a mail has taken it: SUBMITTED at least.
_PROOFS = {
    Event.PROCESSED: DeliveryState.SUBMITTED,
    Event.DEFERRED: DeliveryState.SUBMITTED,
    Event.DELIVERED: DeliveryState.DELIVERED,
    Event.BOUNCE: DeliveryState.BOUNCED,
    Event.BLOCKED: DeliveryState.BOUNCED,
    Event.DROPPED: DeliveryState.DROPPED,
    Event.COMPLAINT: DeliveryState.COMPLAINED,
}
_NAMES = {
    "processed": Event.PROCESSED,
    "deferred": Event.DEFERRED,
    "delivered": Event.DELIVERED,
    "dropped": Event.DROPPED,
    "spamreport": Event.COMPLAINT,
    "unsubscribe": Event.UNSUBSCRIBE,
    "group_unsubscribe": Event.UNSUBSCRIBE,
}
_VERDICTS = {
    Event.DELIVERED: Verdict.REACHED,
    Event.BOUNCE: Verdict.HARD_BOUNCE,
    Event.BLOCKED: Verdict.SOFT_BOUNCE,
    Event.COMPLAINT: Verdict.COMPLAINT,
    Event.UNSUBSCRIBE: Verdict.UNSUBSCRIBE,
}
# SendGrid's words for why it drops; the others (a quota, the mail's content) are not the address's fault.
_DROPPED_FOR = {
    "bounced address": Verdict.HARD_BOUNCE,
    "invalid": Verdict.HARD_BOUNCE,
    "spam reporting address": Verdict.COMPLAINT,
    "unsubscribed address": Verdict.UNSUBSCRIBE,
}


def read_event(name: str, kind: str) -> Event:
    """Return what SendGrid's ``event`` and ``type`` stand for."""
    if name == "bounce":
        # Refusals by a policy, a full mailbox, or three days of deferrals are called blocked.
        return Event.BOUNCE if kind in ("bounce", "") else Event.BLOCKED
    return _NAMES.get(name, Event.OTHER)


def after_event(state: DeliveryState, event: Event) -> DeliveryState:
    """Return a delivery's state once its provider has reported this of it.

    Never backwards: the same events, in any order and however often, end in
    the same state. It is the caller's to know that this mail was handed over;
    then even a queued or cancelled one turns out to have been taken.
    """
    proven = _PROOFS.get(event)
    if proven is None or _RANKS[proven] <= _RANKS.get(state, 0):
        return state
    return proven


def verdict(event: Event, reason: str) -> Verdict:
    """Return what an event tells of the address; ``reason`` is the provider's."""
    if event is Event.DROPPED:
        return _DROPPED_FOR.get(reason.strip().lower(), Verdict.NOTHING)
    return _VERDICTS.get(event, Verdict.NOTHING)


def is_given_up(soft_bounces: int, first_at: datetime, last_at: datetime) -> bool:
    """Tell whether refusals in a row, each of which might have passed, are enough to stop writing."""
    return soft_bounces >= SOFT_BOUNCES and last_at - first_at >= SOFT_BOUNCE_SPAN


# RFC 3463 and RFC 7505: no such mailbox, no such domain, impossible address, moved, a domain without mail; a mailbox
# that is closed. Not 5.1.7 and 5.1.8, which blame the sender; not 5.2.2, a full mailbox; not 5.7, a policy.
_BLAMES_ADDRESS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
_REFUSAL = re.compile(r"(?P<code>5\d\d)(?:[ -]+#?(?P<status>5\.\d{1,3}\.\d{1,3})\b)?", re.ASCII)
# For the servers that give no such number.
_UNKNOWN_MAILBOX = re.compile(
    r"(user|mailbox|recipient|address|account)[^.]{0,40}"
    r"\b(unknown|not found|(does not|doesn't) exist|not exist|invalid|disabled|no longer)"
    r"|(unknown|no such|invalid) (local )?(user|mailbox|recipient|address|account)",
    re.IGNORECASE,
)
_OTHERS_FAULT = re.compile(
    r"sender|from address|relay|spf|dkim|dmarc|spam|block|polic|black|reputation|reject.* list", re.IGNORECASE
)


def blames_address(answer: str) -> bool:
    """Tell whether a mail server's refusal of a recipient (``550 5.1.1 …``) means that the address will never do."""
    refusal = _REFUSAL.match(answer.strip())
    if refusal is None:
        return False
    if refusal["status"]:
        return refusal["status"] in _BLAMES_ADDRESS
    words = answer.strip()[refusal.end() :]
    # RFC 5321, 4.2.3: the codes that may speak of a mailbox.
    may_blame = refusal["code"] in ("550", "551", "553")
    return may_blame and _OTHERS_FAULT.search(words) is None and _UNKNOWN_MAILBOX.search(words) is not None
