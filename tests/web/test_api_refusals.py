"""What the API refuses: everything is told at once, and nothing is changed."""

from datetime import datetime, timedelta
from typing import Any

from tests.web.programs import Program, counts, declared, naming, patch, soon

MINUTE = timedelta(minutes=1)

# Of a declaration alone: a change may say these.
DECLARATIONS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"components": {}}, "components"),
    ({"components": None}, "components"),
    ({"status": "resolved", "body": "…"}, "status"),
    ({"status": "identified"}, "status"),
    ({"next_update_by": "2099-01-01T00:00:00Z"}, "next_update_by"),
]

FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"name": "x" * 151}, "name"),
    ({"name": ["Sign-in"]}, "name"),
    ({"name": "one\ntwo"}, "name"),
    ({"severity": "SEV5"}, "severity"),
    ({"severity": 1}, "severity"),
    ({"severity": {}}, "severity"),
    ({"visibility": "secret"}, "visibility"),
    ({"components": []}, "components"),
    ({"components": "outage"}, "components"),
    ({"components": {"nosuchthing0": "outage"}}, "components"),
    ({"components": {"ID": "broken"}}, "components"),
    ({"components": {"ID": "under_maintenance"}}, "components"),
    ({"components": {"ID": ["outage"]}}, "components"),
    ({"component_ids": [1]}, "component_ids"),
    ({"component_ids": "ID"}, "component_ids"),
    ({"roles": {"commander": "nobody@example.com"}}, "roles.commander"),
    ({"roles": {"commander": 5}}, "roles.commander"),
    ({"roles": {"king": "ada@example.com"}}, "roles"),
    ({"roles": []}, "roles"),
    ({"declared_at": "2026-11-21T14:30:00"}, "declared_at"),
    ({"declared_at": "yesterday"}, "declared_at"),
    ({"declared_at": 1700000000}, "declared_at"),
    ({"declared_at": "0001-01-01T00:00:00+14:00"}, "declared_at"),
    ({"declared_at": "9999-12-31T23:59:59-14:00"}, "declared_at"),
    ({"declared_at": "2020-01-01T00:00:00Z"}, "declared_at"),
    ({"declared_at": "2099-01-01T00:00:00Z"}, "declared_at"),
    ({"status": "scheduled", "body": "…"}, "status"),
    ({"status": ["investigating"]}, "status"),
    ({"body": "x" * 25_001}, "body"),
    ({"body": " "}, "body"),
    ({"body": {"text": "…"}}, "body"),
    ({"body": "bell \x07"}, "body"),
    ({"body": "…", "next_update_by": "2020-01-01T00:00:00Z"}, "next_update_by"),
    ({"body": "…", "next_update_by": "2099-01-01T00:00:00Z"}, "next_update_by"),
    ({"body": "…", "next_update_by": "soon"}, "next_update_by"),
    ({"body": "…", "impact_override": "huge"}, "impact_override"),
    ({"body": "…", "impact_override": 7}, "impact_override"),
    ({"scheduled_for": "2099-01-01T00:00:00Z"}, "scheduled_for"),
    ({"backfilled": True}, "backfilled"),
    ({"deliver_notifications": False}, "deliver_notifications"),
    ({"deliver_notifications": "maybe"}, "deliver_notifications"),
]


# Of a change alone.
CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"visibility": "internal"}, "visibility"),
    ({"name": "Another"}, "name"),
    ({"severity": "SEV2"}, "reason"),
    ({"reopen": True}, "reason"),
    ({"reopen": "perhaps"}, "reopen"),
    ({"severity": "SEV2", "reason": "x" * 501}, "reason"),
    ({"severity": "SEV2", "reason": 5}, "reason"),
    ({"version": -1}, "version"),
    ({"version": 10**30}, "version"),
    ({"version": 1.5}, "version"),
    ({"version": True}, "version"),
    ({"internal_update": " "}, "internal_update"),
    ({"internal_update": "x" * 2001}, "internal_update"),
    ({"internal_update": []}, "internal_update"),
    ({"components": {"ID": "outage"}}, "components"),
    ({"next_update_by": "2099-01-01T00:00:00Z"}, "next_update_by"),
    ({"resolved_at": "2026-01-01T00:00:00Z"}, "resolved_at"),
    ({"resolved_at": "2026-01-01T00:00:00Z", "body": "…"}, "resolved_at"),
    ({"resolved_at": "2099-01-01T00:00:00Z", "status": "resolved"}, "resolved_at"),
    ({"status": "resolved", "next_update_by": "2099-01-01T00:00:00Z"}, "next_update_by"),
    ({"status": "postmortem"}, "status"),
    ({"body": "…", "impact_override": "major"}, "impact_override"),
]


def test_a_declaration_that_can_not_be_taken_changes_nothing(
    writer: Program, sev1: dict[str, Any], component_id: str
) -> None:
    before = counts()
    for changes, field in (*DECLARATIONS, *FIELDS):
        refused = writer.post("/incidents", {"incident": sev1 | naming(component_id, changes)}, 422)
        assert field in refused["errors"], (changes, refused)
        assert f"{field}: {refused['errors'][field]}" in refused["error"], changes
        assert counts() == before, changes


def test_a_change_that_can_not_be_taken_changes_nothing(
    writer: Program, sev1: dict[str, Any], component_id: str, started: datetime
) -> None:
    made = declared(writer, sev1, body="We are on it.")
    before = counts()
    for changes, field in (*FIELDS, *CHANGES, ({"declared_at": (started - MINUTE).isoformat()}, "reason")):
        refused = patch(writer, made, 422, **naming(component_id, changes))
        assert field in refused["errors"], (changes, refused)
        assert counts() == before, changes


def test_every_mistake_is_told_at_once(writer: Program, page_id: str) -> None:
    refused = writer.post("/incidents", {"incident": {"severity": "SEV9", "roles": {"backup": "x@example.com"}}}, 422)
    assert refused == {
        "error": [
            "name: Please give the incident a title customers understand.",
            "severity: Please give one of SEV1, SEV2, SEV3, SEV4.",
            "components: Please name at least one affected component and its state.",
            "roles.backup: Nobody has an account with the address x@example.com.",
        ],
        "errors": {
            "name": "Please give the incident a title customers understand.",
            "severity": "Please give one of SEV1, SEV2, SEV3, SEV4.",
            "components": "Please name at least one affected component and its state.",
            "roles.backup": "Nobody has an account with the address x@example.com.",
        },
    }


def test_a_later_promise_than_the_policy_needs_a_reason_before_anything_is_done(
    writer: Program, sev1: dict[str, Any]
) -> None:
    before = counts()
    refused = writer.post("/incidents", sev1 | {"body": "…", "next_update_by": soon(90)}, 422)
    assert list(refused["errors"]) == ["next_update_reason"]
    assert counts() == before
    made = declared(writer, sev1 | {"severity": "SEV3"})
    before = counts()
    late = {"severity": "SEV1", "reason": "Worse.", "body": "…", "next_update_by": soon(90)}
    assert list(patch(writer, made, 422, **late)["errors"]) == ["next_update_reason"]
    assert counts() == before
