"""What is typed into a text for customers or colleagues: kept until it is saved or sent, for its writer alone."""

import html
import re
from collections.abc import Callable, Mapping

import pytest
from sqlalchemy import select

from statuspage.db import db
from statuspage.models import Document, DocumentDraft
from statuspage.rules.vocabulary import AccountRole, DocumentState
from tests import builders
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]

# A field of each text that is written, and what makes the rest of it whole.
FIELDS = {
    "direct-email": ("message", {}),
    "post-incident-email": ("prevention", {"what_happened": "A change overloaded sign-in."}),
    "post-mortem": ("root_cause", {"summary": "Sign-in failed.", "impact": "Nobody could sign in."}),
}
SAVED = ("post-incident-email", "post-mortem")
WORDS = "We test such changes first."


@pytest.fixture(params=FIELDS)
def path(request: pytest.FixtureRequest, incident_id: str) -> str:
    return f"/console/incidents/{incident_id}/{request.param}"


@pytest.fixture
def saved_text(incident_id: str) -> str:
    return f"/console/incidents/{incident_id}/post-incident-email"


def field_of(path: str) -> str:
    return FIELDS[path.rpartition("/")[2]][0]


def as_it_opens(visitor: Visitor, path: str) -> dict[str, str]:
    """Everything that a browser would post of the text's form if nobody touched it."""
    return fields_of(visitor.get(path).text, path)


