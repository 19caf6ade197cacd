"""Plain language in the forms: marked, mended or posted as it is, and then on record."""

from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage import clock, reports
from statuspage.db import db
from statuspage.models import Incident, OwnWord, Update, WordingOverride
from statuspage.rules.reports import month_of
from statuspage.rules.vocabulary import AccountRole, ComponentState, DocumentState, MessageKind
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.typed import typed
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]

MARKED = "We deployed a change to a cluster."
AS_IT_IS = {"as_it_is": "yes"}


@pytest.fixture
def incident_id(app: Flask, started: datetime) -> str:
    builders.page(started)
    states = {builders.component(started, "Search Cluster"): ComponentState.OUTAGE}
    return builders.acknowledged(builders.account(started), states, started)


@pytest.fixture
def resolved(app: Flask, started: datetime) -> str:
    return builders.resolved(started)


@pytest.fixture
def comms(incident_id: str, arrive: Arrive) -> Visitor:
    return arrive(AccountRole.COMMS)


@pytest.fixture
def path(incident_id: str) -> str:
    return f"/console/incidents/{incident_id}/update"


def update(**changes: str) -> dict[str, str]:
    return typed(MessageKind.UPDATE, clock.now()) | changes


def overrides() -> list[tuple[str, list[str]]]:
    db.session.rollback()
    return [(each.subject_kind, each.words) for each in db.session.scalars(select(WordingOverride))]


def updates() -> int:
    db.session.rollback()
    return len(db.session.scalars(select(Update)).all())


def test_a_marked_text_is_not_posted_until_somebody_says_so(comms: Visitor, path: str) -> None:
    answer = comms.post(path, update(being_done=MARKED))
    assert answer.status_code == 422
    page = text_of(check_page(answer.text))
    assert "Plain language: Something in this text is marked" in page
    assert "Jargon deployed: say “released”" in page
    assert "Post it as it is" in page
    assert MARKED in answer.text
    assert (updates(), overrides()) == (1, [])


def test_a_plain_text_is_posted_without_a_word(comms: Visitor, path: str) -> None:
    assert "to look at" not in comms.get(path).text
    assert comms.post(path, update(being_done="We released a change.")).status_code == 303
    assert overrides() == []


def test_a_text_that_is_posted_as_it_is_stays_on_record(comms: Visitor, path: str, incident_id: str) -> None:
    assert comms.post(path, update(being_done=MARKED) | AS_IT_IS).status_code == 303
    assert overrides() == [("update", ["deployed", "cluster"])]
    room = text_of(check_page(comms.get(f"/console/incidents/{incident_id}").text))
    assert "Posted as it was by Ada, though marked: deployed, cluster" in room

    report = reports.load_month(month_of(clock.now()), clock.now())
    assert [each.wording_overrides for each in report.incidents] == [1]
    (severity,) = reports.as_json(report)["severities"].values()
    assert severity["wording_overrides"] == 1
    page = text_of(check_page(comms.get(f"/console/reports/{clock.now():%Y-%m}").text))
    assert "Texts posted as they were, though marked1" in page


def test_a_tick_on_a_plain_text_records_nothing(comms: Visitor, path: str) -> None:
    assert comms.post(path, update(being_done="We released a change.") | AS_IT_IS).status_code == 303
    assert overrides() == []


def test_the_record_can_not_be_rewritten(comms: Visitor, path: str) -> None:
    comms.post(path, update(being_done=MARKED) | AS_IT_IS)
    found = db.session.scalars(select(WordingOverride)).one()
    found.words = []
    with pytest.raises(Exception, match="kept as they are"):
        db.session.commit()


def test_the_names_of_components_are_no_jargon_and_those_of_people_are_marked(comms: Visitor, path: str) -> None:
    assert comms.post(path, update(being_done="The Search Cluster is slow.")).status_code == 303
    answer = comms.post(path, update(being_done="Ada restarted it."))
    assert answer.status_code == 422
    assert "Blame Ada: leave the name out" in text_of(check_page(answer.text))


@pytest.mark.parametrize("field", ["affected", "being_done", "expected_resolution"])
def test_every_field_that_customers_read_is_looked_at(field: str, comms: Visitor, path: str) -> None:
    assert comms.post(path, update(**{field: "after the failover"})).status_code == 422


def test_a_correction_is_looked_at_too(comms: Visitor, incident_id: str) -> None:
    db.session.rollback()
    said = db.session.get_one(Incident, incident_id).updates[0].id
    correct = f"/console/incidents/{incident_id}/updates/{said}/correct"
    answer = comms.post(correct, {"body": MARKED})
    assert answer.status_code == 422
    assert "Jargon deployed" in text_of(check_page(answer.text))
    assert comms.post(correct, {"body": MARKED} | AS_IT_IS).status_code == 303
    assert overrides() == [("update", ["deployed", "cluster"])]


def test_the_direct_email_is_looked_at_before_it_goes(comms: Visitor, incident_id: str) -> None:
    mail = f"/console/incidents/{incident_id}/direct-email"
    answer = comms.post(mail, {"message": MARKED, "act": "send"})
    assert answer.status_code == 422
    assert "Send it as it is" in text_of(check_page(answer.text))
    assert comms.post(mail, {"message": MARKED, "act": "send"} | AS_IT_IS).status_code == 303
    assert overrides() == [("document", ["deployed", "cluster"])]
    assert "though marked" in text_of(check_page(comms.get(mail).text))


EMAIL = {"what_happened": MARKED, "prevention": "We test such changes first."}
POST_MORTEM = {
    "summary": "Postgres ran out of memory.",
    "root_cause": "A missing index.",
    "impact": "All customers.",
    "action_items": "Add the index.",
}


