"""Subscribers from a CSV file: those whose consent is vouched for, and those who are asked for it.

The file never overrules a person: whoever chose, unsubscribed or complained
here stays as they are. Importing the same file again changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from statuspage.actions import csv_rows
from statuspage.actions.csv_rows import Line, Result, Source
from statuspage.actions.ledger import audit, take_page
from statuspage.actions.people import check_email
from statuspage.db import db, transaction
from statuspage.delivery.announcements import announce_to_new_subscribers
from statuspage.models import Subscriber, SubscriberComponent, Suppression, new_id
from statuspage.rules.subscriptions import DEFAULT_KINDS, Choice, identity, parse_kinds, suppression_keys
from statuspage.rules.vocabulary import RuleBroken, SubscriptionKind, SubscriptionMethod

CREATED, CONFIRMED, ASKED, UNCHANGED, SKIPPED, ERROR = OUTCOMES = (
    "created",
    "confirmed",
    "asked",
    "unchanged",
    "skipped",
    "error",
)

COLUMNS = csv_rows.Columns(("email",), ("components", "kinds", "confirmed", "method", "state"))
SOURCE = "import"
# What the export writes for somebody who chose no component, and only follows single incidents.
NO_COMPONENTS = "(none)"
EVERYTHING = Choice()

_YES, _NO = ("yes", "true", "1"), ("no", "false", "0", "")
_LIVING = ("", Subscriber.ACTIVE, Subscriber.PENDING)
# Why a person is not written to, whatever a file says.
_LEFT_ALONE = {
    Subscriber.UNSUBSCRIBED: "They unsubscribed: only they can come back.",
    Subscriber.ERASED: "They had their data erased: only they can come back.",
    Suppression.COMPLAINT: "They reported mail from here as spam.",
    Suppression.BOUNCE: "Mail to this address comes back.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the file, checked as far as that goes without the database."""

    line: int
    email: str
    components: tuple[str, ...] = ()
    """Names or ids; none stands for all components."""
    kinds: frozenset[SubscriptionKind] = DEFAULT_KINDS
    is_confirmed: bool = False
    """Whether the file's owner says that this person agreed to get mail."""
    error: str = ""
    skipped: str = ""


@dataclass(frozen=True)
class SubscriberFile:
    """A file of subscribers: its rows, and the columns that nobody reads."""

    rows: Iterator[Row]
    ignored: tuple[str, ...]


def parse_subscribers(text: Iterable[str]) -> SubscriberFile:
    """Read CSV (csv_rows.read_table). Raises RuleBroken on ``file`` if a column is missing or there twice."""
    table = csv_rows.read_table(text, COLUMNS)
    return SubscriberFile(_rows(table.lines), table.ignored)


def _rows(lines: Iterable[Line]) -> Iterator[Row]:
    lines_of: dict[str, int] = {}
    for line in lines:
        row = _row(line)
        if not row.error and not row.skipped:
            earlier = lines_of.setdefault(row.email.lower(), row.line)
            if earlier != row.line:
                reason = f"This address is in line {earlier} already: please put its whole choice into one row."
                row = Row(row.line, row.email, error=reason)
        yield row


def _row(line: Line) -> Row:
    cells = line.cells
    email = cells.get("email", "")
    try:
        if line.error:
            raise RuleBroken({"": line.error})
        skipped = _skipped(cells)
        if not skipped:
            email = check_email(email)
        kinds = csv_rows.names_in(cells.get("kinds", ""))
        return Row(
            line.number,
            csv_rows.printable(email) if skipped else email,
            csv_rows.names_in(cells.get("components", "")),
            parse_kinds(kinds) if kinds else DEFAULT_KINDS,
            _yes_or_no(cells.get("confirmed", "")),
            skipped=skipped,
        )
    except RuleBroken as broken:
        (sentence,) = broken.errors.values()
        return Row(line.number, csv_rows.printable(email), error=sentence)


def _skipped(cells: Mapping[str, str]) -> str:
    """Say why a row is none for an import, as rows of our own export may be; empty if it is."""
    method, state = cells.get("method", "").lower(), cells.get("state", "").lower()
    if method not in ("", SubscriptionMethod.EMAIL):
        return f"Subscriptions by {csv_rows.printable(method)} are not imported: their owner sets them up again."
    if state not in _LIVING:
        return f"The file says that this one is {csv_rows.printable(state)}."
    if cells.get("components", "") == NO_COMPONENTS:
        return "This one only follows single incidents, which a file does not carry."
    return ""


def _yes_or_no(word: str) -> bool:
    if word.lower() not in (*_YES, *_NO):
        raise RuleBroken({"confirmed": "Please write yes or no into “confirmed”."})
    return word.lower() in _YES


def import_subscribers(rows: Iterable[Row], source: Source, now: datetime) -> Iterator[Result]:
    """Add the subscribers, ask those who are not confirmed; give each row with what became of it.

    A thousand rows are one transaction: after a kill the same file does the rest.
    """
    for batch in csv_rows.batches(rows):
        yield from _import_batch(batch, source, now)


def preview_subscribers(rows: Iterable[Row], source: Source) -> Iterator[Result]:
    """Say of each row what importing it would do. Writes nothing."""
    for batch in csv_rows.batches(rows):
        yield from compare(db.session(), batch, source)


def _import_batch(rows: Sequence[Row], source: Source, now: datetime) -> list[Result]:
    try:
        with transaction(now) as session:
            return take_in(session, rows, source, now)
    except IntegrityError:
        # Somebody signed up between the look and the write: the second look sees them.
        with transaction(now) as session:
            return take_in(session, rows, source, now)


