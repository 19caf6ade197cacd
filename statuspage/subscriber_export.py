"""The subscribers as CSV: what a person may take elsewhere, and what an import here reads back."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import datetime
from urllib.parse import urlsplit

from flask.ctx import AppContext
from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.actions import csv_rows
from statuspage.actions.subscriber_import import NO_COMPONENTS
from statuspage.actions.subscriptions import kinds_of
from statuspage.db import db
from statuspage.models import Component, Subscriber, SubscriberComponent
from statuspage.rendering import machine_instant

COLUMNS = (
    "id",
    "method",
    "email",
    "endpoint",
    "components",
    "kinds",
    "state",
    "confirmed",
    "requested_at",
    "confirmed_at",
    "unsubscribed_at",
    "source",
)


def export_subscribers(app_context: Callable[[], AppContext]) -> Iterator[str]:
    """Give the lines, a thousand subscribers at a time: neither transaction nor context stays open between."""
    yield _csv([COLUMNS])
    last = ""
    while True:
        with app_context():
            rows = _rows(last)
        if not rows:
            return
        last = rows[-1][0]
        yield _csv(rows)


def _rows(behind: str) -> list[tuple[str, ...]]:
    session = db.session()
    words = _words(session)
    # Of somebody whose data was erased nothing is left to tell.
    query = select(Subscriber).where(Subscriber.id > behind, Subscriber.state != Subscriber.ERASED)
    found = session.scalars(query.order_by(Subscriber.id).limit(csv_rows.BATCH)).all()
    chosen: dict[str, list[str]] = {}
    choices = select(SubscriberComponent.subscriber_id, SubscriberComponent.component_id)
    within = SubscriberComponent.subscriber_id.in_([each.id for each in found])
    for who, component_id in session.execute(choices.where(within)):
        chosen.setdefault(who, []).append(words.get(component_id, component_id))
    return [_row(each, chosen.get(each.id, [])) for each in found]


def _row(subscriber: Subscriber, chosen: list[str]) -> tuple[str, ...]:
    components = "" if subscriber.all_components else ";".join(sorted(chosen)) or NO_COMPONENTS
    is_confirmed = subscriber.state in (Subscriber.ACTIVE, Subscriber.DISABLED)
    return (
        subscriber.id,
        subscriber.method.value,
        subscriber.email,
        # The rest of an address may be a secret.
        urlsplit(subscriber.endpoint).hostname or "",
        components,
        ";".join(sorted(kinds_of(subscriber))),
        subscriber.state,
        "yes" if is_confirmed else "no",
        _instant(subscriber.requested_at),
        _instant(subscriber.confirmed_at),
        _instant(subscriber.unsubscribed_at),
        subscriber.source,
    )


def _instant(instant: datetime | None) -> str:
    return machine_instant(instant) if instant else ""


def _words(session: Session) -> dict[str, str]:
    """Return what each component is called in the file: its name, or its id where an import would not know the name."""
    there = csv_rows.components_by_name(session)
    found = session.execute(select(Component.id, Component.name))
    return {
        component_id: name
        for component_id, name in found
        if there.get(name, there.get(name.casefold())) == [component_id]
        and csv_rows.names_in(name) == (name,)
        and name != NO_COMPONENTS
    }


def _csv(rows: list[tuple[str, ...]]) -> str:
    written = io.StringIO(newline="")
    csv.writer(written).writerows([csv_rows.quoted(cell) for cell in row] for row in rows)
    return written.getvalue()
