"""Making a delivery row for each of 1,000,000 subscribers, while others write.

``python -m benchmarks.expand [sqlite]``. Prints, for SQLite and PostgreSQL, the seconds beside those of one bare INSERT …
SELECT of as many rows in the same run, how long another writer waits at p99, and
the memory of the process. Exit status 1 above a limit.
"""

import resource
import statistics
import subprocess
import sys
import time

from sqlalchemy import func, select

from benchmarks import crowds
from statuspage.actions import audiences
from statuspage.db import db
from statuspage.delivery import announcements
from statuspage.models import Delivery

SUBSCRIBERS = 1_000_000
# 4 and 10 s where the bare statement takes 1.8 and 6.1 s: machines differ by three times.
LIMITS = {"sqlite": 4.0 / 1.8, "postgresql": 10.0 / 6.1}
WAIT_LIMIT_MS, MEMORY_LIMIT_MB = 250.0, 300.0

# Another process writes one small row after the other, as a console would.
WRITER = """
import os, sys, time
from datetime import UTC, datetime
from statuspage.bare import create_bare_app
from statuspage.db import db, transaction
from statuspage.models import Heartbeat
with create_bare_app().app_context():
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        began = time.perf_counter()
        with transaction(datetime.now(UTC)) as session:
            session.merge(Heartbeat(name="writer", beat_at=datetime.now(UTC)))
        print((time.perf_counter() - began) * 1000, flush=True)
        time.sleep(0.02)
"""


def main() -> int:
    fine = True
    for kind, limit in [(k, LIMITS[k]) for k in sys.argv[1:] or LIMITS]:
        with crowds.installation(kind) as app:
            crowds.gather(SUBSCRIBERS)
            incident_id = crowds.declare()
            crowds.acknowledge(incident_id)
            fine &= measure(kind, limit, dict(app.config)["STATUSPAGE"])
    return 0 if fine else 1


def measure(kind: str, limit: float, settings) -> bool:  # noqa: ANN001
    environ = {
        "DATABASE_URL": settings.database_url.replace("+psycopg", ""),
        "DATA_DIR": str(settings.data_dir),
        "SECRET_KEY": settings.secret_key,
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(sys.path),
    }
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, "4"],
        env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.stdin.write("go\n")
    writer.stdin.flush()
    began, used = time.perf_counter(), time.process_time()
    chunks = 0
    while announcements.expand(audiences.audience, crowds.NOW):
        chunks += 1
        # As the worker does.
        time.sleep(announcements.EXPANSION_PAUSE_SECONDS)
    taken, used = time.perf_counter() - began, time.process_time() - used
    waits = sorted(float(line) for line in writer.communicate()[0].split())
    made = db.session.execute(select(func.count()).select_from(Delivery)).scalar_one()
    assert made == SUBSCRIBERS, made
    p99 = waits[int(len(waits) * 0.99)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    bare = by_one_statement(kind)
    print(
        f"{kind:10}: {taken:5.2f} s for {made:,} rows in {chunks} chunks ({used:.2f} s of our CPU); a bare statement {bare:.2f} s: {taken / bare:.2f} x   limit {limit:.2f} x"
    )
    print(
        f"{'':10}  other writers: median {statistics.median(waits):.0f} ms, p99 {p99:.0f} ms, worst {waits[-1]:.0f} ms of {len(waits)}   limit {WAIT_LIMIT_MS:.0f} ms"
    )
    print(f"{'':10}  memory of this process: {memory:.0f} MB   limit {MEMORY_LIMIT_MB:.0f} MB")
    return taken / bare <= limit and p99 <= WAIT_LIMIT_MS and memory <= MEMORY_LIMIT_MB


def by_one_statement(kind: str) -> float:
    """Return the seconds that one statement takes to write the same rows into a table that has only what it must."""
    number = "INTEGER PRIMARY KEY" if kind == "sqlite" else "BIGSERIAL PRIMARY KEY"
    with db.engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE bare (id {number}, announcement_id BIGINT NOT NULL, subscriber_id VARCHAR(12) NOT NULL, "
            "address VARCHAR(254) NOT NULL, lane INTEGER NOT NULL, state VARCHAR(20) NOT NULL, not_before TIMESTAMP "
            "NOT NULL, UNIQUE (subscriber_id, announcement_id))"
        )
        connection.exec_driver_sql("CREATE INDEX ix_bare ON bare (lane, id, not_before) WHERE state = 'queued'")
    began = time.perf_counter()
    with db.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO bare (announcement_id, subscriber_id, address, lane, state, not_before) "
            "SELECT 1, id, email, 1, 'queued', '2026-11-21 14:00:00.000000' FROM subscribers ORDER BY id".replace(
                "'2026", "TIMESTAMP '2026" if kind == "postgresql" else "'2026"
            )
        )
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