def take_in(session: Session, rows: Sequence[Row], source: Source, now: datetime) -> list[Result]:
    """Import rows as a part of somebody's transaction."""
    # So that no component leaves the page meanwhile, and of two imports at once one waits for the other.
    take_page(session)
    steps = _compare(session, rows, source)
    _write(session, steps, source.origin, now)
    counts = {name: sum(step.result.outcome == name for step in steps) for name in (CREATED, CONFIRMED, ASKED)}
    if any(counts.values()):
        audit(session, source.by, "import_subscribers", "import", "subscribers", now, origin=source.origin, **counts)
    return [step.result for step in steps]


def compare(session: Session, rows: Sequence[Row], source: Source) -> list[Result]:
    """Say of each row what importing it would do."""
    return [step.result for step in _compare(session, rows, source)]


@dataclass(frozen=True, slots=True)
class _Step:
    """A row beside what is known of its address."""

    result: Result
    subscriber_id: str = ""
    is_new: bool = False
    choice: Choice = EVERYTHING


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database says of some addresses, by address in lower case."""

    subscribers: Mapping[str, Any]
    suppressions: Mapping[str, str]
    components: Mapping[str, list[str]]


def _compare(session: Session, rows: Sequence[Row], source: Source) -> list[_Step]:
    keys = [row.email.lower() for row in rows if not row.error and not row.skipped]
    found = select(Subscriber.id, Subscriber.unique_key, Subscriber.state, Subscriber.confirmation_sent_at)
    # Taken, so that nobody confirms or unsubscribes between the look and the write.
    subscribers = session.execute(found.where(Subscriber.unique_key.in_(keys)).with_for_update())
    known = _Known(
        {each.unique_key: each for each in subscribers},
        _suppressions(session, keys, source.secret_keys),
        csv_rows.components_by_name(session),
    )
    return [_step(row, known) for row in rows]


def _suppressions(session: Session, keys: Sequence[str], secret_keys: Sequence[str]) -> dict[str, str]:
    """Return those of the addresses that must be left alone, with the reason, erased ones included."""
    named = {name: key for key in keys for name in suppression_keys(key, secret_keys)}
    query = select(Suppression.address_key, Suppression.reason).where(
        Suppression.address_key.in_(named), Suppression.lifted_at.is_(None)
    )
    return {named[each.address_key]: each.reason for each in session.execute(query)}


def _step(row: Row, known: _Known) -> _Step:
    if row.error:
        return _Step(Result(row.line, row.email, ERROR, row.error))
    if row.skipped:
        return _Step(Result(row.line, row.email, SKIPPED, row.skipped))
    key = row.email.lower()
    subscriber = known.subscribers.get(key)
    state = subscriber.state if subscriber else ""
    left_alone = _LEFT_ALONE.get(state) or _LEFT_ALONE.get(known.suppressions.get(key, ""))
    if left_alone:
        return _Step(Result(row.line, row.email, SKIPPED, left_alone))
    try:
        chosen = csv_rows.choose_components(row.components, known.components) if row.components else None
    except RuleBroken as broken:
        return _Step(Result(row.line, row.email, ERROR, broken.errors["components"]))
    outcome = _outcome(row, subscriber)
    subscriber_id = subscriber.id if subscriber else new_id()
    return _Step(Result(row.line, row.email, outcome), subscriber_id, subscriber is None, Choice(chosen, row.kinds))


def _outcome(row: Row, subscriber: Any) -> str:
    if subscriber is None:
        return CREATED if row.is_confirmed else ASKED
    if subscriber.state != Subscriber.PENDING:
        # Their own choice counts, not the file's.
        return UNCHANGED
    if row.is_confirmed:
        return CONFIRMED
    return UNCHANGED if subscriber.confirmation_sent_at else ASKED


def _write(session: Session, steps: Sequence[_Step], origin: str, now: datetime) -> None:
    written = [step for step in steps if step.result.outcome in (CREATED, CONFIRMED, ASKED)]
    added = [step for step in written if step.is_new]
    changed = [step for step in written if not step.is_new]
    if added:
        session.execute(insert(Subscriber), [_new_columns(step, now) | _columns(step, origin, now) for step in added])
    if changed:
        session.execute(
            update(Subscriber), [{"id": step.subscriber_id} | _columns(step, origin, now) for step in changed]
        )
        ids = [step.subscriber_id for step in changed]
        session.execute(delete(SubscriberComponent).where(SubscriberComponent.subscriber_id.in_(ids)))
    chosen = [
        {"subscriber_id": step.subscriber_id, "component_id": component_id}
        for step in written
        for component_id in sorted(step.choice.component_ids or ())
    ]
    if chosen:
        session.execute(insert(SubscriberComponent), chosen)
    asked = {step.subscriber_id: step.result.email for step in written if step.result.outcome == ASKED}
    announce_to_new_subscribers(session, "confirm_subscription", asked, now)


def _new_columns(step: _Step, now: datetime) -> dict[str, Any]:
    return {"id": step.subscriber_id, "requested_at": now, **identity(step.result.email)}


def _columns(step: _Step, origin: str, now: datetime) -> dict[str, Any]:
    kinds, is_asked = step.choice.kinds, step.result.outcome == ASKED
    return {
        "state": Subscriber.PENDING if is_asked else Subscriber.ACTIVE,
        "source": SOURCE,
        "request_user_agent": origin[:200],
        "confirmation_sent_at": now if is_asked else None,
        "confirmed_at": None if is_asked else now,
        "confirm_user_agent": "" if is_asked else origin[:200],
        "all_components": step.choice.component_ids is None,
        "wants_incidents": SubscriptionKind.INCIDENTS in kinds,
        "wants_maintenance": SubscriptionKind.MAINTENANCE in kinds,
        "wants_component_changes": SubscriptionKind.COMPONENT_CHANGES in kinds,
    }
