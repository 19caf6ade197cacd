"""Maintenance windows by the API, as programs of Statuspage plan them."""

from datetime import timedelta
from typing import Any

import pytest

from statuspage import clock
from tests.web.programs import Program, counts, declared, patch


@pytest.fixture
def plan(component_id: str) -> dict[str, Any]:
    begins = clock.now().replace(microsecond=0) + timedelta(days=2)
    return {
        "name": "Database upgrade",
        "body": "Signing in may take longer.",
        "scheduled_for": begins.isoformat(),
        "scheduled_until": (begins + timedelta(hours=2)).isoformat(),
        "scheduled_auto_in_progress": True,
        "scheduled_auto_completed": True,
        "scheduled_remind_prior": True,
        "component_ids": [component_id],
    }


def later(days: float) -> str:
    return (clock.now() + timedelta(days=days)).replace(microsecond=0).isoformat()


def test_a_window_has_the_keys_of_an_incident_in_their_order(
    writer: Program, plan: dict[str, Any], sev1: dict[str, Any]
) -> None:
    made, incident = declared(writer, plan), declared(writer, sev1)
    shared = list(incident)[: list(incident).index("started_at") + 1]
    assert list(made)[: len(shared)] == shared
    assert list(made)[len(shared) :] == ["cancelled_at", "remind_minutes", "recurrence", "version"]
    assert (made["status"], made["impact"], made["remind_minutes"]) == ("scheduled", "maintenance", 60)
    assert (made["scheduled_auto_in_progress"], made["scheduled_remind_prior"]) == (True, True)
    assert made["scheduled_for"].endswith(".000Z")
    (told,) = made["incident_updates"]
    assert (told["status"], told["deliver_notifications"]) == ("scheduled", True)
    assert made == writer.get(f"/incidents/{made['id']}")


def test_what_a_program_does_not_ask_for_it_does_itself(writer: Program, plan: dict[str, Any]) -> None:
    bare = {name: plan[name] for name in ("name", "scheduled_for", "scheduled_until", "component_ids")}
    made = declared(writer, bare | {"deliver_notifications": False})
    flags = ("scheduled_auto_in_progress", "scheduled_auto_completed", "scheduled_remind_prior")
    assert [made[name] for name in flags] == [False] * 3
    assert made["incident_updates"][0]["body"]
    assert made["incident_updates"][0]["deliver_notifications"] is False
    assert declared(writer, bare | {"scheduled_auto_transition": True})["scheduled_auto_completed"] is True


def test_components_may_come_as_statuspage_programs_send_them(
    writer: Program, plan: dict[str, Any], component_id: str
) -> None:
    del plan["component_ids"]
    made = declared(writer, plan | {"components": {component_id: "under_maintenance"}})
    assert [each["id"] for each in made["components"]] == [component_id]
    assert made["components"][0]["status"] == "operational"


def test_from_start_to_end(writer: Program, plan: dict[str, Any], component_id: str) -> None:
    made = declared(writer, plan)
    assert [each["id"] for each in writer.get("/incidents/upcoming")] == [made["id"]]
    running = patch(writer, made, status="in_progress")
    assert running["components"][0]["status"] == "under_maintenance"
    assert writer.get("/incidents/upcoming") == []
    assert [each["id"] for each in writer.get("/incidents/active_maintenance")] == [made["id"]]
    assert [each["id"] for each in writer.get("/incidents/scheduled")] == [made["id"]]
    verifying = patch(writer, made, status="verifying", body="We are checking.")
    assert verifying["monitoring_at"] == verifying["incident_updates"][0]["created_at"]
    done = patch(writer, made, status="completed")
    assert (done["status"], done["cancelled_at"]) == ("completed", None)
    assert [each["status"] for each in done["incident_updates"]] == [
        "completed", "verifying", "in_progress", "scheduled",
    ]  # fmt: skip
    assert writer.get("/incidents/scheduled") == writer.get("/incidents/unresolved") == []
    patch(writer, made, 409, body="Too late.")


def test_a_window_is_moved_extended_and_renamed_once(writer: Program, plan: dict[str, Any]) -> None:
    made = declared(writer, plan)
    assert patch(writer, made, scheduled_for=made["scheduled_for"])["version"] == made["version"]
    moved = patch(writer, made, scheduled_for=later(5), scheduled_until=later(6), name="Another name")
    assert (moved["name"], len(moved["incident_updates"])) == ("Another name", 2)
    patch(writer, made, 409, version=made["version"], body="Stale.")
    patch(writer, made, status="in_progress")
    extended = patch(writer, made, scheduled_until=later(9))
    assert "takes longer" in extended["incident_updates"][0]["body"]
    refused = patch(writer, made, 422, scheduled_for=later(2))
    assert "begun already" in refused["errors"]["scheduled_for"]


@pytest.mark.parametrize("how", [{"cancel": True}, {"status": "completed"}])
def test_a_window_that_never_began_is_called_off(how: dict[str, Any], writer: Program, plan: dict[str, Any]) -> None:
    ended = patch(writer, declared(writer, plan), **how)
    assert ended["status"] == "completed"
    assert ended["cancelled_at"]


def test_a_recurring_window(writer: Program, plan: dict[str, Any]) -> None:
    made = declared(writer, plan | {"recurrence": "FREQ=WEEKLY"})
    assert made["recurrence"] == "FREQ=WEEKLY"
    assert len(writer.get("/incidents/upcoming")) == 2


