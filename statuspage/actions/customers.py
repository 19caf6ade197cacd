"""Customers: the people who use certain components, brought in from a CSV file or by the API.

A row that can't be taken is reported with its line and stops no other;
importing the same file again changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from statuspage.actions import csv_rows
from statuspage.actions.csv_rows import Line, Result
from statuspage.actions.ledger import audit, take_page
from statuspage.actions.people import check_email
from statuspage.actions.subscriber_admin import check_components
from statuspage.db import db, transaction
from statuspage.models import Customer, CustomerComponent, Delivery, new_id
from statuspage.rules.messages import check_line
from statuspage.rules.vocabulary import NotFound, RuleBroken

CREATED, UPDATED, UNCHANGED, ERROR = OUTCOMES = ("created", "updated", "unchanged", "error")

NAME_LIMIT = 200
COLUMNS = csv_rows.Columns(("email", "components"), ("name",))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the file, checked as far as that goes without the database."""

    line: int
    email: str
    name: str | None
    """None if the file has no such column: the names there are stay."""
    components: tuple[str, ...]
    """Names or ids; none stands for all components of the page."""
    error: str = ""


@dataclass(frozen=True)
class CustomerFile:
    """A file of customers: its rows, and the columns that nobody reads."""

    rows: Iterator[Row]
    ignored: tuple[str, ...]


def parse_customers(text: Iterable[str]) -> CustomerFile:
    """Read CSV (csv_rows.read_table). Raises RuleBroken on ``file`` if a column is missing or there twice."""
    table = csv_rows.read_table(text, COLUMNS)
    return CustomerFile(_rows(table.lines), table.ignored)


def _rows(lines: Iterable[Line]) -> Iterator[Row]:
    lines_of: dict[str, int] = {}
    for line in lines:
        row = _row(line)
        if not row.error:
            earlier = lines_of.setdefault(row.email.lower(), row.line)
            if earlier != row.line:
                reason = f"This address is in line {earlier} already: please put all its components into one row."
                row = Row(row.line, row.email, None, (), reason)
        yield row


def _row(line: Line) -> Row:
    email = line.cells.get("email", "")
    try:
        if line.error:
            raise RuleBroken({"": line.error})
        email = check_email(email)
        name = line.cells.get("name")
        if name:
            name = check_line("name", name, NAME_LIMIT)
    except RuleBroken as broken:
        ((field, sentence),) = broken.errors.items()
        shown = csv_rows.printable(email)
        return Row(line.number, shown, None, (), f"Name: {sentence}" if field == "name" else sentence)
    return Row(line.number, email, name, csv_rows.names_in(line.cells["components"]))


def import_customers(rows: Iterable[Row], now: datetime) -> Iterator[Result]:
    """Add the customers, or change their names and components; give each row with what became of it.

    A thousand rows are one transaction: after a kill the same file does the rest.
    """
    for batch in csv_rows.batches(rows):
        yield from _import_batch(batch, now)


def preview_customers(rows: Iterable[Row]) -> Iterator[Result]:
    """Say of each row what importing it would do. Writes nothing."""
    for batch in csv_rows.batches(rows):
        yield from compare(db.session(), batch)


@dataclass(frozen=True, slots=True)
class _Change:
    """A row beside what is known of its address."""

    result: Result
    customer_id: str = ""
    name: str = ""
    component_ids: frozenset[str] = frozenset()


def _import_batch(rows: Sequence[Row], now: datetime) -> list[Result]:
    with transaction(now) as session:
        return take_in(session, rows, None, now)


def take_in(session: Session, rows: Sequence[Row], by: str | None, now: datetime) -> list[Result]:
    """Import rows as a part of somebody's transaction."""
    # So that no component leaves the page meanwhile, and of two imports at once one waits for the other.
    take_page(session)
    changes = _compare(session, rows)
    created = [change for change in changes if change.result.outcome == CREATED]
    updated = [change for change in changes if change.result.outcome == UPDATED]
    if created or updated:
        _write(session, created, updated, now)
        counts = {CREATED: len(created), UPDATED: len(updated)}
        audit(session, by, "import_customers", "import", "customers", now, **counts)
    return [change.result for change in changes]


def compare(session: Session, rows: Sequence[Row]) -> list[Result]:
    """Say of each row what importing it would do."""
    return [change.result for change in _compare(session, rows)]


