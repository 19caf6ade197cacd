"""Who is told that a promise is due, when, and how often: the actions, on both databases."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from statuspage.actions import corrections, escalation, people, policies
from statuspage.actions.promises import promises_of
from statuspage.db import db, transaction
from statuspage.models import Account, Announcement, Delivery, EscalationStep, Heartbeat, Promise, Update
from statuspage.rules.vocabulary import (
    AccountRole,
    ComponentState,
    Conflict,
    IncidentRole,
    MessageKind,
    NotFound,
    PromiseKind,
    PromiseState,
    RuleBroken,
    Severity,
    Visibility,
)
from statuspage.settings import Settings
from statuspage.worker import Worker
from tests import builders

MINUTE = timedelta(minutes=1)
LOOK_AGAIN = timedelta(seconds=75)
CREW = ("comms_lead", "commander", "backup")


@pytest.fixture
def crew(app: object, now: datetime) -> dict[IncidentRole, str]:
    """A page, a person for each role, a reader and one who has left. Everybody is called by their address."""
    builders.page(now)
    made = {IncidentRole(role): builders.account(now, email=f"{role}@example.com") for role in CREW}
    builders.account(now, AccountRole.VIEWER, "viewer@example.com")
    people.disable_account(builders.account(now, AccountRole.COMMS, "left@example.com"), None, now)
    return made


@pytest.fixture
def states(crew: object, now: datetime) -> dict[str, ComponentState]:
    return {builders.component(now): ComponentState.OUTAGE}


@pytest.fixture
def writer(crew: dict[IncidentRole, str]) -> str:
    return crew[IncidentRole.COMMANDER]


def the(incident_id: str, kind: PromiseKind = PromiseKind.FIRST_UPDATE, ordinal: int = 1) -> Promise:
    db.session.rollback()
    db.session.expire_all()
    return next(row for row in promises_of(db.session(), incident_id) if (row.kind, row.ordinal) == (kind, ordinal))


def work(now: datetime) -> None:
    """Do what a worker's tick does for the promises."""
    for promise_id in escalation.due_promises(now):
        escalation.take_step(promise_id, now)
    for step_id in escalation.unproven_steps(now):
        escalation.look_again(step_id, now)


def nudges(promise: Promise) -> list[Announcement]:
    db.session.rollback()
    query = select(Announcement).where(Announcement.kind == "nudge", Announcement.subject_id == promise.id)
    return list(db.session.scalars(query.order_by(Announcement.id)))


def told(promise: Promise) -> list[str]:
    """The names before the @ of everybody who was told, in order."""
    return [nudge.address.partition("@")[0] for nudge in nudges(promise)]


def updates(incident_id: str) -> list[Update]:
    return sorted(the(incident_id).incident.updates, key=lambda each: each.sequence)


def automatic(incident_id: str) -> list[bool]:
    return [each.is_automatic for each in updates(incident_id)]


def steps(promise: Promise) -> list[EscalationStep]:
    db.session.rollback()
    db.session.expire_all()
    query = select(EscalationStep).where(EscalationStep.promise_id == promise.id)
    return list(db.session.scalars(query.order_by(EscalationStep.id)))


def arrive(now: datetime) -> None:
    """Let every nudge that waits be handed over."""
    with transaction(now) as session:
        session.execute(update(Delivery).values(state=Delivery.SUBMITTED, settled_at=now))


def clear(now: datetime) -> None:
    """Let the tick after this one find nothing left to prove."""
    with transaction(now) as session:
        session.execute(update(EscalationStep).values(look_again_at=None))


# --- in order, each once ---------------------------------------------------


def test_the_comms_lead_then_commander_backup_and_everyone_are_told_each_once(
    crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now, roles=crew)
    promise = the(incident_id)
    expected: list[str] = []
    for minute, who in ((10, ["comms_lead"]), (15, ["commander"]), (20, ["backup"]), (25, sorted(CREW))):
        at = now + minute * MINUTE
        work(at - timedelta(milliseconds=1))
        assert told(promise) == expected
        expected += who
        for moment in (at, at, at + MINUTE):
            work(moment)
            assert told(promise) == expected
        arrive(at)
    assert [(row.step, row.outcome, row.fell_due_at, row.taken_at) for row in steps(promise)] == [
        (step, "nudged", now + minute * MINUTE, now + minute * MINUTE)
        for step, minute in ((0, 10), (1, 15), (2, 20), (3, 25))
    ]
    assert the(incident_id).next_step_at is None
    work(now + timedelta(days=1))
    assert told(promise) == expected


