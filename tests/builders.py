"""Short ways to the situations that tests begin with; each goes through the real actions."""

import itertools
from datetime import datetime
from typing import Any

from statuspage.actions import channels, components, incidents, people
from statuspage.db import db
from statuspage.models import Incident
from statuspage.rules import messages
from statuspage.rules.vocabulary import (
    AccountRole,
    ChannelKind,
    ComponentState,
    IncidentRole,
    MessageKind,
    Severity,
    Visibility,
)
from tests.typed import typed

PASSWORD = "correct horse battery"

_numbers = itertools.count(1)


def nonce() -> str:
    """Return a form's nonce that no other form has."""
    return f"nonce-{next(_numbers)}"


def page(now: datetime, name: str = "Larkspur") -> str:
    return components.create_page(name, "Etc/UTC", now)


def account(now: datetime, role: AccountRole = AccountRole.COMMS, email: str = "") -> str:
    return people.add_account(email or f"person{next(_numbers)}@example.com", "Ada", role, PASSWORD, now)


def component(now: datetime, name: str = "Sign-in", group_id: str = "") -> str:
    return components.create_component(name, "", group_id, None, now)


def channel(
    by: str, now: datetime, url: str = "https://hooks.slack.com/services/T/B/x", name: str = "#incidents"
) -> str:
    kind = ChannelKind.PAGER if url.startswith("json:") else ChannelKind.SLACK
    return channels.add_channel(kind, name, url, None, by, now)


def draft(kind: MessageKind, now: datetime, **changes: str) -> messages.Draft:
    return messages.parse(kind, typed(kind, now, **changes), now)


def declared(
    by: str | None,
    states: dict[str, ComponentState],
    now: datetime,
    *,
    title: str = "Sign-in fails",
    severity: Severity = Severity.SEV1,
    visibility: Visibility = Visibility.PUBLIC,
    roles: dict[IncidentRole, str] | None = None,
    declared_at: datetime | None = None,
) -> str:
    """Return the id of an incident that nobody has told the public about yet."""
    declaration = incidents.Declaration(title, severity, states, roles or {}, visibility, declared_at)
    return incidents.declare(declaration, nonce(), by, now)


def acknowledged(by: str, states: dict[str, ComponentState], now: datetime, **about: Any) -> str:
    """Return the id of an incident whose first public message is posted."""
    incident_id = declared(by, states, now, **about)
    post(MessageKind.ACKNOWLEDGE, incident_id, states, by, now)
    return incident_id


def version(incident_id: str) -> int:
    """Return the newest version, as somebody sees who has just opened the incident."""
    return db.session.get_one(Incident, incident_id, populate_existing=True).version


def post(
    kind: MessageKind,
    incident_id: str,
    states: dict[str, ComponentState],
    by: str | None,
    now: datetime,
    *,
    reason: str = "",
    **changes: str,
) -> str:
    """Post a message as a writer who sees the newest version; return the update's id."""
    action = {
        MessageKind.ACKNOWLEDGE: incidents.acknowledge,
        MessageKind.UPDATE: incidents.post_update,
        MessageKind.RESOLVE: incidents.resolve,
    }[kind]
    message = incidents.Post(draft(kind, now, **changes), states, version(incident_id), reason)
    return action(incident_id, message, nonce(), by, now)
