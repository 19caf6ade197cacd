"""Drafts as people meet them: restored, marked, thrown away, posted; never somebody else's."""

import html
import json
import re
from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask

from statuspage import clock
from statuspage.db import db
from statuspage.models import MessageDraft
from statuspage.rules.vocabulary import AccountRole, ComponentState, MessageKind
from tests import builders
from tests.typed import typed
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]


@pytest.fixture
def by(app: Flask, started: datetime) -> str:
    builders.page(started)
    return builders.account(started)


@pytest.fixture
def incident_id(by: str, started: datetime) -> str:
    return builders.acknowledged(by, {builders.component(started): ComponentState.OUTAGE}, started)


@pytest.fixture
def path(incident_id: str) -> str:
    return f"/console/incidents/{incident_id}/update"


@pytest.fixture
def grace(arrive: Arrive) -> Visitor:
    return arrive(AccountRole.COMMS)


def as_it_opens(visitor: Visitor, path: str) -> dict[str, str]:
    """Everything that a browser would post of the message's form if nobody touched it."""
    page = visitor.get(path).text
    form = page[page.index('id="message-form"') : page.index("Save draft")]
    fields = dict(re.findall(r'<input [^>]*?name="([^"]+)"[^>]*? value="([^"]*)"(?![^>]*type="radio")', form))
    fields |= dict(re.findall(r'name="([^"]+)" value="([^"]*)" checked', form))
    fields |= dict(re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>\n([^<]*)</textarea>', form))
    fields |= dict(re.findall(r'<select [^>]*name="([^"]+)">.*?value="([^"]*)" selected', form, re.DOTALL))
    return {name: html.unescape(value) for name, value in fields.items()}


def save(visitor: Visitor, path: str, **changes: str) -> dict[str, str]:
    """Save a draft as the script does; return what it is told."""
    fields = as_it_opens(visitor, path) | changes
    answer = visitor.post_as_is(f"{path}/draft", fields, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    return dict(answer.get_json())


def drafts() -> list[dict[str, str]]:
    db.session.rollback()
    return [each.fields for each in db.session.query(MessageDraft)]


def test_what_is_typed_is_there_again_and_says_since_when(grace: Visitor, path: str) -> None:
    told = save(grace, path, being_done="We are rolling back.")
    assert re.fullmatch(r"\d\d:\d\d UTC", told["saved"])
    page = grace.get(path).text
    assert f"<strong>Draft from {told['saved']}.</strong>" in page
    assert "We are rolling back.</textarea>" in page
    assert "Discard what I typed" in page


def test_a_draft_keeps_only_what_was_touched(grace: Visitor, path: str) -> None:
    save(grace, path, being_done="We are rolling back.")
    assert drafts() == [{"being_done": "We are rolling back."}]


def test_a_form_nobody_touched_is_no_draft(grace: Visitor, path: str) -> None:
    assert save(grace, path) == {"saved": ""}
    assert drafts() == []
    assert "Draft from" not in grace.get(path).text


def test_a_component_state_is_part_of_a_draft(grace: Visitor, path: str) -> None:
    (name,) = (name for name in as_it_opens(grace, path) if name.startswith("state_"))
    save(grace, path, **{name: "degraded"})
    assert drafts() == [{name: "degraded"}]
    assert 'value="degraded" selected' in grace.get(path).text


def test_without_a_script_a_button_saves_and_the_form_comes_back(grace: Visitor, path: str) -> None:
    answer = grace.post(f"{path}/draft", typed(MessageKind.UPDATE, clock.now(), being_done="By hand"), on=path)
    assert (answer.status_code, answer.location) == (303, path)
    assert "By hand</textarea>" in grace.get(path).text


def test_nobody_sees_somebody_elses_draft(grace: Visitor, path: str, arrive: Arrive) -> None:
    save(grace, path, being_done="Not finished yet")
    other = arrive(AccountRole.ADMIN)
    assert "Not finished yet" not in other.get(path).text
    save(other, path, being_done="My own words")
    assert "Not finished yet</textarea>" in grace.get(path).text


def test_a_draft_is_thrown_away(grace: Visitor, path: str) -> None:
    save(grace, path, being_done="Never mind")
    answer = grace.post(f"{path}/draft/discard", {}, on=path)
    assert (answer.status_code, answer.location) == (303, path)
    assert "Never mind" not in grace.get(path).text
    assert drafts() == []


def test_posting_ends_the_draft(grace: Visitor, path: str) -> None:
    save(grace, path, being_done="We are rolling back.")
    assert grace.post(path, typed(MessageKind.UPDATE, clock.now())).status_code == 303
    assert drafts() == []


def test_what_is_refused_stays_a_draft(grace: Visitor, path: str) -> None:
    save(grace, path, being_done="We are rolling back.")
    assert grace.post(path, typed(MessageKind.UPDATE, clock.now(), affected="")).status_code == 422
    assert drafts() == [{"being_done": "We are rolling back."}]


def test_a_draft_written_before_somebodys_update_says_so(grace: Visitor, path: str, incident_id: str, by: str) -> None:
    save(grace, path, being_done="We are rolling back.")
    builders.post(MessageKind.UPDATE, incident_id, {}, by, clock.now())
    assert re.search(
        r"Ada\s+posted after that, at [\d:]+ UTC: please check that your words still hold", grace.get(path).text
    )


def test_a_draft_follows_the_stage_that_was_set_meanwhile(grace: Visitor, path: str, incident_id: str, by: str) -> None:
    save(grace, path, being_done="We are rolling back.")
    builders.post(MessageKind.UPDATE, incident_id, {}, by, clock.now(), stage="monitoring")
    opened = as_it_opens(grace, path)
    assert (opened["stage"], opened["being_done"]) == ("monitoring", "We are rolling back.")


@pytest.mark.parametrize("suggested", ["", "no JSON", "[]", "{}", "[" * 5000, json.dumps({"stage": 7})])
def test_a_form_that_forgot_what_it_suggested_keeps_everything(suggested: str, grace: Visitor, path: str) -> None:
    save(grace, path, suggested=suggested, being_done="We are rolling back.")
    (kept,) = drafts()
    assert kept["being_done"] == "We are rolling back."
    assert kept["stage"] == "investigating"


@pytest.mark.parametrize("field", ["form_token", "csrf_token"])
def test_a_forged_form_saves_nothing_and_keeps_the_text(field: str, grace: Visitor, path: str) -> None:
    fields = as_it_opens(grace, path) | {"being_done": "Kept words", field: "forged"}
    answer = grace.post_as_is(f"{path}/draft", fields)
    assert answer.status_code == 403
    assert "Kept words" in answer.text
    assert drafts() == []


def test_an_unknown_incident_has_no_drafts(grace: Visitor, path: str) -> None:
    fields = as_it_opens(grace, path)
    assert grace.post_as_is("/console/incidents/nosuchthing0/update/draft", fields).status_code == 404


@pytest.mark.parametrize(("typed_in", "name"), [({}, "symptoms"), ({"symptoms": "Signing in fails."}, "affected")])
def test_the_way_into_the_form_leads_to_the_first_empty_field(
    typed_in: dict[str, str], name: str, grace: Visitor, by: str, started: datetime
) -> None:
    declared = builders.declared(by, {builders.component(started, "Search"): ComponentState.OUTAGE}, started)
    path = f"/console/incidents/{declared}/acknowledge"
    if typed_in:
        save(grace, path, **typed_in)
    assert f'<a class="skip" href="#field-{name}">Skip to the message</a>' in grace.get(path).text
