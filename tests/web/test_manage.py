"""A subscriber's own settings, behind the link in every mail."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask

from statuspage.actions import subscriptions
from statuspage.db import db
from statuspage.links import Purpose, make_token
from statuspage.models import Subscriber
from statuspage.rules.subscriptions import Choice
from statuspage.rules.vocabulary import ComponentState, SubscriptionKind, SubscriptionMethod
from statuspage.settings import Settings
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

HOOK = {"method": SubscriptionMethod.WEBHOOK, "endpoint": "https://hooks.example.com/secret-path"}
HOSTILE = "<script>alert(1)</script> \"quoted\" 'single' & {{7*7}}"

Path = Callable[[str], str]


@pytest.fixture(autouse=True)
def _page(app: Flask, started: datetime) -> None:
    builders.page(started)


@pytest.fixture
def manage(settings: Settings) -> Path:
    """Return a way to the address of somebody's settings."""
    return lambda subscriber_id: f"/subscriptions/manage/{make_token(settings, Purpose.MANAGE, subscriber_id)}"


@pytest.fixture
def incident_id(started: datetime) -> str:
    by = builders.account(started)
    states = {builders.component(started, "Sign-in"): ComponentState.OUTAGE}
    return builders.acknowledged(by, states, started, title=HOSTILE)


def fresh(subscriber_id: str) -> Subscriber:
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(Subscriber, subscriber_id)


