"""What is owed for an incident: computed from what was recorded about it, and nothing else.

``ledger`` folds an incident's events, in the order they were recorded, into
its promises and into the changes each promise went through. It is the only
place that decides what is owed, from when, by when, and what meets it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from statuspage.rules.policy import Policy
from statuspage.rules.times import require_utc, span_in_words
from statuspage.rules.vocabulary import EventKind, PromiseKind, PromiseState, RuleBroken, Visibility

# A declaration entered later than this after the fact is marked so.
ENTERED_AT_ONCE = timedelta(minutes=2)
REASON_LIMIT = 500

UPDATES = (PromiseKind.FIRST_UPDATE, PromiseKind.NEXT_UPDATE)
# Counted from the declaration.
FROM_DECLARATION = (PromiseKind.FIRST_UPDATE, PromiseKind.DIRECT_EMAIL, PromiseKind.INTERNAL_UPDATE)
# Counted from the resolution.
AFTERMATH = (PromiseKind.POST_INCIDENT_EMAIL, PromiseKind.POST_MORTEM, PromiseKind.PUBLIC_POST_MORTEM)
# Owed among colleagues, whoever may see the incident.
INTERNAL = (PromiseKind.INTERNAL_UPDATE, PromiseKind.POST_MORTEM)
# What may be waived by a second person: an update can only be posted.
WAIVABLE = (PromiseKind.DIRECT_EMAIL, *AFTERMATH)

MET_BY: Mapping[EventKind, PromiseKind] = {
    EventKind.DIRECT_EMAIL_SENT: PromiseKind.DIRECT_EMAIL,
    EventKind.POST_INCIDENT_EMAIL_SENT: PromiseKind.POST_INCIDENT_EMAIL,
    EventKind.POST_MORTEM_APPROVED: PromiseKind.POST_MORTEM,
    EventKind.POST_MORTEM_PUBLISHED: PromiseKind.PUBLIC_POST_MORTEM,
}


@dataclass(frozen=True)
class Event:
    """Something recorded about an incident."""

    sequence: int
    kind: EventKind
    occurred_at: datetime
    """When it was so: of a declaration when impact was confirmed, of a resolution when service was restored."""
    recorded_at: datetime
    policy: Policy
    """In force for the incident's severity from this event on."""
    policy_id: str
    next_update_by: datetime | None = None
    reason: str = ""
    is_automatic: bool = False
    is_down: bool = False
    """Whether a component is out from this event on."""
    promise_kind: PromiseKind | None = None


@dataclass(frozen=True)
class Promise:
    """One thing owed."""

    kind: PromiseKind
    ordinal: int
    """1 for the first of its kind in the incident."""
    policy_id: str
    policy: Policy = field(repr=False)
    opened_at: datetime
    due_at: datetime
    state: PromiseState = PromiseState.OPEN
    met_at: datetime | None = None
    settled_at: datetime | None = None
    reason: str = ""
    is_recorded_later: bool = False
    is_met_automatically: bool = False

    @property
    def key(self) -> tuple[PromiseKind, int]:
        """What tells it from every other promise of its incident."""
        return self.kind, self.ordinal

    @property
    def is_open(self) -> bool:
        """Whether it is still to be met."""
        return self.state is PromiseState.OPEN

    def is_overdue(self, now: datetime) -> bool:
        """Tell whether it is still to be met although its time has passed."""
        return self.is_open and self.due_at < require_utc(now)


@dataclass(frozen=True)
class Change:
    """How a promise stood after an event."""

    key: tuple[PromiseKind, int]
    event_sequence: int
    changed_at: datetime
    state: PromiseState
    due_at: datetime
    reason: str


@dataclass(frozen=True)
class Ledger:
    """Everything owed for an incident, and how it came so."""

    promises: tuple[Promise, ...]
    """In the order they were opened."""
    changes: tuple[Change, ...]


def ledger(events: Sequence[Event], started_at: datetime, visibility: Visibility) -> Ledger:
    """Return what the events of an incident make owed.

    ``events`` in the order they were recorded; ``started_at`` is when
    customers first noticed, from which the time they were down counts.
    """
    book = _Book(require_utc(started_at), visibility)
    for event in events:
        before = dict(book.promises)
        _STEPS[event.kind](book, event)
        book.note_changes(before, event)
    return Ledger(tuple(book.promises.values()), tuple(book.changes))


