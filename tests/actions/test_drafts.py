"""Drafts: kept until they are posted or thrown away, one a person, and never brought back by a late autosave."""

from datetime import datetime, timedelta

import pytest
from flask import Flask

from statuspage.actions import drafts
from statuspage.actions.incidents import Post, post_update
from statuspage.db import db
from statuspage.models import MessageDraft, Presence
from statuspage.rules.vocabulary import ComponentState, Conflict, MessageKind, NotFound
from tests import builders

UPDATE = MessageKind.UPDATE


@pytest.fixture
def grace(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def incident_id(grace: str, now: datetime) -> str:
    return builders.acknowledged(grace, {builders.component(now): ComponentState.OUTAGE}, now)


def kept(incident_id: str, by: str, kind: MessageKind = UPDATE) -> dict[str, str] | None:
    db.session.rollback()
    draft = db.session.get(MessageDraft, (incident_id, kind, by))
    return draft.fields if draft else None


def save(incident_id: str, by: str, now: datetime, *, nonce: str = "", **fields: str) -> bool:
    return drafts.save_draft(incident_id, UPDATE, fields, nonce or builders.nonce(), by, now)


def test_the_last_words_are_kept_and_when_they_were_begun(incident_id: str, grace: str, now: datetime) -> None:
    later = now + timedelta(minutes=2)
    assert save(incident_id, grace, now, being_done="We are")
    assert save(incident_id, grace, later, being_done="We are rolling back.")
    draft = db.session.get_one(MessageDraft, (incident_id, UPDATE, grace))
    assert draft.fields == {"being_done": "We are rolling back."}
    assert (draft.begun_at, draft.saved_at) == (now, later)


def test_everybody_has_a_draft_of_their_own_for_each_kind(incident_id: str, grace: str, now: datetime) -> None:
    alan = builders.account(now)
    save(incident_id, grace, now, being_done="Grace's words")
    save(incident_id, alan, now, being_done="Alan's words")
    drafts.save_draft(incident_id, MessageKind.RESOLVE, {"apology": "Sorry"}, builders.nonce(), grace, now)
    assert kept(incident_id, grace) == {"being_done": "Grace's words"}
    assert kept(incident_id, alan) == {"being_done": "Alan's words"}
    assert kept(incident_id, grace, MessageKind.RESOLVE) == {"apology": "Sorry"}


def test_nothing_changed_is_no_draft(incident_id: str, grace: str, now: datetime) -> None:
    save(incident_id, grace, now, being_done="A thought")
    assert not save(incident_id, grace, now)
    assert kept(incident_id, grace) is None


def test_discarding_takes_ones_own_draft_only(incident_id: str, grace: str, now: datetime) -> None:
    alan = builders.account(now)
    save(incident_id, grace, now, being_done="Grace's words")
    save(incident_id, alan, now, being_done="Alan's words")
    drafts.discard_draft(incident_id, UPDATE, grace, now)
    assert kept(incident_id, grace) is None
    assert kept(incident_id, alan) == {"being_done": "Alan's words"}


def test_posting_ends_the_draft_of_this_kind_and_this_person(incident_id: str, grace: str, now: datetime) -> None:
    alan = builders.account(now)
    save(incident_id, grace, now, being_done="Grace's words")
    save(incident_id, alan, now, being_done="Alan's words")
    drafts.save_draft(incident_id, MessageKind.RESOLVE, {"apology": "Sorry"}, builders.nonce(), grace, now)
    builders.post(UPDATE, incident_id, {}, grace, now)
    assert kept(incident_id, grace) is None
    assert kept(incident_id, alan) == {"being_done": "Alan's words"}
    assert kept(incident_id, grace, MessageKind.RESOLVE) == {"apology": "Sorry"}


def test_what_was_refused_is_still_a_draft(incident_id: str, grace: str, now: datetime) -> None:
    save(incident_id, grace, now, being_done="Grace's words")
    stale = Post(builders.draft(UPDATE, now), {}, builders.version(incident_id) - 1)
    with pytest.raises(Conflict):
        post_update(incident_id, stale, builders.nonce(), grace, now)
    assert kept(incident_id, grace) == {"being_done": "Grace's words"}


def test_an_autosave_that_comes_in_after_its_form_was_posted_keeps_nothing(
    incident_id: str, grace: str, now: datetime
) -> None:
    nonce = builders.nonce()
    post_update(incident_id, Post(builders.draft(UPDATE, now), {}, builders.version(incident_id)), nonce, grace, now)
    assert not save(incident_id, grace, now, nonce=nonce, being_done="Posted already")
    assert kept(incident_id, grace) is None


def test_presence_is_noted_again_when_it_is_no_longer_fresh(incident_id: str, grace: str, now: datetime) -> None:
    for seconds in (0, 5, 9):
        drafts.be_present(incident_id, grace, now + timedelta(seconds=seconds))
    assert seen_at(incident_id, grace) == now
    drafts.be_present(incident_id, grace, now + timedelta(seconds=11))
    assert seen_at(incident_id, grace) == now + timedelta(seconds=11)


def test_there_is_no_room_of_an_unknown_incident(grace: str, now: datetime) -> None:
    with pytest.raises(NotFound):
        save("nosuchthing0", grace, now, being_done="x")
    with pytest.raises(NotFound):
        drafts.be_present("nosuchthing0", grace, now)


def seen_at(incident_id: str, by: str) -> datetime:
    db.session.rollback()
    return db.session.get_one(Presence, (incident_id, by), populate_existing=True).seen_at