@pytest.mark.parametrize(
    ("document", "fields"),
    [("post-incident-email", EMAIL), ("post-mortem", POST_MORTEM | {"public_text": MARKED})],
)
def test_a_draft_may_be_saved_as_it_is_and_is_looked_at_before_the_review(
    document: str, fields: dict[str, str], resolved: str, arrive: Arrive
) -> None:
    author, where = arrive(AccountRole.COMMS), f"/console/incidents/{resolved}/{document}"
    assert author.post(where, fields | {"act": "save"}).status_code == 303
    assert author.post(where, fields | {"act": "submit"}).status_code == 422
    assert author.post(where, fields | {"act": "submit"} | AS_IT_IS).status_code == 303
    assert overrides() == [("document", ["deployed", "cluster"])]
    page = text_of(check_page(author.get(where).text))
    assert "though marked: deployed, cluster" in page
    assert DocumentState.IN_REVIEW.value.replace("_", " ").capitalize() in page


def test_what_colleagues_read_may_be_technical(resolved: str, arrive: Arrive) -> None:
    author, where = arrive(AccountRole.COMMS), f"/console/incidents/{resolved}/post-mortem"
    assert author.post(where, POST_MORTEM | {"act": "submit"}).status_code == 303
    assert overrides() == []


def window(component_id: str, **changes: str) -> dict[str, str]:
    year = clock.now().year + 1
    begins = {"scheduled_for": f"{year}-01-10T02:00", "scheduled_until": f"{year}-01-10T04:00"}
    return (
        {"title": "Database upgrade", "body": "It is slow.", "component": component_id, "repeat": ""} | begins | changes
    )


def test_maintenance_is_planned_moved_and_called_off_in_plain_words(
    page_id: str, component_id: str, arrive: Arrive
) -> None:
    comms, new = arrive(AccountRole.COMMS), "/console/maintenance/new"
    answer = comms.post(new, window(component_id))
    assert answer.status_code == 422
    assert "Data store Database: say “our systems”" in text_of(check_page(answer.text))
    answer = comms.post(new, window(component_id) | AS_IT_IS)
    assert answer.status_code == 303
    where = str(answer.location).partition("?")[0]
    # The title was decided on: only what is new has to be plain.
    assert comms.post(f"{where}/edit", window(component_id, body="It moves.")).status_code == 303
    assert comms.post(f"{where}/edit", window(component_id, body="The failover moves.")).status_code == 422

    said = comms.post(f"{where}/update", {"body": MARKED, "stage": "scheduled"}, on=where)
    assert said.status_code == 422
    assert MARKED in said.text
    off = comms.post(f"{where}/cancel", {"body": "The failover is off."}, on=where)
    assert off.status_code == 422
    check_page(off.text)
    assert off.text.count("The failover is off.") == 1
    assert comms.post(f"{where}/cancel", {"body": "The failover is off."} | AS_IT_IS, on=where).status_code == 303
    assert overrides() == [("maintenance", ["Database"]), ("maintenance", ["failover"])]
    assert "though marked: Database" in text_of(check_page(comms.get(where).text))


def test_the_marks_come_while_somebody_types(comms: Visitor) -> None:
    texts = {"field-being_done": "Wait.\r\nWe deployed <b>it</b>.", "field-affected": "Search is slow."}
    answer = comms.post("/console/wording", texts, on="/console/account/")
    assert answer.status_code == 200
    assert 'id="marks-field-being_done"' in answer.text
    # Counted as the browser counts: a line end is one character.
    assert 'data-for="field-being_done" data-start="9" data-found="deployed" data-use="released"' in answer.text
    assert "<b>" not in answer.text
    assert answer.text.count("<ul>") == 1
    assert overrides() == []


@pytest.fixture
def admin(incident_id: str, arrive: Arrive) -> Visitor:
    return arrive(AccountRole.ADMIN)


WORDS = "/admin/words/"


def test_an_administrator_says_what_customers_know_and_what_they_do_not(admin: Visitor, path: str) -> None:
    assert admin.post(WORDS, {"word": "  Billing  Core ", "list": "internal"}).status_code == 303
    assert admin.post(WORDS, {"word": "failover", "list": "allowed"}).status_code == 303
    page = text_of(check_page(admin.get(WORDS).text))
    assert "Added: it counts from the next text on." in page
    assert "Marked billing core" in page
    assert "Never marked failover" in page
    answer = admin.post(path, update(being_done="The failover of the billing core goes on."))
    assert answer.status_code == 422
    marked = text_of(check_page(answer.text))
    assert "Machinery billing core: say which feature customers use" in marked
    assert "Machinery failover" not in marked

    word = db.session.scalars(select(OwnWord.id).where(OwnWord.word == "billing core")).one()
    assert admin.post(f"{WORDS}{word}/remove", {}, on=WORDS).status_code == 303
    assert "Removed from the list." in admin.get(WORDS).text
    assert admin.post(path, update(being_done="The failover of the billing core goes on.")).status_code == 303


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("", "Please fill this in."),
        ("***", "Please give a word or a name, with letters or digits in it."),
        ("x" * 81, "Please shorten this to 80 characters (now 81)."),
        ("Falcon", "“falcon” is in one of the lists already: remove it there first."),
    ],
)
def test_a_word_that_can_not_be_one_is_refused_and_kept(word: str, sentence: str, admin: Visitor) -> None:
    admin.post(WORDS, {"word": "falcon", "list": "internal"})
    answer = admin.post(WORDS, {"word": word, "list": "allowed"})
    assert answer.status_code == 422
    assert sentence in text_of(check_page(answer.text))
    assert f'value="{word}"' in answer.text
