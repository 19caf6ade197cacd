"""What can be imported from a CSV file, and how: subscribers and customers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from statuspage.actions import customers, subscriber_import
from statuspage.actions.csv_rows import Columns, Result, Source


@dataclass(frozen=True)
class Kind:
    """One kind of file: how it is read, what its rows would do, and how they are taken in."""

    outcomes: Sequence[str]
    """What may become of a row, in the order it is told."""
    columns: Columns
    parse: Callable[[Iterable[str]], Any]
    """Return ``rows``, made as they are asked for, and ``ignored``. Raises RuleBroken on ``file``."""
    compare: Callable[[Session, Sequence[Any], Source], list[Result]]
    take_in: Callable[[Session, Sequence[Any], Source, datetime], list[Result]]
    """Import rows as a part of a transaction."""
    preview: Callable[[Iterable[Any], Source], Iterator[Result]]
    import_all: Callable[[Iterable[Any], Source, datetime], Iterator[Result]]
    """Import rows in transactions of their own."""


KINDS = {
    "subscribers": Kind(
        subscriber_import.OUTCOMES,
        subscriber_import.COLUMNS,
        subscriber_import.parse_subscribers,
        subscriber_import.compare,
        subscriber_import.take_in,
        subscriber_import.preview_subscribers,
        subscriber_import.import_subscribers,
    ),
    "customers": Kind(
        customers.OUTCOMES,
        customers.COLUMNS,
        customers.parse_customers,
        lambda session, rows, _source: customers.compare(session, rows),
        lambda session, rows, source, now: customers.take_in(session, rows, source.by, now),
        lambda rows, _source: customers.preview_customers(rows),
        lambda rows, _source, now: customers.import_customers(rows, now),
    ),
}
