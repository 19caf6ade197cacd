"""Posting an update takes the same time with 0 and with 100,000 subscribers.

Interleaves both, prints the medians and their ratio beside the limit. Exit
status 1 above the limit.
"""

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from statuspage import schema
from statuspage.actions import components, incidents, people
from statuspage.app import create_app
from statuspage.db import db, transaction
from statuspage.models import Subscriber, new_id
from statuspage.rules import messages
from statuspage.rules.subscriptions import identity
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import AccountRole, ComponentState, MessageKind, Severity
from statuspage.settings import load

SUBSCRIBERS, ROUNDS, LIMIT = 1_000_000, 5, 1.2
POSTS_A_ROUND = 20
NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
UPDATE = {
    "affected": "Signing in is slow.",
    "being_done": "We are undoing a change.",
    "next_update_by": typed_instant(NOW + timedelta(minutes=30)),
    "stage": "identified",
}
ACKNOWLEDGE = UPDATE | {"symptoms": "It may fail.", "impact": "high", "started_at": typed_instant(NOW)}


class Page:
    """An installation with an open incident."""

    def __init__(self, folder: Path, subscribers: int) -> None:
        self._app = create_app(load({"DATA_DIR": str(folder), "PUBLIC_URL": "http://status.example.com"}))
        self._version = 2
        with self._app.app_context():
            schema.migrate(db.engine)
            components.create_page("Larkspur", "Etc/UTC", NOW)
            self._by = people.add_account("a@example.com", "A", AccountRole.COMMS, "correct horse battery", NOW)
            self._states = {components.create_component("Sign-in", "", "", None, NOW): ComponentState.OUTAGE}
            declaration = incidents.Declaration("Slow", Severity.SEV1, self._states, {})
            self._incident = incidents.declare(declaration, new_id(), self._by, NOW)
            self._post(MessageKind.ACKNOWLEDGE, incidents.acknowledge, ACKNOWLEDGE, 1)
            with transaction(NOW) as session:
                for start in range(0, subscribers, 10_000):
                    session.execute(insert(Subscriber), [self._subscriber(start + each) for each in range(10_000)])

    @staticmethod
    def _subscriber(number: int) -> dict[str, object]:
        return {**identity(f"reader{number}@example.com"), "state": Subscriber.ACTIVE, "requested_at": NOW}

    def _post(self, kind: MessageKind, action, fields: dict[str, str], version: int) -> None:  # noqa: ANN001
        post = incidents.Post(messages.parse(kind, fields, NOW), self._states, version)
        action(self._incident, post, new_id(), self._by, NOW)

    def round(self) -> float:
        """Post some updates; return the milliseconds one took."""
        with self._app.app_context():
            began = time.perf_counter()
            for _ in range(POSTS_A_ROUND):
                self._post(MessageKind.UPDATE, incidents.post_update, UPDATE, self._version)
                self._version += 1
            return (time.perf_counter() - began) * 1000 / POSTS_A_ROUND


@contextlib.contextmanager
def pages() -> Iterator[tuple[Page, Page]]:
    with tempfile.TemporaryDirectory() as folder:
        yield Page(Path(folder, "none"), 0), Page(Path(folder, "many"), SUBSCRIBERS)


def main() -> int:
    with pages() as (none, many):
        taken = [(none.round(), many.round()) for _ in range(ROUNDS)]
    without, with_many = (statistics.median(column) for column in zip(*taken, strict=True))
    ratio = statistics.median(b / a for a, b in taken)
    print(f"post an update, no subscriber:      {without:6.1f} ms")
    print(f"post an update, {SUBSCRIBERS:,} subscribers: {with_many:6.1f} ms")
    print(f"ratio: {ratio:.2f}   limit {LIMIT}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