def check_next_update(policy: Policy, next_update_by: datetime | None, reason: str, now: datetime) -> str:
    """Return the reason why the next update comes later than the policy says; empty where it does not.

    Raises RuleBroken on ``next_update_reason`` if one is needed and missing, or too long.
    """
    require_utc(now)
    if len(reason.strip()) > REASON_LIMIT:
        raise RuleBroken({"next_update_reason": f"Please shorten this to {REASON_LIMIT} characters."})
    if policy.next_update is None or next_update_by is None or next_update_by <= now + policy.next_update:
        return ""
    if not reason.strip():
        longest = span_in_words(policy.next_update)
        raise RuleBroken(
            {
                "next_update_reason": f"The policy promises an update every {longest}. Please say why this one comes later."
            }
        )
    return reason.strip()


def still_owed(promises: Iterable[Promise]) -> tuple[Promise, ...]:
    """Return the open promises, soonest first: what keeps an incident from being closed."""
    ranks = list(PromiseKind)
    return tuple(sorted((each for each in promises if each.is_open), key=lambda p: (p.due_at, ranks.index(p.kind))))


@dataclass
class _Book:
    """The fold's state between two events."""

    started_at: datetime
    visibility: Visibility
    promises: dict[tuple[PromiseKind, int], Promise] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    declared_at: datetime | None = None
    resolved_at: datetime | None = None
    down_since: datetime | None = None
    down_for: timedelta = timedelta(0)
    has_posted: bool = False
    counted: set[tuple[PromiseKind, int]] = field(default_factory=set)
    """What counts from the declaration."""

    def owes(self, kind: PromiseKind) -> bool:
        """Tell whether an incident of this visibility can owe such a thing: customers hear nothing of internal ones."""
        return self.visibility is not Visibility.INTERNAL or kind in INTERNAL

    def of(self, kind: PromiseKind) -> list[Promise]:
        return [promise for promise in self.promises.values() if promise.kind is kind]

    def opened(self, *kinds: PromiseKind) -> list[Promise]:
        return [promise for promise in self.promises.values() if promise.kind in kinds and promise.is_open]

    def put(self, promise: Promise) -> None:
        self.promises[promise.key] = promise

    def open(self, kind: PromiseKind, opened_at: datetime, due_at: datetime, event: Event, reason: str = "") -> None:
        if not self.owes(kind):
            return
        self.put(
            Promise(
                kind,
                len(self.of(kind)) + 1,
                event.policy_id,
                event.policy,
                opened_at,
                due_at,
                reason=reason,
                is_recorded_later=event.recorded_at - opened_at > ENTERED_AT_ONCE,
            )
        )

    def open_by_policy(self, kind: PromiseKind, counts_from: datetime, event: Event) -> None:
        span = event.policy.span(kind)
        if span is not None:
            self.open(kind, counts_from, counts_from + span, event)

    def meet(self, promise: Promise, event: Event) -> None:
        at = event.recorded_at
        state = PromiseState.LATE if at > promise.due_at else PromiseState.KEPT
        self.put(replace(promise, state=state, met_at=at, settled_at=at, is_met_automatically=event.is_automatic))

    def drop(self, promise: Promise, event: Event) -> None:
        """Take back what is no longer owed; what is overdue by now was never met."""
        state = PromiseState.MISSED if promise.is_overdue(event.recorded_at) else PromiseState.WITHDRAWN
        self.put(replace(promise, state=state, settled_at=event.recorded_at))

    def watch_down(self, is_down: bool, at: datetime) -> None:
        if is_down and self.down_since is None:
            self.down_since = at
        elif not is_down and self.down_since is not None:
            self.down_for += max(at - self.down_since, timedelta(0))
            self.down_since = None

    def note_changes(self, before: Mapping[tuple[PromiseKind, int], Promise], event: Event) -> None:
        for key, promise in self.promises.items():
            if before.get(key) != promise:
                self.changes.append(
                    Change(key, event.sequence, event.recorded_at, promise.state, promise.due_at, event.reason)
                )


