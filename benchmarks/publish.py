"""Publish after one update: 20 components, 30, 3,000 and 30,000 past incidents, the embedded database.

Prints the median CPU of the rounds beside its limits, the time it took, and how many files
were written. ``make bench``, or ``python -m benchmarks.publish [30 3000]``; exit status 1 above a limit.
"""

# ruff: noqa: SLF001  (the parts of a publication are measured one by one)

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

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

COMPONENTS, PASTS, ROUNDS = 20, (30, 3_000, 30_000), 21
# The past reaches back five years: with 30,000 that is 500 incidents a month, far more than a real page has.
YEARS = 5
LIMIT_MS, LIMIT_GROWTH = 25.0, 2.0
NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
SAID = "Signing in fails for some customers. We have found the cause and are undoing this morning's change."


def main() -> int:
    medians = {}
    for past in [int(each) for each in sys.argv[1:]] or PASTS:
        with tempfile.TemporaryDirectory() as folder:
            settings = load({"DATA_DIR": folder, "PUBLIC_URL": "http://status.example.com"})
            app = create_app(settings)
            with app.app_context():
                medians[past] = measure(past, settings)
                db.session.remove()
                db.engine.dispose()
    least, most = min(medians), max(medians)
    growth = medians[most] / medians[least]
    print(f"CPU for one update with {least:,} past incidents: {medians[least]:.1f} ms   limit {LIMIT_MS:.0f} ms")
    print(f"with {most:,}, of that: {growth:.2f}   limit {LIMIT_GROWTH}")
    return 0 if medians[least] <= LIMIT_MS and growth <= LIMIT_GROWTH else 1


def measure(past: int, settings: Settings) -> float:
    """Print what publishing takes; return the median of milliseconds of CPU."""
    schema.migrate(db.engine)
    by, ids = build(past)
    site = publisher._site(settings, NOW)
    # The pages of the past incidents themselves stay away: to write 30,000 takes minutes, and none is touched again.
    paths = [path for path in publisher._all_paths(site) if not path.startswith("/incidents/")]
    publisher._write(settings, site, paths)
    incident_id = declare(by, ids)
    taken, waited, written = [], [], 0
    for number in range(ROUNDS):
        now = NOW + timedelta(minutes=number + 1)
        say(incident_id, MessageKind.UPDATE if number else MessageKind.ACKNOWLEDGE, ids, by, now)
        before = marks(settings.site_dir)
        began, began_cpu = time.perf_counter(), time.process_time()
        publisher.refresh(settings, now)
        waited.append((time.perf_counter() - began) * 1000)
        taken.append((time.process_time() - began_cpu) * 1000)
        written = len(marks(settings.site_dir).items() - before.items())
    median = statistics.median(taken)
    print(
        f"{past:>6,} past incidents: {median:6.1f} ms CPU for one update (worst {max(taken):.1f}), "
        f"{statistics.median(waited):.1f} ms waited (worst {max(waited):.1f}), {written} files"
    )
    return median


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


def declare(by: str, ids: list[str], form: str = "declaration") -> str:
    declaration = incidents.Declaration(
        "Signing in fails", Severity.SEV1, dict.fromkeys(ids[:2], ComponentState.OUTAGE), {}
    )
    return incidents.declare(declaration, form, by, NOW)


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
