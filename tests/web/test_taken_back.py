"""What takes something away can be undone from the next page, or asks once before it is done."""

import re
from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import channels, components, people
from statuspage.db import db
from statuspage.models import Account, ApiToken, Channel, Component, ComponentGroup, Subscriber
from statuspage.rules.vocabulary import AccountRole, TokenScope
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

# Words in the name or address of a route that takes something away.
TAKES_AWAY = re.compile(r"\b(archive|cancel|delete|disable|end|erase|lift|remove|revoke|unsubscribe|withdraw)\b")

UNDONE = {
    "admin_components.archive",
    "admin_people.disable",
    "admin_channels.remove",
    "admin_replies.archive",
}
ASKED = {
    "admin_components.delete_group",
    "admin_tokens.revoke",
    "admin_subscribers.unsubscribe",
    "admin_suppressions.lift",
    "drills.end",
}
# What needs neither, each with its reason.
HARMLESS = {
    "maintenance.end_series": "asks on the window's page what becomes of the planned ones, and why",
    "maintenance.act": "calling a window off is a form of its own, with the message that says why",
    "admin_words.remove": "a word is typed again in a moment",
    "account.revoke": "signs one's own browser out: signing in brings it back",
    "subscribe.unsubscribe": "the reader's own page, behind a link in a mail, asks with one button",
    "manage.erase": "the reader's own page asks with a box to tick",
    "api": "a program has no pages",
}


@pytest.fixture
def admin(page_id: str, arrive: Callable[[AccountRole], Visitor]) -> Visitor:
    return arrive(AccountRole.ADMIN)


def test_every_route_that_takes_something_away_is_one_of_these(app: Flask) -> None:
    found = set()
    for rule in app.url_map.iter_rules():
        last = rule.rule.rstrip("/").rpartition("/")[2]
        name = rule.endpoint.rpartition(".")[2].replace("_", " ")
        if (rule.methods or set()) & {"POST", "DELETE"} and TAKES_AWAY.search(f"{name} {last}"):
            found.add("api" if rule.rule.startswith("/v1/") else rule.endpoint)
    assert found <= UNDONE | ASKED | set(HARMLESS)
    assert found >= UNDONE | ASKED


def test_every_question_is_a_page_under_the_same_address(app: Flask) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint in ASKED]
    gets = {rule.rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or set())}
    assert {rule.rule for rule in rules} <= gets


def undo_on(visitor: Visitor, path: str) -> str:
    """Return where the Undo of the next page leads; it is said there once."""
    root = check_page(visitor.get(path).text)
    said = next(element for element in root.iter("div") if element.get("id") == "done")
    form = next(said.iter("form"))
    assert text_of(form) == "Undo"
    assert 'id="done"' not in visitor.get(path).text
    return form.get("action", "")


def test_a_disabled_person_is_let_in_again(admin: Visitor, started: datetime) -> None:
    grace = builders.account(started, AccountRole.ADMIN, "grace@example.com")
    path = "/admin/people/"
    assert admin.post(f"{path}{grace}/disable", {}, on=path).status_code == 303
    db.session.rollback()
    assert db.session.get_one(Account, grace).disabled_at is not None
    assert admin.post(undo_on(admin, path), {}, on=path).status_code == 303
    assert "Ada can sign in again." in text_of(check_page(admin.get(path).text))
    db.session.rollback()
    assert db.session.get_one(Account, grace).disabled_at is None


def test_an_archived_component_is_back_where_it_was_shown(admin: Visitor, started: datetime) -> None:
    component_id = builders.component(started)
    path = "/admin/components/"
    assert admin.post(f"{path}{component_id}/archive", {}, on=path).status_code == 303
    assert admin.post(undo_on(admin, path), {}, on=path).status_code == 303
    db.session.rollback()
    assert db.session.get_one(Component, component_id).archived_at is None


def test_a_removed_channel_is_posted_to_again(admin: Visitor, started: datetime) -> None:
    channel_id = builders.channel(builders.account(started), started)
    path = "/admin/channels/"
    assert admin.post(f"{path}{channel_id}/remove", {}, on=path).status_code == 303
    undo = undo_on(admin, path)
    assert admin.post(undo, {}, on=path).status_code == 303
    db.session.rollback()
    assert db.session.get_one(Channel, channel_id).removed_at is None
    assert admin.post(undo, {}, on=path).status_code == 409


def test_a_channel_does_not_come_back_for_somebody_who_left(admin: Visitor, started: datetime) -> None:
    grace, by = builders.account(started, email="grace@example.com"), builders.account(started)
    channel_id = builders.channel(by, started)
    with db.session.begin():
        db.session.get_one(Channel, channel_id).account_id = grace
    channels.remove_channel(channel_id, by, clock.now())
    people.disable_account(grace, by, clock.now())
    answer = admin.post(f"/admin/channels/{channel_id}/restore", {}, on="/admin/channels/")
    assert answer.status_code == 409
    assert "belongs to Ada, who is disabled" in answer.text


@pytest.mark.parametrize("what", ["group", "key", "subscriber"])
def test_a_question_says_what_will_happen_and_changes_nothing(what: str, admin: Visitor, started: datetime) -> None:
    key = people.add_token("robot", TokenScope.READ, None, started)
    thing: tuple[type, str, str]
    if what == "group":
        group_id = components.create_group("Web", None, started)
        thing = (ComponentGroup, group_id, f"/admin/components/groups/{group_id}/delete")
    elif what == "key":
        token_id = str(db.session.scalar(select(ApiToken.id)))
        thing = (ApiToken, token_id, f"/admin/tokens/{token_id}/revoke")
    else:
        subscriber_id = builders.subscribed(started)
        thing = (Subscriber, subscriber_id, f"/admin/subscribers/{subscriber_id}/unsubscribe")
    table, thing_id, path = thing

    def stands() -> bool:
        db.session.rollback()
        found = db.session.get(table, thing_id, populate_existing=True)
        if found is None:
            return False
        return getattr(found, "revoked_at", None) is None and getattr(found, "unsubscribed_at", None) is None

    page = text_of(check_page(admin.get(path).text))
    assert "?" in page
    assert "can’t be undone" in page or "Only they can take that back" in page
    assert stands()
    assert admin.post(path, {}).status_code == 303
    assert not stands()
    assert admin.get(path).status_code == 404
    assert key.startswith("sp_live_")
