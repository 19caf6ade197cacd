"""Saved replies: kept by those who write to customers, offered to whoever declares."""

import html
from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import components, replies
from statuspage.db import db
from statuspage.models import Incident, SavedReply
from statuspage.rules.vocabulary import AccountRole, ComponentState, Severity
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]
NEW = "/admin/replies/new"


@pytest.fixture(autouse=True)
def _page(app: Flask, started: datetime) -> None:
    builders.page(started)


@pytest.fixture
def comms(arrive: Arrive) -> Visitor:
    return arrive(AccountRole.COMMS)


@pytest.fixture
def checkout(app: Flask, started: datetime) -> str:
    return builders.component(started, "Checkout")


@pytest.fixture
def fields(checkout: str) -> dict[str, str]:
    return {
        "title": "Card payments are declined",
        "severity": "SEV1",
        "language": "fr",
        "affected": "Paying by card",
        "symptoms": "Paying by card may fail. Bank transfer works.",
        f"state_{checkout}": "outage",
    }


@pytest.fixture
def reply(checkout: str, started: datetime) -> SavedReply:
    said = {"affected": "Paying by card", "symptoms": "Paying by card may fail."}
    saved = replies.Reply("Cards are declined", Severity.SEV1, "de", {checkout: ComponentState.OUTAGE}, said)
    return replies.get_reply(replies.add_reply(saved, builders.account(started), started))


def words(page: str) -> str:
    return text_of(check_page(page))


@pytest.mark.parametrize(("role", "status"), [(AccountRole.RESPONDER, 403), (AccountRole.COMMS, 200)])
def test_who_writes_to_customers_keeps_the_replies(role: AccountRole, status: int, arrive: Arrive) -> None:
    assert arrive(role).get("/admin/replies/").status_code == status


def test_a_reply_is_saved_and_listed(comms: Visitor, fields: dict[str, str], checkout: str) -> None:
    assert "Nothing is saved yet." in words(comms.get("/admin/replies/").text)
    assert comms.post(NEW, fields).status_code == 303
    saved = db.session.scalars(select(SavedReply)).one()
    assert (saved.severity, saved.language, saved.states) == (Severity.SEV1, "fr", {checkout: "outage"})
    assert saved.fields == {name: fields[name] for name in ("affected", "symptoms")}
    listed = words(comms.get("/admin/replies/").text)
    assert "Card payments are declined SEV1 Français Checkout Outage Paying by card may fail." in listed


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"title": " "}, "Please give the incident a title customers understand."),
        ({"severity": "SEV9"}, "Please choose a severity."),
        ({"language": "tlh"}, "Please choose one of the languages."),
        ({"symptoms": ""}, "Please fill this in."),
        ({"affected": "two\nlines"}, "Please use one line of text"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(
    changes: dict[str, str], sentence: str, comms: Visitor, fields: dict[str, str]
) -> None:
    answer = comms.post(NEW, fields | changes)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "Bank transfer works." in answer.text or "symptoms" in changes
    check_page(answer.text)
    assert db.session.scalars(select(SavedReply)).all() == []


def test_an_empty_form_is_told_everything_at_once(comms: Visitor) -> None:
    page = words(comms.post(NEW, {}).text)
    for sentence in ("Title: Please give", "Severity: Please choose", "at least one component", "Please fill this in."):
        assert sentence in page, sentence


def test_whoever_declares_reads_what_each_reply_says_the_worst_first(comms: Visitor, checkout: str) -> None:
    now = clock.now()
    by = builders.account(now)
    for title, severity in (
        ("beds are late", Severity.SEV2),
        ("Apples are late", Severity.SEV2),
        ("Zoo", Severity.SEV1),
    ):
        said = {"affected": "Orders", "symptoms": f"{title}, and " + "so on " * 20}
        replies.add_reply(replies.Reply(title, severity, "en", {checkout: ComponentState.OUTAGE}, said), by, now)
    page = words(comms.get("/console/incidents/new").text)
    offered = page[page.index("What is it like?") :]
    places = [
        offered.index(words) for words in ("Zoo SEV1: Zoo, and so on", "Apples are late SEV2", "beds are late SEV2")
    ]
    assert places == sorted(places)
    assert "so on…" in offered


def test_a_reply_needs_a_component_that_is_there(comms: Visitor, fields: dict[str, str], checkout: str) -> None:
    assert "at least one component" in comms.post(NEW, fields | {f"state_{checkout}": ""}).text
    gone = comms.post(NEW, fields | {"state_nosuchthing0": "outage"})
    assert (gone.status_code, "does not exist any more" in gone.text) == (422, True)


def test_a_reply_is_changed_once_by_each_who_saw_it(comms: Visitor, reply: SavedReply, fields: dict[str, str]) -> None:
    path = f"/admin/replies/{reply.id}"
    check_page(comms.get(path).text)
    seen = comms.hidden(path)
    assert comms.post(path, fields).status_code == 303
    late = comms.post_as_is(path, seen | fields | {"title": "Mine"})
    assert late.status_code == 409
    assert 'value="Mine"' in late.text
    db.session.rollback()
    assert db.session.scalars(select(SavedReply.title)).one() == "Card payments are declined"


def test_a_reply_that_is_put_away_comes_back(comms: Visitor, reply: SavedReply) -> None:
    path = f"/admin/replies/{reply.id}"
    after = comms.post(f"{path}/archive", {}, on="/admin/replies/")
    page = comms.get(after.location).text
    assert "Put away: it is not offered any more. Undo" in words(page)
    assert "What is it like?" not in comms.get("/console/incidents/new").text
    comms.post(f"{path}/restore", {}, on="/admin/replies/")
    assert "Cards are declined" in words(comms.get("/console/incidents/new").text)


def test_a_reply_fills_the_form_and_then_the_first_message(comms: Visitor, reply: SavedReply, checkout: str) -> None:
    blank = comms.get("/console/incidents/new").text
    assert f'href="/console/incidents/new?reply={reply.id}"' in blank
    path = f"/console/incidents/new?reply={reply.id}"
    form = comms.get(path).text
    check_page(form)
    assert 'value="Cards are declined"' in form
    assert 'value="SEV1" required checked' in form
    assert '<option value="outage" selected>' in form
    assert '<option value="de" selected>' in form
    declared = comms.post(
        "/console/incidents/new",
        {"title": "Cards are declined", "severity": "SEV1", "language": "de", f"state_{checkout}": "outage"},
        on=path,
    )
    assert declared.status_code == 303
    incident = db.session.scalars(select(Incident)).one()
    assert incident.language == "de"
    room = html.unescape(comms.get(declared.location).text)
    assert 'name="affected" value="Paying by card"' in room
    assert "\nPaying by card may fail.</textarea>" in room
    # What was prepared is a beginning: a message says what is in its own form.
    later = builders.acknowledged(builders.account(clock.now()), {checkout: ComponentState.OUTAGE}, clock.now())
    assert db.session.get_one(Incident, later).opening is None


def test_a_component_that_is_gone_is_left_out_of_the_form(comms: Visitor, reply: SavedReply, checkout: str) -> None:
    components.archive_component(checkout, builders.account(clock.now()), clock.now())
    page = comms.get(f"/console/incidents/new?reply={reply.id}")
    assert (page.status_code, checkout in page.text) == (200, False)
    assert "Its components are gone: please choose others." in words(comms.get("/admin/replies/").text)


def test_a_reply_that_does_not_exist_fills_nothing(comms: Visitor) -> None:
    assert comms.get("/console/incidents/new?reply=nosuchthing0").status_code == 404
    assert comms.get("/admin/replies/nosuchthing0").status_code == 404
