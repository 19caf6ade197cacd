"""The wording of messages: edited by kind and language, looked at, mailed to oneself, put back."""

import re
from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import branding
from statuspage.actions.templates import shipped_template, template_for
from statuspage.db import db
from statuspage.models import Account, Announcement, Delivery, TemplateVersion, Update
from statuspage.rules.languages import LANGUAGES
from statuspage.rules.messages import check_template
from statuspage.rules.vocabulary import AccountRole, ComponentState, MessageKind
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]
PATH = "/admin/templates/en/acknowledge"
OTHER = "Trouble with {affected}: {symptoms} Since {started_at}. More by {next_update_by}. {0.__class__} {{7*7}}"


@pytest.fixture(autouse=True)
def _page(app: Flask, started: datetime) -> None:
    builders.page(started)


@pytest.fixture
def admin(arrive: Arrive) -> Visitor:
    return arrive(AccountRole.ADMIN)


def words(html: str) -> str:
    return text_of(check_page(html))


def acknowledged(started: datetime, **about: str) -> Update:
    """Return the first message of an incident that is told in a language."""
    builders.acknowledged(
        builders.account(started), {builders.component(started): ComponentState.OUTAGE}, started, **about
    )
    return db.session.scalars(select(Update)).one()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", MessageKind)
def test_the_shipped_wording_of_every_language_holds_what_it_must(kind: MessageKind, language: str) -> None:
    shipped = shipped_template(kind, language)
    assert check_template(kind, shipped) == shipped


def test_edited_wording_is_used_from_then_on(admin: Visitor, started: datetime) -> None:
    assert admin.post(PATH, {"text": OTHER}).status_code == 303
    assert acknowledged(started).body.startswith("Trouble with Signing in: Signing in may fail. Since ")
    assert "Trouble with {affected}" in admin.get("/admin/templates/").text


def test_an_incident_is_told_in_its_own_language(admin: Visitor, started: datetime) -> None:
    admin.post(PATH, {"text": OTHER})
    body = acknowledged(started, language="de").body
    assert body.startswith("Wir untersuchen ein Problem: Signing in")
    assert "Auswirkung: hoch." in body
    assert re.search(r"spätestens am \d+\. \S+ 20\d\d, \d\d:\d\d UTC", body)


def test_an_incident_is_told_in_the_pages_own_language_unless_somebody_says_otherwise(
    admin: Visitor, started: datetime
) -> None:
    branding.edit_languages("fr", ("en", "de"), builders.account(started), started)
    chosen = admin.get("/console/incidents/new").text
    assert '<option value="fr" selected>' in chosen
    component_id = builders.component(started, "Search")
    builders.acknowledged(builders.account(started), {component_id: ComponentState.DEGRADED}, clock.now())
    told = db.session.scalars(select(Update.body)).one()
    assert told.startswith("Nous étudions un problème")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{affected} {symptoms} {started_at}", "The placeholder {next_update_by} is missing."),
        ("{affected} {symptoms} {started_at} {next_update_by} {host_name}", "There is no placeholder {host_name}."),
        ("", "The placeholders {affected}, {symptoms}, {next_update_by} and {started_at} are missing."),
        ("x" * 4001, "Please keep the template under 4000 characters."),
    ],
)
@pytest.mark.parametrize(("act", "status"), [("", 422), ("/preview", 200)])
def test_wording_without_its_placeholders_is_refused_with_their_names(
    act: str, status: int, text: str, sentence: str, admin: Visitor
) -> None:
    answer = admin.post(PATH + act, {"text": text}, on=PATH)
    assert answer.status_code == status
    assert sentence in answer.text
    assert text in answer.text
    check_page(answer.text)
    assert db.session.scalars(select(TemplateVersion)).all() == []


def test_every_placeholder_is_offered_with_its_meaning(admin: Visitor) -> None:
    page = admin.get("/admin/templates/fr/resolve").text
    for name, meaning in (
        ("duration", "how long it lasted"),
        ("apology", "Apology"),
        ("affected", "What was affected"),
    ):
        assert f'data-insert="{{{name}}}"' in page
        assert meaning in page
    assert "{duration} how long it lasted, from start to resolution must appear" in words(page)


