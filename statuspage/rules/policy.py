"""The communication policy of a severity: what is owed, how soon, and who is reminded of it.

Its outward shape is that of the API (``GET /v1/pages/P/policies/SEVERITY``):
durations in ISO 8601 down to one second, ``null`` for what is not owed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from statuspage.rules.messages import check_paragraph
from statuspage.rules.times import parse_span, span_in_iso
from statuspage.rules.vocabulary import IncidentRole, MessageKind, PromiseKind, RuleBroken, Severity

EVERYONE = "everyone"
"""All responders and comms."""
WAYS = ("email", "chat", "pager")
"""How a nudge can go out; none named: by every way its person has."""

CUSTOMERS, SUBSCRIBERS = "customers", "subscribers"
AUDIENCES = (CUSTOMERS, SUBSCRIBERS)
"""Customers who use an affected component; subscribers who follow it."""

LONGEST = timedelta(days=90)
FURTHEST_STEP = timedelta(days=30)
MOST_NUDGES = 20
MOST_HOLDING_UPDATES = 10
NEXT_TIME = "{next_update_by}"
# Longer, and subscribers hear so late that they ask.
LONGEST_UNDO = timedelta(minutes=10)


@dataclass(frozen=True)
class Nudge:
    """One step of an escalation."""

    at: timedelta
    """From the due time; negative before it."""
    to: str
    """A role in the incident, ``everyone``, or the e-mail address of an account."""
    by: str = ""
    """One of WAYS to begin with; empty for all."""


@dataclass(frozen=True)
class HoldingUpdate:
    """What is posted by itself when a public update falls overdue."""

    enabled: bool
    at: timedelta
    """From the due time."""
    text: str
    max_in_a_row: int


@dataclass(frozen=True)
class Policy:
    """What is owed under one severity; None means not owed."""

    first_update: timedelta | None
    next_update: timedelta | None
    direct_email: timedelta | None
    direct_email_if_lasting: timedelta | None
    """Owed only once the impact has lasted this long; None: in any case."""
    post_incident_email: timedelta | None
    post_mortem: timedelta | None
    public_post_mortem_if_down: timedelta | None
    """Owed when customers were down this long; due with the post-mortem."""
    internal_update: timedelta | None
    audience: tuple[str, ...]
    """Who gets the direct and the post-incident e-mail: one of AUDIENCES, or both."""
    nudges: tuple[Nudge, ...]
    reminders: tuple[Nudge, ...]
    """Further steps, for promises that run long enough to have them."""
    holding_update: HoldingUpdate
    undo_window: timedelta | None = None
    """How long the mails of an ordinary update wait, so that it can be taken back; None: they leave at once."""

    def undo_until(self, kind: MessageKind, now: datetime) -> datetime | None:
        """Return until when the mails of a public message posted now wait; None for at once: so the first one."""
        if self.undo_window is None or kind is MessageKind.ACKNOWLEDGE:
            return None
        return now + self.undo_window

    def span(self, kind: PromiseKind) -> timedelta | None:
        """Return how long there is for a promise of this kind, from the moment it counts from."""
        if kind is PromiseKind.RESOLUTION_UPDATE:
            # The page must not go on saying "broken" longer than between two updates.
            return self.next_update
        if kind is PromiseKind.PUBLIC_POST_MORTEM:
            return None if self.public_post_mortem_if_down is None else self.post_mortem or DEFAULT_POST_MORTEM
        span: timedelta | None = getattr(self, kind.value)
        return span


DEFAULT_POST_MORTEM = timedelta(hours=48)

_HOLDING = HoldingUpdate(
    enabled=False,
    at=timedelta(minutes=2),
    text=(
        "We are still working on this, and we are sorry that it takes so long. "
        f"We will tell you more by {NEXT_TIME} at the latest."
    ),
    max_in_a_row=2,
)
_NUDGES = (
    Nudge(timedelta(minutes=-5), IncidentRole.COMMS_LEAD.value),
    Nudge(timedelta(0), IncidentRole.COMMANDER.value),
    Nudge(timedelta(minutes=5), IncidentRole.BACKUP.value),
    Nudge(timedelta(minutes=10), EVERYONE),
)
# Five minutes' notice is too little for a text that takes an hour and a second person.
_REMINDERS = (
    Nudge(timedelta(hours=-6), IncidentRole.COMMS_LEAD.value),
    Nudge(timedelta(hours=-1), IncidentRole.COMMS_LEAD.value),
)


def _minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


# The brief's table of promises.
_SEV1 = Policy(
    first_update=_minutes(15),
    next_update=_minutes(30),
    direct_email=_minutes(60),
    direct_email_if_lasting=None,
    post_incident_email=timedelta(hours=24),
    post_mortem=DEFAULT_POST_MORTEM,
    public_post_mortem_if_down=_minutes(30),
    internal_update=_minutes(15),
    audience=AUDIENCES,
    nudges=_NUDGES,
    reminders=_REMINDERS,
    holding_update=_HOLDING,
)
_SEV2 = replace(
    _SEV1,
    direct_email=_minutes(30),
    direct_email_if_lasting=_minutes(30),
    internal_update=_minutes(30),
)
_NOT_OWED = replace(
    _SEV1,
    first_update=None,
    next_update=None,
    direct_email=None,
    post_incident_email=None,
    post_mortem=None,
    public_post_mortem_if_down=None,
    internal_update=None,
)
DEFAULT_POLICIES: Mapping[Severity, Policy] = {
    Severity.SEV1: _SEV1,
    Severity.SEV2: _SEV2,
    Severity.SEV3: _NOT_OWED,
    Severity.SEV4: _NOT_OWED,
}

# Offered where the policy owes nothing but the writer may still promise something.
UNOWED_NEXT_UPDATE = timedelta(hours=1)

SPANS = (
    "first_update",
    "next_update",
    "direct_email",
    "direct_email_if_lasting",
    "post_incident_email",
    "post_mortem",
    "public_post_mortem_if_down",
    "internal_update",
)


def as_json(policy: Policy) -> dict[str, Any]:
    """Return the policy in the API's shape."""
    holding = policy.holding_update
    return {
        **{name: _written(getattr(policy, name)) for name in SPANS},
        "audience": list(policy.audience),
        "nudges": [_nudge_as_json(nudge) for nudge in policy.nudges],
        "reminders": [_nudge_as_json(nudge) for nudge in policy.reminders],
        "holding_update": {
            "enabled": holding.enabled,
            "at": span_in_iso(holding.at),
            "text": holding.text,
            "max_in_a_row": holding.max_in_a_row,
        },
        "undo_window": _written(policy.undo_window),
    }


