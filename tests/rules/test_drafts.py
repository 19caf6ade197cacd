"""What a draft keeps of a form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.drafts import LONGEST, changes, document_changes, fingerprint
from statuspage.rules.messages import FIELDS
from statuspage.rules.vocabulary import DocumentKind, MessageKind

SUGGESTED = {
    "affected": "Signing in",
    "being_done": "",
    "next_update_by": "2026-11-21T14:30",
    "stage": "identified",
    "state_signin": "outage",
}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ({}, {}),
        (SUGGESTED, {}),
        ({"being_done": "Rolling back."}, {"being_done": "Rolling back."}),
        ({"affected": ""}, {"affected": ""}),
        ({"affected": "one\r\ntwo"}, {"affected": "one\ntwo"}),
        ({"next_update_by": "2026-11-21T14:30:00"}, {}),
        ({"next_update_by": "2026-11-21T14:31"}, {"next_update_by": "2026-11-21T14:31"}),
        ({"next_update_by": "soon"}, {"next_update_by": "soon"}),
        ({"next_update_by": ""}, {"next_update_by": ""}),
        ({"next_update_reason": "The next look is at noon."}, {"next_update_reason": "The next look is at noon."}),
        ({"stage": "monitoring"}, {"stage": "monitoring"}),
        ({"state_signin": "degraded"}, {"state_signin": "degraded"}),
        ({"state_search": "outage"}, {"state_search": "outage"}),
        ({"state_search": ""}, {}),
        ({"state_search": "on fire"}, {}),
        ({"symptoms": "of another kind of message"}, {}),
        ({"csrf_token": "x", "form_token": "y", "version": "3", "anything": "z"}, {}),
        ({"affected": "x" * (LONGEST + 1)}, {"affected": "x" * LONGEST}),
    ],
)
def test_a_draft_keeps_what_was_changed_and_nothing_else(typed: dict[str, str], kept: dict[str, str]) -> None:
    assert changes(MessageKind.UPDATE, typed, SUGGESTED) == kept


WORDS = st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=40)


def forms(kind: MessageKind) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({field.name: WORDS for field in FIELDS[kind] if field.kind != "instant"})


@given(st.data(), st.sampled_from(list(MessageKind)))
def test_what_was_suggested_with_the_changes_is_what_was_typed(data: st.DataObject, kind: MessageKind) -> None:
    typed, suggested = data.draw(forms(kind)), data.draw(forms(kind))
    assert suggested | changes(kind, typed, suggested) == typed


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ({}, {}),
        ({"what_happened": "A change.", "prevention": ""}, {}),
        ({"what_happened": "A change.", "prevention": "We test."}, {"prevention": "We test."}),
        ({"what_happened": ""}, {"what_happened": ""}),
        ({"prevention": "one\r\ntwo"}, {"prevention": "one\ntwo"}),
        ({"prevention": "x" * (LONGEST + 1)}, {"prevention": "x" * LONGEST}),
        ({"csrf_token": "x", "version": "3", "act": "save", "root_cause": "of another text"}, {}),
    ],
)
def test_a_draft_of_a_text_keeps_what_was_changed_in_it(typed: dict[str, str], kept: dict[str, str]) -> None:
    opened = {"what_happened": fingerprint("A change."), "prevention": fingerprint("")}
    assert document_changes(DocumentKind.POST_INCIDENT_EMAIL, typed, opened) == kept
