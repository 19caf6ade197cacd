"""A browser without a screen: keeps cookies, reads form tokens, signs in."""

import contextvars
import re
import socket
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from statuspage import clock
from statuspage.actions import people
from statuspage.db import db
from statuspage.models import Account
from statuspage.rules.vocabulary import AccountRole, TokenScope
from tests import builders
from tests.web.programs import Program


class Visitor:
    """Somebody at a browser."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, **options: Any) -> TestResponse:
        return self._request(self.client.get, path, **options)

    def post(self, path: str, fields: dict[str, str], *, on: str = "", **changes: str) -> TestResponse:
        """Post a form as it stands on the page ``on`` (its hidden fields), with these fields typed in."""
        hidden = self.hidden(on or path)
        return self._request(self.client.post, path, data=hidden | fields | changes)

    def request(self, method: str, path: str, **options: Any) -> TestResponse:
        """Make any request."""
        return self._request(getattr(self.client, method.lower()), path, **options)

    def post_as_is(self, path: str, fields: dict[str, str], **options: Any) -> TestResponse:
        """Post these fields and nothing else."""
        return self._request(self.client.post, path, data=fields, **options)

    def _request(self, method: Callable[..., TestResponse], path: str, **options: Any) -> TestResponse:
        """Make a request outside of the test's own application context, as a server would."""
        db.session.rollback()
        return contextvars.Context().run(method, path, **options)

    def hidden(self, path: str) -> dict[str, str]:
        """Return the hidden fields of the last form on a page."""
        page = self.get(path).get_data(as_text=True)
        return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))

    def sign_in(self, email: str, password: str = builders.PASSWORD) -> TestResponse:
        return self.post("/login", {"email": email, "password": password})


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What names lead to, for the guard: to one public address unless a test says otherwise."""
    known: dict[str, str] = {}
    really = socket.getaddrinfo

    def look_up(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host is None or host == "localhost" or str(host).replace(".", "").isdigit() or ":" in str(host):
            return really(host, port, *more, **named)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known.get(host, "93.184.215.14"), port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.fixture
def page_id(app: Flask, started: datetime) -> str:
    return builders.page(started)


@pytest.fixture
def program(app: Flask, page_id: str) -> Callable[[TokenScope], Program]:
    """Return a way to get a program with a fresh key of a scope."""

    def make(scope: TokenScope) -> Program:
        return Program(Visitor(app.test_client()), people.add_token("robot", scope, None, clock.now()), page_id)

    return make


@pytest.fixture
def writer(program: Callable[[TokenScope], Program]) -> Program:
    return program(TokenScope.WRITE)


@pytest.fixture
def component_id(page_id: str, started: datetime) -> str:
    return builders.component(started)


@pytest.fixture
def sev1(component_id: str) -> dict[str, Any]:
    """What a program says of an incident that owes a lot."""
    return {"name": "Sign-in fails", "severity": "SEV1", "components": {component_id: "outage"}}


@pytest.fixture
def anonymous(app: Flask) -> Visitor:
    return Visitor(app.test_client())


@pytest.fixture
def arrive(app: Flask) -> Callable[[AccountRole], Visitor]:
    """Return a way to get somebody of a role, signed in. The clock is the real one here."""

    def make(role: AccountRole) -> Visitor:
        account_id = builders.account(clock.now(), role)
        visitor = Visitor(app.test_client())
        answer = visitor.sign_in(db.session.get_one(Account, account_id).email)
        assert answer.status_code == 303
        return visitor

    return make


@pytest.fixture
def incident_id(app: Flask, started: datetime) -> str:
    """An incident that is resolved; a file of tests about another kind has one of its own."""
    return builders.resolved(started)


@pytest.fixture
def author(incident_id: str, arrive: Callable[[AccountRole], Visitor]) -> Visitor:
    """Somebody who writes the texts that follow an incident."""
    return arrive(AccountRole.COMMS)


@pytest.fixture
def reviewer(incident_id: str, arrive: Callable[[AccountRole], Visitor]) -> Visitor:
    """Somebody else, who may approve them."""
    return arrive(AccountRole.RESPONDER)


@pytest.fixture
def started() -> datetime:
    """A moment a little before the real now, for what is set up before the visit."""
    return clock.now()