def from_json(body: Mapping[str, Any], present: Policy) -> Policy:
    """Return ``present`` with what the body names replaced.

    Raises RuleBroken with one sentence beside each key that can't be taken.
    """
    errors = {str(name): "There is no such key in a policy." for name in body.keys() - _READERS.keys()}
    values: dict[str, Any] = {}
    for name, read in _READERS.items():
        if name not in body:
            continue
        try:
            values[name] = read(name, body[name], present)
        except RuleBroken as broken:
            errors |= broken.errors
    if errors:
        raise RuleBroken(errors)
    return replace(present, **values)


def _written(span: timedelta | None) -> str | None:
    return None if span is None else span_in_iso(span)


def _nudge_as_json(nudge: Nudge) -> dict[str, str]:
    shape = {"at": span_in_iso(nudge.at), "to": nudge.to}
    return shape | {"by": nudge.by} if nudge.by else shape


def _read_span(name: str, value: object, _present: Policy) -> timedelta | None:
    if value is None:
        return None
    span = parse_span(value) if isinstance(value, str) else None
    if span is None or not timedelta(seconds=1) <= span <= LONGEST:
        raise RuleBroken({name: "Please give a duration from PT1S to P90D, such as PT15M, or null for not owed."})
    return span


def _read_undo_window(name: str, value: object, _present: Policy) -> timedelta | None:
    if value is None:
        return None
    span = parse_span(value) if isinstance(value, str) else None
    if span is None or not timedelta(seconds=1) <= span <= LONGEST_UNDO:
        raise RuleBroken({name: "Please give a duration from PT1S to PT10M, such as PT30S, or null for none."})
    return span


