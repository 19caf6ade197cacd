"""Publish after one update: 20 components, 3,000 past incidents, the embedded database.

Prints the median of the rounds beside the limit of 100 ms, and how many files
were written. ``make bench``, or ``python -m benchmarks.publish``; exit status 1 above the limit.
"""

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import Flask
from sqlalchemy import insert, select, update

from statuspage import prose, schema
from statuspage.actions import components, incidents, people
from statuspage.app import create_app
from statuspage.db import db, transaction
from statuspage.models import Incident, IncidentComponent, Page, Update
from statuspage.rules import messages
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import AccountRole, ComponentState, MessageKind, Severity, Stage, Visibility
from statuspage.settings import Settings, load
from statuspage.site import publisher

COMPONENTS, PAST, ROUNDS = 20, 3_000, 21
# The past reaches back five years: 50 incidents a month, far more than a real page has.
YEARS = 5
LIMIT_MS = 100.0
NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
SAID = "Signing in fails for some customers. We have found the cause and are undoing this morning's change."


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        settings = load({"DATA_DIR": folder, "PUBLIC_URL": "http://status.example.com"})
        app = create_app(settings)
        with app.app_context():
            status = measure(app, settings)
            db.session.remove()
            db.engine.dispose()
    return status


def measure(app: Flask, settings: Settings) -> int:
    schema.migrate(db.engine)
    by, ids = build(PAST)
    began = time.perf_counter()
    files = len(publisher.publish_all(settings, NOW))
    everything = time.perf_counter() - began
    incident_id = declare(by, ids)
    taken, written = [], 0
    for number in range(ROUNDS):
        now = NOW + timedelta(minutes=number + 1)
        say(incident_id, MessageKind.UPDATE if number else MessageKind.ACKNOWLEDGE, ids, by, now)
        before = marks(settings.site_dir)
        began = time.perf_counter()
        publisher.refresh(settings, now)
        taken.append((time.perf_counter() - began) * 1000)
        written = len(marks(settings.site_dir).items() - before.items())
    median = statistics.median(taken)
    print(f"everything:        {everything:8.1f} s, {files} files ({app.name}, SQLite, {PAST} past incidents)")
    print(
        f"after one update:  {median:8.1f} ms median of {ROUNDS}, worst {max(taken):.1f} ms   limit {LIMIT_MS:.0f} ms"
    )
    print(f"files rewritten:   {written:8} of {len(marks(settings.site_dir))}")
    return 0 if median < LIMIT_MS else 1


def build(count: int) -> tuple[str, list[str]]:
    """Make the page and its past by bulk inserts; return the writer and the components."""
    start = NOW - timedelta(days=365 * YEARS)
    components.create_page("Larkspur", "Etc/UTC", start)
    by = people.add_account("ada@example.com", "Ada", AccountRole.COMMS, "correct horse battery", start)
    ids = [components.create_component(f"Component {n}", "", "", by, start) for n in range(COMPONENTS)]
    past, affected, updates = [], [], []
    step = (NOW - timedelta(days=1) - start) / count
    for number in range(count):
        started, incident_id = start + step * number, f"past{number:08}"
        ended = started + timedelta(hours=1)
        past.append(
            {
                "id": incident_id,
                "title": f"Past incident {number}",
                "severity": Severity.SEV2,
                "visibility": Visibility.PUBLIC,
                "stage": Stage.RESOLVED,
                "started_at": started,
                "declared_at": started,
                "resolved_at": ended,
                "last_posted_at": ended,
                "created_at": started,
                "updated_at": ended,
            }
        )
        affected.append(
            {
                "incident_id": incident_id,
                "component_id": ids[number % COMPONENTS],
                "state": ComponentState.OPERATIONAL,
                "worst_state": ComponentState.DEGRADED,
            }
        )
        updates += [said(incident_id, sequence, started + timedelta(minutes=20 * sequence)) for sequence in (1, 2, 3)]
    with transaction(NOW) as session:
        session.execute(insert(Incident), past)
        session.execute(insert(IncidentComponent), affected)
        session.execute(insert(Update), updates)
        session.execute(update(Page).values(updated_at=NOW))
    return by, ids


def said(incident_id: str, sequence: int, at: datetime) -> dict[str, object]:
    return {
        "id": f"u{incident_id[4:]}{sequence:03}",
        "incident_id": incident_id,
        "sequence": sequence,
        "kind": [MessageKind.ACKNOWLEDGE, MessageKind.UPDATE, MessageKind.RESOLVE][sequence - 1],
        "stage": [Stage.INVESTIGATING, Stage.IDENTIFIED, Stage.RESOLVED][sequence - 1],
        "body": SAID,
        "body_html": prose.to_html(SAID),
        "component_states": [],
        "posted_at": at,
        "created_at": at,
    }


def declare(by: str, ids: list[str]) -> str:
    declaration = incidents.Declaration(
        "Signing in fails", Severity.SEV1, dict.fromkeys(ids[:2], ComponentState.OUTAGE), {}
    )
    return incidents.declare(declaration, "declaration", by, NOW)


def say(incident_id: str, kind: MessageKind, ids: list[str], by: str, now: datetime) -> None:
    """Post a message through the same action as the console."""
    typed = {
        "affected": "Signing in",
        "symptoms": SAID,
        "being_done": SAID,
        "impact": "high",
        "stage": "identified",
        "started_at": typed_instant(NOW),
        "next_update_by": typed_instant(now + timedelta(minutes=30)),
    }
    version = db.session.scalar(select(Incident.version).where(Incident.id == incident_id)) or 1
    states = dict.fromkeys(ids[:2], ComponentState.OUTAGE)
    post = incidents.Post(messages.parse(kind, typed, now), states, version)
    action = incidents.acknowledge if kind is MessageKind.ACKNOWLEDGE else incidents.post_update
    action(incident_id, post, f"form {now.isoformat()}", by, now)


def marks(folder: Path) -> dict[Path, int]:
    """Every file and its inode: an untouched file keeps it."""
    return {file: file.stat().st_ino for file in folder.rglob("*") if file.is_file()}


if __name__ == "__main__":
    sys.exit(main())