def _compare(session: Session, rows: Sequence[Row]) -> list[_Change]:
    keys = [row.email.lower() for row in rows if not row.error]
    known = {each.email_key: each for each in session.execute(_known(keys))}
    used: dict[str, set[str]] = {}
    ids = [each.id for each in known.values()]
    for customer_id, component_id in session.execute(
        select(CustomerComponent.customer_id, CustomerComponent.component_id).where(
            CustomerComponent.customer_id.in_(ids)
        )
    ):
        used.setdefault(customer_id, set()).add(component_id)
    there = csv_rows.components_by_name(session)
    return [_change(row, known.get(row.email.lower()), used, there) for row in rows]


def _known(keys: Sequence[str]) -> Any:
    return select(Customer.id, Customer.email, Customer.email_key, Customer.name).where(Customer.email_key.in_(keys))


def _change(row: Row, known: Any, used: Mapping[str, set[str]], there: Mapping[str, list[str]]) -> _Change:
    if row.error:
        return _Change(Result(row.line, row.email, ERROR, row.error))
    try:
        component_ids = _choose(row.components, there)
    except RuleBroken as broken:
        return _Change(Result(row.line, row.email, ERROR, broken.errors["components"]))
    if known is None:
        return _Change(Result(row.line, row.email, CREATED), new_id(), row.name or "", component_ids)
    name = known.name if row.name is None else row.name
    before = (known.email, known.name, frozenset(used.get(known.id, ())))
    same = before == (row.email, name, component_ids)
    return _Change(Result(row.line, row.email, UNCHANGED if same else UPDATED), known.id, name, component_ids)


def _choose(names: Sequence[str], there: Mapping[str, list[str]]) -> frozenset[str]:
    """Return the ids of the components that are named, or of all. Raises RuleBroken on ``components``."""
    if names:
        return csv_rows.choose_components(names, there)
    return frozenset(component_id for ids in there.values() for component_id in ids)


def _write(session: Session, created: Sequence[_Change], updated: Sequence[_Change], now: datetime) -> None:
    if created:
        session.execute(insert(Customer), [_columns(change, now) | {"created_at": now} for change in created])
    if updated:
        session.execute(update(Customer), [_columns(change, now) for change in updated])
        ids = [change.customer_id for change in updated]
        session.execute(delete(CustomerComponent).where(CustomerComponent.customer_id.in_(ids)))
    uses = [
        {"customer_id": change.customer_id, "component_id": component_id}
        for change in (*created, *updated)
        for component_id in sorted(change.component_ids)
    ]
    if uses:
        session.execute(insert(CustomerComponent), uses)


def _columns(change: _Change, now: datetime) -> dict[str, Any]:
    email = change.result.email
    return {
        "id": change.customer_id,
        "email": email,
        "email_key": email.lower(),
        "name": change.name,
        "updated_at": now,
    }


def put_customer(email: str, name: str, component_ids: Sequence[str], now: datetime) -> tuple[str, bool]:
    """Add a customer, or replace the one with this address. Return the id, and whether it is new.

    Raises RuleBroken on ``email``, ``name`` or ``component_ids``.
    """
    address = check_email(email)
    shown = check_line("name", name, NAME_LIMIT) if name.strip() else ""
    with transaction(now) as session:
        take_page(session)
        chosen = frozenset(component_ids)
        check_components(session, chosen)
        known = session.execute(_known([address.lower()])).first()
        customer_id = known.id if known else new_id()
        change = _Change(Result(0, address, UPDATED if known else CREATED), customer_id, shown, chosen)
        _write(session, [] if known else [change], [change] if known else [], now)
        audit(session, None, "edit" if known else "add", "customer", customer_id, now)
        return customer_id, known is None


def delete_customer(customer_id: str, now: datetime) -> None:
    """Forget a customer: mail that waits is cancelled, and the log of mails loses the name. Raises NotFound."""
    with transaction(now) as session:
        customer = session.get(Customer, customer_id, with_for_update=True)
        if customer is None:
            raise NotFound("customer")
        theirs = Delivery.customer_id == customer_id
        waiting = Delivery.state.in_((Delivery.QUEUED, Delivery.LEASED, Delivery.UNKNOWN))
        session.execute(
            update(Delivery).where(theirs, waiting).values(state=Delivery.CANCELLED, settled_at=now, lease_until=None)
        )
        session.execute(update(Delivery).where(theirs).values(customer_id=None))
        session.execute(delete(CustomerComponent).where(CustomerComponent.customer_id == customer_id))
        session.execute(delete(Customer).where(Customer.id == customer_id))
        audit(session, None, "delete", "customer", customer_id, now)
