"""Who is told that a promise is due, and when: the steps of an open promise.

Nothing is scheduled ahead: from the policy, the due time and what was taken
so far follows which step is due now, and when to look again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from statuspage.rules.policy import EVERYONE, WAYS, Nudge, Policy
from statuspage.rules.times import instant_in_words, require_utc, span_in_words
from statuspage.rules.vocabulary import LABELS, IncidentRole, PromiseKind

# Steps are numbered within their list; the lists are told apart by where their numbers begin.
FIRST_REMINDER = 100
HOLDING = 200

SNOOZES = (timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=20))
"""For how long "I'm on it" may hold the next nudge back."""

# A way that gave no receipt by then is given up for the next one: faults.md F19 allows two minutes.
LOOK_AGAIN_AFTER = timedelta(seconds=75)


@dataclass(frozen=True)
class Step:
    """One step of one promise's escalation."""

    number: int
    at: datetime
    to: str
    """A role, ``everyone`` or an e-mail address; empty for the holding update."""
    by: str

    @property
    def is_holding(self) -> bool:
        """Whether this step posts the holding update."""
        return self.number == HOLDING


@dataclass(frozen=True)
class Turn:
    """What is to be done for a promise at one moment."""

    nudge: Step | None
    """The newest step that fell due: it is told."""
    caught_up: tuple[Step, ...]
    """Older ones that fell due unnoticed: they are recorded, and not told one by one."""
    holding: Step | None
    next_at: datetime | None
    """When to look again; None if nothing is left."""


def steps(policy: Policy, kind: PromiseKind, opened_at: datetime, due_at: datetime) -> tuple[Step, ...]:
    """Return every step of a promise, in order of time."""
    nudges = [Step(n, _nudge_at(nudge, opened_at, due_at), nudge.to, nudge.by) for n, nudge in _numbered(policy, kind)]
    reminders = [
        Step(FIRST_REMINDER + n, due_at + nudge.at, nudge.to, nudge.by)
        for n, nudge in enumerate(policy.reminders)
        if due_at + nudge.at > opened_at
    ]
    holding = policy.holding_update
    held = [Step(HOLDING, due_at + holding.at, "", "")] if holding.enabled and kind is PromiseKind.NEXT_UPDATE else []
    return tuple(sorted((*nudges, *reminders, *held), key=lambda step: (step.at, step.number)))


def _numbered(policy: Policy, kind: PromiseKind) -> list[tuple[int, Nudge]]:
    """A late word among colleagues wakes those who hold a role, not the whole company."""
    quiet = kind is PromiseKind.INTERNAL_UPDATE
    return [(n, nudge) for n, nudge in enumerate(policy.nudges) if not (quiet and nudge.to == EVERYONE)]


def _nudge_at(nudge: Nudge, opened_at: datetime, due_at: datetime) -> datetime:
    """When a nudge falls due: one before the due time never in the first half of the promise's own time."""
    at = due_at + nudge.at
    if nudge.at >= timedelta(0):
        return at
    return max(at, opened_at + (due_at - opened_at) / 2) if due_at > opened_at else due_at


def turn(listed: Sequence[Step], taken: Collection[int], snoozed_until: datetime | None, now: datetime) -> Turn:
    """Return what is due now, of the steps that were not taken yet."""
    require_utc(now)
    left = [(_not_before(step, snoozed_until), step) for step in listed if step.number not in taken]
    due = [step for at, step in left if at <= now]
    nudges = [step for step in due if not step.is_holding]
    holding = next((step for step in due if step.is_holding), None)
    next_at = min((at for at, _ in left if at > now), default=None)
    return Turn(nudges[-1] if nudges else None, tuple(nudges[:-1]), holding, next_at)


def _not_before(step: Step, snoozed_until: datetime | None) -> datetime:
    if snoozed_until is None or step.is_holding:
        return step.at
    return max(step.at, snoozed_until)


def stand_ins(role: IncidentRole) -> tuple[str, ...]:
    """Return who is told where nobody holds a role, in order: nobody's role is everybody's."""
    line = (IncidentRole.COMMS_LEAD, IncidentRole.COMMANDER, IncidentRole.BACKUP)
    return (role.value, *(other.value for other in line if other is not role), EVERYONE)


def may_hold(automatic_flags: Iterable[bool], most: int) -> bool:
    """Tell whether one more holding update may be posted after these updates, oldest first.

    Never as the first word to customers, and at most ``most`` in a row.
    """
    flags = list(automatic_flags)
    if not any(not flag for flag in flags):
        return False
    in_a_row = 0
    for flag in reversed(flags):
        if not flag:
            break
        in_a_row += 1
    return in_a_row < most


def ways(by: str, available: Collection[str], reserve: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the ways a nudge goes out by at once, and those left should they fail, the next one first.

    Without a choice it goes by every available way; those in reserve are only
    taken when asked for by name, or when nothing else arrives.
    """
    have = [way for way in WAYS if way in (*available, *reserve)]
    chosen = [way for way in have if way == by] or [way for way in have if way in available]
    return tuple(chosen), tuple(way for way in have if way not in chosen)


def nudge_title(
    kind: PromiseKind, incident: str, severity: str, due_at: datetime, is_drill: bool, now: datetime
) -> str:
    """Return the subject of a nudge: what is owed, for which incident, by when."""
    standing = "Overdue since" if due_at <= require_utc(now) else "Due"
    drill = "DRILL: " if is_drill else ""
    when = f"{due_at:%H:%M}" if due_at.date() == now.date() else f"{due_at.day} {due_at:%b, %H:%M}"
    return f"{drill}{standing} {when} UTC: {LABELS[kind].lower()} for “{incident}” ({severity})"


def nudge_text(kind: PromiseKind, incident: str, due_at: datetime, because: str, now: datetime) -> str:
    """Return the text of a nudge: what is owed, how long there is, and why this reader is told."""
    late = due_at <= require_utc(now)
    span = span_in_words(now - due_at if late else due_at - now)
    when = (
        f"was due {instant_in_words(due_at)}, {span} ago" if late else f"is due {instant_in_words(due_at)}, in {span}"
    )
    return f"The {LABELS[kind].lower()} for “{incident}” {when}.\n\n{because}"


BECAUSE_EVERYONE = "Everybody who can help is told now, since nobody has done it yet."


def because(role: IncidentRole, stands_in: bool) -> str:
    """Return why somebody is told: the role they hold, or that nobody holds one."""
    name = LABELS[role].lower()
    if stands_in:
        return f"You are told because nobody holds the role of {name} in this incident."
    return f"You are told because you are the {name} in this incident."
