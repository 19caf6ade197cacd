"""A worker's tick with nothing due: 1,000 open incidents, 10,000 past ones, the embedded database.

Prints the median of the rounds beside the limit of 50 ms. Exit status 1 above the limit.
"""

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from statuspage import schema
from statuspage.actions import components
from statuspage.actions.policies import version_in_force
from statuspage.app import create_app
from statuspage.db import db, transaction
from statuspage.delivery.providers import transport_for
from statuspage.models import EscalationStep, Incident, Promise
from statuspage.rules.vocabulary import PromiseKind, PromiseState, Severity, Stage, Visibility
from statuspage.settings import load
from statuspage.site import publisher
from statuspage.worker import Worker

OPEN, PAST, ROUNDS, LIMIT_MS = 1_000, 10_000, 101, 50.0
NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
OWED = (PromiseKind.NEXT_UPDATE, PromiseKind.DIRECT_EMAIL, PromiseKind.INTERNAL_UPDATE)
MET = (PromiseKind.FIRST_UPDATE, PromiseKind.NEXT_UPDATE, PromiseKind.POST_INCIDENT_EMAIL, PromiseKind.POST_MORTEM)
STEPS_TAKEN = 2


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        settings = load({"DATA_DIR": folder, "PUBLIC_URL": "http://status.example.com"})
        with create_app(settings).app_context():
            schema.migrate(db.engine)
            build()
            publisher.refresh(settings, NOW)
            worker, taken = Worker(settings, transport_for(settings)), []
            for number in range(ROUNDS):
                began = time.perf_counter()
                worker.tick(NOW + timedelta(seconds=number))
                taken.append((time.perf_counter() - began) * 1000)
            db.session.remove()
            db.engine.dispose()
    median = statistics.median(taken)
    print(
        f"tick with nothing due: {median:6.1f} ms median of {ROUNDS}, worst {max(taken):.1f} ms   limit {LIMIT_MS:.0f} ms"
    )
    print(f"(SQLite; {OPEN:,} open incidents with {OPEN * len(OWED):,} open promises, {PAST:,} past ones)")
    return 0 if median < LIMIT_MS else 1


def build() -> None:
    """Make the incidents and what they owe and owed, by bulk inserts."""
    components.create_page("Larkspur", "Etc/UTC", NOW)
    with transaction(NOW) as session:
        policy_id = version_in_force(session, Severity.SEV1, NOW).id
        past = [NOW - timedelta(hours=2 * number + 24) for number in range(PAST)]
        session.execute(insert(Incident), [incident(f"open{n:08}", NOW, None) for n in range(OPEN)])
        session.execute(insert(Incident), [incident(f"past{n:08}", at, at) for n, at in enumerate(past)])
        session.execute(insert(Promise), [owed(n, kind, policy_id) for n in range(OPEN) for kind in OWED])
        met = [kept(n, at, kind, policy_id) for n, at in enumerate(past) for kind in MET]
        session.execute(insert(Promise), met)
        session.execute(insert(EscalationStep), [step(row, n) for row in met for n in range(STEPS_TAKEN)])


def incident(incident_id: str, at: datetime, resolved_at: datetime | None) -> dict[str, object]:
    return {
        "id": incident_id,
        "title": "Signing in fails",
        "severity": Severity.SEV1,
        # Not published: rendering 10,000 pages first would only lengthen the benchmark.
        "visibility": Visibility.INTERNAL,
        "stage": Stage.RESOLVED if resolved_at else Stage.INVESTIGATING,
        "started_at": at,
        "declared_at": at,
        "resolved_at": resolved_at,
        "created_at": at,
        "updated_at": at,
    }


def owed(number: int, kind: PromiseKind, policy_id: str) -> dict[str, object]:
    return promise(f"open{number:08}", kind, policy_id, NOW) | {
        "state": PromiseState.OPEN,
        "next_step_at": NOW + timedelta(minutes=10, seconds=number),
    }


def kept(number: int, at: datetime, kind: PromiseKind, policy_id: str) -> dict[str, object]:
    return promise(f"past{number:08}", kind, policy_id, at) | {
        "state": PromiseState.KEPT,
        "met_at": at,
        "settled_at": at,
    }


def promise(incident_id: str, kind: PromiseKind, policy_id: str, at: datetime) -> dict[str, object]:
    return {
        "id": f"{incident_id[0]}{int(incident_id[4:]):09}{list(PromiseKind).index(kind):02}",
        "incident_id": incident_id,
        "kind": kind,
        "ordinal": 1,
        "policy_id": policy_id,
        "opened_at": at,
        "due_at": at + timedelta(minutes=30),
    }


def step(row: dict[str, object], number: int) -> dict[str, object]:
    return {
        "promise_id": row["id"],
        "step": number,
        "outcome": EscalationStep.NUDGED,
        "fell_due_at": row["opened_at"],
        "taken_at": row["opened_at"],
        "told": ["Ada"],
        "announcement_ids": [],
        "ways_left": [],
    }


if __name__ == "__main__":
    sys.exit(main())
