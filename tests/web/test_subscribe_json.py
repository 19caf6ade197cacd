"""Sign-up by program: Statuspage's address and shape, the form's rules."""

from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from statuspage.actions import components, subscriptions
from statuspage.db import db
from statuspage.models import Announcement, IncidentFollow, Subscriber
from statuspage.rules.vocabulary import ComponentState, SubscriptionMethod
from statuspage.web.subscribe_json import NO_PHONES
from tests import builders
from tests.web.conftest import Visitor

PATH = "/api/v2/subscribers.json"
HOOK = "https://hooks.example.com/updates"
KEYS = ["created_at", "skip_confirmation_notification", "quarantined_at", "id", "mode", "purge_at", "email"]


@pytest.fixture(autouse=True)
def _page(app: Flask, started: datetime) -> None:
    builders.page(started)


def post(visitor: Visitor, subscriber: dict[str, Any], status: int = 201, **options: Any) -> Any:
    answer = visitor.request("POST", PATH, json={"subscriber": subscriber}, **options)
    assert answer.status_code == status, answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    return answer.get_json()


def subscribers() -> list[Subscriber]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(select(Subscriber)))


def mails() -> int:
    db.session.rollback()
    query = select(func.count()).select_from(Announcement).where(Announcement.kind.in_(subscriptions.SIGN_UP_MAILS))
    return db.session.scalar(query) or 0


def test_json_and_form_ask_for_the_same(anonymous: Visitor) -> None:
    by_json = post(anonymous, {"email": "ada@example.com"})["subscriber"]
    answer = anonymous.request("POST", PATH, data={"subscriber[email]": "bob@example.com"})
    assert answer.status_code == 201
    by_form = answer.get_json()["subscriber"]
    assert list(by_json) == list(by_form) == KEYS
    assert (by_json["mode"], by_json["email"], by_form["email"]) == ("email", "ada@example.com", "bob@example.com")
    assert {each.email: each.state for each in subscribers()} == {
        "ada@example.com": Subscriber.PENDING,
        "bob@example.com": Subscriber.PENDING,
    }
    assert mails() == 2


def test_the_answer_does_not_tell_whether_the_address_is_known(anonymous: Visitor, started: datetime) -> None:
    known = builders.subscribed(started, "ada@example.com")
    answers = [post(anonymous, {"email": email})["subscriber"] for email in ("ada@example.com", "new@example.com")]
    ids = {each["id"] for each in answers} | {each.id for each in subscribers()}
    assert len(ids) == 4, "no id is that of a subscriber"
    assert known not in {each["id"] for each in answers}
    for each in answers:
        assert (each["skip_confirmation_notification"], each["quarantined_at"], each["purge_at"]) == (False, None, None)


def test_an_endpoint_is_a_webhook_that_its_owner_confirms(anonymous: Visitor) -> None:
    told = post(anonymous, {"email": "ada@example.com", "endpoint": HOOK})["subscriber"]
    assert told["mode"] == "webhook"
    (subscriber,) = subscribers()
    assert (subscriber.method, subscriber.endpoint, subscriber.state) == (
        SubscriptionMethod.WEBHOOK,
        HOOK,
        Subscriber.PENDING,
    )


@pytest.mark.parametrize(
    "named", [{"component_ids": ["ID"]}, {"component_id": "ID"}, {"subscriber[component_ids][]": "ID"}]
)
def test_components_are_chosen(named: dict[str, Any], anonymous: Visitor, started: datetime) -> None:
    component_id = builders.component(started)
    builders.component(started, "Billing")
    if "subscriber[component_ids][]" in named:
        form = {"subscriber[email]": "ada@example.com", "subscriber[component_ids][]": component_id}
        assert anonymous.request("POST", PATH, data=form).status_code == 201
    else:
        chosen = {key: [component_id] if isinstance(value, list) else component_id for key, value in named.items()}
        post(anonymous, {"email": "ada@example.com", **chosen})
    (subscriber,) = subscribers()
    assert subscriptions.choice_of(subscriber).component_ids == {component_id}


