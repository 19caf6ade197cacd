"""What the benchmarks of delivery stand on: an installation with very many subscribers."""

import contextlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime

from flask import Flask
from sqlalchemy import text

from statuspage import schema
from statuspage.actions import components, incidents
from statuspage.app import create_app
from statuspage.db import db, transaction
from statuspage.models import new_id
from statuspage.rules import messages
from statuspage.rules.vocabulary import ComponentState, MessageKind, Severity
from statuspage.settings import load
from tests import servers

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
ACKNOWLEDGE = {
    "symptoms": "Signing in fails",
    "affected": "Everybody",
    "impact": "high",
    "started_at": "2026-11-21T13:50",
    "next_update_by": "2026-11-21T14:20",
    "stage": "investigating",
}

_CROWD = """
    INSERT INTO subscribers (id, method, unique_key, email, email_key, mailbox_key, endpoint, secret, previous_secret,
        state, all_components, wants_incidents, wants_maintenance, wants_component_changes, source, form_version,
        requested_at, request_ip, request_user_agent, confirm_ip, confirm_user_agent, confirm_token_hash)
    SELECT {number_as_id}, 'email', address, address, address, address, '', '', '', 'active', true, true, true, false,
        'form', '', '2026-11-01 00:00:00', '', '', '', '', ''
    FROM (SELECT n, 'reader' || n || '@example.com' AS address FROM ({numbers}) AS counted) AS made
"""


@contextlib.contextmanager
def installation(kind: str, **environ: str) -> Iterator[Flask]:
    """Run a migrated installation, on ``sqlite`` or ``postgresql``, its context open."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        given = {"DATA_DIR": folder, "PUBLIC_URL": "http://status.example.com", "SECRET_KEY": "k" * 40, **environ}
        if kind == "postgresql":
            programs = servers.postgresql_programs()
            if programs is None:
                raise SystemExit("PostgreSQL is not installed.")
            given["DATABASE_URL"] = stack.enter_context(servers.postgresql(programs))
        app = create_app(load(given))
        stack.enter_context(app.app_context())
        schema.migrate(db.engine)
        components.create_page("Larkspur", "Etc/UTC", NOW)
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()


def gather(count: int) -> None:
    """Add confirmed subscribers by mail, who want everything."""
    if db.engine.dialect.name == "postgresql":
        numbers, number_as_id = (
            f"SELECT generate_series(1, {count}) AS n",
            "lpad(to_hex(n * 7919::bigint % 4294967291), 12, '0')",
        )
    else:
        numbers = f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) SELECT n FROM c"
        number_as_id = "printf('%012x', n * 7919 % 4294967291)"
    with transaction(NOW) as session:
        session.execute(text(_CROWD.format(numbers=numbers, number_as_id=number_as_id)))
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def declare() -> str:
    """Declare an incident with one affected component; return its id."""
    states = {components.create_component("Sign-in", "", "", None, NOW): ComponentState.OUTAGE}
    return incidents.declare(incidents.Declaration("Slow", Severity.SEV1, states, {}), new_id(), None, NOW)


def acknowledge(incident_id: str) -> None:
    """Post an incident's first public message: it is announced to all subscribers."""
    draft = messages.parse(MessageKind.ACKNOWLEDGE, ACKNOWLEDGE, NOW)
    incidents.acknowledge(incident_id, incidents.Post(draft, {}, 1), new_id(), None, NOW)


def tell(incident_id: str, number: int) -> None:
    """Post an incident's first public message (number 0), or a further one."""
    if number == 0:
        acknowledge(incident_id)
        return
    fields = {
        "being_done": "We are repairing it.",
        "affected": "Everybody",
        "next_update_by": "2026-11-21T14:20",
        "stage": "identified",
    }
    draft = messages.parse(MessageKind.UPDATE, fields, NOW)
    incidents.post_update(incident_id, incidents.Post(draft, {}, number + 1), new_id(), None, NOW)
