"""Post-mortems: the timeline made from the record, drafts, the review, what subscribers are told."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from statuspage.actions import aftermath, corrections
from statuspage.db import db
from statuspage.models import Announcement, AuditEntry, Document, Incident
from statuspage.rules.vocabulary import (
    ComponentState,
    Conflict,
    DocumentKind,
    DocumentState,
    IncidentRole,
    MessageKind,
    NotFound,
    RuleBroken,
)
from tests import builders

MINUTE = timedelta(minutes=1)
KIND = DocumentKind.POST_MORTEM
WHOLE = {
    "summary": "Sign-in failed.", "root_cause": "The store had no limit.", "impact": "All users.",
    "public_text": "Sign-in failed, and here is why.",
}  # fmt: skip


@pytest.fixture
def writer(app: object, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def incident_id(writer: str, now: datetime) -> str:
    states = {builders.component(now): ComponentState.OUTAGE}
    made = builders.acknowledged(writer, states, now, roles={IncidentRole.COMMANDER: writer})
    corrections.post_internal_update(made, "Looking at the store.", builders.nonce(), writer, now + 5 * MINUTE)
    fine = dict.fromkeys(states, ComponentState.OPERATIONAL)
    builders.post(MessageKind.RESOLVE, made, fine, writer, now + 40 * MINUTE)
    return made


def document(incident_id: str) -> Document:
    db.session.rollback()
    found = aftermath.current_document(db.session(), incident_id, KIND)
    assert found is not None
    return found


def saved(incident_id: str, writer: str, now: datetime, fields: dict[str, str] = WHOLE) -> Document:
    aftermath.save_document(incident_id, KIND, fields, 0, writer, now)
    return document(incident_id)


def test_the_timeline_is_made_from_what_was_recorded(incident_id: str, writer: str, now: datetime) -> None:
    lines = saved(incident_id, writer, now + 60 * MINUTE).fields["timeline"].splitlines()
    told = [line.partition(" UTC: ")[2] for line in lines]
    assert lines == sorted(lines, key=lambda line: line[:16])
    for words in (
        "It began: Sign-in fails",
        "Declared",
        "Incident commander: Ada",
        "Customers were told (investigating):",
        "Sign-in on the page: operational, now outage",
        "The team was told: Looking at the store.",
        "Promise kept: first public update",
        "Promise kept late, by",
        "Sign-in on the page: outage, now operational",
    ):
        assert any(each.startswith(words) for each in told), (words, told)


def test_a_draft_is_kept_however_little_it_says(incident_id: str, writer: str, now: datetime) -> None:
    text = saved(incident_id, writer, now, {"summary": "Sign-in failed."})
    with pytest.raises(RuleBroken) as broken:
        aftermath.submit(text.id, text.version, writer, now)
    assert set(broken.value.errors) == {"root_cause", "impact"}
    assert document(incident_id).state is DocumentState.DRAFT


def test_the_timeline_is_renewed_on_request_and_hand_written_lines_stay(
    incident_id: str, writer: str, now: datetime
) -> None:
    text = saved(incident_id, writer, now + 60 * MINUTE, WHOLE | {"timeline_notes": "14:01 No free memory."})
    before = text.fields["timeline"]
    corrections.assign_roles(incident_id, {IncidentRole.TECHNICAL_LEAD: writer}, writer, now + 61 * MINUTE)
    aftermath.save_document(incident_id, KIND, WHOLE, 1, writer, now + 62 * MINUTE)
    assert document(incident_id).fields["timeline"] == before
    aftermath.save_document(
        incident_id, KIND, WHOLE | {"timeline_notes": "14:01 No free memory."}, 2, writer, now + 62 * MINUTE
    )
    aftermath.renew_timeline(text.id, 3, writer, now + 63 * MINUTE)
    fields = document(incident_id).fields
    assert "15:01 UTC: Technical lead: Ada" in fields["timeline"]
    assert fields["timeline_notes"] == "14:01 No free memory."
    assert "Technical lead: Ada" in document(incident_id).body
    with pytest.raises(Conflict):
        aftermath.renew_timeline(text.id, 3, writer, now + 64 * MINUTE)


def test_the_timeline_of_an_approved_text_stays(incident_id: str, writer: str, now: datetime) -> None:
    text = saved(incident_id, writer, now)
    aftermath.submit(text.id, 1, writer, now)
    aftermath.review(text.id, 2, True, "", builders.account(now), now)
    with pytest.raises(Conflict):
        aftermath.renew_timeline(text.id, 3, writer, now)
    with pytest.raises(NotFound):
        aftermath.renew_timeline("nosuchthing0", 3, writer, now)


def test_what_the_wording_check_marked_and_the_writer_left_is_on_record(
    incident_id: str, writer: str, now: datetime
) -> None:
    text = saved(incident_id, writer, now, WHOLE | {"root_cause": "Ada made a human error."})
    aftermath.submit(text.id, 1, writer, now)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "submit")).one()
    assert set(entry.detail["marked"]["root_cause"]) == {"human error", "Ada"}


@pytest.mark.parametrize("announce", [False, True])
def test_subscribers_are_told_if_the_writer_wants_it(
    announce: bool, incident_id: str, writer: str, now: datetime
) -> None:
    text = saved(incident_id, writer, now + 60 * MINUTE)
    aftermath.submit(text.id, 1, writer, now + 60 * MINUTE)
    aftermath.review(text.id, 2, True, "", builders.account(now), now + 60 * MINUTE)
    aftermath.publish_post_mortem(text.id, 3, writer, now + 70 * MINUTE, announce=announce)
    incident = db.session.get_one(Incident, incident_id, populate_existing=True)
    assert incident.post_mortem == WHOLE["public_text"]
    told = db.session.scalars(select(Announcement).where(Announcement.kind == "post_mortem")).all()
    assert [(each.audience, each.subject_id) for each in told] == ([("subscribers", text.id)] if announce else [])
