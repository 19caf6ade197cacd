"""Incidents through the API: declared, told about, corrected, resolved; and what is owed meanwhile."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select

from statuspage import clock
from statuspage.actions import components, incidents
from statuspage.db import db
from statuspage.models import Account, Announcement, Component
from statuspage.rules.vocabulary import AccountRole, ComponentState, PromiseKind, PromiseState, Severity, TokenScope
from statuspage.settings import Settings
from statuspage.site import publisher, snapshot
from tests import builders, ledgers
from tests.web.programs import Program, counts, declared, owed, patch, soon

MINUTE = timedelta(minutes=1)

# Statuspage's own keys, as its v1 has them, then ours.
KEYS = [
    "id",
    "components",
    "created_at",
    "impact",
    "impact_override",
    "incident_updates",
    "metadata",
    "monitoring_at",
    "name",
    "page_id",
    "postmortem_body",
    "postmortem_body_last_updated_at",
    "postmortem_ignored",
    "postmortem_notified_subscribers",
    "postmortem_notified_twitter",
    "postmortem_published_at",
    "resolved_at",
    "scheduled_auto_completed",
    "scheduled_auto_in_progress",
    "scheduled_for",
    "auto_transition_deliver_notifications_at_end",
    "auto_transition_deliver_notifications_at_start",
    "auto_transition_to_maintenance_state",
    "auto_transition_to_operational_state",
    "scheduled_remind_prior",
    "scheduled_reminded_at",
    "scheduled_until",
    "shortlink",
    "status",
    "updated_at",
    "reminder_intervals",
    "started_at",
    "severity",
    "visibility",
    "declared_at",
    "next_update_by",
    "roles",
    "promises",
    "version",
]
UPDATE_KEYS = [
    "id",
    "status",
    "body",
    "incident_id",
    "created_at",
    "updated_at",
    "display_at",
    "affected_components",
    "deliver_notifications",
    "custom_tweet",
    "tweet_id",
    "twitter_updated_at",
    "wants_twitter_update",
]
PROMISE_KEYS = [
    "id",
    "kind",
    "incident_id",
    "opened_at",
    "due_at",
    "met_at",
    "state",
    "late_by_seconds",
    "reason",
    "snoozed_until",
    "policy_version",
]


# --- declaring ---------------------------------------------------------------


def test_a_declaration_starts_the_clock_and_tells_nobody(
    writer: Program, sev1: dict[str, Any], component_id: str, settings: Settings
) -> None:
    made = declared(writer, sev1)
    assert list(made) == KEYS
    assert (made["status"], made["severity"], made["visibility"], made["impact"]) == (
        "investigating",
        "SEV1",
        "public",
        "none",
    )
    assert made["incident_updates"] == []
    assert made["components"][0]["status"] == "operational"
    assert made["shortlink"] == f"http://status.example.com/incidents/{made['id']}"
    assert owed(made) == {"first_update": "open", "direct_email": "open", "internal_update": "open"}
    assert all(list(each) == PROMISE_KEYS for each in made["promises"])
    assert db.session.scalar(select(func.count()).select_from(Announcement)) == 0
    assert writer.get(f"/components/{component_id}")["status"] == "operational"


def test_a_declaration_without_a_severity_is_a_sev3_and_owes_nothing(writer: Program, component_id: str) -> None:
    made = declared(writer, {"name": "A cosmetic thing", "component_ids": [component_id]})
    assert (made["severity"], made["promises"]) == ("SEV3", [])


def test_with_a_body_the_public_is_told_at_once(
    writer: Program, sev1: dict[str, Any], component_id: str, settings: Settings
) -> None:
    publisher.publish_all(settings, clock.now())
    made = declared(writer, sev1, body="We know that *signing in* fails.", status="identified", impact_override="major")
    assert [list(each) for each in made["incident_updates"]] == [UPDATE_KEYS]
    (update,) = made["incident_updates"]
    assert (update["status"], update["body"]) == ("identified", "We know that *signing in* fails.")
    assert update["affected_components"] == [
        {"code": component_id, "name": "Sign-in", "old_status": "operational", "new_status": "major_outage"}
    ]
    assert (made["status"], made["impact"], made["components"][0]["status"]) == ("identified", "major", "major_outage")
    assert owed(made) | {"first_update": "kept", "next_update": "open"} == owed(made)
    assert snapshot.exists(settings.site_dir, f"/incidents/{made['id']}")


def test_the_next_update_comes_by_the_policy_unless_the_writer_says_when(writer: Program, sev1: dict[str, Any]) -> None:
    by_policy = declared(writer, sev1, body="We are on it.")
    due = datetime.fromisoformat(by_policy["next_update_by"])
    assert timedelta(minutes=29) < due - clock.now() <= timedelta(minutes=30)
    said = declared(writer, sev1, body="We are on it.", next_update_by=soon(10))
    assert timedelta(minutes=9) < datetime.fromisoformat(said["next_update_by"]) - clock.now() <= timedelta(minutes=10)
    late = declared(writer, sev1, body="…", next_update_by=soon(90), next_update_reason="A long restore.")
    assert [each["reason"] for each in late["promises"] if each["kind"] == "next_update"] == ["A long restore."]


def test_where_the_policy_owes_no_next_update_none_is_promised(writer: Program, component_id: str) -> None:
    body = {"name": "Slow search", "severity": "SEV3", "components": {component_id: "degraded"}}
    assert declared(writer, body, body="We are looking into this.")["next_update_by"] is None


def test_roles_and_the_moment_of_impact_are_kept(writer: Program, sev1: dict[str, Any], started: datetime) -> None:
    account = db.session.get_one(Account, builders.account(started, AccountRole.COMMS))
    earlier = started.replace(microsecond=0) - 40 * MINUTE
    roles = {"comms_lead": account.email.upper(), "backup": None}
    made = declared(writer, sev1, roles=roles, declared_at=earlier.isoformat())
    nobody = {"commander": None, "technical_lead": None, "backup": None}
    assert made["roles"] == {**nobody, "comms_lead": account.email}
    assert made["declared_at"] == earlier.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    (first,) = (each for each in made["promises"] if each["kind"] == "first_update")
    assert (first["state"], first["late_by_seconds"] // 60) == ("open", 25)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("operational", ComponentState.OPERATIONAL),
        ("degraded", ComponentState.DEGRADED),
        ("degraded_performance", ComponentState.DEGRADED),
        ("partial_outage", ComponentState.OUTAGE),
        ("major_outage", ComponentState.OUTAGE),
        ("outage", ComponentState.OUTAGE),
    ],
)
def test_our_states_and_those_of_statuspage_are_taken_alike(
    word: str, state: ComponentState, writer: Program, sev1: dict[str, Any], component_id: str
) -> None:
    declared(writer, sev1 | {"components": {component_id: word}}, body="We are on it.")
    assert db.session.get_one(Component, component_id, populate_existing=True).state is state


def test_a_form_declares_as_json_does(writer: Program, component_id: str) -> None:
    form = {
        "incident[name]": "Sign-in fails",
        "incident[severity]": "SEV2",
        f"incident[components][{component_id}]": "major_outage",
        "incident[component_ids][]": component_id,
        "incident[body]": "Wir kümmern uns darum.",
    }
    answer = writer.send("POST", "/incidents.json", data=form)
    assert answer.status_code == 201, answer.text
    made = answer.get_json()
    assert (made["severity"], made["incident_updates"][0]["body"]) == ("SEV2", "Wir kümmern uns darum.")
    answer = writer.send("PUT", f"/incidents/{made['id']}.json", data={"incident[message]": "It goes on."})
    assert answer.get_json()["incident_updates"][0]["body"] == "It goes on."


def test_json_is_taken_bare_and_where_curl_calls_it_a_form(writer: Program, sev1: dict[str, Any]) -> None:
    assert writer.post("/incidents", sev1)["name"] == "Sign-in fails"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    written = json.dumps({"incident": sev1 | {"name": "By curl"}})
    assert writer.send("POST", "/incidents", data=written, headers=form).get_json()["name"] == "By curl"


def test_a_drill_and_an_internal_incident_are_never_public(
    writer: Program, sev1: dict[str, Any], component_id: str, settings: Settings
) -> None:
    publisher.publish_all(settings, clock.now())
    for visibility in ("internal", "drill"):
        made = declared(writer, sev1, visibility=visibility, body="We are on it.")
        assert made["visibility"] == visibility
        assert not snapshot.exists(settings.site_dir, f"/incidents/{made['id']}")
    assert writer.get(f"/components/{component_id}")["status"] == "operational"
    assert db.session.scalar(select(func.count()).select_from(Announcement)) == 0


# --- the same request twice ----------------------------------------------------


def test_the_same_key_declares_once(writer: Program, sev1: dict[str, Any]) -> None:
    body = {"incident": sev1 | {"body": "We are on it."}}
    first = writer.post("/incidents", body, Idempotency_Key="abc")
    before = counts()
    assert writer.post("/incidents", body, Idempotency_Key="abc")["id"] == first["id"]
    assert counts() == before
    assert writer.post("/incidents", body, Idempotency_Key="abd")["id"] != first["id"]
    assert writer.post("/incidents", body)["id"] != first["id"]


@pytest.mark.parametrize("changes", [{"name": "Another"}, {"body": "Other words."}])
def test_the_same_key_with_another_body_is_refused(
    changes: dict[str, str], writer: Program, sev1: dict[str, Any]
) -> None:
    writer.post("/incidents", sev1 | {"body": "We are on it."}, Idempotency_Key="abc")
    before = counts()
    refused = writer.post("/incidents", sev1 | {"body": "We are on it."} | changes, 409, Idempotency_Key="abc")
    assert refused == {"error": "This Idempotency-Key was used already, with another body."}
    assert counts() == before


def test_a_retry_completes_what_a_crash_left(
    writer: Program, sev1: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = sev1 | {"body": "We are on it."}
    with monkeypatch.context() as broken:
        broken.setattr(incidents, "acknowledge", lambda *_: 1 / 0)
        assert writer.send("POST", "/incidents", json=body, headers={"Idempotency-Key": "k"}).status_code == 500
    (left,) = writer.get("/incidents")
    assert left["incident_updates"] == []
    made = writer.post("/incidents", body, Idempotency_Key="k")
    assert (made["id"], len(made["incident_updates"])) == (left["id"], 1)


def test_two_programs_may_use_the_same_key(
    writer: Program, sev1: dict[str, Any], program: Callable[[TokenScope], Program]
) -> None:
    other = program(TokenScope.WRITE)
    first = writer.post("/incidents", sev1, Idempotency_Key="1")
    assert other.post("/incidents", sev1, Idempotency_Key="1")["id"] != first["id"]


def test_the_same_key_posts_once(writer: Program, sev1: dict[str, Any]) -> None:
    made = declared(writer, sev1)
    path = f"/incidents/{made['id']}"
    for body in ({"body": "First."}, {"body": "Second."}, {"status": "resolved"}, {"internal_update": "Done."}):
        if "internal_update" in body:
            path = f"/incidents/{declared(writer, sev1)['id']}"
        writer.patch(path, body, Idempotency_Key=f"{body}")
        before = counts()
        writer.patch(path, body, Idempotency_Key=f"{body}")
        assert counts() == before, body
    shown = writer.get(f"/incidents/{made['id']}")
    assert [each["body"] for each in shown["incident_updates"]] == ["This is resolved.", "Second.", "First."]


# --- changing -------------------------------------------------------------------


def test_from_silence_to_the_end(writer: Program, sev1: dict[str, Any], component_id: str) -> None:
    made = declared(writer, sev1)
    clocks = writer.get("/promises?state=open")
    assert [each["kind"] for each in clocks] == ["first_update", "internal_update", "direct_email"]
    assert clocks[0]["due_at"] < clocks[-1]["due_at"]
    told = patch(writer, made, status="identified")
    assert told["incident_updates"][0]["body"] == "We have found the cause and are working on a remedy."
    assert owed(told)["first_update"] == "kept"
    again = patch(writer, made, body="A remedy is on its way.", components={component_id: "degraded_performance"})
    assert (again["status"], again["components"][0]["status"]) == ("identified", "degraded_performance")
    watched = patch(writer, made, status="monitoring", next_update_by=soon(10))
    assert watched["monitoring_at"] == watched["incident_updates"][0]["display_at"]
    done = patch(writer, made, status="resolved", body="All is well again.")
    assert (done["status"], done["components"][0]["status"]) == ("resolved", "operational")
    assert done["resolved_at"] == done["incident_updates"][0]["display_at"]
    assert done["next_update_by"] is None
    assert owed(done)["post_incident_email"] == "open"
    assert [each["id"] for each in writer.get("/incidents/unresolved")] == []
    assert [each["id"] for each in writer.get("/incidents?q=WELL+again")] == [made["id"]]


def test_resolving_leaves_alone_what_another_incident_says(
    writer: Program, sev1: dict[str, Any], component_id: str
) -> None:
    first, second = (declared(writer, sev1, body="We are on it.") for _ in range(2))
    assert patch(writer, first, status="resolved")["components"][0]["status"] == "major_outage"
    assert patch(writer, second, status="resolved", components={component_id: "degraded"})["components"][0][
        "status"
    ] == ("degraded_performance")


def test_an_end_a_while_ago_is_told_so(writer: Program, sev1: dict[str, Any], started: datetime) -> None:
    made = declared(writer, sev1, declared_at=(started - 50 * MINUTE).isoformat(), body="We are on it.")
    ended = (started - 20 * MINUTE).replace(microsecond=0)
    done = patch(writer, made, status="resolved", resolved_at=ended.isoformat())
    assert done["resolved_at"] == ended.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    refused = patch(writer, declared(writer, sev1, body="…"), 422, status="resolved", resolved_at=ended.isoformat())
    assert refused["errors"] == {"resolved_at": "This is before the incident started."}


def test_many_things_in_one_request(writer: Program, sev1: dict[str, Any], started: datetime) -> None:
    email = db.session.get_one(Account, builders.account(started)).email
    made = declared(writer, sev1 | {"severity": "SEV3"})
    earlier = (started - 5 * MINUTE).isoformat()
    done = patch(
        writer,
        made,
        version=made["version"],
        declared_at=earlier,
        severity="SEV1",
        reason="It is worse than we thought.",
        roles={"commander": email},
        internal_update="All hands.",
        status="investigating",
        body="We know that signing in fails.",
    )
    assert (done["severity"], done["roles"]["commander"], done["version"]) == ("SEV1", email, made["version"] + 3)
    assert done["declared_at"] < made["declared_at"]
    assert owed(done)["internal_update"] == "open"
    assert [each["state"] for each in done["promises"] if each["kind"] == "internal_update"] == ["kept", "open"]
    assert patch(writer, made, roles={"commander": None})["roles"]["commander"] is None


def test_what_is_so_already_changes_nothing(writer: Program, sev1: dict[str, Any]) -> None:
    made = declared(writer, sev1)
    before = counts()
    same = {name: made[name] for name in ("name", "severity", "visibility", "declared_at", "version")}
    assert patch(writer, made, **same)["version"] == made["version"]
    assert counts() == before


def test_what_is_over_can_be_re_opened(writer: Program, sev1: dict[str, Any]) -> None:
    made = declared(writer, sev1, body="We are on it.")
    patch(writer, made, status="resolved")
    again = patch(writer, made, reopen=True, reason="It came back.", body="It is back, and so are we.")
    assert (again["status"], again["resolved_at"]) == ("investigating", None)
    assert again["components"][0]["status"] == "major_outage"
    assert patch(writer, made, 409, reopen=True, reason="Again.") == {"error": "This incident is open already."}


def test_who_saw_an_older_version_is_refused(writer: Program, sev1: dict[str, Any]) -> None:
    made = declared(writer, sev1)
    patch(writer, made, body="First.")
    refused = patch(writer, made, 409, version=made["version"], body="Second.")
    assert refused == {"error": "This incident has version 2 by now, not 1: please read it again."}


@pytest.mark.parametrize(
    ("before", "changes", "sentence"),
    [
        ([], {"status": "resolved"}, "Nothing is public yet: please post a first message before you resolve it."),
        (
            [{"body": "…"}, {"status": "resolved"}],
            {"severity": "SEV2", "reason": "Why", "body": "More."},
            "This incident is resolved already: to go on with it, re-open it.",
        ),
        (
            [{"body": "…"}, {"status": "resolved"}],
            {"internal_update": "More."},
            "This incident is resolved already: to go on with it, re-open it.",
        ),
        ([], {"reopen": True, "reason": "Why"}, "This incident is open already."),
        ([], {"version": 7, "roles": {}}, "This incident has version 1 by now, not 7: please read it again."),
    ],
)
def test_what_comes_out_of_order_is_refused_whole(
    before: list[dict[str, Any]], changes: dict[str, Any], sentence: str, writer: Program, sev1: dict[str, Any]
) -> None:
    made = declared(writer, sev1)
    for earlier in before:
        patch(writer, made, **earlier)
    rows = counts()
    assert patch(writer, made, 409, **changes) == {"error": sentence}
    assert counts() == rows


# --- lists and clocks --------------------------------------------------------------


def test_lists_come_in_pages_newest_first(writer: Program, sev1: dict[str, Any], started: datetime) -> None:
    for minutes in (3, 1, 2):
        declared(writer, sev1 | {"name": f"{minutes}"}, declared_at=(started - minutes * MINUTE).isoformat())

    def names(query: str) -> list[str]:
        return [each["name"] for each in writer.get(f"/incidents{query}")]

    assert names("") == names("?limit=500") == names("/unresolved") == ["1", "2", "3"]
    assert names("?limit=2") == ["1", "2"]
    assert names("?limit=2&page=2") == names("/unresolved?per_page=2&page=2") == ["3"]
    assert names("?page=100&limit=100") == names("?page=2147483647") == []
    assert names("?q=2") == ["2"]
    assert names("?q=%25") == []
    assert names("?q=investigating") == ["1", "2", "3"]
    for query in ("?limit=x", "?page=-1", "?limit=99999999999999999999", "?q=%00"):
        writer.get(f"/incidents{query}", 422)


def test_promises_are_listed_by_state_soonest_first(
    writer: Program, sev1: dict[str, Any], component_id: str, started: datetime
) -> None:
    by = builders.account(started)
    past = started - timedelta(hours=3)
    incident_id = builders.declared(by, {component_id: ComponentState.DEGRADED}, past, severity=Severity.SEV4)
    late = ledgers.promise(incident_id, PromiseState.LATE, past, late=timedelta(seconds=90))
    overdue = ledgers.promise(incident_id, PromiseState.OPEN, past, kind=PromiseKind.DIRECT_EMAIL)
    (shown,) = writer.get("/promises?state=late")
    assert (shown["id"], shown["late_by_seconds"]) == (late, 90)
    (shown,) = writer.get("/promises")
    assert shown["id"] == overdue
    assert 9900 <= shown["late_by_seconds"] <= 9960
    assert shown["due_at"] == (past + 15 * MINUTE).strftime("%Y-%m-%dT%H:%M:%S.") + f"{past.microsecond // 1000:03}Z"
    made = declared(writer, sev1)
    listed = writer.get("/promises")
    assert [each["incident_id"] for each in listed] == [incident_id, made["id"], made["id"], made["id"]]
    assert [each["kind"] for each in listed[1:]] == ["first_update", "internal_update", "direct_email"]
    assert len(writer.get("/promises?state=all")) == 5
    assert [each["id"] for each in writer.get("/promises?limit=1&page=2")] == [listed[1]["id"]]
    assert list(writer.get("/promises?state=broken", 422)["errors"]) == ["state"]


def test_a_list_takes_as_many_queries_for_one_as_for_many(writer: Program, sev1: dict[str, Any], app: Flask) -> None:
    counted: list[int] = []
    for _ in range(2):
        declared(writer, sev1, body="We are on it.")
        declared(writer, sev1)
        queries = []
        hook = lambda *arguments, seen=queries: seen.append(arguments[2])  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", hook)
        writer.get("/incidents")
        event.remove(db.engine, "before_cursor_execute", hook)
        counted.append(len(queries))
    assert counted[0] == counted[1]


def test_a_group_stands_for_its_components(writer: Program, page_id: str, started: datetime) -> None:
    group_id = components.create_group("Web app", None, started)
    members = {builders.component(started, name, group_id) for name in ("Basket", "Search")}
    made = declared(writer, {"name": "All slow", "severity": "SEV3", "components": {group_id: "degraded"}})
    assert {each["id"] for each in made["components"]} == members