def _declared(book: _Book, event: Event) -> None:
    book.declared_at = event.occurred_at
    book.watch_down(event.is_down, min(book.started_at, event.occurred_at))
    for kind in FROM_DECLARATION:
        book.open_by_policy(kind, event.occurred_at, event)
    book.counted = set(book.promises)


def _posted(book: _Book, event: Event) -> None:
    book.has_posted = True
    book.watch_down(event.is_down, event.recorded_at)
    for promise in book.opened(*UPDATES):
        book.meet(promise, event)
    span, now = event.policy.next_update, event.recorded_at
    if event.next_update_by is not None:
        book.open(PromiseKind.NEXT_UPDATE, now, event.next_update_by, event, event.reason)
    elif span is not None:
        book.open(PromiseKind.NEXT_UPDATE, now, now + span, event)


def _regraded(book: _Book, event: Event) -> None:
    kinds = [kind for kind in (*UPDATES, *FROM_DECLARATION, *AFTERMATH) if _may_be_owed_now(book, kind)]
    for kind in dict.fromkeys(kinds):
        span, opened = event.policy.span(kind), book.opened(kind)
        for promise in opened:
            _regrade(book, promise, span, event)
        if not opened and span is not None and _is_wanting(book, kind, event):
            book.open(kind, event.recorded_at, event.recorded_at + span, event)


def _regrade(book: _Book, promise: Promise, span: timedelta | None, event: Event) -> None:
    """Bring a due time forward, never back; withdraw what is owed no more, unless it is late already."""
    if span is not None:
        book.put(replace(promise, due_at=min(promise.due_at, event.recorded_at + span)))
    elif not promise.is_overdue(event.recorded_at) and not _is_word_of_its_writer(promise):
        book.drop(promise, event)


def _is_word_of_its_writer(promise: Promise) -> bool:
    """Whether no policy asked for it: what a writer promised readers stands, whatever the severity."""
    return promise.kind is PromiseKind.NEXT_UPDATE and promise.policy.next_update is None


def _may_be_owed_now(book: _Book, kind: PromiseKind) -> bool:
    if kind is PromiseKind.DIRECT_EMAIL:
        return True
    return (kind in AFTERMATH) == (book.resolved_at is not None)


def _is_wanting(book: _Book, kind: PromiseKind, event: Event) -> bool:
    """Tell whether a kind with no open promise is owed under the new severity."""
    if kind is PromiseKind.FIRST_UPDATE:
        return not book.has_posted
    if kind is PromiseKind.NEXT_UPDATE:
        return book.has_posted
    if kind is PromiseKind.PUBLIC_POST_MORTEM and not _was_down_long(book, event.policy):
        return False
    if kind is PromiseKind.INTERNAL_UPDATE:
        return True
    if kind is PromiseKind.DIRECT_EMAIL and book.resolved_at is not None:
        return not _was_too_short(book, event.policy) and not _is_settled(book, kind)
    return not _is_settled(book, kind)


def _is_settled(book: _Book, kind: PromiseKind) -> bool:
    """Whether what this kind asks for was done, or a second person let it be."""
    done = (PromiseState.KEPT, PromiseState.LATE, PromiseState.WAIVED)
    return any(promise.state in done for promise in book.of(kind))


def _was_down_long(book: _Book, policy: Policy) -> bool:
    threshold = policy.public_post_mortem_if_down
    return threshold is not None and book.down_for >= threshold


def _corrected(book: _Book, event: Event) -> None:
    """Count again from the corrected declaration. What is late stays late, whatever is corrected."""
    book.declared_at = event.occurred_at
    if book.down_since is not None and not book.down_for:
        book.down_since = min(book.down_since, event.occurred_at)
    for promise in [book.promises[key] for key in book.promises if key in book.counted]:
        # From the declaration it counts from so far, which an earlier correction may have left as it was.
        shift = event.occurred_at - promise.opened_at
        due_at = promise.due_at + shift
        if promise.is_open and not promise.is_overdue(event.recorded_at):
            later = event.recorded_at - event.occurred_at > ENTERED_AT_ONCE
            moved = replace(promise, opened_at=event.occurred_at, due_at=due_at)
            book.put(replace(moved, is_recorded_later=promise.is_recorded_later or (later and shift < timedelta(0))))
        elif promise.is_open and due_at < promise.due_at:
            book.put(replace(promise, opened_at=event.occurred_at, due_at=due_at))
        elif promise.state in (PromiseState.KEPT, PromiseState.LATE) and due_at < promise.due_at:
            _count_again(book, promise, event.occurred_at, due_at)


