"""The API's keys, its page, components, policies and reports, and the document that describes it."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from statuspage import clock
from statuspage.actions import people
from statuspage.db import db, transaction
from statuspage.models import ApiToken, AuditEntry, Component, ComponentGroup, Page, PolicyVersion
from statuspage.rules.vocabulary import AccountRole, ComponentState, TokenScope
from statuspage.web.api import keys, routes
from tests import builders
from tests.web.conftest import Visitor
from tests.web.programs import Program, counts, declared

Make = Callable[[TokenScope], Program]

PAGE_KEYS = """
id created_at updated_at name page_description headline branding subdomain domain url support_url hidden_from_search
allow_page_subscribers allow_incident_subscribers allow_email_subscribers allow_sms_subscribers allow_rss_atom_feeds
allow_webhook_subscribers notifications_from_email notifications_email_footer activity_score twitter_username
viewers_must_be_team_members ip_restrictions city state country time_zone css_body_background_color css_font_color
css_light_font_color css_greens css_yellows css_oranges css_blues css_reds css_border_color css_graph_color
css_link_color css_no_data favicon_logo transactional_logo hero_cover email_logo twitter_logo
"""
COMPONENT_KEYS = """
id name status created_at updated_at position description showcase start_date group_id page_id group
only_show_if_degraded automation_email
"""


# --- keys ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": "OAuth {}"}, ""),
        ({"Authorization": "oauth  {}"}, ""),
        ({"Authorization": "Bearer {}"}, ""),
        ({}, "?api_key={}"),
    ],
)
def test_a_key_is_taken_in_each_of_its_places(
    headers: dict[str, str], query: str, writer: Program, anonymous: Visitor
) -> None:
    sent = {name: value.format(writer.key) for name, value in headers.items()}
    answer = anonymous.get(f"/v1/pages{query.format(writer.key)}", headers=sent)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "OAuth",
        "OAuth ",
        "OAuth nonsense",
        "Basic {}",
        "OAuth {}x",
        "OAuth {}\x00",
        "OAuth sp_live_nosuchthing0_{secret}",
        "OAuth sp_live_ÄÖÜ",
        "OAuth {other}",
    ],
)
def test_without_a_key_of_ours_nothing_is_said(
    authorization: str, writer: Program, program: Make, anonymous: Visitor
) -> None:
    secret = writer.key[len("sp_live_") + 13 :]
    # The id of one key with the secret of another.
    other = program(TokenScope.READ).key[: len("sp_live_") + 13] + secret
    sent = authorization.format(writer.key, secret=secret, other=other)
    answer = anonymous.get("/v1/pages", headers={"Authorization": sent} if sent else {})
    assert (answer.status_code, answer.get_json()) == (401, {"error": "Could not authenticate"})
    assert answer.headers["WWW-Authenticate"] == "OAuth"
    assert "Set-Cookie" not in answer.headers


def test_a_cookie_opens_nothing_here(arrive: Callable[[AccountRole], Visitor], page_id: str) -> None:
    admin = arrive(AccountRole.ADMIN)
    assert admin.get("/v1/pages").status_code == 401
    assert admin.request("POST", f"/v1/pages/{page_id}/incidents", json={}).status_code == 401


def test_a_revoked_key_is_refused(writer: Program) -> None:
    writer.get("/components")
    with transaction(clock.now()) as session:
        session.execute(update(ApiToken).values(revoked_at=clock.now()))
    writer.get("/components", 401)


def test_the_use_of_a_key_is_noted_once_a_minute(writer: Program, started: datetime) -> None:
    def used() -> datetime | None:
        return db.session.scalars(select(ApiToken).execution_options(populate_existing=True)).one().last_used_at

    assert used() is None
    assert people.find_token(writer.key, started) is not None
    for seconds, noted in ((59, 0), (60, 60), (90, 60)):
        people.find_token(writer.key, started + timedelta(seconds=seconds))
        assert used() == started + timedelta(seconds=noted)


@pytest.mark.parametrize("scope", list(TokenScope))
def test_a_key_does_what_its_scope_allows(
    scope: TokenScope, program: Make, page_id: str, started: datetime, app: Flask
) -> None:
    own = program(scope)
    things = ("component_id", "incident_id", "subscriber_id", "customer_id")
    samples = dict.fromkeys(things, "nosuchthing0") | {"severity": "SEV1", "page_id": page_id}
    adapter = app.url_map.bind("status.example.com")
    seen = set()
    for rule in app.url_map.iter_rules():
        needed = app.view_functions[rule.endpoint].access if rule.endpoint != "static" else None  # type: ignore[attr-defined]
        if not isinstance(needed, TokenScope):
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            values = {name: samples[name] for name in rule.arguments}
            path = adapter.build(rule.endpoint, values, method=method).removeprefix(f"/v1/pages/{page_id}")
            if path.startswith("/v1/pages"):
                continue
            answer = own.send(method, path, data="{}", headers={"Content-Type": "application/json"})
            assert (answer.status_code == 403) == (not scope.allows(needed)), (method, path, answer.status_code)
            assert answer.status_code < 500
            assert (needed is TokenScope.READ) == (method == "GET")
            seen.add(needed)
    assert seen == set(TokenScope)


def test_a_refusal_names_the_scope(program: Make) -> None:
    refused = program(TokenScope.READ).post("/incidents", {}, 403)
    assert refused == {"error": "This key has the scope read; this needs write."}


def test_a_key_that_asks_too_often_waits(writer: Program, program: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "REQUESTS_PER_KEY", "3 per minute")
    for _ in range(3):
        writer.get("/components")
    answer = writer.send("GET", "/components")
    assert (answer.status_code, answer.mimetype) == (429, "application/json")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    program(TokenScope.READ).get("/components")


# --- the page and its components -----------------------------------------------------


def test_the_page_has_the_keys_of_statuspage(writer: Program, anonymous: Visitor) -> None:
    shown = writer.get("")
    assert list(shown) == PAGE_KEYS.split()
    assert (shown["name"], shown["url"]) == ("Larkspur", "http://status.example.com")
    listed = anonymous.get("/v1/pages.json", headers={"Authorization": f"OAuth {writer.key}"}).get_json()
    assert listed == [shown]


@pytest.mark.parametrize("path", ["", "/components", "/incidents", "/promises", "/policies", "/policies/SEV1"])
def test_another_page_is_not_here(path: str, writer: Program) -> None:
    writer.page_id = "nosuchthing0"
    assert writer.get(path, 404) == {"error": "There is nothing here."}


@pytest.mark.parametrize(
    ("zone", "pattern"),
    [
        ("Etc/UTC", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
        ("America/New_York", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}-0[45]:00"),
    ],
)
def test_times_are_in_the_zone_of_the_page_and_ours_in_utc(
    zone: str, pattern: str, writer: Program, sev1: dict[str, Any]
) -> None:
    with transaction(clock.now()) as session:
        session.execute(update(Page).values(time_zone=zone))
    made = declared(writer, sev1, body="We are on it.")
    times = [
        made["created_at"],
        made["started_at"],
        made["incident_updates"][0]["display_at"],
        writer.get("")["created_at"],
    ]
    assert all(re.fullmatch(pattern, each) for each in times), times
    ours = [made["declared_at"], made["next_update_by"], made["promises"][0]["due_at"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each) for each in ours), ours
    assert datetime.fromisoformat(made["started_at"]) == datetime.fromisoformat(made["declared_at"])


def test_components_come_in_order_and_their_groups_behind_them(writer: Program, started: datetime) -> None:
    with transaction(started) as session:
        group = ComponentGroup(name="Core", position=1, created_at=started, updated_at=started)
        session.add(group)
        session.flush()
        group_id = group.id
    first, second = builders.component(started, "Web"), builders.component(started, "API", group_id)
    assert writer.send("PATCH", f"/components/{second}", json={"status": "partial_outage"}).status_code == 200
    listed = writer.get("/components")
    assert [each["id"] for each in listed] == [second, first, group_id]
    assert [list(each) for each in listed[:2]] == [COMPONENT_KEYS.split()] * 2
    assert listed[2] == writer.get(f"/components/{group_id}")
    assert (listed[2]["group"], listed[2]["status"], listed[2]["components"]) == (True, "major_outage", [second])
    assert [each["id"] for each in writer.get("/components?per_page=1&page=2")] == [first]


def test_a_component_is_added_and_changed(writer: Program, page_id: str) -> None:
    made = writer.post("/components", {"component": {"name": "Search", "status": "degraded_performance"}})
    assert (made["status"], made["description"], made["page_id"]) == ("degraded_performance", None, page_id)
    path = f"/components/{made['id']}"
    assert writer.get(f"{path}.json") == made
    assert writer.patch(path, {"component": {"status": "major_outage"}})["status"] == "major_outage"
    assert writer.put(path, {"component": {"description": "Finds things."}})["description"] == "Finds things."
    answer = writer.send("PATCH", f"{path}.json", data={"component[status]": "operational", "component[name]": "Find"})
    assert (answer.get_json()["status"], answer.get_json()["name"]) == ("operational", "Find")
    assert writer.patch(path, {"component": {"description": None}})["description"] is None
    assert db.session.scalars(select(AuditEntry.account_id)).all() == [None] * 8


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": 5}, "name"),
        ({"description": "x" * 501}, "description"),
        ({"description": []}, "description"),
        ({"group_id": "nosuchthing0"}, "group_id"),
        ({"group_id": {}}, "group_id"),
        ({"status": "broken"}, "status"),
        ({"status": "under_maintenance"}, "status"),
        ({"status": ["outage"]}, "status"),
    ],
)
def test_a_component_that_can_not_be_taken_changes_nothing(
    changes: dict[str, Any], field: str, writer: Program, component_id: str
) -> None:
    before = counts()
    assert list(writer.post("/components", {"component": {"name": "Search"} | changes}, 422)["errors"]) == [field]
    assert list(writer.patch(f"/components/{component_id}", {"component": changes}, 422)["errors"]) == [field]
    assert counts() == before
    assert db.session.get_one(Component, component_id).state is ComponentState.OPERATIONAL


# --- policies and reports --------------------------------------------------------------


def test_a_policy_is_read_and_replaced_in_part(program: Make) -> None:
    admin = program(TokenScope.ADMIN)
    shown = admin.get("/policies/SEV1")
    assert (shown["severity"], shown["version"], shown["first_update"]) == ("SEV1", 0, "PT15M")
    edited = admin.put("/policies/SEV1", {"first_update": "PT10S", "post_mortem": None, "version": 0})
    assert edited == shown | {"version": 2, "first_update": "PT10S", "post_mortem": None}
    assert admin.get("/policies") == {
        severity: admin.get(f"/policies/{severity}") for severity in admin.get("/policies")
    }
    assert list(admin.get("/policies")) == ["SEV1", "SEV2", "SEV3", "SEV4"]
    assert admin.put("/policies/SEV1", {"policy": edited})["version"] == 3
    refused = admin.put("/policies/SEV1", {"first_update": "PT1M", "version": 2}, 409)
    assert refused == {"error": "Somebody else changed this policy meanwhile."}
    admin.get("/policies/SEV9", 404)


def test_the_new_policy_holds_for_what_is_declared_from_now_on(program: Make, sev1: dict[str, Any]) -> None:
    admin = program(TokenScope.ADMIN)
    admin.put("/policies/SEV1", {"first_update": "PT1S", "direct_email": None, "internal_update": None})
    (first,) = declared(admin, sev1)["promises"]
    opened, due = (datetime.fromisoformat(first[name]) for name in ("opened_at", "due_at"))
    assert (due - opened, first["policy_version"]) == (timedelta(seconds=1), 2)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"first_update": "15 minutes"}, "first_update"),
        ({"first_update": 15}, "first_update"),
        ({"first_update": ["PT15M"]}, "first_update"),
        ({"first_update": "PT999999999S"}, "first_update"),
        ({"frist_update": "PT15M"}, "frist_update"),
        ({"nudges": {"at": "PT0S"}}, "nudges"),
        ({"nudges": [{"at": "PT0S", "to": {}}]}, "nudges"),
        ({"nudges": [{"at": [], "to": "everyone"}]}, "nudges"),
        ({"nudges": [{"at": "PT0S", "to": "everyone", "by": []}]}, "nudges"),
        ({"nudges": [{"at": "PT0S", "to": "nobody@example.com"}]}, "nudges"),
        ({"nudges": [None]}, "nudges"),
        ({"holding_update": []}, "holding_update"),
        ({"holding_update": {"text": "No time."}}, "holding_update"),
        ({"holding_update": {"max_in_a_row": 10**30}}, "holding_update"),
        ({"version": 10**20, "first_update": None}, "version"),
        ({}, ""),
    ],
)
def test_a_policy_that_can_not_be_taken_changes_nothing(changes: dict[str, Any], field: str, program: Make) -> None:
    admin, before = program(TokenScope.ADMIN), None
    before = counts()
    refused = admin.put("/policies/SEV1", changes, 422)
    assert list(refused["errors"]) == [field]
    after = counts()
    # The shipped policy becomes version 1 when it is first looked at closely; nothing else is written.
    assert {name for name in after if after[name] != before[name]} <= {PolicyVersion.__tablename__}
    assert admin.get("/policies/SEV1")["version"] in (0, 1)


def test_the_report_is_that_of_the_console(writer: Program, sev1: dict[str, Any]) -> None:
    declared(writer, sev1)
    month = f"{clock.now():%Y-%m}"
    report = writer.get(f"/reports/promises?month={month}")
    assert (report["month"], len(report["incidents"]), len(report["promises"])) == (month, 1, 3)
    assert writer.get("/reports/promises.json")["month"] == month
    for wrong in ("2026-13", "now", "%00", "2099-01", ""):
        assert list(writer.get(f"/reports/promises?month={wrong}", 422)["errors"]) == ["month"]


# --- how it answers ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/pages/short", "/v1/pages/x.json"])
def test_what_is_not_there_is_said_in_json(path: str, anonymous: Visitor) -> None:
    answer = anonymous.get(path)
    assert (answer.status_code, answer.get_json()) == (404, {"error": "There is nothing here."})


def test_a_method_that_is_not_taken_is_said_in_json(writer: Program) -> None:
    answer = writer.send("DELETE", "/incidents")
    assert (answer.status_code, answer.get_json()) == (405, {"error": "This address does not take this method."})
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_a_database_that_is_gone_is_said_in_json(writer: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr(people, "find_token", fail)
    assert writer.get("/incidents", 503) == {"error": routes.SENTENCES[503]}


def test_the_description_names_every_address_and_method(app: Flask, anonymous: Visitor) -> None:
    answer = anonymous.get("/v1/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    described = {
        (path, method.upper()): operation
        for path, operations in answer.get_json()["paths"].items()
        for method, operation in operations.items()
        if method != "parameters"
    }
    served = {}
    for rule in app.url_map.iter_rules():
        if not routes.is_ours(rule.rule):
            continue
        path = re.sub(r"<(?:[^:>]*:)?(\w+)>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            served[path, method] = app.view_functions[rule.endpoint].access  # type: ignore[attr-defined]
    bare = {key: needed for key, needed in served.items() if not key[0].endswith(".json")}
    assert {(f"{path}.json", method) for path, method in bare} == served.keys() - bare.keys() - {
        ("/v1/openapi.json", "GET")
    }
    assert described.keys() == bare.keys() | {("/v1/openapi.json", "GET")}
    for key, needed in bare.items():
        assert described[key]["x-scope"] == needed.value, key


def test_the_description_holds_together(anonymous: Visitor) -> None:
    document = anonymous.get("/v1/openapi.json").get_json()
    names = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))
    for name in names:
        place = document
        for part in name.split("/"):
            place = place[part]
    operations = [
        operation["operationId"]
        for path in document["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    ]
    assert len(operations) == len(set(operations))


def test_the_manual_names_addresses_that_exist(anonymous: Visitor) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    described = anonymous.get("/v1/openapi.json").get_json()["paths"]
    patterns = [re.sub(r"\{\w+\}", "[^/]+", path) for path in described]
    named = re.findall(r"127\.0\.0\.1:8000(/v1[^\s\"?]*)", manual)
    assert named
    for path in named:
        assert any(re.fullmatch(pattern, path.removesuffix(".json")) or path == pattern for pattern in patterns), path
