"""Tell people that a promise is due: each step once, whoever asks, whatever restarts in between."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.actions.incidents import hold
from statuspage.actions.ledger import audit, take_page
from statuspage.actions.policies import policy_in
from statuspage.db import db, insert_once, transaction
from statuspage.delivery.announcements import announce_to_address, announce_to_channel
from statuspage.models import (
    Account,
    Channel,
    Delivery,
    EscalationStep,
    Incident,
    Promise,
    RoleAssignment,
    Update,
    new_id,
)
from statuspage.rules import escalation
from statuspage.rules.escalation import Step
from statuspage.rules.policy import EVERYONE
from statuspage.rules.times import instant_in_words
from statuspage.rules.vocabulary import (
    AccountRole,
    ChannelKind,
    Conflict,
    IncidentRole,
    MessageKind,
    NotFound,
    PromiseState,
    RuleBroken,
    Visibility,
)

AT_ONCE = 50
"""As many promises as one tick looks at; the next tick follows without a pause."""
PUSHED_BACK_BY = timedelta(minutes=1)


@dataclass(frozen=True)
class _Told:
    """Who is told by one step, and why."""

    accounts: tuple[Account, ...]
    because: str
    is_everyone: bool


def due_promises(now: datetime) -> list[str]:
    """Return the ids of the promises to look at now, the longest waiting first. One indexed query."""
    db.session.rollback()
    query = select(Promise.id).where(Promise.next_step_at <= now).order_by(Promise.next_step_at).limit(AT_ONCE)
    return list(db.session.scalars(query))


def take_step(promise_id: str, now: datetime) -> bool:
    """Take what is due for a promise; tell whether there was anything.

    Of any number of workers one takes a step: the promise's row is taken for
    the transaction, and the step's row has a unique key. After a downtime the
    newest step is told and the older ones are recorded only.
    """
    with transaction(now) as session:
        # A holding update is a public change, and those begin with the page.
        take_page(session)
        promise = session.scalar(
            select(Promise)
            .where(Promise.id == promise_id, Promise.state == PromiseState.OPEN, Promise.next_step_at <= now)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        )
        if promise is None:
            return False
        turn = escalation.turn(_steps(promise), _taken(session, promise), promise.snoozed_until, now)
        promise.next_step_at = turn.next_at
        for step in turn.caught_up:
            _claim(session, promise, step, EscalationStep.CAUGHT_UP, now)
        if turn.nudge is not None:
            _nudge(session, promise, turn.nudge, now)
        if turn.holding is not None:
            _hold(session, promise, turn.holding, now)
        return True


def push_back(promise_id: str, now: datetime) -> None:
    """Look at a promise again later: something about it is broken, and others wait."""
    with transaction(now) as session:
        promise = session.get(Promise, promise_id, with_for_update=True, populate_existing=True)
        if promise is not None and promise.next_step_at is not None:
            promise.next_step_at = now + PUSHED_BACK_BY


def unproven_steps(now: datetime) -> list[int]:
    """Return the ids of the steps whose nudges should have arrived by now. One indexed query."""
    db.session.rollback()
    return list(db.session.scalars(select(EscalationStep.id).where(EscalationStep.look_again_at <= now).limit(AT_ONCE)))


def look_again(step_id: int, now: datetime) -> None:
    """See whether a step's nudges arrived; if none did go by the next way, or on to the next people."""
    with transaction(now) as session:
        # First, as take_step does: two that wait for each other would be broken off.
        take_page(session)
        row = session.scalar(
            select(EscalationStep)
            .where(EscalationStep.id == step_id, EscalationStep.look_again_at <= now)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        )
        if row is None:
            return
        row.look_again_at = None
        promise = session.get_one(Promise, row.promise_id, populate_existing=True)
        if promise.state is not PromiseState.OPEN or _is_snoozed(promise, now) or _arrived(session, row):
            return
        step = next((each for each in _steps(promise) if each.number == row.step), None)
        if step is None:
            return
        told = _people(session, promise.incident, step.to)
        if row.ways_left:
            way, *rest = row.ways_left
            names, announced = _announce(session, promise, told, [way], now)
            row.told, row.announcement_ids, row.ways_left = [*row.told, *names], announced, rest
            row.look_again_at = now + escalation.LOOK_AGAIN_AFTER
        else:
            _go_on(session, promise, now)


