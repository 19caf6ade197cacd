"""The editor of a post-mortem and the pages of action items, as people use them in a browser."""

import html
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import issue_exports
from statuspage.db import db
from statuspage.models import Account, ActionItem, Announcement, Document, Incident, IssueExport
from statuspage.rules.action_items import Answer, Outcome
from statuspage.rules.vocabulary import (
    AccountRole,
    ActionItemState,
    DocumentState,
)
from statuspage.settings import GitHub, Settings
from statuspage.site import publisher, snapshot
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]

WHOLE = {"summary": "Sign-in failed.", "root_cause": "The store had no limit.", "impact": "Nobody could sign in."}
PUBLIC = WHOLE | {"public_text": "Sign-in failed, and **here is why**."}


@pytest.fixture
def path(incident_id: str) -> str:
    return f"/console/incidents/{incident_id}/post-mortem"


def write(visitor: Visitor, path: str, fields: dict[str, str], act: str) -> int:
    """Press a button of the text's own form, which is not the last on its page."""
    version = db.session.scalar(select(Document.version).order_by(Document.created_at.desc()).limit(1)) or 0
    tokens = {name: value for name, value in visitor.hidden(path).items() if name in ("csrf_token", "form_token")}
    return visitor.post_as_is(path, tokens | {"version": str(version), "act": act} | fields).status_code


def test_the_editor_opens_with_the_facts_and_the_timeline(author: Visitor, path: str) -> None:
    check_page(author.get(path).text)
    page = html.unescape(author.get(path).text)
    for words in ("SEV1", "55 min", "It began: Sign-in fails", "Customers were told", "Nothing yet. What would have"):
        assert words in page
    assert "Write the timeline anew" not in page


def test_a_draft_is_saved_half_written_and_a_review_asks_for_the_rest(author: Visitor, path: str) -> None:
    assert write(author, path, {"summary": "Sign-in failed."}, "save") == 303
    assert builders.newest_document().fields["summary"] == "Sign-in failed."
    assert write(author, path, {"summary": "Sign-in failed again."}, "submit") == 422
    assert (builders.newest_document().state, builders.newest_document().fields["summary"]) == (
        DocumentState.DRAFT,
        "Sign-in failed again.",
    )


def test_blame_and_names_are_marked_beside_their_field(author: Visitor, path: str) -> None:
    write(author, path, {"root_cause": "Human error: Ada slept.", "public_text": "The database was slow."}, "save")
    page = author.get(path).text
    cause = page.partition('id="marks-field-root_cause"')[2].partition("</ul>")[0]
    assert "Human error" in cause
    assert "<q>Ada</q>" in cause
    assert "<q>database</q>" in page.partition('id="marks-field-public_text"')[2].partition("</ul>")[0]


def test_the_timeline_is_written_anew_without_losing_what_is_being_typed(author: Visitor, path: str) -> None:
    write(author, path, {"summary": "First."}, "save")
    author.post(path.replace("post-mortem", "roles"), {"role_technical_lead": builders.newest_document().author_id})
    page = author.get(path).text
    assert "More has been recorded" in page
    assert write(author, path, {"summary": "Second.", "timeline_notes": "14:01 found it"}, "renew-timeline") == 303
    fields = builders.newest_document().fields
    assert (fields["summary"], fields["timeline_notes"]) == ("Second.", "14:01 found it")
    assert "Technical lead: Ada" in fields["timeline"]
    assert "More has been recorded" not in author.get(path).text


def test_the_public_version_begins_with_everything_but_the_cause(author: Visitor, path: str) -> None:
    assert write(author, path, WHOLE, "start-public") == 303
    text = builders.newest_document().fields["public_text"]
    assert "Sign-in failed." in text
    assert "Nobody could sign in." in text
    assert "limit" not in text
    write(author, path, WHOLE | {"public_text": "My own words."}, "start-public")
    assert builders.newest_document().fields["public_text"] == "My own words."


