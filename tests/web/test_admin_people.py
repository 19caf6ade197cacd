"""People and keys: let in again, invited again, the last administrator, keys that are shown once."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from statuspage import clock
from statuspage.actions import people
from statuspage.db import db
from statuspage.models import Account, Announcement, ApiToken
from statuspage.rules.vocabulary import AccountRole, Conflict, NotFound, TokenScope
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor
from tests.web.programs import Program

PATH, KEYS = "/admin/people/", "/admin/tokens/"


@pytest.fixture
def admin(page_id: str, arrive: Callable[[AccountRole], Visitor]) -> Visitor:
    return arrive(AccountRole.ADMIN)


def words(visitor: Visitor, path: str = PATH) -> str:
    return text_of(check_page(visitor.get(path).text))


@pytest.mark.parametrize("act", ["demote", "disable"])
def test_the_last_administrator_stays_one(act: str, page_id: str, started: datetime) -> None:
    last = builders.account(started, AccountRole.ADMIN)
    # Who is invited has never signed in, and who is disabled can't: they don't count.
    by = builders.account(started, AccountRole.COMMS)
    people.invite("invited@example.com", "", AccountRole.ADMIN, by, started)
    people.disable_account(builders.account(started, AccountRole.ADMIN), None, started)

    def attempt() -> None:
        if act == "demote":
            people.edit_account(last, AccountRole.COMMS, by, started)
        else:
            people.disable_account(last, None, started)

    with pytest.raises(Conflict, match="Ada is the last administrator"):
        attempt()
    builders.account(started, AccountRole.ADMIN)
    attempt()
    db.session.rollback()
    changed = db.session.get_one(Account, last)
    assert changed.disabled_at is not None or changed.role is AccountRole.COMMS


def test_who_is_let_in_again_has_the_password_of_before(admin: Visitor, anonymous: Visitor, started: datetime) -> None:
    grace = builders.account(started, AccountRole.COMMS, "grace@example.com")
    admin.post(f"{PATH}{grace}/disable", {}, on=PATH)
    assert anonymous.sign_in("grace@example.com").status_code == 422
    assert admin.post(f"{PATH}{grace}/enable", {}, on=PATH).status_code == 303
    assert anonymous.sign_in("grace@example.com").status_code == 303
    again = admin.post(f"{PATH}{grace}/enable", {}, on=PATH)
    assert again.status_code == 409
    assert "Ada is not disabled." in text_of(check_page(again.text))


def test_an_invitation_is_mailed_again_but_not_at_once(admin: Visitor, started: datetime) -> None:
    by = builders.account(started)
    early = people.invite("early@example.com", "Grace", AccountRole.COMMS, by, started - timedelta(hours=1))
    late = people.invite("late@example.com", "Grace", AccountRole.COMMS, by, started)
    assert admin.post(f"{PATH}{early}/invite", {}, on=PATH).status_code == 303
    assert "A fresh link is on its way to early@example.com." in words(admin)
    mails = select(func.count()).where(Announcement.kind == "invitation", Announcement.subject_id == early)
    db.session.rollback()
    assert db.session.scalar(mails) == 2
    for account_id, sentence in (
        (late, "Grace was mailed just now. Please wait ten minutes."),
        (by, "Ada has signed up already."),
    ):
        answer = admin.post(f"{PATH}{account_id}/invite", {}, on=PATH)
        assert answer.status_code == 409
        assert sentence in text_of(check_page(answer.text))


def test_the_list_says_when_somebody_signed_in_last(admin: Visitor, started: datetime) -> None:
    assert f"Signed in last {started.day} {started:%b %Y}" in words(admin)
    assert "You are alone here." in words(admin)
    builders.account(started, AccountRole.COMMS, "grace@example.com")
    page = words(admin)
    assert "Never signed in" in page
    assert "You are alone here." not in page


def test_a_key_is_shown_once_works_and_is_revoked_after_one_question(
    admin: Visitor, anonymous: Visitor, page_id: str
) -> None:
    assert "There is no key yet." in words(admin, KEYS)
    made = admin.post(KEYS, {"name": "monitoring", "scope": "read"})
    assert made.status_code == 200
    shown = next(element for element in check_page(made.text).iter("code") if element.get("id") == "key")
    program = Program(anonymous, text_of(shown), page_id)
    assert program.get("/components") == []
    page = words(admin, KEYS)
    assert program.key not in page
    assert "monitoring reads Made" in page
    assert "used last" in page
    token_id = db.session.scalars(select(ApiToken.id)).one()
    assert "Revoke the key “monitoring”?" in words(admin, f"{KEYS}{token_id}/revoke")
    assert admin.post(f"{KEYS}{token_id}/revoke", {}).status_code == 303
    page = words(admin, KEYS)
    assert "The key “monitoring” is refused from now on." in page
    assert "Revoked monitoring revoked" in page
    program.get("/components", 401)
    with pytest.raises(NotFound):
        people.revoke_token(token_id, builders.account(clock.now()), clock.now())


@pytest.mark.parametrize(("field", "typed"), [("name", ""), ("name", "x" * 101), ("scope", "root")])
def test_a_wrong_key_is_told_beside_the_field(field: str, typed: str, admin: Visitor) -> None:
    answer = admin.post(KEYS, {"name": "Kept", "scope": TokenScope.READ.value} | {field: typed})
    assert answer.status_code == 422
    check_page(answer.text)
    assert f'id="error-{field}"' in answer.text
    assert db.session.scalar(select(ApiToken.id)) is None