def fields_of(page: str, path: str) -> dict[str, str]:
    form = page[page.index(f'data-draft="{path}/draft"') :]
    form = form[: form.index("</form>")]
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form))
    fields |= dict(re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>\n([^<]*)</textarea>', form))
    return {name: html.unescape(value) for name, value in fields.items()}


def write(visitor: Visitor, path: str, act: str) -> dict[str, str]:
    """Fill in a text and press a button; return what was posted."""
    name, rest = FIELDS[path.rpartition("/")[2]]
    typed = as_it_opens(visitor, path) | rest | {name: WORDS}
    assert visitor.post_as_is(path, typed | {"act": act}).status_code == 303
    return typed


def keep(visitor: Visitor, path: str, fields: Mapping[str, str]) -> str:
    """Keep a draft as the script does; return since when it is kept."""
    answer = visitor.post_as_is(f"{path}/draft", dict(fields), headers={"Accept": "application/json"})
    assert answer.status_code == 200
    return str(answer.get_json()["saved"])


def drafts() -> list[dict[str, str]]:
    db.session.rollback()
    return list(db.session.scalars(select(DocumentDraft.fields)))


def test_what_is_typed_is_there_again_and_only_what_was_touched_is_kept(author: Visitor, path: str) -> None:
    told = keep(author, path, as_it_opens(author, path) | {field_of(path): WORDS})
    assert drafts() == [{field_of(path): WORDS}]
    assert as_it_opens(author, path)[field_of(path)] == WORDS
    words = "Draft from" if path.endswith("direct-email") else "You typed this at"
    assert f"<strong>{words} {told}" in author.get(path).text


def test_a_text_nobody_touched_is_no_draft(author: Visitor, path: str) -> None:
    assert keep(author, path, as_it_opens(author, path)) == ""
    assert drafts() == []
    assert "Discard what I typed" not in author.get(path).text


def test_nobody_sees_what_somebody_else_types(author: Visitor, arrive: Arrive, path: str) -> None:
    keep(author, path, as_it_opens(author, path) | {field_of(path): "Not finished yet"})
    assert "Not finished yet" not in arrive(AccountRole.ADMIN).get(path).text


def test_it_is_thrown_away(author: Visitor, path: str) -> None:
    opened = as_it_opens(author, path)
    keep(author, path, opened | {field_of(path): WORDS})
    answer = author.post(f"{path}/draft/discard", {}, on=path)
    assert (answer.status_code, answer.location) == (303, path)
    assert drafts() == []
    assert as_it_opens(author, path)[field_of(path)] == opened[field_of(path)]


def test_without_a_script_a_button_keeps_it(author: Visitor, incident_id: str) -> None:
    path = f"/console/incidents/{incident_id}/direct-email"
    assert f'formaction="{path}/draft"' in author.get(path).text
    answer = author.post_as_is(f"{path}/draft", as_it_opens(author, path) | {"message": "By hand"})
    assert (answer.status_code, answer.location) == (303, path)
    assert as_it_opens(author, path)["message"] == "By hand"


def test_saving_or_sending_ends_it_and_a_late_autosave_brings_nothing_back(author: Visitor, path: str) -> None:
    name, rest = FIELDS[path.rpartition("/")[2]]
    typed = as_it_opens(author, path) | rest | {name: WORDS}
    keep(author, path, typed)
    act = "send" if path.endswith("direct-email") else "save"
    assert author.post_as_is(path, typed | {"act": act}).status_code == 303
    assert drafts() == []
    assert keep(author, path, typed | {name: "Too late"}) == ""
    assert drafts() == []


def test_what_is_refused_is_still_kept(author: Visitor, path: str) -> None:
    name = field_of(path)
    typed = as_it_opens(author, path) | {name: "x" * 9_000}
    keep(author, path, typed)
    act = "send" if path.endswith("direct-email") else "save"
    assert author.post_as_is(path, typed | {"act": act}).status_code == 422
    assert drafts() == [{name: "x" * 9_000}]


@pytest.mark.parametrize("field", ["form_token", "csrf_token"])
def test_a_forged_form_keeps_nothing_and_shows_the_words_again(field: str, author: Visitor, path: str) -> None:
    typed = as_it_opens(author, path) | {field_of(path): "Kept words", field: "forged"}
    answer = author.post_as_is(f"{path}/draft", typed)
    assert answer.status_code == 403
    assert fields_of(answer.text, path)[field_of(path)] == "Kept words"
    assert f'<form method="post" action="{path}"' in answer.text
    assert drafts() == []


def test_who_typed_before_a_colleague_saved_is_told_and_has_the_colleagues_other_words(
    author: Visitor, reviewer: Visitor, saved_text: str
) -> None:
    first = as_it_opens(author, saved_text)
    keep(author, saved_text, first | {"prevention": "We test such"})
    theirs = {"what_happened": "Grace found the cause.", "prevention": "We will see."}
    assert reviewer.post(saved_text, theirs, act="save").status_code == 303
    # Typing on in the form that is still open does not hide it, nor does typing on in the next one.
    keep(author, saved_text, first | {"prevention": "We test such changes"})
    keep(author, saved_text, as_it_opens(author, saved_text) | {"prevention": WORDS})
    opened = as_it_opens(author, saved_text)
    assert (opened["what_happened"], opened["prevention"]) == (theirs["what_happened"], WORDS)
    assert "The text was saved anew meanwhile" in author.get(saved_text).text
    assert author.post_as_is(saved_text, opened | {"act": "save"}).status_code == 303
    assert "You typed this" not in author.get(saved_text).text


def test_two_open_forms_take_nothing_from_each_other(author: Visitor, incident_id: str) -> None:
    path = f"/console/incidents/{incident_id}/post-mortem"
    phone, desk = as_it_opens(author, path), as_it_opens(author, path)
    keep(author, path, phone | {"root_cause": "Said on the phone"})
    keep(author, path, desk | {"impact": "Said at the desk"})
    keep(author, path, desk)
    keep(author, path, desk | {"impact": "Said at the desk"})
    opened = as_it_opens(author, path)
    assert (opened["root_cause"], opened["impact"]) == ("Said on the phone", "Said at the desk")
    # The desk never showed the phone's words: saving there leaves them.
    assert author.post_as_is(path, desk | {"impact": "Said at the desk", "act": "save"}).status_code == 303
    opened = as_it_opens(author, path)
    assert (opened["root_cause"], opened["impact"]) == ("Said on the phone", "Said at the desk")
    # This form shows them: saving here, even with other words, ends them.
    assert author.post_as_is(path, opened | {"root_cause": WORDS, "act": "save"}).status_code == 303
    assert drafts() == []


def test_a_form_that_shows_refused_words_again_ends_the_draft_they_came_from(author: Visitor, saved_text: str) -> None:
    opened = as_it_opens(author, saved_text) | {"prevention": "x" * 9_000}
    keep(author, saved_text, opened)
    refused = author.post_as_is(saved_text, opened | {"act": "save"})
    assert refused.status_code == 422
    again = fields_of(refused.text, saved_text) | {"prevention": WORDS, "act": "save"}
    assert author.post_as_is(saved_text, again).status_code == 303
    assert drafts() == []


def test_words_that_were_saved_elsewhere_are_no_draft_any_more(author: Visitor, saved_text: str) -> None:
    phone, desk = as_it_opens(author, saved_text), as_it_opens(author, saved_text)
    keep(author, saved_text, phone | {"prevention": WORDS})
    assert author.post_as_is(saved_text, desk | {"prevention": WORDS, "act": "save"}).status_code == 303
    assert "You typed this" not in author.get(saved_text).text


def test_a_version_that_is_no_number_shows_the_words_again(author: Visitor, path: str) -> None:
    answer = author.post_as_is(f"{path}/draft", as_it_opens(author, path) | {"version": "x", field_of(path): WORDS})
    assert answer.status_code == 403
    assert WORDS in answer.text


def test_only_what_was_changed_need_be_posted(author: Visitor, path: str) -> None:
    opened = as_it_opens(author, path)
    tokens = {name: opened[name] for name in ("csrf_token", "form_token", "version", "shown", "drafts")}
    keep(author, path, tokens | {field_of(path): WORDS})
    assert drafts() == [{field_of(path): WORDS}]


@pytest.mark.parametrize("shown", ["", "no JSON", "[]", "{}", "[" * 5000, '{"prevention": 7}'])
def test_a_form_that_forgot_what_it_showed_keeps_everything(shown: str, author: Visitor, saved_text: str) -> None:
    keep(author, saved_text, as_it_opens(author, saved_text) | {"shown": shown, "prevention": WORDS})
    (kept,) = drafts()
    assert kept["prevention"] == WORDS
    assert "overloaded" in kept["what_happened"]


def test_words_for_a_text_that_was_approved_meanwhile_are_shown_and_can_be_thrown_away(
    author: Visitor, reviewer: Visitor, saved_text: str
) -> None:
    write(author, saved_text, "submit")
    keep(author, saved_text, as_it_opens(author, saved_text) | {"prevention": "One word more"})
    assert reviewer.post(saved_text, {}, act="approve").status_code == 303
    page = author.get(saved_text).text
    assert "can’t be changed as it stands" in page
    assert '<dd class="typed-text">One word more</dd>' in page
    assert author.post(f"{saved_text}/draft/discard", {}, on=saved_text).status_code == 303
    assert "One word more" not in author.get(saved_text).text


def test_a_form_that_was_saved_before_never_submits_what_a_colleague_wrote_since(
    author: Visitor, reviewer: Visitor, saved_text: str
) -> None:
    typed = write(author, saved_text, "save")
    theirs = {"what_happened": "Grace found the cause.", "prevention": "We will see."}
    assert reviewer.post(saved_text, theirs, act="save").status_code == 303
    assert author.post_as_is(saved_text, typed | {"act": "submit"}).status_code == 409
    assert builders.newest_document().state is DocumentState.DRAFT


@pytest.mark.parametrize("document", SAVED)
def test_a_second_click_on_save_is_the_same_save(author: Visitor, incident_id: str, document: str) -> None:
    path = f"/console/incidents/{incident_id}/{document}"
    name, rest = FIELDS[document]
    typed = as_it_opens(author, path) | rest | {name: WORDS, "act": "save"}
    assert [author.post_as_is(path, typed).status_code for _ in range(2)] == [303, 303]
    assert builders.newest_document().version == 1
    answer = author.post_as_is(path, typed | {name: "Other words"})
    assert answer.status_code == 409
    assert "Other words" in answer.text
    assert db.session.scalars(select(Document.fields[name])).one() == WORDS


def test_who_approves_does_not_approve_what_was_typed_and_not_saved(
    author: Visitor, reviewer: Visitor, saved_text: str
) -> None:
    write(author, saved_text, "submit")
    keep(reviewer, saved_text, as_it_opens(reviewer, saved_text) | {"prevention": "Something else"})
    answer = reviewer.post_as_is(saved_text, as_it_opens(reviewer, saved_text) | {"act": "approve"})
    assert answer.status_code == 422
    assert "did not save it" in html.unescape(answer.text)