def test_a_nudge_says_what_is_owed_by_when_and_why_this_person_is_told(
    crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now, roles=crew, title="Sign-in fails")
    work(now + 10 * MINUTE)
    arrive(now)
    work(now + 15 * MINUTE)
    before, after = (nudge.detail or {} for nudge in nudges(the(incident_id)))
    assert before["title"] == "Due 14:15 UTC: first public update for “Sign-in fails” (SEV1)"
    assert "in 5 min" in before["text"]
    assert "because you are the communications lead" in before["text"]
    assert after["title"].startswith("Overdue since 14:15 UTC")
    assert before["path"] == f"/console/incidents/{incident_id}"


def test_what_is_met_in_time_nudges_nobody_any_more(
    crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now, roles=crew)
    work(now + 10 * MINUTE)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, states, writer, now + 12 * MINUTE)
    work(now + 30 * MINUTE)
    assert told(the(incident_id)) == ["comms_lead"]


# --- who stands in ---------------------------------------------------------

COMMANDER, BACKUP, LEAD = IncidentRole.COMMANDER, IncidentRole.BACKUP, IncidentRole.COMMS_LEAD


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ((LEAD, COMMANDER, BACKUP), "comms_lead"),
        ((COMMANDER, BACKUP), "commander"),
        ((BACKUP,), "backup"),
    ],
)
def test_where_nobody_is_comms_lead_another_role_stands_in(
    held: Sequence[IncidentRole],
    expected: str,
    crew: dict[IncidentRole, str],
    states: dict[str, ComponentState],
    writer: str,
    now: datetime,
) -> None:
    incident_id = builders.declared(writer, states, now, roles={role: crew[role] for role in held})
    work(now + 10 * MINUTE)
    (nudge,) = nudges(the(incident_id))
    assert nudge.address == f"{expected}@example.com"
    assert ("nobody holds the role" in (nudge.detail or {})["text"]) == (expected != "comms_lead")


def test_where_nobody_holds_any_role_everybody_who_can_help_is_told(
    crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now)
    work(now + 10 * MINUTE)
    assert told(the(incident_id)) == sorted(CREW)


def test_whoever_was_disabled_is_not_told_and_somebody_stands_in(
    crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now, roles=crew)
    people.disable_account(crew[LEAD], None, now)
    work(now + 10 * MINUTE)
    arrive(now)
    work(now + 25 * MINUTE)
    assert told(the(incident_id)) == ["commander", "backup", "commander"]


