"""The sign-up form and what stands in the way of those who abuse it."""

import contextvars
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from statuspage import clock
from statuspage.actions import subscriptions
from statuspage.db import db, transaction
from statuspage.links import Purpose, make_token
from statuspage.models import Announcement, AuditEntry, Subscriber, Suppression
from statuspage.rules.subscriptions import Choice, suppression_keys
from statuspage.rules.vocabulary import ComponentState, MessageKind, SubscriptionKind, SubscriptionMethod, Visibility
from statuspage.settings import Settings, load
from statuspage.site import publisher
from statuspage.web import subscribe
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

HOOK = "https://hooks.example.com/updates"
FULL = {"scope": "all", "kind": "incidents", "method": "email", "endpoint": "", "website": ""}


@pytest.fixture(autouse=True)
def _page(app: Flask, started: datetime) -> None:
    builders.page(started)


@pytest.fixture
def incident_id(started: datetime) -> str:
    by = builders.account(started)
    return builders.acknowledged(by, {builders.component(started): ComponentState.OUTAGE}, started)


def subscribers() -> list[Subscriber]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(select(Subscriber).order_by(Subscriber.email_key)))


def mails() -> int:
    db.session.rollback()
    query = select(func.count()).select_from(Announcement).where(Announcement.kind.in_(subscriptions.SIGN_UP_MAILS))
    return db.session.scalar(query) or 0


def confirm_path(settings: Settings, subject: str) -> str:
    return f"/subscriptions/{make_token(settings, Purpose.CONFIRM, subject)}"


def test_the_form_offers_every_component_in_its_group_and_every_kind(anonymous: Visitor, started: datetime) -> None:
    names = [f"Part {number}" for number in range(3)]
    for name in names:
        builders.component(started, name)
    page = anonymous.get("/subscribe")
    root = check_page(page.text)
    words = text_of(root)
    for word in (*names, "Incidents", "Planned maintenance", "Webhook", "Slack", "Microsoft Teams", "Discord", "RSS"):
        assert word in words
    first = next(each for each in root.iter("input") if each.get("type") != "hidden")
    assert first.get("name") == "email"
    assert set(re.findall(r'value="([^"]+)" checked', page.text)) == {"all", "email", "incidents", "maintenance"}


@pytest.mark.parametrize(("asked", "chosen"), [("slack", "slack"), ("webhook", "webhook"), ("fax", "email")])
def test_a_link_may_choose_the_way(anonymous: Visitor, asked: str, chosen: str) -> None:
    page = anonymous.get(f"/subscribe?method={asked}").text
    assert re.findall(r'name="method" value="([^"]+)" checked', page) == [chosen]
    # The address to post to is in sight where it is needed.
    assert ('class="more" open' in page) == (chosen != "email")


def test_what_was_ticked_is_what_is_chosen_and_shown_before_confirming(
    anonymous: Visitor, settings: Settings, started: datetime
) -> None:
    component_id = builders.component(started, "Sign-in")
    builders.component(started, "Billing")
    fields = FULL | {"email": "ada@example.com", "scope": "some", "component": component_id, "kind": "maintenance"}
    assert anonymous.post_as_is("/subscribe", fields).status_code == 200
    (subscriber,) = subscribers()
    assert subscriptions.choice_of(subscriber) == Choice(
        frozenset({component_id}), frozenset({SubscriptionKind.MAINTENANCE})
    )
    words = text_of(check_page(anonymous.get(confirm_path(settings, subscriber.id)).text))
    assert "What Planned maintenance Components Sign-in" in words
    assert "Billing" not in words


def test_the_short_form_of_the_front_page_asks_for_all_incidents_and_maintenance(
    anonymous: Visitor, settings: Settings
) -> None:
    publisher.publish_all(settings, clock.now())
    page = (settings.site_dir / "index.html").read_text()
    assert 'action="/subscribe"' in page
    assert anonymous.post_as_is("/subscribe", {"email": "ada@example.com", "website": ""}).status_code == 200
    assert subscriptions.choice_of(subscribers()[0]) == Choice()


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1"])
def test_a_name_that_leads_into_a_private_network_is_refused(
    anonymous: Visitor, names: dict[str, str], address: str
) -> None:
    names["inside.example.com"] = address
    typed = FULL | {"email": "ada@example.com", "method": "webhook", "endpoint": "https://inside.example.com/hook"}
    answer = anonymous.post_as_is("/subscribe", typed)
    assert answer.status_code == 422
    assert "https://inside.example.com/hook" in answer.text
    assert subscribers() == []


