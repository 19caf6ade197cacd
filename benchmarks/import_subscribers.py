"""Importing 100,000 subscribers, and as many customers, from CSV into the embedded database.

Prints the seconds of each beside the limit of 60 s: files whose rows are all
confirmed, none confirmed (each gets a mail), or there already. Exit status 1
above the limit.
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from statuspage import schema
from statuspage.actions import components, customers, subscriber_import
from statuspage.actions.csv_rows import Source
from statuspage.app import create_app
from statuspage.db import db
from statuspage.settings import load

ROWS, LIMIT_SECONDS = 100_000, 60.0
NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
NAMES = ("Sign-in", "Billing", "Search")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        settings = load({"DATA_DIR": folder, "PUBLIC_URL": "http://status.example.com"})
        with create_app(settings).app_context():
            schema.migrate(db.engine)
            components.create_page("Larkspur", "Etc/UTC", NOW)
            for name in NAMES:
                components.create_component(name, "", "", None, NOW)
            worst = max(
                show("subscribers, confirmed", lambda: import_subscribers("a", "yes", NOW)),
                show("subscribers, to be asked", lambda: import_subscribers("b", "no", NOW)),
                show("subscribers, once more", lambda: import_subscribers("a", "yes", NOW + timedelta(days=1))),
                show("customers", lambda: import_customers(NOW)),
            )
            db.session.remove()
            db.engine.dispose()
    return 0 if worst < LIMIT_SECONDS else 1


def show(name: str, import_all: Callable[[], Iterable[Any]]) -> float:
    """Import, print how long it took; return that."""
    began = time.perf_counter()
    rows = sum(1 for _ in import_all())
    taken = time.perf_counter() - began
    print(
        f"{name:<26} {rows:,} rows: {taken:5.1f} s   limit {LIMIT_SECONDS:.0f} s   ratio {taken / LIMIT_SECONDS:.2f}",
        flush=True,
    )
    return taken


def import_subscribers(prefix: str, confirmed: str, now: datetime) -> Iterable[Any]:
    lines = (f"{prefix}{n}@example.com,{NAMES[n % 3]};{NAMES[(n + 1) % 3]},,{confirmed}\n" for n in range(ROWS))
    text = io.StringIO("email,components,kinds,confirmed\n" + "".join(lines), newline="")
    return subscriber_import.import_subscribers(
        subscriber_import.parse_subscribers(text).rows, Source("benchmark"), now
    )


def import_customers(now: datetime) -> Iterable[Any]:
    lines = (f"c{n}@example.com,{NAMES[n % 3]};{NAMES[(n + 1) % 3]}\n" for n in range(ROWS))
    text = io.StringIO("email,components\n" + "".join(lines), newline="")
    return customers.import_customers(customers.parse_customers(text).rows, now)


if __name__ == "__main__":
    sys.exit(main())
