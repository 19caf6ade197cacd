"""What a subscriber chose, and which mailbox an address leads to."""

import hashlib
import hmac
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from statuspage.rules.vocabulary import RuleBroken, SubscriptionKind, SubscriptionMethod, choose

DEFAULT_KINDS = frozenset({SubscriptionKind.INCIDENTS, SubscriptionKind.MAINTENANCE})

ENDPOINT_LIMIT = 1_000
# What RFC 3986 lets an address hold. Nothing that two programs may read in two ways: no backslash, no letter
# that some take for a digit or a dot.
_ADDRESS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# Names that lead into somebody's own network.
_INNER_NAMES = frozenset({"localhost", "local", "internal", "intranet", "lan", "home", "corp", "arpa"})


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


def parse_choice(scope: str, component_ids: Iterable[str], kinds: Iterable[str]) -> Choice:
    """Return the choice that a form makes: ``all`` components, ``some`` of them, or ``none``.

    Raises RuleBroken on ``components`` and ``kinds``.
    """
    errors: dict[str, str] = {}
    chosen = {"all": None, "some": frozenset(component_ids), "none": frozenset[str]()}
    if scope not in chosen:
        errors["components"] = "Please choose all components or only some."
    elif scope == "some" and not chosen["some"]:
        errors["components"] = "Please tick at least one component, or choose all of them."
    try:
        parsed = parse_kinds(kinds)
    except RuleBroken:
        errors["kinds"] = "Please tick at least one."
    if errors:
        raise RuleBroken(errors)
    return Choice(chosen[scope], parsed)


def check_endpoint(method: SubscriptionMethod, url: str) -> str:
    """Return the address to post to, its host in lower case; empty for mail.

    Whether the host's name leads somewhere private is only seen when it is
    asked for: here goes what can be told from the words alone. Raises
    RuleBroken on ``endpoint``.
    """
    if method is SubscriptionMethod.EMAIL:
        return ""
    parts = _split(url)
    host = parts.hostname or ""
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise RuleBroken(
            {"endpoint": "Please give an address with a host name, like https://hooks.example.com/updates."}
        )
    # Of 127.1, 0x7f000001 and their like the last part is a number (WHATWG URL, "ends in a number").
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        raise RuleBroken({"endpoint": "Please give a host name, not an IP address."})
    if len(labels) < 2 or labels[-1] in _INNER_NAMES:
        raise RuleBroken({"endpoint": "This host can’t be reached from the internet."})
    _check_owner(method, host, parts.path)
    query = f"?{parts.query}" if parts.query else ""
    return f"https://{host}{parts.path}{query}"


def _split(url: str) -> SplitResult:
    """Take an https address apart. Raises RuleBroken on ``endpoint`` for anything else."""
    if not url:
        raise RuleBroken({"endpoint": "Please give the address to post to."})
    if len(url) > ENDPOINT_LIMIT:
        raise RuleBroken({"endpoint": "This address is too long."})
    if not url.lower().startswith("https://"):
        raise RuleBroken({"endpoint": "Please give an address that begins with https://."})
    broken = RuleBroken({"endpoint": "This is no address that updates can be posted to."})
    if not _ADDRESS.fullmatch(url):
        raise broken
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise broken from None
    if "@" in parts.netloc:
        raise RuleBroken({"endpoint": "Please leave user name and password out of the address."})
    if port not in (None, 443):
        raise RuleBroken({"endpoint": "Please leave the port out: updates are posted to port 443 only."})
    return parts


def _check_owner(method: SubscriptionMethod, host: str, path: str) -> None:
    """A chat room's address is its provider's own: what belongs to another host is a mistake, or a trick."""
    fits = {
        SubscriptionMethod.WEBHOOK: True,
        SubscriptionMethod.SLACK: host == "hooks.slack.com",
        SubscriptionMethod.DISCORD: host in ("discord.com", "discordapp.com") and path.startswith("/api/webhooks/"),
        SubscriptionMethod.TEAMS: host.endswith((".webhook.office.com", ".logic.azure.com", ".powerplatform.com")),
    }
    begins = {
        SubscriptionMethod.SLACK: "A Slack webhook’s address begins with https://hooks.slack.com/.",
        SubscriptionMethod.DISCORD: "A Discord webhook’s address begins with https://discord.com/api/webhooks/.",
        SubscriptionMethod.TEAMS: "A Teams webhook’s host ends in webhook.office.com, logic.azure.com or powerplatform.com.",
    }
    if not fits[method]:
        raise RuleBroken({"endpoint": begins[method]})


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