def test_the_page_shows_what_was_chosen_and_changes_it(anonymous: Visitor, manage: Path, started: datetime) -> None:
    component_id = builders.component(started, "Sign-in")
    subscriber_id = builders.subscribed(started)
    path = manage(subscriber_id)
    page = anonymous.get(path)
    words = text_of(check_page(page.text))
    assert "Updates for ada@example.com." in words
    assert (page.headers["Cache-Control"], page.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert "Set-Cookie" not in page.headers
    fields = {"scope": "some", "component": component_id, "kind": "component_changes"}
    answer = anonymous.post_as_is(path, fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{path}?saved=choice")
    assert subscriptions.choice_of(fresh(subscriber_id)) == Choice(
        frozenset({component_id}), frozenset({SubscriptionKind.COMPONENT_CHANGES})
    )
    page = anonymous.get(answer.headers["Location"])
    assert "Saved." in text_of(check_page(page.text))
    ticked = re.findall(r'value="([^"]+)" checked', page.text)
    assert set(ticked) == {"some", component_id, "component_changes"}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"scope": "some", "kind": "incidents"}, "components"),
        ({"scope": "some", "component": "nosuchthing0", "kind": "incidents"}, "components"),
        ({"scope": "none", "kind": "incidents"}, "components"),
        ({"scope": "all"}, "kinds"),
        ({}, "kinds"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_and_changes_nothing(
    fields: dict[str, str], wrong: str, anonymous: Visitor, manage: Path, started: datetime
) -> None:
    builders.component(started)
    subscriber_id = builders.subscribed(started)
    answer = anonymous.post_as_is(manage(subscriber_id), fields)
    assert answer.status_code == 422
    assert f'id="error-{wrong}"' in answer.text
    check_page(answer.text)
    assert subscriptions.choice_of(fresh(subscriber_id)) == Choice()


def test_followed_incidents_are_listed_and_can_be_let_go(
    incident_id: str, anonymous: Visitor, manage: Path, started: datetime
) -> None:
    subscriber_id = builders.subscribed(started, incident_id=incident_id)
    path = manage(subscriber_id)
    assert HOSTILE in text_of(check_page(anonymous.get(path).text))
    assert anonymous.post_as_is(path, {"scope": "none", "kind": "incidents"}).status_code == 303
    assert anonymous.post_as_is(f"{path}/follows/{incident_id}", {}).status_code == 303
    assert subscriptions.followed_by(subscriber_id) == []
    check_page(anonymous.get(path).text)


def test_the_owner_of_a_webhook_sees_its_secret_and_makes_a_new_one(
    anonymous: Visitor, manage: Path, started: datetime
) -> None:
    subscriber_id = builders.subscribed(started, **HOOK)
    path = manage(subscriber_id)
    first = fresh(subscriber_id).secret
    page = anonymous.get(path).text
    assert first in text_of(check_page(page))
    assert "secret-path" not in page
    assert anonymous.post_as_is(f"{path}/secret", {}).status_code == 303
    page = anonymous.get(path).text
    assert fresh(subscriber_id).secret in page
    assert first not in page
    assert "The one before signs too, until" in text_of(check_page(page))


def test_only_a_webhook_has_a_secret_to_make(anonymous: Visitor, manage: Path, started: datetime) -> None:
    path = manage(builders.subscribed(started))
    assert "Signing secret" not in anonymous.get(path).text
    assert anonymous.post_as_is(f"{path}/secret", {}).status_code == 409


def test_the_download_is_json_and_kept_by_nobody_on_the_way(
    anonymous: Visitor, manage: Path, started: datetime
) -> None:
    answer = anonymous.get(f"{manage(builders.subscribed(started))}/data.json")
    assert json.loads(answer.text)["subscription"]["email"] == "ada@example.com"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Cache-Control"] == "no-store"


def test_erasing_asks_once_and_then_the_link_is_dead(anonymous: Visitor, manage: Path, started: datetime) -> None:
    subscriber_id = builders.subscribed(started)
    path = manage(subscriber_id)
    page = anonymous.get(f"{path}/erase")
    assert "ada@example.com" in text_of(check_page(page.text))
    assert anonymous.post_as_is(f"{path}/erase", {}).status_code == 400
    assert fresh(subscriber_id).state == "active"
    assert "Your data is erased" in text_of(check_page(anonymous.post(f"{path}/erase", {}).text))
    subscriber = fresh(subscriber_id)
    assert (subscriber.state, subscriber.email) == ("erased", "")
    for gone in (path, f"{path}/erase", f"{path}/data.json"):
        assert anonymous.get(gone).status_code == 400


def test_the_button_that_ends_it_ends_it(anonymous: Visitor, manage: Path, started: datetime) -> None:
    subscriber_id = builders.subscribed(started)
    found = re.search(r'action="(/unsubscribe/[^"]+)"', anonymous.get(manage(subscriber_id)).text)
    assert found is not None
    answer = anonymous.post_as_is(found[1], {"unsubscribe": "yes"})
    assert "You are unsubscribed" in text_of(check_page(answer.text))
    assert fresh(subscriber_id).state == "unsubscribed"


@pytest.mark.parametrize("life", ["pending", "unsubscribed", "disabled"])
def test_who_is_not_subscribed_still_sees_and_erases_the_data(
    life: str, anonymous: Visitor, manage: Path, started: datetime
) -> None:
    subscriber_id = builders.asked(started)
    fresh(subscriber_id).state = life
    db.session.commit()
    page = anonymous.get(manage(subscriber_id)).text
    words = {"pending": "Not confirmed yet", "unsubscribed": "nothing is sent", "disabled": "we stopped posting"}
    assert words[life] in text_of(check_page(page))
    assert "Erase my data" in page
    answer = anonymous.post_as_is(manage(subscriber_id), {"scope": "all", "kind": "incidents"})
    assert answer.status_code == 409
    assert fresh(subscriber_id).state == life


PLACES = ["", "/data.json", "/erase", "/secret", "/follows/nosuchthing0"]


@pytest.mark.parametrize("place", PLACES)
def test_a_link_that_was_not_made_here_for_this_opens_nothing(
    place: str, anonymous: Visitor, settings: Settings, started: datetime
) -> None:
    subscriber_id = builders.subscribed(started)
    good = make_token(settings, Purpose.MANAGE, subscriber_id)
    tokens = [
        make_token(settings, Purpose.CONFIRM, subscriber_id),
        make_token(settings, Purpose.UNSUBSCRIBE, subscriber_id),
        make_token(settings, Purpose.MANAGE, "nosuchthing0"),
        good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1],
        "x" * 10_000,
    ]
    refused = set()
    for token in tokens:
        path = f"/subscriptions/manage/{token}{place}"
        answers = []
        if place not in PLACES[3:]:
            answers.append(anonymous.get(path))
        if place != "/data.json":
            answers.append(anonymous.post_as_is(path, {"erase": "yes", "scope": "all", "kind": "maintenance"}))
        refused |= {(answer.status_code, answer.data) for answer in answers}
    assert len(refused) == 1
    assert {status for status, _ in refused} == {400}
    assert subscriptions.choice_of(fresh(subscriber_id)) == Choice()


def test_the_settings_link_never_grows_too_old(
    anonymous: Visitor, manage: Path, started: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = manage(builders.subscribed(started))
    years_later = (started + timedelta(days=3_650)).timestamp()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: years_later)
    assert anonymous.get(path).status_code == 200


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_changes_nothing(method: str, anonymous: Visitor, manage: Path, started: datetime) -> None:
    subscriber_id = builders.subscribed(started, **HOOK)
    before = dict(vars(fresh(subscriber_id)))
    for place in PLACES:
        anonymous.request(method, manage(subscriber_id) + place)
    after = vars(fresh(subscriber_id))
    assert {name: after[name] for name in before if not name.startswith("_")} == {
        name: value for name, value in before.items() if not name.startswith("_")
    }
