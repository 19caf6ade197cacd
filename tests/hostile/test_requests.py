"""Whatever is sent to any address: an answer that says no, never a failure of ours."""

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.routing import Rule

from statuspage.actions import replies
from statuspage.db import db
from statuspage.models import Component, Promise
from statuspage.rules.vocabulary import AccountRole, ComponentState, Severity
from tests import builders
from tests.web.conftest import Visitor, anonymous, arrive, started

__all__ = ["anonymous", "arrive", "started"]

Arrive = Callable[[AccountRole], Visitor]

# The stricter of the two: it refuses what no column can hold, where SQLite finds nothing.
pytestmark = [pytest.mark.postgresql, pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)]

VALUES = [
    "",
    "\x00",
    "a\x00b",
    "\u202e\u2028\x85",
    "x" * 5_000,
    "-1",
    "9" * 40,
    "٣",
    "½",
    "²",
    "NaN",
    "1e999",
    "../../etc/passwd",
    "{{7*7}}{% x %}",
    "' OR 1=1 --",
    "0000-00-00T00:00",
    "9999-12-31T23:59:59",
    "0001-01-01T00:00",
    "PT99999999999999999999S",
    "P999999D",
    "=?utf-8?q?=0d=0a?=",
    "a@b@c",
    "[]",
    '{"a": 1}',
]
NAMES = [
    "email", "password", "name", "title", "severity", "reason", "declared_at", "body", "minutes", "version", "act",
    "first_update", "next_update_by", "next_update_reason", "stage", "impact", "send_at", "comment", "waiver_id", "text",
    "nudges_at_00", "nudges_at_²", "holding_max", "holding_text", "role", "role_commander", "group_id", "state", "url",
    "kind", "account_id", "visibility", "state_nosuchthing0", "state_", "form_token", "suggested", "seen", "scenario", "next", "time_zone",
    "support_url", "present", "unsubscribe", "message", "what_happened", "resolved_at", "started_at",
    "scope", "component", "method", "endpoint", "erase", "scheduled_for", "scheduled_until", "repeats", "rule", "remind_minutes",
    "windows", "why",
    "accent", "header_0", "header_0_label", "language", "languages", "custom_css",
]  # fmt: skip


@pytest.fixture
def known(app: Flask, started: datetime) -> dict[str, str]:
    """Ids of things that are there, by the name of the argument that takes them."""
    builders.page(started)
    by = builders.account(started)
    part = builders.component(started)
    incident_id = builders.acknowledged(by, {part: ComponentState.OUTAGE}, started)
    promise_id = db.session.scalar(select(Promise.id))
    component_id = db.session.scalar(select(Component.id))
    said = {"affected": "Signing in", "symptoms": "It may fail."}
    reply = replies.Reply("Sign-in fails", Severity.SEV2, "en", {part: ComponentState.OUTAGE}, said)
    reply_id = replies.add_reply(reply, by, started)
    return {
        "incident_id": incident_id, "promise_id": str(promise_id), "component_id": str(component_id), "account_id": by,
        "kind": "update", "step": "severity", "document": "post-mortem", "severity": "SEV1", "month": "2026-11",
        "promise_kind": "first_update", "name": "x.eml", "drill_id": incident_id, "page_id": "nosuchthing0", "announcement_id": "1",
        "maintenance_id": builders.window(started, (part,)), "what": "update",
        "item_id": builders.action_item(incident_id, by, started),
        "language": "de", "part": "mail", "mail": "direct-email", "reply_id": reply_id,
    }  # fmt: skip


def rules(app: Flask) -> Iterator[Rule]:
    yield from (
        rule for rule in app.url_map.iter_rules() if rule.endpoint not in ("static", "auth.sign_out", "health.readyz")
    )


def path_of(app: Flask, rule: Rule, values: dict[str, str]) -> str:
    return app.url_map.bind("status.example.com").build(
        rule.endpoint, {name: values.get(name, "nosuchthing0") for name in rule.arguments}, method="POST"
        if "POST" in (rule.methods or ()) else None,
    )  # fmt: skip


def spread(turn: int) -> dict[str, str]:
    """Every name with one of the values: another one each turn."""
    return {name: VALUES[(number * 7 + turn * 3) % len(VALUES)] for number, name in enumerate(NAMES)}


@pytest.mark.parametrize("turn", range(8))
def test_no_form_makes_the_service_fail(turn: int, app: Flask, known: dict[str, str], arrive: Arrive) -> None:
    admin = arrive(AccountRole.ADMIN)
    token = admin.hidden("/console/incidents/new")
    # In every other turn the form is one that was made here, so that what lies behind the token is reached.
    kept = token if turn % 2 else {"csrf_token": token["csrf_token"]}
    for rule in rules(app):
        if "POST" not in (rule.methods or ()):
            continue
        answer = admin.post_as_is(path_of(app, rule, known), spread(turn) | kept)
        assert answer.status_code < 500, (rule.rule, answer.status_code)


@pytest.mark.parametrize("turn", range(4))
def test_no_address_makes_the_service_fail(turn: int, app: Flask, known: dict[str, str], arrive: Arrive) -> None:
    admin = arrive(AccountRole.ADMIN)
    for number, rule in enumerate(rules(app)):
        if "GET" not in (rule.methods or ()):
            continue
        plain, value = path_of(app, rule, known), VALUES[(number + turn * 6) % len(VALUES)]
        answers = [admin.get(plain, query_string=dict.fromkeys(("posted", "done", "next", "saved", value), value))]
        for name in rule.arguments:
            odd = plain.replace(known.get(name, "nosuchthing0"), value.replace("/", ""))
            answers.append(admin.get(odd))
        assert all(answer.status_code < 500 for answer in answers), (rule.rule, [each.status_code for each in answers])


def test_two_thousand_fields_and_the_same_one_twice(app: Flask, known: dict[str, str], arrive: Arrive) -> None:
    admin = arrive(AccountRole.ADMIN)
    token = admin.hidden("/console/incidents/new")
    many = "&".join(f"f{number}=1" for number in range(3_000))
    twice = f"csrf_token={token['csrf_token']}&title=a&title=b&severity=SEV1&severity=SEV2&version=1&version=x"
    for body in (many, twice, "%", "a=%ff&b=%00", "title=%ED%A0%80&email=%ED%A0%80", "\x00"):
        for path in (
            "/login",
            "/subscribe",
            "/console/incidents/new",
            f"/console/incidents/{known['incident_id']}/update",
        ):
            answer = admin.client.post(path, data=body, content_type="application/x-www-form-urlencoded")
            assert answer.status_code < 500, (path, body[:20])