@pytest.mark.parametrize("name", ["incident", "incident_id"])
def test_one_incident_is_followed(name: str, anonymous: Visitor, started: datetime) -> None:
    by = builders.account(started)
    incident_id = builders.acknowledged(by, {builders.component(started): ComponentState.OUTAGE}, started)
    post(anonymous, {"email": "ada@example.com", name: incident_id})
    assert [each.incident_id for each in db.session.scalars(select(IncidentFollow))] == [incident_id]


@pytest.mark.parametrize(
    ("subscriber", "field", "words"),
    [
        ({}, "email", "address"),
        ({"email": "nobody"}, "email", "address"),
        ({"email": ["ada@example.com"]}, "email", "text"),
        ({"phone_number": "5551234", "phone_country": "us"}, "phone_number", NO_PHONES),
        ({"email": "ada@example.com", "phone_number": "5551234"}, "phone_number", NO_PHONES),
        ({"email": "ada@example.com", "endpoint": "http://hooks.example.com/"}, "endpoint", "https://"),
        ({"email": "ada@example.com", "endpoint": "https://127.0.0.1/"}, "endpoint", ""),
        ({"email": "ada@example.com", "component_ids": ["nosuchthing0"]}, "component_ids", "not on this page"),
        ({"email": "ada@example.com", "component_ids": "nosuchthing0"}, "component_ids", "list"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_kept(
    subscriber: dict[str, Any], field: str, words: str, anonymous: Visitor
) -> None:
    told = post(anonymous, subscriber, 422)
    assert words in told["errors"][field]
    assert (subscribers(), mails()) == ([], 0)


def test_an_archived_component_and_an_unknown_incident_can_not_be_asked_for(
    anonymous: Visitor, started: datetime
) -> None:
    component_id = builders.component(started)
    components.archive_component(component_id, builders.account(started), started)
    post(anonymous, {"email": "ada@example.com", "component_ids": [component_id]}, 422)
    post(anonymous, {"email": "ada@example.com", "incident": "nosuchthing0"}, 404)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"subscriber": 1}', "application/json", 422),
        (b'{"subscriber": {"email": "a\\u0000@example.com"}}', "application/json", 422),
        (b"x" * 300_000, "application/json", 413),
        (b"", "application/x-www-form-urlencoded", 400),
        (b"subscriber[email", "application/x-www-form-urlencoded", 400),
    ],
)
def test_a_body_that_means_no_good_is_refused_in_json(body: bytes, kind: str, status: int, anonymous: Visitor) -> None:
    answer = anonymous.request("POST", PATH, data=body, content_type=kind)
    assert (answer.status_code, answer.mimetype) == (status, "application/json")
    assert answer.get_json()["error"]
    assert (subscribers(), mails()) == ([], 0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://www.example.com"}, 201),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
    ],
)
def test_pages_of_the_same_site_may_sign_up_and_strangers_pages_may_not(
    headers: dict[str, str], status: int, anonymous: Visitor
) -> None:
    post(anonymous, {"email": "ada@example.com"}, status, headers=headers)
    assert mails() == (status == 201)


def test_a_browser_may_ask_before_it_sends_json(anonymous: Visitor) -> None:
    answer = anonymous.request("OPTIONS", PATH, headers={"Origin": "http://www.example.com"})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_mailbox_is_not_filled_through_this_door_either(anonymous: Visitor) -> None:
    for _ in range(5):
        post(anonymous, {"email": "ada@example.com"})
    answer = anonymous.request("POST", PATH, json={"subscriber": {"email": "ada@example.com"}})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert mails() == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_there_is_nothing_but_signing_up_here(method: str, anonymous: Visitor) -> None:
    assert anonymous.request(method, PATH).status_code == 405
