"""What every import by CSV has in common: reading, batches, results; and cells that a spreadsheet does not obey.

A row that can't be taken is reported with its line and stops no other.
"""

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.models import Component
from statuspage.rules.vocabulary import RuleBroken

AnyRow = TypeVar("AnyRow")

# Rows to a transaction: others wait no longer than one of these takes, a fifth of a second on SQLite.
BATCH = 1_000
NOT_UTF8 = "This is not UTF-8: please save the file as “CSV UTF-8”."
TOO_MANY_CELLS = "There are more cells than columns: is a separator within a cell not in quotes?"

_FORMULA = re.compile("'*[=+\\-@\t\r]")


@dataclass(frozen=True, slots=True)
class Line:
    """One row as it stands in the file; rows without any text are left out."""

    number: int
    cells: Mapping[str, str]
    """Column to text, without the blanks around it."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that an import reads; the others are ignored."""

    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every column that is read."""
        return (*self.needed, *self.optional)


@dataclass(frozen=True)
class Table:
    """A file of rows, and the columns that nobody reads."""

    lines: Iterator[Line]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one row, or would."""

    line: int
    email: str
    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from, and whose installation it is brought into."""

    origin: str
    """Kept as the evidence of consent: whose file said so."""
    by: str | None = None
    """The account that brought it; None for a program."""
    secret_keys: tuple[str, ...] = ()
    """The present one and its fallbacks: what is known of people whose data was erased is hashed with them."""


def read_table(text: Iterable[str], columns: Columns) -> Table:
    """Read CSV with commas, semicolons or tabs between its cells; the header row names the columns.

    Give it text that was opened with ``newline=""`` and ``errors="replace"``.
    Raises RuleBroken on ``file`` if a column is missing or there twice.
    """
    lines = iter(text)
    # Some programs begin the file with a byte-order mark.
    first = next(lines, "").removeprefix("\ufeff")
    delimiter = max(",;\t", key=first.count)
    # Strict: a quotation mark that is never closed is an error, not a cell that eats the rest of the file.
    reader = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
    try:
        header = [unquoted(cell.strip()).lower() for cell in next(reader, [])]
    except csv.Error as error:
        raise RuleBroken({"file": f"The header row can't be read: {error}."}) from None
    for column in columns.all:
        if column in columns.needed and column not in header:
            raise RuleBroken({"file": f"The first row must name the columns; there is none called “{column}”."})
        if header.count(column) > 1:
            raise RuleBroken({"file": f"There are two columns called “{column}”."})
    ignored = tuple(printable(column) for column in header if column and column not in columns.all)
    return Table(_lines(reader, header, columns), ignored)


def _lines(reader: Any, header: Sequence[str], columns: Columns) -> Iterator[Line]:
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(number, {}, f"This row can't be read: {error}.")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        # Programs leave out empty cells at the end of a row.
        named = dict(zip(header, cells + [""] * len(header), strict=False))
        read = {column: unquoted(named[column].strip()) for column in columns.all if column in named}
        wrong = ""
        if any(cell.strip() for cell in cells[len(header) :]):
            wrong = TOO_MANY_CELLS
        elif any("\ufffd" in cell for cell in read.values()):
            wrong = NOT_UTF8
        yield Line(number, read, wrong)


def names_in(cell: str) -> tuple[str, ...]:
    """Return what a cell lists with ``;`` or ``|`` between, each once."""
    parts = (part.strip() for part in re.split("[;|]", cell))
    return tuple(dict.fromkeys(part for part in parts if part))


def printable(text: str) -> str:
    """Cut what a stranger's file says, and take out what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:100])


def quoted(text: str) -> str:
    """Return a cell that a spreadsheet shows and does not calculate (CWE-1236)."""
    return f"'{text}" if _FORMULA.match(text) else text


def unquoted(text: str) -> str:
    """Return what a cell said before it was ``quoted``."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def batches(rows: Iterable[AnyRow]) -> Iterator[list[AnyRow]]:
    """Divide rows into the transactions they are taken in by."""
    left = iter(rows)
    return iter(lambda: list(itertools.islice(left, BATCH)), [])


def components_by_name(session: Session) -> Mapping[str, list[str]]:
    """Return every name and every id with the components it may mean."""
    found: dict[str, list[str]] = {}
    for component_id, name in session.execute(
        select(Component.id, Component.name).where(Component.archived_at.is_(None))
    ):
        found[component_id] = [component_id]
        found.setdefault(name.casefold(), []).append(component_id)
    return found


def choose_components(names: Sequence[str], there: Mapping[str, list[str]]) -> frozenset[str]:
    """Return the ids of the components that are named. Raises RuleBroken on ``components``."""
    found = {name: there.get(name, there.get(name.casefold(), [])) for name in names}
    unknown = ", ".join(f"“{printable(name)}”" for name, ids in found.items() if not ids)
    if unknown:
        raise RuleBroken({"components": f"There is no component called {unknown}."})
    several = ", ".join(f"“{name}”" for name, ids in found.items() if len(ids) > 1)
    if several:
        raise RuleBroken({"components": f"Several components are called {several}: please give the id."})
    return frozenset(component_id for ids in found.values() for component_id in ids)
