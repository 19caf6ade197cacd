"""Somebody to write to, and an update to write about."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from flask import Flask

from statuspage.rules.vocabulary import ComponentState
from statuspage.settings import Settings, SmtpServer
from tests import builders, chatserver, mailservers
from tests.chatserver import ChatServer
from tests.mailservers import MailServer


def subscribed(email: str, now: datetime) -> str:
    """Return the id of a confirmed subscriber; the confirmation mail stays in the outbox."""
    return builders.subscribed(now, email)


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def incident_id(writer: str, now: datetime) -> str:
    """A declared incident; posting to it is what the tests do."""
    return builders.declared(writer, {builders.component(now, "Sign-in"): ComponentState.OUTAGE}, now)


@pytest.fixture
def smtp_server(tmp_path: Path) -> Iterator[MailServer]:
    with mailservers.running("smtp", tmp_path / "smtp") as server:
        yield server


@pytest.fixture
def sendgrid_server(tmp_path: Path) -> Iterator[MailServer]:
    with mailservers.running("sendgrid", tmp_path / "sendgrid") as server:
        yield server


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    with chatserver.running() as server:
        yield server


@pytest.fixture
def smtp_settings(settings: Settings, smtp_server: MailServer) -> Settings:
    port = int(smtp_server.url.rsplit(":", 1)[1])
    server = SmtpServer("127.0.0.1", port, "", "", "none")
    return replace(settings, smtp=server, mail_from="Larkspur <status@example.com>")


@pytest.fixture
def sendgrid_settings(settings: Settings, sendgrid_server: MailServer) -> Settings:
    return replace(
        settings,
        sendgrid_api_key="SG.test",
        sendgrid_url=sendgrid_server.url,
        mail_from="Larkspur <status@example.com>",
    )