def test_the_preview_uses_examples_until_there_is_a_message_and_then_its_values(
    admin: Visitor, started: datetime
) -> None:
    assert "these are the examples of the form" in words(admin.get(PATH).text)
    update = acknowledged(started)
    answer = admin.post(f"{PATH}/preview", {"text": OTHER}, on=PATH)
    shown = words(answer.text)
    assert "The values of the newest one: Sign-in fails" in shown
    assert "Trouble with Signing in: Signing in may fail." in shown
    # With the wording in force the preview is what was posted, byte for byte.
    assert update.body_html in admin.get(PATH).text


def test_a_test_mail_goes_to_whoever_asks_with_what_is_typed(admin: Visitor) -> None:
    answer = admin.post(PATH, {"text": OTHER, "act": "test"})
    assert "On its way to" in words(answer.text)
    assert "Nothing was saved" in words(answer.text)
    sent = db.session.scalars(select(Announcement)).one()
    email = db.session.scalars(select(Account.email)).one()
    assert (sent.kind, sent.address, db.session.scalars(select(Delivery.address)).one()) == (
        "test_message",
        email,
        email,
    )
    assert (sent.detail or {})["body"].startswith("Trouble with Signing in to the web app: Sign-in may take")
    assert template_for(MessageKind.ACKNOWLEDGE, "en") == shipped_template(MessageKind.ACKNOWLEDGE, "en")


def test_a_wrong_wording_is_not_mailed(admin: Visitor) -> None:
    assert admin.post(PATH, {"text": "{nonsense}", "act": "test"}).status_code == 422
    assert db.session.scalars(select(Announcement)).all() == []


def test_of_two_administrators_the_second_is_told(admin: Visitor) -> None:
    seen = admin.hidden(PATH)
    admin.post(PATH, {"text": OTHER})
    answer = admin.post_as_is(PATH, seen | {"text": OTHER.replace("Trouble", "Problem")})
    assert answer.status_code == 409
    assert "Somebody else changed this wording while you were writing." in answer.text
    assert "Problem with {affected}" in answer.text
    assert template_for(MessageKind.ACKNOWLEDGE, "en").startswith("Trouble")


def test_the_history_says_who_and_what_differs_in_words(admin: Visitor) -> None:
    admin.post(PATH, {"text": OTHER})
    admin.post(PATH, {"text": OTHER.replace("Trouble", "Problem")})
    page = words(admin.get(f"{PATH}/history").text)
    assert page.count("Edited by Ada") == 2
    assert page.count("in force") >= 1
    assert "only then Trouble with {affected}" in page
    assert "only now Problem with {affected}" in page
    assert "only then Next update by {next_update_by}." in page


def test_an_earlier_wording_and_the_shipped_one_are_put_back(admin: Visitor) -> None:
    admin.post(PATH, {"text": OTHER})
    first = db.session.scalars(select(TemplateVersion.id)).one()
    admin.post(PATH, {"text": OTHER.replace("Trouble", "Problem")})
    history = f"{PATH}/history"
    assert admin.post(f"{PATH}/restore", {"restore": str(first)}, on=history).status_code == 303
    assert template_for(MessageKind.ACKNOWLEDGE, "en").startswith("Trouble")
    assert admin.post(f"{PATH}/restore", {"restore": "shipped"}, on=history).status_code == 303
    assert template_for(MessageKind.ACKNOWLEDGE, "en").startswith("We are looking into")
    # Nothing of the history is lost by going back.
    assert len(db.session.scalars(select(TemplateVersion)).all()) == 4
    assert "The shipped wording, put back by Ada" in words(admin.get(history).text)


def test_a_version_of_another_kind_is_not_there(admin: Visitor) -> None:
    admin.post(PATH, {"text": OTHER})
    other = "/admin/templates/de/acknowledge"
    assert admin.post(f"{other}/restore", {"restore": "1"}, on=f"{other}/history").status_code == 404


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_its_list_and_is_marked_as_such(language: str, admin: Visitor) -> None:
    page = admin.get(f"/admin/templates/?language={language}").text
    assert shipped_template(MessageKind.UPDATE, language) in page
    assert f'lang="{language}" aria-current="page"' in page
    check_page(page)


def test_a_language_nobody_speaks_is_not_there(admin: Visitor) -> None:
    assert admin.get("/admin/templates/?language=tlh").status_code == 404
    assert admin.get("/admin/templates/tlh/update").status_code == 404