def _count_again(book: _Book, promise: Promise, opened_at: datetime, due_at: datetime) -> None:
    late = promise.met_at is not None and promise.met_at > due_at
    state = PromiseState.LATE if late else promise.state
    book.put(replace(promise, opened_at=opened_at, due_at=due_at, state=state, is_recorded_later=True))


def _resolved(book: _Book, event: Event) -> None:
    book.has_posted = True
    book.resolved_at = event.occurred_at
    book.watch_down(False, event.occurred_at)
    for promise in book.opened(*UPDATES):
        book.meet(promise, event)
    book.open_by_policy(PromiseKind.RESOLUTION_UPDATE, event.occurred_at, event)
    for promise in book.opened(PromiseKind.RESOLUTION_UPDATE):
        book.meet(promise, event)
    for promise in book.opened(PromiseKind.INTERNAL_UPDATE):
        book.drop(promise, event)
    for promise in book.opened(PromiseKind.DIRECT_EMAIL):
        if _was_too_short(book, event.policy) and not promise.is_overdue(event.recorded_at):
            book.drop(promise, event)
    for kind in AFTERMATH:
        if kind is not PromiseKind.PUBLIC_POST_MORTEM or _was_down_long(book, event.policy):
            book.open_by_policy(kind, event.occurred_at, event)


def _was_too_short(book: _Book, policy: Policy) -> bool:
    """Whether the impact ended before the direct e-mail came to be owed."""
    lasting = policy.direct_email_if_lasting
    if lasting is None or book.resolved_at is None or book.declared_at is None:
        return False
    return book.resolved_at - book.declared_at < lasting


def _reopened(book: _Book, event: Event) -> None:
    # There were updates before, even where only the re-opening is on record.
    book.has_posted, book.resolved_at = True, None
    book.watch_down(event.is_down, event.recorded_at)
    for promise in book.opened(*AFTERMATH):
        book.drop(promise, event)
    # The page says that all is well: readers must hear otherwise as soon as of something new.
    span = event.policy.first_update or event.policy.next_update
    if span is not None:
        book.open(PromiseKind.NEXT_UPDATE, event.recorded_at, event.recorded_at + span, event)
    book.open_by_policy(PromiseKind.INTERNAL_UPDATE, event.recorded_at, event)
    if not book.opened(PromiseKind.DIRECT_EMAIL) and not _is_settled(book, PromiseKind.DIRECT_EMAIL):
        book.open_by_policy(PromiseKind.DIRECT_EMAIL, event.recorded_at, event)


def _told_team(book: _Book, event: Event) -> None:
    for promise in book.opened(PromiseKind.INTERNAL_UPDATE):
        book.meet(promise, event)
    if book.resolved_at is None:
        book.open_by_policy(PromiseKind.INTERNAL_UPDATE, event.recorded_at, event)


def _met(book: _Book, event: Event) -> None:
    for promise in book.opened(MET_BY[event.kind]):
        book.meet(promise, event)


def _waived(book: _Book, event: Event) -> None:
    for promise in book.opened(*WAIVABLE):
        if promise.kind is event.promise_kind:
            book.put(replace(promise, state=PromiseState.WAIVED, settled_at=event.recorded_at, reason=event.reason))


def _closed(book: _Book, event: Event) -> None:
    for promise in book.opened(*PromiseKind):
        book.drop(promise, event)


_STEPS: Mapping[EventKind, Callable[[_Book, Event], None]] = {
    EventKind.DECLARED: _declared,
    EventKind.POSTED: _posted,
    EventKind.REGRADED: _regraded,
    EventKind.DECLARATION_CORRECTED: _corrected,
    EventKind.RESOLVED: _resolved,
    EventKind.REOPENED: _reopened,
    EventKind.INTERNAL_UPDATE_POSTED: _told_team,
    EventKind.WAIVED: _waived,
    EventKind.CLOSED: _closed,
    **dict.fromkeys(MET_BY, _met),
}
