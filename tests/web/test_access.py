"""Who may use which route: every route by every role, from the application's own map."""

from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask

from statuspage import clock
from statuspage.app import create_app
from statuspage.db import db
from statuspage.rules.vocabulary import AccountRole, TokenScope
from statuspage.settings import Settings
from statuspage.web import access
from tests import builders
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]

SAMPLES = {
    "step": "severity",
    "document": "post-mortem",
    "item_id": "nosuchthing0",
    "promise_id": "nosuchthing0",
    "page_id": "nosuchthing0",
    "incident_id": "nosuchthing0",
    "component_id": "nosuchthing0",
    "group_id": "nosuchthing0",
    "token_id": "nosuchthing0",
    "account_id": "nosuchthing0",
    "channel_id": "nosuchthing0",
    "subscriber_id": "nosuchthing0",
    "update_id": "nosuchthing0",
    "word_id": "nosuchthing0",
    "maintenance_id": "nosuchthing0",
    "series_id": "nosuchthing0",
    "what": "update",
    "language": "de",
    "part": "mail",
    "mail": "direct-email",
    "reply_id": "nosuchthing0",
    "announcement_id": "1",
    "suppression_id": "nosuchthing0",
    "import_id": "nosuchthing0",
    "customer_id": "nosuchthing0",
    "token_hash": "0" * 64,
    "token": "nonsense",
    "kind": "acknowledge",
    "name": "nosuchmail.eml",
    "month": "2020-03",
    "severity": "SEV1",
    "promise_kind": "first_update",
}


@pytest.fixture(autouse=True)
def _page(app: Flask, started: datetime) -> None:
    builders.page(started)


def paths(app: Flask) -> list[tuple[str, str, AccountRole | TokenScope | str]]:
    """Return method, path and needed role of every route."""
    found = []
    adapter = app.url_map.bind("status.example.com")
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        values = {name: SAMPLES[name] for name in rule.arguments}
        needed = app.view_functions[rule.endpoint].access  # type: ignore[attr-defined]
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            found.append((method, adapter.build(rule.endpoint, values, method=method), needed))
    return found


def status(visitor: Visitor, method: str, path: str) -> int:
    if method == "GET":
        return visitor.get(path).status_code
    token = visitor.hidden("/console/account/" if visitor.get("/console/account/").status_code == 200 else "/login")
    if method != "POST":
        return visitor.request(method, path, data=token).status_code
    return visitor.post_as_is(path, token).status_code


def test_nobody_gets_in_without_signing_in(app: Flask, anonymous: Visitor) -> None:
    for method, path, needed in paths(app):
        if needed != access.PUBLIC:
            assert status(anonymous, method, path) in (303, 401), (method, path)


@pytest.mark.parametrize("role", [AccountRole.VIEWER, AccountRole.RESPONDER, AccountRole.COMMS])
def test_every_role_is_refused_what_is_above_it(role: AccountRole, app: Flask, arrive: Arrive) -> None:
    visitor = arrive(role)
    for method, path, needed in paths(app):
        if needed == access.PUBLIC:
            continue
        if isinstance(needed, TokenScope):
            assert status(visitor, method, path) == 401, f"a person's cookie opens {method} {path}"
            continue
        refused = status(visitor, method, path) == 403
        if path == "/logout":
            visitor = arrive(role)
        if not role.allows(AccountRole(needed)):
            assert refused, (method, path)
        elif method == "GET":
            assert not refused, (method, path)


def test_what_changes_something_answers_only_to_post(app: Flask, arrive: Arrive) -> None:
    admin = arrive(AccountRole.ADMIN)
    gets = {path for method, path, _ in paths(app) if method == "GET"}
    for method, path, _ in paths(app):
        if method == "POST" and path not in gets:
            assert admin.get(path).status_code in (404, 405), path


def test_a_view_that_says_nothing_is_refused_to_everybody(app: Flask, settings: Settings) -> None:
    made = create_app(settings)
    made.add_url_rule("/console/forgotten", "forgotten", lambda: "secret")
    visitor = Visitor(made.test_client())
    builders.account(clock.now(), AccountRole.ADMIN, "ada@example.com")
    assert visitor.sign_in("ada@example.com").status_code == 303
    answer = visitor.get("/console/forgotten")
    with made.app_context():
        db.engine.dispose()
    assert answer.status_code == 403
    assert "secret" not in answer.get_data(as_text=True)


@pytest.mark.parametrize("path", ["/login", "/console/", "/nothing/here"])
def test_every_answer_carries_the_security_headers(path: str, anonymous: Visitor) -> None:
    headers = anonymous.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_a_body_larger_than_a_form_needs_is_refused(anonymous: Visitor) -> None:
    assert anonymous.post_as_is("/login", {"email": "x" * 300_000}).status_code == 413