def test_reviewed_published_and_told_it_is_on_the_page_of_the_incident(
    author: Visitor, reviewer: Visitor, path: str, incident_id: str, settings: Settings, started: datetime
) -> None:
    builders.subscribed(started, "reader@example.com")
    write(author, path, PUBLIC, "submit")
    assert write(author, path, {}, "approve") == 422
    assert write(reviewer, path, {}, "approve") == 303
    assert "Tell the 1 subscriber of" in author.get(path).text
    assert "Publishing needs the role Comms" in reviewer.get(path).text
    assert write(reviewer, path, {"announce": "yes"}, "publish") == 422
    assert write(author, path, {"announce": "yes"}, "publish") == 303
    told = db.session.scalars(select(Announcement).where(Announcement.kind == "post_mortem")).one()
    assert told.incident_id == incident_id
    publisher.publish_all(settings, clock.now())
    text = (settings.site_dir / snapshot.file_name(f"/incidents/{incident_id}")).read_text(encoding="utf-8")
    check_page(text)
    assert 'id="post-mortem"' in text
    assert "<strong>here is why</strong>" in text
    assert "The store had no limit." not in text


def test_what_is_published_can_be_corrected_by_a_new_text(author: Visitor, reviewer: Visitor, path: str) -> None:
    write(author, path, PUBLIC, "submit")
    write(reviewer, path, {}, "approve")
    write(author, path, {}, "publish")
    assert "<textarea" not in author.get(path).text
    assert "Write a corrected version" in author.get(path).text
    assert "<textarea" in author.get(f"{path}?again=1").text
    assert write(author, path, PUBLIC | {"public_text": "In better words."}, "submit") == 303
    write(reviewer, path, {}, "approve")
    write(author, path, {}, "publish")
    assert db.session.scalars(select(Incident.post_mortem)).one() == "In better words."
    assert "Earlier texts" in author.get(path).text


def test_a_text_sent_back_is_kept_with_its_comment(author: Visitor, reviewer: Visitor, path: str) -> None:
    write(author, path, WHOLE, "submit")
    assert write(reviewer, path, {"comment": ""}, "send-back") == 422
    assert write(reviewer, path, {"comment": "How many were hit?"}, "send-back") == 303
    assert "How many were hit?" in author.get(path).text
    write(author, path, WHOLE | {"impact": "12,000 people."}, "save")
    page = author.get(path).text
    assert page.index("Earlier texts") < page.index("How many were hit?")


# --- action items ----------------------------------------------------------


def item() -> ActionItem:
    db.session.rollback()
    return db.session.scalars(select(ActionItem).execution_options(populate_existing=True)).one()


@pytest.fixture
def item_path(incident_id: str, author: Visitor, started: datetime) -> str:
    by = db.session.scalars(select(Account.id).order_by(Account.created_at.desc())).first()
    made = builders.action_item(incident_id, str(by), started)
    return f"/console/action-items/{made}"


def test_an_item_is_added_once_below_the_post_mortem(author: Visitor, path: str, incident_id: str) -> None:
    owner = builders.account(clock.now())
    adding = f"/console/incidents/{incident_id}/action-items"
    form = author.hidden(path) | builders.task(owner, clock.now(), title="Watch the <memory>")
    assert [author.post_as_is(adding, form).status_code for _ in range(2)] == [303, 303]
    assert item().title == "Watch the <memory>"
    assert "Watch the &lt;memory&gt;" in author.get(path).text


def test_what_is_wrong_with_an_item_is_said_beside_its_field_and_kept(
    author: Visitor, path: str, incident_id: str
) -> None:
    adding = f"/console/incidents/{incident_id}/action-items"
    answer = author.post_as_is(adding, author.hidden(path) | {"title": "Watch the memory", "due_on": "soon"})
    assert answer.status_code == 422
    for field in ("owner_id", "priority", "due_on"):
        assert f'id="error-{field}"' in answer.text
    assert 'value="Watch the memory"' in answer.text
    stale = author.post_as_is(adding, author.hidden(path) | {"title": "Watch the memory", "form_token": "forged"})
    assert (stale.status_code, 'value="Watch the memory"' in stale.text) == (403, True)


