"""“Only my components” by every way in that needs no page: a file, a program, an edit; as a naive model says."""

import io
from dataclasses import dataclass
from datetime import datetime

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from statuspage.actions import audiences, csv_rows, subscriber_admin, subscriber_import, subscriptions
from statuspage.db import db, transaction
from statuspage.delivery import announcements
from statuspage.models import (
    Announcement,
    Delivery,
    Incident,
    IncidentFollow,
    Subscriber,
    SubscriberComponent,
)
from statuspage.rules.subscriptions import DEFAULT_KINDS, Choice
from statuspage.rules.vocabulary import ComponentState, Conflict, SubscriptionKind
from tests import builders

NAMES = ("Sign-in", "Billing", "Search")
EVERYTHING = Choice()


@dataclass(frozen=True)
class Step:
    """Something that is done with one person's subscription."""

    way: str
    who: int
    choice: Choice
    """Of component names here, not ids."""


CHOICES = st.builds(
    Choice,
    st.none() | st.frozensets(st.sampled_from(NAMES), min_size=1),
    st.frozensets(st.sampled_from(list(SubscriptionKind)), min_size=1),
)
WAYS = st.sampled_from(["file", "file, to be asked", "program", "edit", "leave"])
STEPS = st.lists(st.builds(Step, WAYS, st.integers(0, 4), CHOICES), max_size=12)
AFFECTED = st.sets(st.sampled_from(NAMES), min_size=1)


def address(who: int) -> str:
    return f"r{who}@example.com"


class Model:
    """What a plain reading of the manual says: who is subscribed, to what; who is asked; who left."""

    def __init__(self) -> None:
        self.active: dict[int, Choice] = {}
        self.left: set[int] = set()

    def take(self, step: Step) -> None:
        who = step.who
        if step.way == "leave":
            if self.active.pop(who, None) is not None:
                self.left.add(who)
        elif step.way == "edit":
            if who in self.active:
                self.active[who] = step.choice
        elif step.way in ("file", "program") and who not in self.left and who not in self.active:
            self.active[who] = step.choice

    def told(self, affected: set[str]) -> set[str]:
        kind = SubscriptionKind.INCIDENTS
        return {address(who) for who, choice in self.active.items() if choice.wants(kind, affected)}


def take(step: Step, ids: dict[str, str], now: datetime) -> None:
    """Do the same for real."""
    email = address(step.who)
    chosen = step.choice.component_ids
    choice = Choice(None if chosen is None else frozenset(ids[name] for name in chosen), step.choice.kinds)
    db.session.rollback()
    known = db.session.scalar(select(Subscriber).where(Subscriber.email_key == email))
    if step.way.startswith("file"):
        confirmed = "yes" if step.way == "file" else "no"
        row = f"{email},{'|'.join(sorted(chosen or ()))},{';'.join(sorted(choice.kinds))},{confirmed}\n"
        text = io.StringIO("email,components,kinds,confirmed\n" + row, newline="")
        rows = subscriber_import.parse_subscribers(text).rows
        (result,) = subscriber_import.import_subscribers(rows, csv_rows.Source("test"), now)
        assert result.outcome != "error", result.reason
    elif step.way == "program":
        try:
            subscriber_admin.add(email, "", choice, True, (), now)
        except Conflict:
            assert known is not None
    elif known is not None and known.state == Subscriber.ACTIVE:
        if step.way == "edit":
            subscriber_admin.change_choice(known.id, choice, now)
        else:
            subscriptions.unsubscribe(known.id, now)


def told(incident_id: str, now: datetime) -> list[str]:
    """Announce to subscribers, expand, and return the addresses."""
    with transaction(now) as session:
        incident = session.get_one(Incident, incident_id)
        announcements.announce_to_subscribers(session, "incident_update", "nosuchthing0", incident, now)
    while announcements.expand(audiences.audience, now):
        pass
    db.session.rollback()
    return list(db.session.scalars(select(Delivery.address).where(Delivery.subscriber_id.is_not(None))))


def hear(steps: list[Step], affected: set[str], ids: dict[str, str], now: datetime) -> tuple[list[str], set[str]]:
    """Return who is told of an incident after these steps, and who should be."""
    with transaction(now) as session:
        for table in (Delivery, Announcement, IncidentFollow, SubscriberComponent, Subscriber):
            session.execute(delete(table))
    model = Model()
    for step in steps:
        model.take(step)
        take(step, ids, now)
    with transaction(now) as session:
        # Mails that ask are no part of this.
        for table in (Delivery, Announcement):
            session.execute(delete(table))
    states = {ids[name]: ComponentState.OUTAGE for name in affected}
    incident_id = builders.declared(None, states, now)
    assert audiences.reach(incident_id, "subscribers") == len(model.told(affected))
    return told(incident_id, now), model.told(affected)


@pytest.fixture
def ids(app: Flask, now: datetime) -> dict[str, str]:
    builders.page(now)
    return {name: builders.component(now, name) for name in NAMES}


# The database is emptied by hand between examples.
# On the embedded database; one example below is on both.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, affected=AFFECTED)
def test_whoever_chose_is_told_of_that_and_nobody_of_anything_else(
    ids: dict[str, str], now: datetime, steps: list[Step], affected: set[str]
) -> None:
    found, expected = hear(steps, affected, ids, now)
    assert len(found) == len(set(found))
    assert set(found) == expected


def only(*names: str) -> Choice:
    return Choice(frozenset(names))


def test_the_same_by_every_way_once(ids: dict[str, str], now: datetime) -> None:
    steps = [
        Step("file", 0, only("Sign-in")),
        Step("file", 0, only("Billing")),
        Step("program", 1, only("Billing")),
        Step("edit", 1, only("Sign-in", "Search")),
        Step("file, to be asked", 2, EVERYTHING),
        Step("program", 3, EVERYTHING),
        Step("leave", 3, EVERYTHING),
        Step("file", 3, EVERYTHING),
        Step("program", 4, Choice(None, DEFAULT_KINDS - {SubscriptionKind.INCIDENTS})),
    ]
    found, expected = hear(steps, {"Sign-in"}, ids, now)
    assert sorted(found) == sorted(expected) == ["r0@example.com", "r1@example.com"]
