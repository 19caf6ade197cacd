"""The page of channels: add, try, remove; and how the newest post ended."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from statuspage.db import db
from statuspage.models import Account, Channel, Delivery
from statuspage.rules.vocabulary import AccountRole
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

PATH = "/admin/channels/"
HOOK = "https://hooks.slack.com/services/T000/B000/sEcReT"
FIELDS = {"kind": "slack", "name": "#incidents", "url": HOOK, "account_id": ""}


@pytest.fixture(autouse=True)
def _page(app: Flask, started: datetime) -> None:
    builders.page(started)


@pytest.fixture
def admin(arrive: Callable[[AccountRole], Visitor]) -> Visitor:
    return arrive(AccountRole.ADMIN)


def words(visitor: Visitor) -> str:
    return text_of(check_page(visitor.get(PATH).text))


def channel_id() -> str:
    return str(db.session.scalar(select(Channel.id)))


def test_a_channel_is_added_and_its_address_kept_from_the_page(admin: Visitor) -> None:
    assert "There is no channel yet" in words(admin)
    assert admin.post(PATH, FIELDS).status_code == 303
    page = words(admin)
    assert "“#incidents” was added: send it a test." in page
    assert "#incidents Slack, whole team, https://hooks.slack.com" in page
    assert "Nothing was posted here yet." in page
    assert "sEcReT" not in admin.get(PATH).text


def test_a_pager_shows_nothing_of_its_address_but_its_kind(admin: Visitor) -> None:
    owner = db.session.scalars(select(Account.id)).one()
    fields = {"kind": "pager", "name": "Ada", "url": "pagerduty://sEcReTkey@sEcReTapi", "account_id": owner}
    assert admin.post(PATH, fields).status_code == 303
    page = admin.get(PATH).text
    assert "pagerduty://</code>" in page
    assert "secret" not in page.lower()
    assert "Pager or other (Apprise), Ada" in words(admin)


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("kind", "carrier pigeon", "Please choose a kind."),
        ("name", "", "Please fill this in."),
        ("url", "http://example.com/hook", "Please use https://"),
        ("account_id", "nosuchthing0", "This account does not exist any more"),
    ],
)
def test_a_wrong_field_is_told_beside_it_and_what_was_typed_is_kept(
    field: str, typed: str, sentence: str, admin: Visitor
) -> None:
    answer = admin.post(PATH, FIELDS | {"name": "Kept", field: typed})
    assert answer.status_code == 422
    check_page(answer.text)
    assert f'id="error-{field}">{sentence}' in answer.text
    for name, kept in ({"name": "Kept", "url": HOOK} | {field: typed}).items():
        assert name not in ("name", "url") or f'name="{name}" type="text" value="{kept}"' in answer.text
    assert db.session.scalar(select(Channel.id)) is None


def test_a_test_is_queued_and_its_end_shown(admin: Visitor, started: datetime) -> None:
    admin.post(PATH, FIELDS)
    assert admin.post(f"{PATH}{channel_id()}/test", {}, on=PATH).status_code == 303
    assert "The newest post is on its way." in words(admin)
    for state, error, shown in (
        ("queued", "Slack answered 503.", "The newest post was not taken: it is tried again. Slack answered 503."),
        ("dead", "Slack answered 404 (no_service).", "The newest post failed. Slack answered 404 (no_service)."),
        ("submitted", "", "The newest post was taken."),
    ):
        db.session.execute(update(Delivery).values(state=state, error=error, settled_at=started))
        db.session.commit()
        assert shown in words(admin)


def test_only_the_newest_post_is_told(admin: Visitor, started: datetime) -> None:
    admin.post(PATH, FIELDS)
    admin.post(f"{PATH}{channel_id()}/test", {}, on=PATH)
    db.session.execute(update(Delivery).values(state="dead", error="Slack answered 404.", settled_at=started))
    db.session.commit()
    admin.post(f"{PATH}{channel_id()}/test", {}, on=PATH)
    page = words(admin)
    assert "The newest post is on its way." in page
    assert "404" not in page


def test_a_removed_channel_is_gone_from_the_page(admin: Visitor, started: datetime) -> None:
    admin.post(PATH, FIELDS)
    path = f"{PATH}{channel_id()}/remove"
    assert admin.post(path, {}, on=PATH).status_code == 303
    assert "Nothing is posted to “#incidents” any more" in words(admin)
    assert "#incidents" not in words(admin).split("Add a channel")[0]
    assert admin.post(path, {}, on=PATH).status_code == 404
    assert db.session.get_one(Channel, channel_id()).removed_at - started < timedelta(minutes=5)  # type: ignore[operator]


def test_hostile_names_do_no_harm(admin: Visitor) -> None:
    admin.post(PATH, FIELDS | {"name": "<script>alert(1)</script>"})
    check_page(admin.get(PATH).text)
    assert "<script>alert" not in admin.get(PATH).text


@pytest.mark.parametrize("role", [AccountRole.VIEWER, AccountRole.RESPONDER, AccountRole.COMMS])
def test_only_administrators_get_in(role: AccountRole, arrive: Callable[[AccountRole], Visitor]) -> None:
    visitor = arrive(role)
    assert visitor.get(PATH).status_code == 403
    assert PATH not in visitor.get("/console/").text