def _read_audience(name: str, value: object, _present: Policy) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(each not in AUDIENCES for each in value):
        raise RuleBroken({name: f"Please give a list of {' and '.join(AUDIENCES)}, or one of them."})
    return tuple(each for each in AUDIENCES if each in value)


def _read_offset(name: str, value: object) -> timedelta:
    span = parse_span(value) if isinstance(value, str) else None
    if span is None or abs(span) > FURTHEST_STEP:
        raise RuleBroken({name: "Please give each step a time such as -PT5M, PT0S or PT10M, within 30 days."})
    return span


def _read_nudges(name: str, value: object, _present: Policy) -> tuple[Nudge, ...]:
    if not isinstance(value, list) or len(value) > MOST_NUDGES:
        raise RuleBroken({name: f"Please give a list of at most {MOST_NUDGES} steps."})
    return tuple(sorted((_read_nudge(name, each) for each in value), key=lambda nudge: nudge.at))


def _read_nudge(name: str, value: object) -> Nudge:
    if not isinstance(value, dict) or not {"at", "to"} <= value.keys() <= {"at", "to", "by"}:
        raise RuleBroken({name: 'Please write each step as {"at": "-PT5M", "to": "comms_lead"}.'})
    to, by = value["to"], value.get("by", "")
    known = to in [EVERYONE, *IncidentRole] or (isinstance(to, str) and "@" in to and len(to) <= 254)
    if not known:
        roles = ", ".join(IncidentRole)
        raise RuleBroken({name: f"A step goes to one of {roles}, {EVERYONE}, or the e-mail address of an account."})
    if by not in ("", *WAYS):
        raise RuleBroken({name: f"A step goes by one of {', '.join(WAYS)}, or by all when it says nothing."})
    return Nudge(_read_offset(name, value["at"]), str(to).lower() if "@" in str(to) else str(to), by)


def _read_holding(name: str, value: object, present: Policy) -> HoldingUpdate:
    if not isinstance(value, dict) or not value.keys() <= {"enabled", "at", "text", "max_in_a_row"}:
        raise RuleBroken({name: "Please give an object with enabled, at, text and max_in_a_row."})
    merged = present.holding_update
    enabled = value.get("enabled", merged.enabled)
    count = value.get("max_in_a_row", merged.max_in_a_row)
    if not isinstance(enabled, bool):
        raise RuleBroken({name: "enabled is true or false."})
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_HOLDING_UPDATES:
        raise RuleBroken(
            {
                name: f"Please give a number from 1 to {MOST_HOLDING_UPDATES} for how many may come in a row (max_in_a_row)."
            }
        )
    at = _read_offset(name, value["at"]) if "at" in value else merged.at
    if at < timedelta(0):
        raise RuleBroken(
            {name: "A holding update is posted when an update is overdue: at can't be before the due time."}
        )
    return HoldingUpdate(enabled, at, _read_holding_text(name, value.get("text", merged.text)), count)


def _read_holding_text(name: str, value: object) -> str:
    text = check_paragraph(name, value if isinstance(value, str) else "")
    if NEXT_TIME not in text:
        raise RuleBroken({name: f"The text must say when readers hear next: please put {NEXT_TIME} into it."})
    return text


_READERS: Mapping[str, Callable[[str, object, Policy], Any]] = {
    **dict.fromkeys(SPANS, _read_span),
    "audience": _read_audience,
    "nudges": _read_nudges,
    "reminders": _read_nudges,
    "holding_update": _read_holding,
    "undo_window": _read_undo_window,
}
