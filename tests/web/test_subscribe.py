"""Strangers' pages: sign up, confirm, leave."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from statuspage.actions import subscriptions
from statuspage.app import create_app
from statuspage.db import db
from statuspage.delivery import outbox
from statuspage.links import Purpose, make_token
from statuspage.models import Announcement, AuditEntry, Delivery, Subscriber
from statuspage.settings import Settings, load
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor


@pytest.fixture(autouse=True)
def _page(app: Flask, started: datetime) -> None:
    builders.page(started)


def sign_up(visitor: Visitor, email: str = "ada@example.com", **headers: str):
    return visitor.post_as_is("/subscribe", {"email": email, "website": ""}, headers=headers)


def subscriber() -> Subscriber | None:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalar(select(Subscriber))


def confirmations() -> int:
    db.session.rollback()
    query = select(func.count()).select_from(Announcement).where(Announcement.kind == "confirm_subscription")
    return db.session.scalar(query) or 0


def link(settings: Settings, purpose: Purpose, subscriber_id: str | None = None) -> str:
    found = subscriber()
    folder = {Purpose.CONFIRM: "subscriptions", Purpose.UNSUBSCRIBE: "unsubscribe"}[purpose]
    return f"/{folder}/{make_token(settings, purpose, subscriber_id or (found.id if found else ''))}"


@pytest.fixture
def active(started: datetime) -> str:
    """The id of a confirmed subscriber."""
    return builders.subscribed(started)


def test_signing_up_mails_a_link_whose_page_has_a_button(anonymous: Visitor, settings: Settings) -> None:
    answer = sign_up(anonymous)
    assert answer.status_code == 200
    assert "Please check your inbox" in text_of(check_page(answer.text))
    assert confirmations() == 1
    path = link(settings, Purpose.CONFIRM)
    for _ in range(3):
        assert "Yes, send me updates" in text_of(check_page(anonymous.get(path).text))
    found = subscriber()
    assert found is not None
    assert found.state == "pending"
    assert "You are subscribed" in anonymous.post_as_is(path, {}).text
    found = subscriber()
    assert found is not None
    assert found.state == "active"
    assert found.confirm_ip == "127.0.0.1"


def test_confirming_again_is_fine_and_recorded_once(anonymous: Visitor, settings: Settings) -> None:
    sign_up(anonymous)
    path = link(settings, Purpose.CONFIRM)
    assert [anonymous.post_as_is(path, {}).status_code for _ in range(3)] == [200] * 3
    assert len(db.session.scalars(select(AuditEntry).where(AuditEntry.action == "confirm")).all()) == 1


def test_the_answer_does_not_tell_whether_an_address_is_known(anonymous: Visitor, active: str) -> None:
    known, new = sign_up(anonymous, "ADA@example.com"), sign_up(anonymous, "grace@example.com")
    assert (known.status_code, known.data) == (new.status_code, new.data)
    assert confirmations() == 2


def test_one_address_gets_one_confirmation_mail_an_hour(started: datetime, app: Flask) -> None:
    for minutes in (0, 5, 59):
        builders.asked(started + timedelta(minutes=minutes))
    assert confirmations() == 1
    builders.asked(started + timedelta(minutes=61), "Ada@Example.com")
    assert confirmations() == 2
    assert db.session.scalar(select(func.count()).select_from(Subscriber)) == 1


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a@x.y,b@x.y",
        "a@example.com\r\nBcc: v@w.example.com",
        "<a@b.example.com> x@y.example.com",
        "alice@example.org)bob@example.com",
        '"a b"@example.com',
        "a@[127.0.0.1]",
        "a@localhost",
        "a..b@example.com",
        "a@x..y.com",
        "a@-x.com",
        "x" * 65 + "@example.com",
        "a@" + "x" * 64 + ".com",
        "a@" + "x." * 126 + "com",
        "a\x00b@example.com",
        "a\u2028b@example.com",
    ],
)
def test_what_is_not_one_address_is_refused_beside_the_field(address: str, anonymous: Visitor) -> None:
    answer = sign_up(anonymous, address)
    page = check_page(answer.text.replace("\x00", ""))
    assert answer.status_code == 422
    assert [each.get("id") for each in page.iter() if each.get("id") == "error-email"]
    assert subscriber() is None


def test_a_program_that_fills_every_field_gets_the_same_answer_and_nothing_else(anonymous: Visitor) -> None:
    caught = anonymous.post_as_is("/subscribe", {"email": "ada@example.com", "website": "https://spam.example"})
    assert caught.data == sign_up(anonymous, "grace@example.com").data
    assert confirmations() == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://[status.example.com"},
        {"Origin": "http://status.example.com.evil.example"},
    ],
)
def test_another_site_can_not_sign_people_up(headers: dict[str, str], anonymous: Visitor) -> None:
    assert sign_up(anonymous, **headers).status_code == 403
    assert subscriber() is None


def test_a_page_without_referrer_is_this_site_too(anonymous: Visitor) -> None:
    # Browsers say that such a page's origin is null, even to its own site.
    assert sign_up(anonymous, **{"Sec-Fetch-Site": "same-origin", "Origin": "null"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("status.example.com", "http://status.example.com"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_this_site_can(host: str, origin: str, anonymous: Visitor) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Host": host, "Origin": origin}
    assert sign_up(anonymous, **headers).status_code == 200


def test_too_many_sign_ups_from_one_place_have_to_wait(anonymous: Visitor) -> None:
    codes = [sign_up(anonymous, f"reader{number}@example.com").status_code for number in range(21)]
    assert codes == [200] * 20 + [429]


def test_one_click_unsubscribes_with_an_empty_answer_and_no_cookie(
    anonymous: Visitor, active: str, settings: Settings
) -> None:
    path = link(settings, Purpose.UNSUBSCRIBE)
    for content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        answer = anonymous.post_as_is(path, {"List-Unsubscribe": "One-Click"}, content_type=content_type)
        assert (answer.status_code, answer.data) == (200, b"")
        assert "Set-Cookie" not in answer.headers
        found = subscriber()
        assert found is not None
        assert found.state == "unsubscribed"


def test_one_click_counts_whatever_a_mail_program_sends_beside_it(
    anonymous: Visitor, active: str, settings: Settings
) -> None:
    body = {"List-Unsubscribe": "One-Click", "client": "a mail program"}
    answer = anonymous.post_as_is(link(settings, Purpose.UNSUBSCRIBE), body)
    assert (answer.status_code, answer.data) == (200, b"")


def test_the_pages_button_unsubscribes_too(anonymous: Visitor, active: str, settings: Settings) -> None:
    path = link(settings, Purpose.UNSUBSCRIBE)
    page = anonymous.get(path)
    assert "Unsubscribe" in text_of(check_page(page.text))
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    assert "You are unsubscribed" in anonymous.post_as_is(path, {"unsubscribe": "yes"}).text


@pytest.mark.parametrize("body", [{}, {"List-Unsubscribe": "no"}, {"x": "y"}])
def test_another_body_changes_nothing(
    body: dict[str, str], anonymous: Visitor, active: str, settings: Settings
) -> None:
    assert anonymous.post_as_is(link(settings, Purpose.UNSUBSCRIBE), body).status_code == 400
    found = subscriber()
    assert found is not None
    assert found.state == "active"


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_changes_nothing(method: str, anonymous: Visitor, active: str, settings: Settings) -> None:
    for purpose in (Purpose.UNSUBSCRIBE, Purpose.CONFIRM):
        anonymous._request(getattr(anonymous.client, method), link(settings, purpose) + "?confirm=1")
    found = subscriber()
    assert found is not None
    assert found.state == "active"


def test_a_link_that_was_not_made_here_for_this_is_refused_plainly(
    anonymous: Visitor, active: str, settings: Settings
) -> None:
    confirm, leave = link(settings, Purpose.CONFIRM), link(settings, Purpose.UNSUBSCRIBE)
    crossed = [confirm.replace("subscriptions", "unsubscribe"), leave.replace("unsubscribe", "subscriptions")]
    # Not the last letter: of its six bits two say nothing.
    flipped = leave[:-2] + ("A" if leave[-2] != "A" else "B") + leave[-1]
    stranger = link(settings, Purpose.UNSUBSCRIBE, "nosuchthing0")
    pages = {
        anonymous.get(path).data
        for path in [*crossed, flipped, stranger, "/unsubscribe/x", "/unsubscribe/" + "x" * 999]
    }
    assert len(pages) == 1
    for path in (*crossed, flipped, stranger):
        assert anonymous.get(path).status_code == 400
        assert anonymous.post_as_is(path, {"List-Unsubscribe": "One-Click"}).status_code == 400
    found = subscriber()
    assert found is not None
    assert found.state == "active"


def test_whoever_left_can_come_back_but_not_by_the_old_link(
    anonymous: Visitor, active: str, settings: Settings
) -> None:
    old = link(settings, Purpose.CONFIRM)
    anonymous.post_as_is(link(settings, Purpose.UNSUBSCRIBE), {"List-Unsubscribe": "One-Click"})
    assert anonymous.post_as_is(old, {}).status_code == 400
    assert sign_up(anonymous).status_code == 200
    assert confirmations() == 2
    assert anonymous.post_as_is(link(settings, Purpose.CONFIRM), {}).status_code == 200


def test_links_in_old_mails_work_after_the_key_was_changed(
    app: Flask, active: str, settings: Settings, environ: dict[str, str]
) -> None:
    path = link(settings, Purpose.UNSUBSCRIBE)
    environ |= {
        "SECRET_KEY": "another key for the tests that is long enough too",
        "SECRET_KEY_FALLBACKS": settings.secret_key,
    }
    rotated = create_app(load(environ))
    answer = Visitor(rotated.test_client()).post_as_is(path, {"List-Unsubscribe": "One-Click"})
    with rotated.app_context():
        db.engine.dispose()
    assert answer.status_code == 200
    found = subscriber()
    assert found is not None
    assert found.state == "unsubscribed"


def test_the_confirmation_of_somebody_who_left_again_is_not_sent(active: str, started: datetime) -> None:
    subscriptions.unsubscribe(active, started)
    while outbox.claim("one", 10, started) is not None:
        pass
    db.session.rollback()
    db.session.expire_all()
    assert {row.state for row in db.session.scalars(select(Delivery))} == {"cancelled"}


def test_the_form_can_be_opened_by_itself(anonymous: Visitor) -> None:
    answer = anonymous.get("/subscribe")
    assert answer.status_code == 200
    assert "Your e-mail address" in text_of(check_page(answer.text))