def _is_snoozed(promise: Promise, now: datetime) -> bool:
    """Whether somebody is on it: then it does not matter by which way they heard."""
    return promise.snoozed_until is not None and now < promise.snoozed_until


def put_off(step_id: int, now: datetime) -> None:
    """Look at a step again later: something about it is broken, and others wait."""
    with transaction(now) as session:
        row = session.get(EscalationStep, step_id, with_for_update=True, populate_existing=True)
        if row is not None and row.look_again_at is not None:
            row.look_again_at = now + PUSHED_BACK_BY


def _go_on(session: Session, promise: Promise, now: datetime) -> None:
    """Tell the next in line now, since nobody could be reached."""
    taken = _taken(session, promise)
    left = [step for step in _steps(promise) if step.number not in taken and not step.is_holding]
    if left:
        _nudge(session, promise, left[0], now)


def snooze(promise_id: str, span: timedelta, by: str, now: datetime) -> None:
    """Take note that somebody is on it: no nudge for this long. Once for each promise.

    Raises NotFound, RuleBroken on ``span``, Conflict if it is met or was snoozed before.
    """
    if span not in escalation.SNOOZES:
        raise RuleBroken({"span": "Please choose one of the times offered."})
    with transaction(now) as session:
        promise = session.get(Promise, promise_id, with_for_update=True, populate_existing=True)
        if promise is None:
            raise NotFound("promise")
        if promise.state is not PromiseState.OPEN:
            raise Conflict("This promise is not open any more: there is nothing to hold back.")
        if promise.snoozed_until is not None:
            name = promise.snoozed_by.name if promise.snoozed_by else "Somebody"
            raise Conflict(f"{name} said so already, until {instant_in_words(promise.snoozed_until)}.")
        promise.snoozed_until, promise.snoozed_by_id = now + span, by
        turn = escalation.turn(_steps(promise), _taken(session, promise), promise.snoozed_until, now)
        # A holding update that is due by now waits for nobody.
        promise.next_step_at = now if turn.holding else turn.next_at
        audit(session, by, "snooze", "promise", promise_id, now, until=(now + span).isoformat())


def _steps(promise: Promise) -> tuple[Step, ...]:
    policy = policy_in(promise.policy, promise.policy.severity)
    return escalation.steps(policy, promise.kind, promise.opened_at, promise.due_at)


def _taken(session: Session, promise: Promise) -> set[int]:
    return set(session.scalars(select(EscalationStep.step).where(EscalationStep.promise_id == promise.id)))


def _claim(session: Session, promise: Promise, step: Step, outcome: str, now: datetime, **more: Any) -> bool:
    """Record a step, when it fell due and when it was taken; tell whether it was still to be taken."""
    values = {
        "promise_id": promise.id,
        "step": step.number,
        "outcome": outcome,
        "fell_due_at": step.at,
        "taken_at": now,
        "told": [],
        "announcement_ids": [],
        "ways_left": [],
    }
    return insert_once(session, EscalationStep.__table__, values | more)  # type: ignore[arg-type]


def _nudge(session: Session, promise: Promise, step: Step, now: datetime) -> None:
    if not _claim(session, promise, step, EscalationStep.NUDGED, now):
        return
    told = _people(session, promise.incident, step.to)
    at_once, left = escalation.ways(step.by, *_ways_to(session, told))
    names, announced = _announce(session, promise, told, at_once, now)
    row = session.execute(
        select(EscalationStep).where(EscalationStep.promise_id == promise.id, EscalationStep.step == step.number)
    ).scalar_one()
    row.told, row.announcement_ids, row.ways_left = names, announced, list(left)
    row.look_again_at = now + escalation.LOOK_AGAIN_AFTER


def _hold(session: Session, promise: Promise, step: Step, now: datetime) -> None:
    """Post the holding update, if customers heard from a person before and not too many were posted in a row."""
    policy = policy_in(promise.policy, promise.policy.severity)
    said = select(Update.kind, Update.is_automatic).where(Update.incident_id == promise.incident_id)
    flags: list[bool] = []
    for row in session.execute(said.order_by(Update.sequence)):
        # After a re-opening readers were told that all is well: again the first word is a person's.
        flags = [] if row.kind is MessageKind.RESOLVE else [*flags, row.is_automatic]
    incident = promise.incident
    if not incident.is_open or not escalation.may_hold(flags, policy.holding_update.max_in_a_row):
        _claim(session, promise, step, EscalationStep.NOT_HELD, now)
        return
    if _claim(session, promise, step, EscalationStep.HELD, now):
        session.flush()
        hold(session, incident, new_id(), None, now)


