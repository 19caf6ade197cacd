"""“Only my components” holds for all that the pages offer: what is mailed is what a naive model says."""

from dataclasses import dataclass, field
from datetime import datetime

from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from statuspage.actions import audiences
from statuspage.db import db, transaction
from statuspage.links import Purpose, make_token
from statuspage.models import (
    Announcement,
    Delivery,
    IncidentFollow,
    Subscriber,
    SubscriberComponent,
)
from statuspage.rules.subscriptions import Choice
from statuspage.rules.vocabulary import ComponentState, SubscriptionKind
from statuspage.settings import Settings
from tests import builders
from tests.web.conftest import Visitor

EMAILS = ("ada@example.com", "bea@example.com", "cyd@example.com")
COMPONENTS = INCIDENTS = range(3)
KINDS = tuple(SubscriptionKind)

choices = st.builds(
    Choice,
    st.none() | st.frozensets(st.sampled_from([str(each) for each in COMPONENTS]), min_size=1),
    st.frozensets(st.sampled_from(KINDS), min_size=1),
)
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ("ask", "ask", "follow", "confirm", "confirm", "confirm_follow", "change", "unfollow", "leave")
        ),
        st.sampled_from(EMAILS),
        choices,
        st.sampled_from(INCIDENTS),
    ),
    max_size=25,
)


@dataclass
class Model:
    """What somebody should be told, in the plainest of words."""

    life: str = "unknown"
    choice: Choice = field(default_factory=Choice)
    follows: set[int] = field(default_factory=set)

    def act(self, step: str, choice: Choice, incident: int) -> None:
        if step in ("ask", "follow") and self.life != "active":
            if self.life != "pending":
                self.follows = set()
                self.choice = Choice(frozenset())
            if step == "ask":
                self.choice = choice
            else:
                self.follows = self.follows | {incident}
            self.life = "pending"
        elif step == "confirm" and self.life == "pending":
            self.life = "active"
        elif self.life == "active":
            if step == "confirm_follow":
                self.follows = self.follows | {incident}
            elif step == "change":
                self.choice = choice
        if step == "unfollow":
            self.follows = self.follows - {incident}
        if step == "leave" and self.life in ("pending", "active"):
            self.life = "unsubscribed"

    def is_told(self, incident: int, components: frozenset[str]) -> bool:
        if self.life != "active":
            return False
        return incident in self.follows or self.choice.wants(SubscriptionKind.INCIDENTS, components)


class Pages:
    """The same steps, through the pages."""

    def __init__(self, app: Flask, settings: Settings, component_ids: list[str], incident_ids: list[str]) -> None:
        self.visitor = Visitor(app.test_client())
        self.settings, self.component_ids, self.incident_ids = settings, component_ids, incident_ids
        app.extensions.pop("throttle", None)

    def act(self, step: str, email: str, choice: Choice, incident: int, number: int) -> None:
        fields = {
            "scope": "all" if choice.component_ids is None else "some",
            "component": [self.component_ids[int(each)] for each in choice.component_ids or ()],
            "kind": [kind.value for kind in choice.kinds],
        }
        subscriber_id, incident_id = self.id_of(email), self.incident_ids[incident]
        manage = f"/subscriptions/manage/{make_token(self.settings, Purpose.MANAGE, subscriber_id)}"
        follow = f"{subscriber_id}:{incident_id}"
        path, form = {
            "ask": ("/subscribe", fields | {"email": email}),
            "follow": (f"/subscribe/incidents/{incident_id}", {"email": email}),
            "confirm": (f"/subscriptions/{make_token(self.settings, Purpose.CONFIRM, subscriber_id)}", {}),
            "confirm_follow": (f"/subscriptions/{make_token(self.settings, Purpose.CONFIRM, follow)}", {}),
            "change": (manage, fields),
            "unfollow": (f"{manage}/follows/{incident_id}", {}),
            "leave": (
                f"/unsubscribe/{make_token(self.settings, Purpose.UNSUBSCRIBE, subscriber_id)}",
                {"unsubscribe": "yes"},
            ),
        }[step]
        place = {"REMOTE_ADDR": f"198.51.100.{number}"}
        assert self.visitor.post_as_is(path, form, environ_base=place).status_code < 500

    def id_of(self, email: str) -> str:
        db.session.rollback()
        return db.session.scalar(select(Subscriber.id).where(Subscriber.email_key == email)) or "nosuchthing0"


def forget_everybody(now: datetime) -> None:
    with transaction(now) as session:
        for table in (Delivery, Announcement, SubscriberComponent, IncidentFollow, Subscriber):
            session.execute(delete(table))


def test_what_is_mailed_is_what_was_chosen(app: Flask, settings: Settings, started: datetime) -> None:
    builders.page(started)
    by = builders.account(started)
    component_ids = [builders.component(started, f"Part {number}") for number in COMPONENTS]
    affected = [frozenset({"0"}), frozenset({"1"}), frozenset({"0", "2"})]
    incident_ids = [
        builders.acknowledged(by, {component_ids[int(each)]: ComponentState.OUTAGE for each in parts}, started)
        for parts in affected
    ]

    # Hypothesis makes many worlds of one database: each begins without subscribers. The limit of five sign-ups
    # an hour for a mailbox is lifted by hand; the limit on mails changes nothing, since links are made here.
    @hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps)
    def holds(taken: list[tuple[str, str, Choice, int]]) -> None:
        forget_everybody(started)
        models = {email: Model() for email in EMAILS}
        for number, (step, email, choice, incident) in enumerate(taken):
            Pages(app, settings, component_ids, incident_ids).act(step, email, choice, incident, number)
            models[email].act(step, choice, incident)
        db.session.rollback()
        for number, incident_id in enumerate(incident_ids):
            announcement = Announcement(kind="incident_update", audience="subscribers", incident_id=incident_id)
            told = {row.address for row in db.session.execute(audiences.audience(announcement).recipients)}
            assert told == {email for email, model in models.items() if model.is_told(number, affected[number])}

    holds()