def test_a_step_for_an_address_goes_there_and_to_everyone_once_its_account_is_gone(
    crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    boss = builders.account(now, email="boss@example.com")
    nudge = {"nudges": [{"at": "-PT5M", "to": "boss@example.com"}, {"at": "PT0S", "to": "boss@example.com"}]}
    policies.edit_policy(Severity.SEV1, nudge, None, writer, now)
    incident_id = builders.declared(writer, states, now, roles=crew)
    work(now + 10 * MINUTE)
    assert told(the(incident_id)) == ["boss"]
    people.disable_account(boss, None, now)
    clear(now)
    work(now + 15 * MINUTE)
    assert told(the(incident_id)) == ["boss", *sorted(CREW)]


# --- after a downtime ------------------------------------------------------


def test_after_hours_without_a_worker_one_nudge_goes_out_and_the_older_ones_are_on_record(
    crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now, roles=crew)
    back = now + timedelta(hours=6)
    work(back)
    promise = the(incident_id)
    assert told(promise) == sorted(CREW)
    found = {row.step: (row.outcome, row.fell_due_at, row.taken_at, row.told) for row in steps(promise)}
    assert found == {
        0: ("caught_up", now + 10 * MINUTE, back, []),
        1: ("caught_up", now + 15 * MINUTE, back, []),
        2: ("caught_up", now + 20 * MINUTE, back, []),
        3: ("nudged", now + 25 * MINUTE, back, ["Ada"] * 3),
    }
    assert promise.state is PromiseState.OPEN


# --- "I'm on it" -----------------------------------------------------------


def test_a_snooze_holds_the_next_nudge_back_once(
    crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now, roles=crew)
    work(now + 10 * MINUTE)
    arrive(now)
    promise = the(incident_id)
    escalation.snooze(promise.id, 10 * MINUTE, writer, now + 11 * MINUTE)
    assert the(incident_id).next_step_at == now + 21 * MINUTE
    work(now + 20 * MINUTE)
    assert told(promise) == ["comms_lead"]
    with pytest.raises(Conflict, match="Ada said so already, until 21 Nov 2026, 14:21 UTC"):
        escalation.snooze(promise.id, 5 * MINUTE, writer, now + 12 * MINUTE)
    work(now + 21 * MINUTE)
    assert told(promise) == ["comms_lead", "backup"]
    arrive(now)
    work(now + 25 * MINUTE)
    assert told(promise) == ["comms_lead", "backup", *sorted(CREW)]


def test_a_snooze_of_what_is_met_of_what_is_not_there_or_for_another_time_is_refused(
    crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, states, now, roles=crew)
    with pytest.raises(Conflict, match="not open any more"):
        escalation.snooze(the(incident_id).id, 5 * MINUTE, writer, now)
    with pytest.raises(NotFound):
        escalation.snooze("nosuchpromis", 5 * MINUTE, writer, now)
    following = the(incident_id, PromiseKind.NEXT_UPDATE)
    with pytest.raises(RuleBroken) as broken:
        escalation.snooze(following.id, 7 * MINUTE, writer, now)
    assert list(broken.value.errors) == ["span"]
    assert the(incident_id, PromiseKind.NEXT_UPDATE).snoozed_until is None


def test_whoever_said_they_are_on_it_is_believed_though_their_mail_did_not_arrive(
    crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now, roles=crew)
    work(now + 10 * MINUTE)
    escalation.snooze(the(incident_id).id, 10 * MINUTE, crew[LEAD], now + 11 * MINUTE)
    work(now + 12 * MINUTE)
    assert told(the(incident_id)) == ["comms_lead"]


# --- the holding update ----------------------------------------------------

HOLDING = {"enabled": True, "at": "PT2M", "text": "We are on it. More by {next_update_by}.", "max_in_a_row": 2}


@pytest.fixture
def holding(writer: str, now: datetime) -> None:
    policies.edit_policy(Severity.SEV1, {"holding_update": HOLDING}, None, writer, now)


def test_an_overdue_update_is_held_in_the_approved_words_and_counted_by_itself(
    holding: None, crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, states, now, roles=crew)
    work(now + 31 * MINUTE)
    assert the(incident_id, PromiseKind.NEXT_UPDATE).state is PromiseState.OPEN
    at = now + 32 * MINUTE
    work(at)
    first = the(incident_id, PromiseKind.NEXT_UPDATE)
    assert (first.state, first.is_met_automatically, first.met_at) == (PromiseState.LATE, True, at)
    second = the(incident_id, PromiseKind.NEXT_UPDATE, 2)
    assert (second.state, second.opened_at, second.due_at) == (PromiseState.OPEN, at, at + 30 * MINUTE)
    posted = updates(incident_id)[-1]
    assert (posted.body, posted.is_automatic, posted.author_id) == (
        "We are on it. More by 21 Nov 2026, 15:02 UTC.", True, None
    )  # fmt: skip
    query = select(Announcement.audience).where(Announcement.subject_id == posted.id)
    assert db.session.scalars(query).all() == ["subscribers"]
    assert (200, "held") in [(row.step, row.outcome) for row in steps(first)]


def test_no_more_than_the_policy_says_are_posted_in_a_row(
    holding: None, crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, states, now, roles=crew)
    for minute in range(1, 200):
        work(now + minute * MINUTE)
    assert automatic(incident_id) == [False, True, True]
    third = the(incident_id, PromiseKind.NEXT_UPDATE, 3)
    assert (third.state, third.next_step_at) == (PromiseState.OPEN, None)
    assert (200, "not_held") in [(row.step, row.outcome) for row in steps(third)]
    builders.post(MessageKind.UPDATE, incident_id, {}, writer, now + 200 * MINUTE)
    for minute in range(200, 240):
        work(now + minute * MINUTE)
    assert automatic(incident_id) == [False, True, True, False, True]


def test_customers_never_hear_from_a_program_first(
    holding: None, crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now, roles=crew)
    work(now + 60 * MINUTE)
    assert automatic(incident_id) == []
    corrections.regrade(incident_id, Severity.SEV2, "Less.", builders.version(incident_id), writer, now + 61 * MINUTE)
    work(now + 180 * MINUTE)
    assert automatic(incident_id) == []


def test_a_person_who_was_faster_is_not_talked_over(
    holding: None, crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, states, now, roles=crew)
    due = escalation.due_promises(now + 32 * MINUTE)
    builders.post(MessageKind.UPDATE, incident_id, {}, writer, now + 32 * MINUTE)
    assert the(incident_id, PromiseKind.NEXT_UPDATE).id in due
    for promise_id in due:
        escalation.take_step(promise_id, now + 32 * MINUTE)
    assert automatic(incident_id) == [False, False]


def test_after_a_reopening_the_first_word_is_a_persons_again(
    writer: str, states: dict[str, ComponentState], holding: None, now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, states, now)
    fine = dict.fromkeys(states, ComponentState.OPERATIONAL)
    builders.post(MessageKind.RESOLVE, incident_id, fine, writer, now + 10 * MINUTE)
    version = builders.version(incident_id)
    corrections.reopen(incident_id, "It is back.", version, writer, now + 20 * MINUTE)
    work(now + 60 * MINUTE)
    assert automatic(incident_id) == [False, False]


def test_somebody_on_it_does_not_hold_a_due_holding_update_back(
    writer: str, states: dict[str, ComponentState], holding: None, now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, states, now)
    due = now + 32 * MINUTE
    promise = the(incident_id, PromiseKind.NEXT_UPDATE)
    escalation.snooze(promise.id, timedelta(minutes=20), writer, due)
    work(due)
    assert automatic(incident_id) == [False, True]


def test_nothing_is_held_for_what_is_owed_after_the_incident(
    holding: None, crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.acknowledged(writer, states, now, roles=crew)
    at = now + 5 * MINUTE
    builders.post(MessageKind.RESOLVE, incident_id, dict.fromkeys(states, ComponentState.OPERATIONAL), writer, at)
    email = the(incident_id, PromiseKind.POST_INCIDENT_EMAIL)
    for hours in range(18, 30):
        work(at + timedelta(hours=hours))
    assert {row.outcome for row in steps(email)} <= {"nudged", "caught_up"}
    assert automatic(incident_id) == [False, False]
    assert the(incident_id, PromiseKind.POST_INCIDENT_EMAIL).state is PromiseState.OPEN


# --- when nobody can be reached --------------------------------------------


def test_a_nudge_that_no_mail_server_took_goes_on_to_the_next_people(
    crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    incident_id = builders.declared(writer, states, now, roles=crew)
    at = now + 10 * MINUTE
    work(at)
    work(at + LOOK_AGAIN - timedelta(seconds=1))
    assert told(the(incident_id)) == ["comms_lead"]
    work(at + LOOK_AGAIN)
    assert told(the(incident_id)) == ["comms_lead", "commander"]
    # And the commander is not told the same again when that step's own time comes.
    arrive(now)
    work(now + 15 * MINUTE)
    assert told(the(incident_id)) == ["comms_lead", "commander"]
    work(now + 20 * MINUTE)
    assert told(the(incident_id)) == ["comms_lead", "commander", "backup"]


def test_a_nudge_that_arrived_or_whose_promise_is_met_goes_no_further(
    crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    arrived, met = (builders.declared(writer, states, now, roles=crew) for _ in range(2))
    at = now + 10 * MINUTE
    work(at)
    builders.post(MessageKind.ACKNOWLEDGE, met, states, writer, at)
    with transaction(at) as session:
        ids = [nudge.id for nudge in nudges(the(arrived))]
        session.execute(
            update(Delivery).where(Delivery.announcement_id.in_(ids)).values(state=Delivery.SUBMITTED, settled_at=at)
        )
    work(at + LOOK_AGAIN)
    assert told(the(arrived)) == told(the(met)) == ["comms_lead"]
    assert escalation.unproven_steps(at + timedelta(days=1)) == [
        row.id for row in steps(the(arrived, PromiseKind.INTERNAL_UPDATE)) if row.look_again_at
    ] + [row.id for row in steps(the(met, PromiseKind.INTERNAL_UPDATE)) if row.look_again_at]


# --- what is broken holds up nobody else -----------------------------------


class _NoPost:
    batch_size = 1

    def deliver(self, *_: object) -> list[object]:
        return []


@pytest.fixture
def worker(settings: Settings) -> Worker:
    return Worker(settings, _NoPost())  # type: ignore[arg-type]


def test_a_promise_that_raises_is_pushed_back_and_the_others_go_on(
    worker: Worker,
    crew: dict[IncidentRole, str],
    states: dict[str, ComponentState],
    writer: str,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken, sound = (builders.declared(writer, states, now, roles=crew) for _ in range(2))
    poisoned, real = the(broken).id, escalation._steps

    def break_one(promise: Promise) -> object:
        if promise.id == poisoned:
            raise ValueError("this promise is broken")
        return real(promise)

    monkeypatch.setattr(escalation, "_steps", break_one)
    at = now + 10 * MINUTE
    worker.tick(at)
    assert told(the(sound)) == ["comms_lead"]
    assert the(broken).next_step_at == at + MINUTE
    monkeypatch.undo()
    worker.tick(at + MINUTE)
    assert told(the(broken)) == ["comms_lead"]


def test_a_step_that_can_not_be_looked_at_again_holds_up_no_other(
    worker: Worker,
    crew: dict[IncidentRole, str],
    states: dict[str, ComponentState],
    writer: str,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken, sound = (builders.declared(writer, states, now, roles=crew) for _ in range(2))
    at = now + 10 * MINUTE
    worker.tick(at)
    poisoned, real = steps(the(broken))[0].id, escalation._arrived

    def break_one(session: object, row: EscalationStep) -> bool:
        if row.id == poisoned:
            raise ValueError("this step is broken")
        return real(session, row)  # type: ignore[arg-type]

    monkeypatch.setattr(escalation, "_arrived", break_one)
    worker.tick(at + LOOK_AGAIN)
    assert told(the(sound)) == ["comms_lead", "commander"]
    assert poisoned not in escalation.unproven_steps(at + LOOK_AGAIN)
    assert poisoned in escalation.unproven_steps(at + LOOK_AGAIN + MINUTE)


def test_the_heart_goes_on_beating_when_a_clock_that_was_set_back_is_believed(
    worker: Worker, crew: object, now: datetime
) -> None:
    beats = []
    for moment in (now, now + MINUTE, now - timedelta(hours=2)):
        worker.tick(moment)
        beats.append(db.session.scalar(select(Heartbeat.beat_at)))
        db.session.rollback()
    assert len(set(beats)) == 3


# --- drills ----------------------------------------------------------------


def test_a_drills_nudges_say_so_and_its_holding_updates_reach_no_customer(
    holding: None, crew: dict[IncidentRole, str], states: dict[str, ComponentState], writer: str, now: datetime
) -> None:
    drill = builders.acknowledged(writer, states, now, roles=crew, visibility=Visibility.DRILL)
    for minute in range(70):
        work(now + minute * MINUTE)
    assert automatic(drill) == [False, True, True]
    titles = {(nudge.detail or {})["title"] for nudge in db.session.scalars(select(Announcement))}
    assert len(titles) > 3
    assert all(title.startswith("DRILL: ") for title in titles)
    db.session.rollback()
    assert set(db.session.scalars(select(Announcement.audience))) == {"address"}
    able = select(Account.email)
    assert set(db.session.scalars(select(Announcement.address))) <= set(db.session.scalars(able))