def _people(session: Session, incident: Incident, to: str) -> _Told:
    """Return the accounts a step goes to; where nobody holds the role, those who stand in."""
    if "@" in to:
        named = session.scalars(select(Account).where(Account.email == to, Account.disabled_at.is_(None))).all()
        if named:
            return _Told(tuple(named), "You are told because the policy names you.", False)
    holders = _holders(session, incident)
    if to in list(IncidentRole):
        role = IncidentRole(to)
        for candidate in escalation.stand_ins(role):
            if candidate in holders:
                reason = escalation.because(role, stands_in=candidate != to)
                return _Told((holders[candidate],), reason, False)
    able = select(Account).where(Account.disabled_at.is_(None), Account.role != AccountRole.VIEWER)
    everyone = tuple(session.scalars(able.order_by(Account.email)))
    reason = escalation.BECAUSE_EVERYONE
    if to in list(IncidentRole):
        reason = escalation.because(IncidentRole(to), stands_in=True)
    return _Told(everyone, reason, to == EVERYONE)


def _holders(session: Session, incident: Incident) -> dict[str, Account]:
    query = select(RoleAssignment).where(RoleAssignment.incident_id == incident.id)
    held = session.scalars(query.execution_options(populate_existing=True))
    return {each.role.value: each.account for each in held if each.account.disabled_at is None}


def _ways_to(session: Session, told: _Told) -> tuple[set[str], set[str]]:
    """Return the ways to reach these people, and those kept in reserve: the whole team's pager."""
    channels = _channels(session, told)
    available = {"email"} if told.accounts else set()
    if any(_way_of(channel) == "chat" for channel in channels):
        available.add("chat")
    pagers = [channel for channel in channels if _way_of(channel) == "pager"]
    if any(channel.account_id is not None or told.is_everyone for channel in pagers):
        available.add("pager")
    return available, {"pager"} if pagers else set()


def _channels(session: Session, told: _Told) -> Sequence[Channel]:
    """Return the team's channels and those of the people told."""
    ids = [account.id for account in told.accounts]
    return session.scalars(
        select(Channel)
        .where(Channel.removed_at.is_(None), Channel.account_id.is_(None) | Channel.account_id.in_(ids))
        .order_by(Channel.name)
    ).all()


def _announce(
    session: Session, promise: Promise, told: _Told, by: Sequence[str], now: datetime
) -> tuple[list[str], list[int]]:
    """Put the nudge into the outbox by these ways. Return who is told, and the announcements' ids."""
    incident = promise.incident
    severity = incident.severity.value if incident.severity else ""
    is_drill = incident.visibility is Visibility.DRILL
    detail = {
        "title": escalation.nudge_title(promise.kind, incident.title, severity, promise.due_at, is_drill, now),
        "text": escalation.nudge_text(promise.kind, incident.title, promise.due_at, told.because, now),
        "path": f"/console/incidents/{incident.id}",
    }
    names, announced = [], []
    if "email" in by:
        for account in told.accounts:
            own = detail | {"account_id": account.id}
            announced.append(announce_to_address(session, "nudge", promise.id, account.email, None, now, own))
            names.append(account.name)
    for channel in _channels(session, told):
        if _way_of(channel) in by:
            announced.append(announce_to_channel(session, "nudge", promise.id, channel.id, detail, incident, now))
            names.append(channel.name)
    return names, announced


def _way_of(channel: Channel) -> str:
    return "pager" if channel.kind is ChannelKind.PAGER else "chat"


def _arrived(session: Session, row: EscalationStep) -> bool:
    """Tell whether any of a step's nudges was handed over."""
    return (
        session.scalar(
            select(Delivery.id)
            .where(Delivery.announcement_id.in_(row.announcement_ids), Delivery.state == Delivery.SUBMITTED)
            .limit(1)
        )
        is not None
    )