def test_a_webhook_is_signed_up_with_its_owners_address(anonymous: Visitor, settings: Settings) -> None:
    fields = FULL | {"email": "ada@example.com", "method": "webhook", "endpoint": f" {HOOK} "}
    assert anonymous.post_as_is("/subscribe", fields).status_code == 200
    (subscriber,) = subscribers()
    assert (subscriber.method, subscriber.endpoint) == (SubscriptionMethod.WEBHOOK, HOOK)
    page = anonymous.get(confirm_path(settings, subscriber.id)).text
    assert "hooks.example.com (Webhook)" in text_of(check_page(page))
    assert "/updates" not in page


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"email": "nobody"}, {"email"}),
        ({"method": "webhook", "endpoint": ""}, {"endpoint"}),
        ({"method": "webhook", "endpoint": "https://2130706433/x"}, {"endpoint"}),
        ({"method": "slack", "endpoint": HOOK}, {"endpoint"}),
        ({"method": "pigeon"}, {"method"}),
        ({"method": "email", "endpoint": HOOK}, {"method"}),
        ({"scope": "some"}, {"components"}),
        ({"scope": "some", "component": "nosuchthing0"}, {"components"}),
        ({"scope": "some", "component": "-1"}, {"components"}),
        ({"scope": "none"}, {"components"}),
        ({"scope": "some", "kind": [], "email": "x@", "method": "webhook"}, {"components", "kinds", "email", "endpoint"}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_beside_each_field_and_what_was_typed_is_kept(
    changes: dict[str, str], wrong: set[str], anonymous: Visitor, started: datetime
) -> None:
    kept = builders.component(started, "Sign-in")
    answer = anonymous.post_as_is("/subscribe", FULL | {"email": "ada@example.com"} | changes)
    assert answer.status_code == 422
    check_page(answer.text)
    assert set(re.findall(r'id="error-(\w+)"', answer.text)) == wrong
    typed = {"email": "ada@example.com", "endpoint": ""} | changes
    for field in ("email", "endpoint"):
        assert f'name="{field}" type="{"url" if field == "endpoint" else field}" value="{typed[field]}"' in answer.text
    assert kept in answer.text
    assert subscribers() == []


def test_hostile_words_are_shown_as_they_were_typed(anonymous: Visitor) -> None:
    hostile = '"><script>alert(1)</script>{{7*7}}'
    fields = {"email": hostile, "method": "webhook", "endpoint": hostile, "scope": hostile, "kind": hostile}
    answer = anonymous.post_as_is("/subscribe", fields)
    root = check_page(answer.text)
    typed = [each.get("value") for each in root.iter("input") if each.get("name") in ("email", "endpoint")]
    assert typed == [hostile, hostile]
    assert "alert" not in "".join("".join(script.itertext()) for script in root.iter("script"))


def test_ten_thousand_components_that_do_not_exist_are_refused(anonymous: Visitor) -> None:
    fields = FULL | {"email": "ada@example.com", "scope": "some", "component": [f"{n:08}" for n in range(10_000)]}
    assert anonymous.post_as_is("/subscribe", fields).status_code == 422
    assert subscribers() == []


@pytest.mark.parametrize("incident", [False, True])
def test_the_answer_is_the_same_for_every_address(incident: bool, anonymous: Visitor, incident_id: str) -> None:
    now = clock.now()
    long_ago = now - timedelta(hours=2)
    builders.asked(long_ago, "pending@example.com")
    builders.subscribed(long_ago, "active@example.com")
    left = builders.subscribed(long_ago, "left@example.com")
    subscriptions.unsubscribe(left, long_ago)
    with transaction(now) as session:
        for name, reason, place in (
            ("bounced", "bounce", 0),
            ("complained", "complaint", 0),
            ("erased", "complaint", 1),
        ):
            key = suppression_keys(f"{name}@example.com", builders.SECRET_KEYS)[place]
            session.add(Suppression(address_key=key, reason=reason, created_at=now))
    before = mails()
    names = ["new", "pending", "active", "left", "bounced", "complained", "erased"]
    path = f"/subscribe/incidents/{incident_id}" if incident else "/subscribe"
    answers = {
        (answer.status_code, answer.data, tuple(sorted((key, value) for key, value in answer.headers)))
        for name in names
        for answer in [anonymous.post_as_is(path, {"email": f"{name}@example.com", "website": ""})]
    }
    assert len(answers) == 1
    assert mails() == before + 5


def test_a_form_that_comes_back_within_a_second_is_a_programs(
    anonymous: Visitor, settings: Settings, incident_id: str
) -> None:
    def token(seconds: float) -> str:
        return make_token(settings, Purpose.SIGN_UP, (clock.now() - timedelta(seconds=seconds)).isoformat())

    for path in ("/subscribe", f"/subscribe/incidents/{incident_id}"):
        hidden = anonymous.hidden(path)
        assert set(hidden) == {"form_token"}
        quick = anonymous.post_as_is(path, hidden | {"email": "quick@example.com"})
        slow = anonymous.post_as_is(path, {"form_token": token(1.5), "email": "slow@example.com"})
        assert (quick.status_code, quick.data) == (slow.status_code, slow.data)
    for number, stale in enumerate(("", "forged", token(-3_600), token(90_000))):
        anonymous.post_as_is("/subscribe", {"form_token": stale, "email": f"person{number}@example.com"})
    found = [each.email for each in subscribers()]
    assert found == [*(f"person{number}@example.com" for number in range(4)), "slow@example.com"]


def test_a_victim_gets_one_mail_an_hour_from_a_hundred_places(anonymous: Visitor) -> None:
    spellings = ("victim@example.com", "VICTIM@example.com", "vic.tim@example.com", "victim+{}@example.com")
    for number in range(100):
        address = spellings[number % 4].format(number)
        place = {"REMOTE_ADDR": f"198.51.100.{number}"}
        anonymous.post_as_is("/subscribe", {"email": address}, environ_base=place)
    assert mails() == 1


def test_a_thousand_addresses_from_one_place_are_too_many(anonymous: Visitor) -> None:
    answers = [
        anonymous.post_as_is(
            "/subscribe",
            {"email": f"reader@host{number}.example.com"},
            environ_base={"REMOTE_ADDR": f"2001:db8::{number + 1:x}"},
        )
        for number in range(30)
    ]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 10
    assert int(answers[-1].headers["Retry-After"]) > 3_000
    assert "reader@host29.example.com" in answers[-1].text
    assert len(subscribers()) == 20


def from_everywhere(anonymous: Visitor, address: str, count: int) -> list[int]:
    return [
        anonymous.post_as_is(
            "/subscribe", {"email": address.format(number)}, environ_base={"REMOTE_ADDR": f"198.51.100.{number}"}
        ).status_code
        for number in range(count)
    ]


def test_one_domain_takes_only_so_many_and_a_big_one_more(anonymous: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribe, "SIGN_UPS_PER_DOMAIN", "2 per hour")
    assert from_everywhere(anonymous, "reader{}@small.example.com", 4) == [200, 200, 429, 429]
    assert from_everywhere(anonymous, "reader{}@gmail.com", 4) == [200] * 4


def test_altogether_only_so_many_are_taken_and_the_operator_is_told_once(
    anonymous: Visitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(subscribe, "SIGN_UPS_ALTOGETHER", "2 per hour")
    with caplog.at_level(logging.ERROR):
        assert from_everywhere(anonymous, "reader@host{}.example.com", 5) == [200, 200, 429, 429, 429]
    assert len([record for record in caplog.records if "2 per hour sign-ups" in record.message]) == 1


def test_an_open_incidents_page_leads_to_a_form_with_just_the_address(
    anonymous: Visitor, settings: Settings, incident_id: str
) -> None:
    publisher.publish_all(settings, clock.now())
    path = f"/subscribe/incidents/{incident_id}"
    assert f'href="{path}"' in (settings.site_dir / "incidents" / f"{incident_id}.html").read_text()
    words = text_of(check_page(anonymous.get(path).text))
    assert "Get every update of Sign-in fails by e-mail" in words
    answer = anonymous.post_as_is(path, {"email": "nobody"})
    assert answer.status_code == 422
    assert 'value="nobody"' in answer.text
    check_page(answer.text)
    assert anonymous.post_as_is(path, {"email": "ada@example.com"}).status_code == 200
    (subscriber,) = subscribers()
    confirm = confirm_path(settings, subscriber.id)
    words = text_of(check_page(anonymous.get(confirm).text))
    assert "Incident Sign-in fails" in words
    assert "Components" not in words
    check_page(anonymous.post_as_is(confirm, {}).text)
    assert subscriptions.followed_by(subscriber.id) == [(incident_id, "Sign-in fails")]


def test_what_is_over_or_hidden_has_no_form(
    anonymous: Visitor, settings: Settings, incident_id: str, started: datetime
) -> None:
    by = builders.account(started)
    states = {builders.component(started, "Billing"): ComponentState.OUTAGE}
    hidden = [
        builders.declared(by, states, started),
        builders.acknowledged(by, states, started, visibility=Visibility.DRILL),
        "nosuchthing0",
    ]
    builders.post(MessageKind.RESOLVE, incident_id, {}, by, clock.now())
    publisher.publish_all(settings, clock.now())
    assert "/subscribe/" not in (settings.site_dir / "incidents" / f"{incident_id}.html").read_text()
    for each in (*hidden, incident_id):
        assert anonymous.get(f"/subscribe/incidents/{each}").status_code == 404
        assert anonymous.post_as_is(f"/subscribe/incidents/{each}", {"email": "ada@example.com"}).status_code == 404
    assert mails() == 0


def test_who_is_subscribed_adds_an_incident_by_its_own_link(
    anonymous: Visitor, settings: Settings, incident_id: str, started: datetime
) -> None:
    subscriber_id = builders.subscribed(started)
    path = confirm_path(settings, f"{subscriber_id}:{incident_id}")
    assert "Follow this incident" in text_of(check_page(anonymous.get(path).text))
    assert subscriptions.followed_by(subscriber_id) == []
    for _ in range(2):
        assert "You follow “Sign-in fails”." in text_of(check_page(anonymous.post_as_is(path, {}).text))
    assert "You follow “Sign-in fails”." in text_of(check_page(anonymous.get(path).text))
    subscriptions.unsubscribe(subscriber_id, clock.now())
    assert (anonymous.get(path).status_code, anonymous.post_as_is(path, {}).status_code) == (400, 400)


@pytest.mark.postgresql
def test_ten_confirmations_at_once_are_one(app: Flask, settings: Settings, started: datetime) -> None:
    path = confirm_path(settings, builders.asked(started))

    def press(_number: int) -> int:
        return contextvars.Context().run(app.test_client().post, path).status_code

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(press, range(10))) == [200] * 10
    db.session.rollback()
    assert len(db.session.scalars(select(AuditEntry).where(AuditEntry.action == "confirm")).all()) == 1


def test_a_link_older_than_a_week_or_of_another_installation_confirms_nothing(
    anonymous: Visitor, settings: Settings, started: datetime, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriber_id = builders.asked(started)
    path = confirm_path(settings, subscriber_id)
    foreign = load(environ | {"SECRET_KEY": "the key of quite another installation that is long enough"})
    for each in (confirm_path(foreign, subscriber_id), "/subscriptions/" + "x" * 10_000):
        assert (anonymous.get(each).status_code, anonymous.post_as_is(each, {}).status_code) == (400, 400)
    later = (started + timedelta(days=7, minutes=5)).timestamp()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    assert (anonymous.get(path).status_code, anonymous.post_as_is(path, {}).status_code) == (400, 400)
    assert subscribers()[0].state == "pending"


def test_the_token_that_confirmed_is_kept_as_its_hash(
    anonymous: Visitor, settings: Settings, started: datetime
) -> None:
    path = confirm_path(settings, builders.asked(started))
    anonymous.post_as_is(path, {}, headers={"User-Agent": "a browser"})
    (subscriber,) = subscribers()
    assert len(subscriber.confirm_token_hash) == 64
    assert (subscriber.confirm_ip, subscriber.confirm_user_agent) == ("127.0.0.1", "a browser")
    assert subscriber.form_version == subscriptions.FORM_VERSION


def test_pages_with_a_token_are_kept_by_nobody_and_tell_nobody(
    anonymous: Visitor, settings: Settings, started: datetime
) -> None:
    subscriber_id = builders.asked(started)
    for path in (
        confirm_path(settings, subscriber_id),
        f"/unsubscribe/{make_token(settings, Purpose.UNSUBSCRIBE, subscriber_id)}",
        "/subscriptions/nonsense",
    ):
        headers = anonymous.get(path).headers
        assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "Set-Cookie" not in headers