def test_lists_hold_incidents_and_windows_newest_first(
    writer: Program, plan: dict[str, Any], sev1: dict[str, Any]
) -> None:
    made = [declared(writer, sev1)["id"], declared(writer, plan)["id"], declared(writer, sev1)["id"]]
    assert [each["id"] for each in writer.get("/incidents")] == made[::-1]
    assert [each["id"] for each in writer.get("/incidents?limit=1&page=2")] == [made[1]]
    assert [each["id"] for each in writer.get("/incidents?q=UPGRADE")] == [made[1]]
    assert [each["id"] for each in writer.get("/incidents?q=scheduled")] == [made[1]]


def test_the_same_request_again_plans_and_tells_once(writer: Program, plan: dict[str, Any]) -> None:
    first = writer.post("/incidents", plan, Idempotency_Key="plan-1")
    before = counts()
    assert writer.post("/incidents", plan, Idempotency_Key="plan-1") == first
    writer.post("/incidents", plan | {"name": "Other"}, 409, Idempotency_Key="plan-1")
    assert counts() == before
    place = f"/incidents/{first['id']}"
    ended = writer.patch(place, {"status": "completed"}, Idempotency_Key="end-1")
    assert writer.patch(place, {"status": "completed"}, Idempotency_Key="end-1") == ended


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "one\ntwo"}, "name"),
        ({"name": 7}, "name"),
        ({"body": "x" * 25_001}, "body"),
        ({"body": ["…"]}, "body"),
        ({"body": "bell \x07"}, "body"),
        ({"scheduled_for": "2026-11-21T14:30:00"}, "scheduled_for"),
        ({"scheduled_for": "2020-01-01T00:00:00Z"}, "scheduled_for"),
        ({"scheduled_for": 1700000000}, "scheduled_for"),
        ({"scheduled_for": "9999-12-31T23:59:59-14:00"}, "scheduled_for"),
        ({"scheduled_until": None}, "scheduled_until"),
        ({"scheduled_until": "2020-01-01T00:00:00Z"}, "scheduled_until"),
        ({"scheduled_until": "2099-01-01T00:00:00Z"}, "scheduled_until"),
        ({"component_ids": []}, "components"),
        ({"component_ids": ["nosuchthing0"]}, "components"),
        ({"component_ids": [1]}, "component_ids"),
        ({"components": "all"}, "components"),
        ({"status": "in_progress"}, "status"),
        ({"scheduled_auto_completed": "maybe"}, "scheduled_auto_completed"),
        ({"remind_minutes": 99_999}, "remind_minutes"),
        ({"remind_minutes": "soon"}, "remind_minutes"),
        ({"recurrence": "FREQ=SECONDLY"}, "recurrence"),
        ({"recurrence": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}, "recurrence"),
        ({"recurrence": {"a": 1}}, "recurrence"),
    ],
)
def test_a_plan_that_can_not_be_taken_changes_nothing(
    changes: dict[str, Any], field: str, writer: Program, plan: dict[str, Any]
) -> None:
    before = counts()
    refused = writer.post("/incidents", {"incident": plan | changes}, 422)
    assert field in refused["errors"], refused
    assert counts() == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"status": "resolved"}, "status"),
        ({"status": "in_progress", "cancel": True}, "status"),
        ({"component_ids": ["nosuchthing0"]}, "components"),
        ({"scheduled_until": "2020-01-01T00:00:00Z", "body": "Told."}, "scheduled_until"),
        ({"recurrence": "FREQ=DAILY"}, "recurrence"),
        ({"backfilled": True}, "backfilled"),
        ({"version": -1}, "version"),
    ],
)
def test_a_change_that_can_not_be_taken_changes_nothing(
    changes: dict[str, Any], field: str, writer: Program, plan: dict[str, Any]
) -> None:
    made = declared(writer, plan)
    before = counts()
    refused = patch(writer, made, 422, **changes)
    assert field in refused["errors"], refused
    assert counts() == before


@pytest.mark.parametrize(("wish", "stage"), [({}, "completed"), ({"keep_windows": True}, "scheduled")])
def test_a_series_is_ended_with_its_windows_or_without(
    wish: dict[str, Any], stage: str, writer: Program, plan: dict[str, Any]
) -> None:
    made = declared(writer, plan | {"recurrence": "FREQ=WEEKLY"})
    ended = patch(writer, made, end_series=True, body="No longer needed.", **wish)
    windows = writer.get("/incidents")
    assert [each["status"] for each in windows] == [stage] * 2
    assert ended["status"] == stage
    assert (ended["incident_updates"][0]["body"] == "No longer needed.") == (stage == "completed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"end_series": False}, "end_series"),
        ({"end_series": "perhaps"}, "end_series"),
        ({"end_series": True, "status": "in_progress"}, "status"),
        ({"end_series": True, "scheduled_for": "2030-01-01T00:00:00Z"}, "scheduled_for"),
        ({"end_series": True, "keep_windows": "some"}, "keep_windows"),
    ],
)
def test_an_end_of_a_series_that_is_not_clear_is_refused(
    body: dict[str, Any], field: str, writer: Program, plan: dict[str, Any]
) -> None:
    made = declared(writer, plan | {"recurrence": "FREQ=WEEKLY"})
    assert list(patch(writer, made, 422, **body)["errors"]) == [field]
    assert [each["status"] for each in writer.get("/incidents")] == ["scheduled"] * 2


def test_a_window_of_no_series_ends_none(writer: Program, plan: dict[str, Any]) -> None:
    made = declared(writer, plan)
    assert list(patch(writer, made, 422, end_series=True)["errors"]) == ["end_series"]
