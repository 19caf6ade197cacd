"""Real workers killed again and again while promises fall due: every step once, nobody told twice, nothing early."""

import time
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from statuspage import clock
from statuspage.actions import policies
from statuspage.actions.promises import promises_of
from statuspage.db import db
from statuspage.models import Announcement, EscalationStep, Promise
from statuspage.rules.vocabulary import ComponentState, IncidentRole, PromiseKind, PromiseState, Severity
from tests import builders
from tests.faults.crowd import workers
from tests.nursery import Nursery

INCIDENTS = 20
# Who is told how long after the due time. Every nudge comes after it, so that each keeps its distance to the last.
NUDGES = ((0, "comms_lead"), (3, "commander"), (6, "backup"), (9, "everyone"))
CREW = ("comms_lead", "commander", "backup")
OWED = {"first_update": "PT2S", "internal_update": None, "direct_email": None, "reminders": []}
# For each kind of database: workers, kills at most, and the longest pause between two.
STRAIN = {"sqlite": (2, 20, 1.0), "postgresql": (10, 100, 0.3)}
LIMIT_SECONDS = 75


def declare_all() -> list[str]:
    """Return the ids of incidents whose promises run through their escalation within seconds."""
    now = clock.now()
    builders.page(now)
    roles = {IncidentRole(role): builders.account(now, email=f"{role}@example.com") for role in CREW}
    nudges = [{"at": f"PT{seconds}S", "to": to} for seconds, to in NUDGES]
    policies.edit_policy(Severity.SEV1, OWED | {"nudges": nudges}, None, None, now)
    states = {builders.component(now): ComponentState.DEGRADED}
    # One after the other, so that for ten seconds and more something falls due all the time.
    first = clock.now() + timedelta(seconds=2)
    return [
        builders.declared(None, states, first + timedelta(seconds=0.4 * number), roles=roles)
        for number in range(INCIDENTS)
    ]


def steps_taken() -> int:
    db.session.rollback()
    count = db.session.scalar(select(func.count()).select_from(EscalationStep))
    db.session.rollback()
    return count or 0


def first_promise(incident_id: str) -> Promise:
    (found,) = (row for row in promises_of(db.session(), incident_id) if row.kind is PromiseKind.FIRST_UPDATE)
    return found


@pytest.mark.usefixtures("app")
def test_ten_workers_killed_a_hundred_times_take_every_step_once(environ: dict[str, str], nursery: Nursery) -> None:
    count, kills, longest_pause = STRAIN[db.engine.dialect.name]
    began = time.monotonic()
    with workers(nursery, count, environ) as crowd:
        incidents = declare_all()
        while (taken := steps_taken()) < INCIDENTS * len(NUDGES):
            assert time.monotonic() - began < LIMIT_SECONDS, f"{taken} steps after {crowd.kills} kills"
            if taken and crowd.kills < kills:
                crowd.kill_one()
            crowd.pause(longest_pause)
    # All of them struck while steps were being taken.
    assert crowd.kills > kills / 2, crowd.kills
    db.session.rollback()
    db.session.expire_all()
    for incident_id in incidents:
        assert_told_in_order_once_and_not_early(first_promise(incident_id))


def assert_told_in_order_once_and_not_early(promise: Promise) -> None:
    assert (promise.state, promise.next_step_at) == (PromiseState.OPEN, None)
    query = select(EscalationStep).where(EscalationStep.promise_id == promise.id).order_by(EscalationStep.step)
    taken = list(db.session.scalars(query))
    assert [row.step for row in taken] == list(range(len(NUDGES)))
    assert {row.outcome for row in taken} <= {"nudged", "caught_up"}
    assert taken[-1].outcome == "nudged"
    announced = [number for row in taken for number in row.announcement_ids]
    mails = db.session.execute(
        select(Announcement.id, Announcement.address).where(
            Announcement.kind == "nudge", Announcement.subject_id == promise.id
        )
    ).all()
    # Nobody was told anything that no step answers for, and no step was told twice.
    assert sorted(announced) == sorted(mail.id for mail in mails)
    address = {mail.id: mail.address for mail in mails}
    for row, (seconds, to) in zip(taken, NUDGES, strict=True):
        assert row.fell_due_at == promise.due_at + timedelta(seconds=seconds)
        assert row.taken_at >= row.fell_due_at
        expected = [] if row.outcome == "caught_up" else [to] if to != "everyone" else list(CREW)
        assert Counter(address[each] for each in row.announcement_ids) == {f"{who}@example.com": 1 for who in expected}
