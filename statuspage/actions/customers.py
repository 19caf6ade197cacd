"""Customers: the people who use certain components, brought in from a CSV file.

A row that can't be taken is reported with its line and stops no other;
importing the same file again changes nothing.
"""

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit, take_page
from statuspage.actions.people import check_email
from statuspage.db import db, transaction
from statuspage.models import Component, Customer, CustomerComponent, new_id
from statuspage.rules.messages import check_line
from statuspage.rules.vocabulary import RuleBroken

CREATED, UPDATED, UNCHANGED, ERROR = OUTCOMES = ("created", "updated", "unchanged", "error")

# Rows to a transaction: others wait no longer than one of these takes, a fifth of a second on SQLite.
BATCH = 1_000
NAME_LIMIT = 200
_NEEDED, _OPTIONAL = ("email", "components"), ("name",)


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


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one row, or would."""

    line: int
    email: str
    outcome: str
    reason: str = ""


def parse_customers(lines: Iterable[str]) -> CustomerFile:
    """Read CSV with commas, semicolons or tabs between its cells; the header row names the columns.

    Give it text that was opened with ``newline=""`` and ``errors="replace"``.
    Raises RuleBroken on ``file`` if a column is missing or there twice.
    """
    text = iter(lines)
    # Some programs begin the file with a byte-order mark.
    first = next(text, "").removeprefix("\ufeff")
    delimiter = max(",;\t", key=first.count)
    # Strict: a quotation mark that is never closed is an error, not a cell that eats the rest of the file.
    reader = csv.reader(itertools.chain([first], text), delimiter=delimiter, strict=True)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
    except csv.Error as error:
        raise RuleBroken({"file": f"The header row can't be read: {error}."}) from None
    for column in (*_NEEDED, *_OPTIONAL):
        if column in _NEEDED and column not in header:
            raise RuleBroken({"file": f"The first row must name the columns; there is none called “{column}”."})
        if header.count(column) > 1:
            raise RuleBroken({"file": f"There are two columns called “{column}”."})
    ignored = tuple(_printable(column) for column in header if column and column not in (*_NEEDED, *_OPTIONAL))
    return CustomerFile(_rows(reader, header), ignored)


def _rows(reader: Any, header: Sequence[str]) -> Iterator[Row]:
    lines_of: dict[str, int] = {}
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, "", None, (), f"This row can't be read: {error}.")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        row = _row(line, cells, header)
        if not row.error:
            earlier = lines_of.setdefault(row.email.lower(), line)
            if earlier != line:
                reason = f"This address is in line {earlier} already: please put all its components into one row."
                row = Row(line, row.email, None, (), reason)
        yield row


def _row(line: int, cells: list[str], header: Sequence[str]) -> Row:
    # Programs leave out empty cells at the end of a row.
    named = dict(zip(header, cells + [""] * len(header), strict=False))
    email = named["email"].strip()
    try:
        if any(cell.strip() for cell in cells[len(header) :]):
            raise RuleBroken({"": "There are more cells than columns: is a separator within a cell not in quotes?"})
        if any("\ufffd" in named.get(column, "") for column in (*_NEEDED, *_OPTIONAL)):
            raise RuleBroken({"": "This is not UTF-8: please save the file as “CSV UTF-8”."})
        email = check_email(email)
        name = named.get("name")
        if name is not None:
            name = check_line("name", name, NAME_LIMIT) if name.strip() else ""
    except RuleBroken as broken:
        ((field, sentence),) = broken.errors.items()
        return Row(line, _printable(email), None, (), f"Name: {sentence}" if field == "name" else sentence)
    components = (part.strip() for part in re.split("[;|]", named["components"]))
    return Row(line, email, name, tuple(dict.fromkeys(part for part in components if part)))


def _printable(text: str) -> str:
    """Cut what a stranger's file says, and take out what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:100])


def import_customers(rows: Iterable[Row], now: datetime) -> Iterator[Result]:
    """Add the customers, or change their names and components; give each row with what became of it.

    A thousand rows are one transaction: after a kill the same file does the rest.
    """
    for batch in _batches(rows):
        yield from _import_batch(batch, now)


def preview_customers(rows: Iterable[Row]) -> Iterator[Result]:
    """Say of each row what importing it would do. Writes nothing."""
    for batch in _batches(rows):
        yield from [change.result for change in _compare(db.session(), batch)]


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    return iter(lambda: list(itertools.islice(left, BATCH)), [])


@dataclass(frozen=True, slots=True)
class _Change:
    """A row beside what is known of its address."""

    result: Result
    customer_id: str = ""
    name: str = ""
    component_ids: frozenset[str] = frozenset()


def _import_batch(rows: Sequence[Row], now: datetime) -> list[Result]:
    with transaction(now) as session:
        # So that no component leaves the page meanwhile, and of two imports at once one waits for the other.
        take_page(session)
        changes = _compare(session, rows)
        created = [change for change in changes if change.result.outcome == CREATED]
        updated = [change for change in changes if change.result.outcome == UPDATED]
        if created or updated:
            _write(session, created, updated, now)
            counts = {CREATED: len(created), UPDATED: len(updated)}
            audit(session, None, "import_customers", "import", "customers", now, **counts)
        return [change.result for change in changes]


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
    there = _components(session)
    return [_change(row, known.get(row.email.lower()), used, there) for row in rows]


def _known(keys: Sequence[str]) -> Any:
    return select(Customer.id, Customer.email, Customer.email_key, Customer.name).where(Customer.email_key.in_(keys))


def _components(session: Session) -> Mapping[str, list[str]]:
    """Every name and every id to the components it may mean."""
    found: dict[str, list[str]] = {}
    for component_id, name in session.execute(
        select(Component.id, Component.name).where(Component.archived_at.is_(None))
    ):
        found[component_id] = [component_id]
        found.setdefault(name.casefold(), []).append(component_id)
    return found


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
    """Return the ids of the components that are named. Raises RuleBroken on ``components``."""
    found = {name: there.get(name, there.get(name.casefold(), [])) for name in names}
    unknown = ", ".join(f"“{_printable(name)}”" for name, ids in found.items() if not ids)
    if unknown:
        raise RuleBroken({"components": f"There is no component called {unknown}."})
    several = ", ".join(f"“{name}”" for name, ids in found.items() if len(ids) > 1)
    if several:
        raise RuleBroken({"components": f"Several components are called {several}: please give the id."})
    chosen = found.values() if names else there.values()
    return frozenset(component_id for ids in chosen for component_id in ids)


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
