"""How far an announcement has come on its way, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from statuspage.rules.vocabulary import SubscriptionMethod

# After this long no receipt comes any more, as a rule.
RECEIPTS_TAKE = timedelta(hours=1)

WAITING = "waiting"
HANDED_OVER = "handed over"
NO_RECEIPT = "handed over, no receipt"
ANSWER_MISSING = "answer missing"
FAILED = "failed"

WORDS: Mapping[str, str] = {
    "submitted": HANDED_OVER,
    "delivered": "delivered",
    "bounced": "bounced",
    "dropped": "bounced",
    "complained": "bounced",
    "superseded": "overtaken by a newer update",
    "cancelled": "cancelled",
    "queued": WAITING,
    "leased": WAITING,
    "unknown": ANSWER_MISSING,
    "dead": FAILED,
}
"""State of a delivery to what it is called among many, in the order in which they are told."""

ALONE: Mapping[str, str] = {
    **WORDS,
    "dropped": "not taken by the provider: the address bounced or complained before",
    "complained": "delivered, and reported as spam",
    "cancelled": "cancelled: it was not wanted any more",
    "leased": "being handed over",
    "unknown": "the answer is missing: it may have arrived",
}
"""State of a delivery to what it is called by itself."""


@dataclass(frozen=True)
class Progress:
    """How many deliveries of one announcement, by one way, have come how far."""

    parts: tuple[tuple[str, int], ...]
    """What it is called and how many, without what is none."""
    total: int
    waiting: int
    """Not tried yet, or to be tried again."""

    @property
    def done(self) -> int:
        """How many need nothing more."""
        return self.total - self.waiting


def progress(counts: Mapping[str, int], age: timedelta) -> Progress:
    """Return how far deliveries have come, given how many are in which state and how long ago they were announced."""
    added = dict.fromkeys(WORDS.values(), 0)
    for state, count in counts.items():
        added[WORDS[state]] += count
    waiting = added[WAITING] + added[ANSWER_MISSING]
    parts = ((NO_RECEIPT if word == HANDED_OVER and age > RECEIPTS_TAKE else word, added[word]) for word in added)
    return Progress(tuple((word, count) for word, count in parts if count), sum(counts.values()), waiting)


_MANY: Mapping[SubscriptionMethod, tuple[str, str]] = {
    SubscriptionMethod.EMAIL: ("person by e-mail", "people by e-mail"),
    SubscriptionMethod.WEBHOOK: ("webhook", "webhooks"),
    SubscriptionMethod.SLACK: ("Slack room", "Slack rooms"),
    SubscriptionMethod.TEAMS: ("Teams room", "Teams rooms"),
    SubscriptionMethod.DISCORD: ("Discord room", "Discord rooms"),
}


def reach_in_words(reach: Mapping[SubscriptionMethod, int]) -> str:
    """Return how many are told by which method: ``1,204 people by e-mail, 12 webhooks``; empty for nobody."""
    return ", ".join(
        f"{reach[method]:,} {one if reach[method] == 1 else many}"
        for method, (one, many) in _MANY.items()
        if reach.get(method)
    )


_COUNTED: Mapping[SubscriptionMethod, tuple[str, str, str]] = {
    SubscriptionMethod.EMAIL: ("E-mail", "person", "people"),
    SubscriptionMethod.SLACK: ("Slack", "room", "rooms"),
    SubscriptionMethod.TEAMS: ("Teams", "room", "rooms"),
    SubscriptionMethod.DISCORD: ("Discord", "room", "rooms"),
    SubscriptionMethod.WEBHOOK: ("Webhooks", "address", "addresses"),
}


def ways_in_words(reach: Mapping[SubscriptionMethod, int]) -> tuple[tuple[str, str], ...]:
    """Return each way with how many are told by it: ``E-mail``, ``1,204 people``; e-mail and Slack even for nobody."""
    always = (SubscriptionMethod.EMAIL, SubscriptionMethod.SLACK)
    return tuple(
        (way, f"{reach[method]:,} {one if reach[method] == 1 else many}" if reach.get(method) else "nobody")
        for method, (way, one, many) in _COUNTED.items()
        if reach.get(method) or method in always
    )