def test_the_list_shows_what_is_open_overdue_and_ones_own(author: Visitor, item_path: str, arrive: Arrive) -> None:
    for page in ("/console/action-items/", item_path):
        assert "Watch the memory" in text_of(check_page(author.get(page).text))
    assert "Open (1)" in author.get("/console/action-items/").text
    assert "Nothing is overdue." in author.get("/console/action-items/?show=overdue").text
    assert "Nothing is yours to do." in arrive(AccountRole.VIEWER).get("/console/action-items/?show=mine").text
    assert "Watch the memory" in author.get("/console/action-items/?show=mine").text
    assert "Open (1)" in author.get("/console/action-items/?show=nonsense").text


def test_an_item_is_changed_done_and_opened_again(author: Visitor, item_path: str) -> None:
    changed = builders.task(item().owner_id, clock.now(), title="Watch the disk")
    assert author.post(item_path, changed, act="save").status_code == 303
    assert item().title == "Watch the disk"
    assert author.post(item_path, {}, act="done").status_code == 303
    assert item().state is ActionItemState.DONE
    assert author.post(item_path, {}, act="reopen").status_code == 303
    empty = author.post(item_path, {"reason": ""}, act="drop")
    assert (empty.status_code, 'id="error-reason"' in empty.text) == (422, True)
    assert author.post(item_path, {"reason": "The part is gone."}, act="drop").status_code == 303
    assert "The part is gone." in author.get(item_path).text
    assert "All (1)" in author.get("/console/action-items/?show=all").text


def test_what_was_typed_is_kept_when_somebody_else_was_faster(author: Visitor, item_path: str) -> None:
    form = author.hidden(item_path) | builders.task(item().owner_id, clock.now(), title="My words")
    author.post(item_path, builders.task(item().owner_id, clock.now(), title="Theirs"), act="save")
    late = author.post_as_is(item_path, form | {"act": "save"})
    assert (late.status_code, 'value="My words"' in late.text) == (409, True)
    assert item().title == "Theirs"


def test_a_viewer_looks_on(item_path: str, arrive: Arrive) -> None:
    viewer = arrive(AccountRole.VIEWER)
    page = viewer.get(item_path).text
    assert "Watch the memory" in page
    assert 'name="act"' not in page


def test_without_github_the_page_says_what_to_set(author: Visitor, item_path: str) -> None:
    assert "GITHUB_REPOSITORY" in author.get(item_path).text
    assert author.post(item_path, {}, act="file").status_code == 422
    assert db.session.scalar(select(IssueExport.item_id)) is None


def test_an_item_is_filed_and_what_went_wrong_is_said_beside_it(
    author: Visitor, item_path: str, app: Flask, settings: Settings
) -> None:
    app.config["STATUSPAGE"] = replace(settings, github=GitHub("larkspur/tools", "a-token"))
    assert "File it as an issue" in author.get(item_path).text
    assert author.post(item_path, {}, act="file").status_code == 303
    assert "It is being filed." in author.get(item_path).text
    answered(Answer(Outcome.REFUSED, "GitHub refused the token."))
    page = author.get(item_path).text
    assert "It was not filed. GitHub refused the token." in page
    assert "Try again" in page
    assert "not filed" in author.get("/console/action-items/").text
    author.post(item_path, {}, act="file")
    answered(Answer(Outcome.FILED, number=7, url="https://github.com/larkspur/tools/issues/7"))
    page = author.get(item_path).text
    assert 'href="https://github.com/larkspur/tools/issues/7"' in page
    assert author.post(item_path, {}, act="look").status_code == 303
    assert author.post(item_path, {}, act="file").status_code == 409


def answered(answer: Answer) -> None:
    job = issue_exports.claim("worker", "", clock.now())
    assert job is not None
    issue_exports.settle("worker", job, "larkspur/tools", answer, clock.now())
