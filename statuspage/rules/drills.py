"""Drills: the scenarios that can be practised, what they tell when, and how one went."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from statuspage.rules.times import span_in_words
from statuspage.rules.vocabulary import LABELS, ComponentState, PromiseKind, PromiseState, Severity
from statuspage.rules.wording import NOTHING_OWN, Finding, OwnWords, warnings


@dataclass(frozen=True)
class Inject:
    """One thing the players are told."""

    at: timedelta
    """After the drill began."""
    source: str
    text: str


@dataclass(frozen=True)
class Scenario:
    """A practice incident that was thought up beforehand."""

    name: str
    title: str
    """What customers would call it."""
    summary: str
    severity: Severity
    state: ComponentState
    """Of the affected components at the beginning."""
    components_hint: str
    """Which components to choose."""
    injects: tuple[Inject, ...]
    """In the order they are told."""


@dataclass(frozen=True)
class ToldInject:
    """An inject that the players have been told."""

    told_at: datetime
    source: str
    text: str


@dataclass(frozen=True)
class PromiseResult:
    """What a score needs to know of one promise."""

    kind: PromiseKind
    state: PromiseState
    due_at: datetime
    met_at: datetime | None


@dataclass(frozen=True)
class KindScore:
    """How the promises of one kind went."""

    kind: PromiseKind
    kept: int
    late: int
    missed: int
    open: int
    late_by: timedelta | None
    """The longest time by which one was late, or is overdue; None if none was."""

    @property
    def in_words(self) -> str:
        """Return the counts for readers: ``1 kept, 2 late; up to 7 min overdue``."""
        counts = {"kept": self.kept, "late": self.late, "missed": self.missed, "open": self.open}
        said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        return f"{said}; {self.delay_in_words} overdue" if self.late_by else said

    @property
    def delay_in_words(self) -> str:
        """Return the longest delay for readers: ``up to 7 min``; empty if there was none."""
        if self.late_by is None:
            return ""
        return f"{'up to ' if self.late + self.open > 1 else ''}{span_in_words(self.late_by)}"


@dataclass(frozen=True)
class ScoreSheet:
    """How a drill went."""

    kinds: tuple[KindScore, ...]
    updates: int
    first_update_after: timedelta | None
    longest_silence: timedelta | None
    """Between two public updates, or from the last one to the end; None without an update."""
    resolved_after: timedelta | None
    wording: tuple[Finding, ...]
    """What customers may not have understood in the messages."""
    went_well: str
    to_practise: str


def injects_until(scenario: Scenario, began_at: datetime, now: datetime) -> list[ToldInject]:
    """Return what the players have been told so far, the newest first."""
    told = [ToldInject(began_at + each.at, each.source, each.text) for each in scenario.injects]
    return [each for each in reversed(told) if each.told_at <= now]


def next_inject_at(scenario: Scenario, began_at: datetime, now: datetime) -> datetime | None:
    """Return when the players are told the next thing; None once everything is told."""
    return next((began_at + each.at for each in scenario.injects if began_at + each.at > now), None)


def score(
    promises: Sequence[PromiseResult],
    updates: Sequence[datetime],
    declared_at: datetime,
    resolved_at: datetime | None,
    until: datetime,
    said: Sequence[str] = (),
    own: OwnWords = NOTHING_OWN,
) -> ScoreSheet:
    """Return how a drill went.

    ``updates`` are the moments public updates were posted, in their order;
    ``until`` is when the drill ended, or the present moment while it runs.
    Waived and withdrawn promises don't count. ``said`` are the messages' texts,
    ``own`` the words that only this installation knows.
    """
    kinds = tuple(
        _kind_score(kind, found, until) for kind in PromiseKind if (found := [p for p in promises if p.kind is kind])
    )
    kinds = tuple(each for each in kinds if each.kept or each.late or each.missed or each.open)
    first = updates[0] - declared_at if updates else None
    resolved_after = resolved_at - declared_at if resolved_at else None
    # Once it is resolved nobody waits for another word.
    ends = [*updates] if resolved_at else [*updates, max(until, *updates)] if updates else []
    silence = max((later - earlier for earlier, later in itertools.pairwise(ends)), default=None)
    return ScoreSheet(
        kinds=kinds,
        updates=len(updates),
        first_update_after=first,
        longest_silence=silence,
        resolved_after=resolved_after,
        wording=warnings("\n\n".join(said), own),
        went_well=_went_well(kinds, len(updates), first, resolved_after),
        to_practise=_to_practise(kinds, len(updates), resolved_after),
    )


def _kind_score(kind: PromiseKind, promises: Sequence[PromiseResult], until: datetime) -> KindScore:
    def count(state: PromiseState) -> int:
        return sum(each.state is state for each in promises)

    delays = [each.met_at - each.due_at for each in promises if each.state is PromiseState.LATE and each.met_at]
    delays += [until - each.due_at for each in promises if each.state is PromiseState.OPEN and each.due_at < until]
    return KindScore(
        kind,
        kept=count(PromiseState.KEPT),
        late=count(PromiseState.LATE),
        missed=count(PromiseState.MISSED),
        open=count(PromiseState.OPEN),
        late_by=max(delays, default=None),
    )


def _went_well(
    kinds: Sequence[KindScore], updates: int, first: timedelta | None, resolved_after: timedelta | None
) -> str:
    kept = sum(each.kept for each in kinds)
    settled = kept + sum(each.late + each.missed for each in kinds)
    smooth = kept == settled and not any(each.late_by for each in kinds)
    first_kept = any(each.kind is PromiseKind.FIRST_UPDATE and each.kept for each in kinds)
    if kept and smooth:
        return "Every promise that fell due was kept."
    if first is not None and first_kept:
        return f"The first update came in time, {span_in_words(first)} after the declaration."
    if kept:
        return f"{kept} of {settled} promises were kept."
    if resolved_after is not None:
        return f"The incident was brought to its end, {span_in_words(resolved_after)} after the declaration."
    if updates:
        return f"Customers would have heard from you {'once' if updates == 1 else f'{updates} times'}."
    return "You held a drill: the next one shows what it taught."


_ADVICE: Mapping[PromiseKind, str] = {
    PromiseKind.FIRST_UPDATE: "say early what customers notice; the cause can wait",
    PromiseKind.NEXT_UPDATE: "post before the promised time, even when nothing is new",
    PromiseKind.RESOLUTION_UPDATE: "once service is back, say so at once",
}


def _to_practise(kinds: Sequence[KindScore], updates: int, resolved_after: timedelta | None) -> str:
    if not updates:
        return "The first update: say early what customers notice; the cause can wait."
    for each in kinds:
        if not (each.late_by or each.missed):
            continue
        how = f"{each.delay_in_words} late" if each.late_by else "left out"
        return f"{LABELS[each.kind]}: it was {how}. Next time, {_ADVICE.get(each.kind, 'decide early who writes it')}."
    if resolved_after is None:
        return "The end: this drill has no resolve message. Closing well is worth a try too."
    return "Nothing stands out. Take a harder scenario, or change roles."


def _after(minutes: int, source: str, text: str) -> Inject:
    return Inject(timedelta(minutes=minutes), source, text)


_MONITORING, _SUPPORT, _ENGINEER, _CUSTOMER = "Monitoring", "Support", "On-call engineer", "Big customer"

_DATABASE_OUTAGE = Scenario(
    name="database-outage",
    title="The service is unavailable",
    summary="Everything is down at once. It comes back, and goes again: good news needs a second look "
    "before it is passed on.",
    severity=Severity.SEV1,
    state=ComponentState.OUTAGE,
    components_hint="Everything customers use.",
    injects=(
        _after(
            0,
            _MONITORING,
            "For four minutes the start page has answered with an error, from all three places we check from.",
        ),
        _after(
            3, _SUPPORT, "Eleven messages in three minutes, and all say the same: an error page right after signing in."
        ),
        _after(
            7,
            _ENGINEER,
            "The main database takes no connections. I can't say why yet. The replica should have "
            "taken over by itself and has not.",
        ),
        _after(
            12,
            _CUSTOMER,
            "Our warehouse stands still. Is anybody working on this, and when will it be back? "
            "I have to tell my board something.",
        ),
        _after(
            18, _ENGINEER, "I have made the replica the main database by hand. Pages load for me. I think we are back."
        ),
        _after(
            24,
            _MONITORING,
            "Checks fail again from two of three places. Six requests in ten end in an error, and rising.",
        ),
        _after(
            29,
            _ENGINEER,
            "The replica ran out of disk space while it caught up; it was not over after all. "
            "I am adding space. Twenty minutes perhaps, but I would not promise it.",
        ),
        _after(38, _SUPPORT, "Customers quote our last update back at us: “you said it works”. What may we answer?"),
        _after(
            48,
            _ENGINEER,
            "There is space, the database takes connections, what had piled up is being worked off. "
            "Please let me watch it for a while before we call it over.",
        ),
        _after(
            58,
            _MONITORING,
            "All checks have passed from all three places for eight minutes. Errors are at their usual level.",
        ),
    ),
)

_SLOW_SIGN_IN = Scenario(
    name="slow-sign-in",
    title="Signing in is slow",
    summary="It begins with a few complaints, grows for an hour, and the cause is found late: "
    "what can be said while nobody knows why?",
    severity=Severity.SEV2,
    state=ComponentState.DEGRADED,
    components_hint="Whatever customers sign in with.",
    injects=(
        _after(
            0,
            _SUPPORT,
            "Three customers say that signing in “takes forever”. It works for me, but it took nine seconds.",
        ),
        _after(
            5,
            _MONITORING,
            "Half of all sign-ins take more than four seconds; usually it is under one. There are no errors.",
        ),
        _after(
            10, _ENGINEER, "Nothing was released today, and the servers have little to do. I look at the database next."
        ),
        _after(
            18,
            _MONITORING,
            "Half of all sign-ins take more than nine seconds now. One in twelve is given up as too slow.",
        ),
        _after(
            25,
            _CUSTOMER,
            "Our late shift begins in half an hour: 200 people sign in at the same moment. "
            "Should the early shift stay signed in?",
        ),
        _after(
            33,
            _SUPPORT,
            "Somebody found a way round: the link in the mail for a forgotten password signs in at once. "
            "May we recommend it to everybody?",
        ),
        _after(
            42,
            _ENGINEER,
            "I restarted the cache, and it was better for two minutes. Now it is as before. So not the cache.",
        ),
        _after(
            50,
            _ENGINEER,
            "Found: the service that sends sign-in codes answers slowly, and everybody waits for it, also people "
            "who use no code. I can take that wait away.",
        ),
        _after(
            58, _MONITORING, "Half of all sign-ins take under two seconds, and falling. None given up for five minutes."
        ),
        _after(
            66,
            _ENGINEER,
            "Usual times for ten minutes. The codes themselves still come up to a minute late; their sender is on it.",
        ),
    ),
)

_SUPPLIER_FAILURE = Scenario(
    name="supplier-failure",
    title="Card payments fail",
    summary="A supplier is down and does not say so. Customers press for answers, and what you hear "
    "from several sides does not fit together.",
    severity=Severity.SEV2,
    state=ComponentState.OUTAGE,
    components_hint="Whatever takes payments.",
    injects=(
        _after(0, _MONITORING, "Seven card payments in ten have failed for five minutes. Everything else is as usual."),
        _after(4, _SUPPORT, "Customers ask whether they were charged. Some have tried three times."),
        _after(
            8,
            _ENGINEER,
            "Our side looks healthy. Calls to the payment provider get no answer in time. "
            "Their status page says that all is well.",
        ),
        _after(
            14,
            "Payment provider",
            "Thank you for your message. We know of no disturbance. Your request has the number 48213.",
        ),
        _after(
            20,
            _CUSTOMER,
            "We have a sale until midnight and lose money by the minute. Whose fault is this? Name them, "
            "or we name you.",
        ),
        _after(
            26,
            "Sales",
            "I have told two customers that it will work in ten minutes; I read that in the chat. It is true, isn't it?",
        ),
        _after(
            34,
            "Payment provider",
            "We see a higher rate of errors in one region and are looking into it. We can't say how long it will take.",
        ),
        _after(
            42,
            _ENGINEER,
            "We could send card payments to our second provider: a quarter of an hour of work, and no refunds "
            "while it lasts. I need somebody to decide.",
        ),
        _after(
            50,
            "Accounts",
            "About 230 payments were taken twice. We can give all of it back by tomorrow noon, but would like "
            "nobody to write about it before we know the exact number.",
        ),
        _after(
            60,
            _MONITORING,
            "Ninety-eight card payments in a hundred have gone through for ten minutes. "
            "The provider's status page still speaks of errors.",
        ),
    ),
)

SCENARIOS: Mapping[str, Scenario] = {each.name: each for each in (_DATABASE_OUTAGE, _SLOW_SIGN_IN, _SUPPLIER_FAILURE)}
