"""What a subscriber chose, and which mailbox an address leads to."""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from statuspage.rules.vocabulary import RuleBroken, SubscriptionKind, SubscriptionMethod, choose

DEFAULT_KINDS = frozenset({SubscriptionKind.INCIDENTS, SubscriptionKind.MAINTENANCE})


@dataclass(frozen=True)
class Choice:
    """Which components somebody wants to hear of, and what about them."""

    component_ids: frozenset[str] | None = None
    """None for all components, those that come later included."""
    kinds: frozenset[SubscriptionKind] = DEFAULT_KINDS

    def wants(self, kind: SubscriptionKind, component_ids: Collection[str]) -> bool:
        """Tell whether something of this kind, that touches these components, is wanted."""
        if kind not in self.kinds:
            return False
        return self.component_ids is None or not self.component_ids.isdisjoint(component_ids)


def parse_kinds(words: Iterable[str]) -> frozenset[SubscriptionKind]:
    """Return the kinds that the words name. Raises RuleBroken on ``kinds`` for an unknown word or none at all."""
    sentence = "Please choose at least one of: " + ", ".join(kind.value for kind in SubscriptionKind) + "."
    kinds = frozenset(choose(SubscriptionKind, word.strip().lower(), "kinds", sentence) for word in words)
    if not kinds:
        raise RuleBroken({"kinds": sentence})
    return kinds


def suppression_keys(address: str, secret_keys: Sequence[str]) -> list[str]:
    """Return the names under which an address may be suppressed: in the open, or hashed after an erasure.

    The second is the one to write: hashed with the newest of the secret keys.
    """
    key = address.lower()
    return [key, *(f"hmac:{_keyed_hash(secret, key)}" for secret in secret_keys)]


def _keyed_hash(secret: str, key: str) -> str:
    return hmac.new(f"statuspage.suppression {secret}".encode(), key.encode(), hashlib.sha256).hexdigest()


def identity(email: str, method: SubscriptionMethod = SubscriptionMethod.EMAIL, endpoint: str = "") -> dict[str, str]:
    """Return the columns that tell one subscription from another; ``email`` is an address already checked."""
    key = email.lower()
    parts = f"{method.value}\n{endpoint}\n{key}"
    return {
        "method": method,
        "unique_key": key if method is SubscriptionMethod.EMAIL else hashlib.sha256(parts.encode()).hexdigest(),
        "email": email,
        "email_key": key,
        "mailbox_key": mailbox_key(email),
        "endpoint": endpoint,
    }


def mailbox_key(address: str) -> str:
    """Return the mailbox that an address most likely leads to: without +tag and dots, in lower case.

    Some providers ignore both; where one does not, two people share one limit
    and nothing else.
    """
    local, _, domain = address.lower().rpartition("@")
    local = local.partition("+")[0].replace(".", "")
    return f"{local}@{domain}"
