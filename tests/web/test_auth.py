"""Sign in, stay in, get out."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from statuspage import clock
from statuspage.actions import people
from statuspage.db import db
from statuspage.links import Purpose, make_token
from statuspage.models import Account, Announcement, AuditEntry, LoginSession
from statuspage.rules.vocabulary import AccountRole
from statuspage.settings import Settings
from tests import builders
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]


@pytest.fixture(autouse=True)
def _page(app: Flask, started: datetime) -> None:
    builders.page(started)


def test_the_right_password_opens_the_board(anonymous: Visitor, started: datetime) -> None:
    builders.account(started, email="ada@example.com")
    answer = anonymous.sign_in("Ada@Example.com ")
    assert (answer.status_code, answer.location) == (303, "/console/")
    assert anonymous.get("/console/").status_code == 200


def test_the_cookie_is_kept_from_scripts_and_other_sites(anonymous: Visitor, started: datetime) -> None:
    builders.account(started, email="ada@example.com")
    cookie = anonymous.sign_in("ada@example.com").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(anonymous: Visitor, started: datetime) -> None:
    builders.account(started, email="ada@example.com")
    wrong = anonymous.sign_in("ada@example.com", "wrong password")
    unknown = anonymous.sign_in("eve@example.com", "wrong password")
    assert wrong.status_code == unknown.status_code == 422
    pages = [answer.get_data(as_text=True) for answer in (wrong, unknown)]
    assert "The e-mail address or the password is wrong." in pages[0]
    assert 'value="ada@example.com"' in pages[0]
    assert "wrong password" not in pages[0]


def test_too_many_tries_have_to_wait_even_with_the_right_password(anonymous: Visitor, started: datetime) -> None:
    builders.account(started, email="ada@example.com")
    for _ in range(10):
        assert anonymous.sign_in("ada@example.com", "wrong password").status_code == 422
    answer = anonymous.sign_in("ada@example.com")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert db.session.scalar(select(LoginSession)) is None


def test_a_huge_password_is_refused_without_hashing_it(anonymous: Visitor, started: datetime) -> None:
    builders.account(started, email="ada@example.com")
    assert anonymous.sign_in("ada@example.com", "x" * 100_000).status_code == 422


def test_signing_out_ends_the_session_for_a_copied_cookie_too(arrive: Arrive, app: Flask) -> None:
    visitor = arrive(AccountRole.COMMS)
    cookie = visitor.client.get_cookie("session", domain="status.example.com") or visitor.client.get_cookie("session")
    assert cookie is not None
    assert visitor.post("/logout", {}, on="/console/").status_code == 303
    thief = app.test_client()
    thief.set_cookie("session", cookie.value)
    assert Visitor(thief).get("/console/").status_code == 303


def test_a_session_ends_after_twelve_hours_however_busy(arrive: Arrive) -> None:
    visitor = arrive(AccountRole.COMMS)
    db.session.execute(update(LoginSession).values(created_at=clock.now() - timedelta(hours=12, minutes=1)))
    db.session.commit()
    assert visitor.get("/console/").status_code == 303


def test_a_session_ends_when_idle(arrive: Arrive) -> None:
    visitor = arrive(AccountRole.COMMS)
    db.session.execute(update(LoginSession).values(last_seen_at=clock.now() - timedelta(hours=4, minutes=1)))
    db.session.commit()
    assert visitor.get("/console/").status_code == 303


@pytest.mark.parametrize("change", ["disable", "role", "password"])
def test_what_happens_to_an_account_signs_its_browsers_out(change: str, arrive: Arrive) -> None:
    visitor = arrive(AccountRole.COMMS)
    account_id = db.session.scalars(select(Account.id)).one()
    now = clock.now()
    if change == "disable":
        people.disable_account(account_id, None, now)
    elif change == "role":
        people.edit_account(account_id, AccountRole.VIEWER, builders.account(now), now)
    else:
        people.set_password(account_id, "another good password", now)
    assert visitor.get("/console/").status_code == 303


def test_one_can_sign_out_another_browser_of_ones_own(arrive: Arrive, app: Flask, started: datetime) -> None:
    here = arrive(AccountRole.COMMS)
    email = db.session.scalars(select(Account.email)).one()
    there = Visitor(app.test_client())
    there.sign_in(email)
    page = here.get("/console/account/").get_data(as_text=True)
    path = page.split('action="/console/account/sessions/')[1].split('"')[0]
    assert here.post(f"/console/account/sessions/{path}", {}, on="/console/account/").status_code == 303
    assert there.get("/console/").status_code == 303
    assert here.get("/console/").status_code == 200


def test_a_password_can_be_changed_with_the_present_one(arrive: Arrive) -> None:
    visitor = arrive(AccountRole.COMMS)
    wrong = visitor.post(
        "/console/account/password", {"present": "nonsense", "password": "a fresh long one"}, on="/console/account/"
    )
    assert wrong.status_code == 422
    assert "This is not your present password." in wrong.get_data(as_text=True)
    changed = visitor.post(
        "/console/account/password",
        {"present": builders.PASSWORD, "password": "a fresh long one"},
        on="/console/account/",
    )
    assert (changed.status_code, changed.location) == (303, "/login")
    assert visitor.sign_in(db.session.scalars(select(Account.email)).one(), "a fresh long one").status_code == 303


@pytest.mark.parametrize(
    ("password", "sentence"),
    [("short", "at least 12"), ("aaaaaaaaaaaaaa", "more different"), ("x" * 1025, "shorter")],
)
def test_a_weak_or_endless_password_is_refused(password: str, sentence: str) -> None:
    with pytest.raises(people.RuleBroken, match=sentence):
        people.check_password(password)


def test_an_invited_person_chooses_a_password_once(
    arrive: Arrive, anonymous: Visitor, settings: Settings, started: datetime
) -> None:
    admin = arrive(AccountRole.ADMIN)
    fields = {"email": "Grace@Example.com", "name": "Grace", "role": "comms"}
    assert admin.post("/admin/people/", fields).status_code == 303
    account = db.session.scalars(select(Account).where(Account.email == "grace@example.com")).one()
    assert db.session.scalars(select(Announcement)).one().kind == "invitation"
    path = f"/invitation/{make_token(settings, Purpose.INVITATION, account.id)}"
    short = anonymous.post(path, {"password": "short"})
    assert short.status_code == 422
    assert anonymous.post(path, {"password": "a good long password"}).status_code == 303
    assert anonymous.get(path).status_code == 400
    assert anonymous.sign_in("grace@example.com", "a good long password").status_code == 303


def test_a_forged_invitation_is_refused(anonymous: Visitor, settings: Settings) -> None:
    token = make_token(settings, Purpose.UNSUBSCRIBE, "abcabcabcabc")
    assert anonymous.get(f"/invitation/{token}").status_code == 400
    assert anonymous.get("/invitation/nonsense").status_code == 400


@pytest.mark.parametrize(
    ("next_path", "goes_to"),
    [
        ("/console/incidents/new", "/console/incidents/new"),
        ("https://evil.example/console/", "/console/"),
        ("//evil.example/console/", "/console/"),
        ("/console/\\evil.example", "/console/"),
    ],
)
def test_after_signing_in_one_stays_on_this_site(
    next_path: str, goes_to: str, anonymous: Visitor, started: datetime
) -> None:
    builders.account(started, email="ada@example.com")
    answer = anonymous.post("/login", {"email": "ada@example.com", "password": builders.PASSWORD, "next": next_path})
    assert answer.location == goes_to


def test_every_sign_in_is_recorded(arrive: Arrive) -> None:
    arrive(AccountRole.COMMS)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "sign_in")).one()
    assert entry.detail == {"ip_address": "127.0.0.1"}


@pytest.mark.parametrize("path", ["/console/incidents/%00", "/invitation/%00", "/console/incidents/%ff"])
def test_an_address_that_no_database_can_hold_is_refused_plainly(path: str, arrive: Arrive) -> None:
    assert arrive(AccountRole.ADMIN).get(path).status_code in (400, 404)


def test_a_name_that_no_database_can_hold_does_not_sign_in(anonymous: Visitor) -> None:
    assert anonymous.sign_in("ada\x00@example.com").status_code in (400, 422)


def test_a_crowd_from_one_place_locks_nobody_out_elsewhere(app: Flask, started: datetime) -> None:
    builders.account(started, email="ada@example.com")
    crowd, ada = Visitor(app.test_client()), Visitor(app.test_client())
    crowd.client.environ_base["REMOTE_ADDR"] = "198.51.100.7"
    fields = crowd.hidden("/login") | {"email": "ada@example.com", "password": "wrong"}
    codes = {crowd.post_as_is("/login", fields).status_code for _ in range(220)}
    assert codes == {422, 429}
    assert ada.sign_in("ada@example.com").status_code == 303


def test_who_is_signed_in_is_told_plainly_that_the_database_does_not_answer(
    arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = arrive(AccountRole.COMMS)

    def fail(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("no answer"))

    # As when it stands still: whatever the page asks for then, fails as well.
    monkeypatch.setattr(people, "find_session", fail)
    answer = visitor.get("/console/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "The database does not answer" in answer.get_data(as_text=True)
