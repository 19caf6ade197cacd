"""The database: engine options, the one transaction, the UTC column type."""

import contextlib
import fcntl
import sqlite3
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL, Connection, DateTime, Dialect, Engine, Table, TypeDecorator, event, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Session

from statuspage.rules.times import require_utc

BUSY_TIMEOUT_SECONDS = 10
# SQLite looks after 1, 2, 5 and 10 ms.
LOOK_AGAIN_MILLISECONDS = 18


class Base(DeclarativeBase):
    """Every table's parent."""


db = SQLAlchemy(model_class=Base, disable_autonaming=True)


class UtcDateTime(TypeDecorator[datetime]):
    """A column of aware UTC datetimes; anything else raises ValueError.

    PostgreSQL keeps ``timestamptz``; SQLite keeps the UTC wall time as text.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Choose the column's type for this database."""
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Check a value on its way in."""
        if value is None:
            return None
        require_utc(value)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Make a value aware on its way out."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def engine_url(database_url: str) -> URL:
    """Return SQLAlchemy's address of the database; an embedded one is opened, never made.

    A file that is missing for a moment must not come back as an empty one: its
    write-ahead log would be replayed into the database that is moved back.
    """
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return url
    return url.set(
        database=f"file:{quote(str(Path(str(url.database)).absolute()))}", query={"mode": "rw", "uri": "true"}
    )


def make_file(engine: Engine) -> None:
    """Make the file of an embedded database, empty, unless it is there."""
    if engine.dialect.name == "sqlite" and engine.url.database:
        Path(unquote(engine.url.database.removeprefix("file:"))).touch(mode=0o600)


@contextlib.contextmanager
def one_at_a_time(engine: Engine) -> Iterator[None]:
    """Keep other processes from migrating an embedded database meanwhile (PostgreSQL has a lock of its own)."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        yield
        return
    with Path(unquote(engine.url.database.removeprefix("file:")) + ".migrating").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def engine_options(database_url: str) -> dict[str, Any]:
    """Return SQLAlchemy's engine options for this database."""
    if database_url.startswith("sqlite:"):
        return {"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}}
    return {
        "pool_pre_ping": True,
        # As many as the web server has threads; whoever waits longer is told to come again.
        "pool_size": 8,
        "max_overflow": 8,
        "pool_timeout": 5,
        "pool_recycle": 1800,
        "connect_args": {"options": "-c timezone=UTC"},
    }


@event.listens_for(Engine, "do_connect")
def _connect(dialect: Dialect, _record: Any, arguments: Sequence[Any], named: dict[str, Any]) -> Any:
    """Connect to PostgreSQL so that a server that does not answer holds nobody for minutes."""
    if dialect.name != "postgresql":
        return None
    # Only this kind of database needs its driver.
    from statuspage import driver

    return driver.Connection.connect(*arguments, **{"connect_timeout": driver.CONNECT_SECONDS, **named})


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, _record: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    # Python's driver would begin transactions by itself, and too late: we do it below.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        # WAL with NORMAL may lose the last commits at a power cut; what was said "posted" must stay.
        "synchronous=FULL",
        # 16 MB: in bulk work a page is written many times before it is copied into the database.
        "wal_autocheckpoint=4000",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # IMMEDIATE takes the write lock at once: no reader ever fails while turning into a writer.
        if connection.get_execution_options().get("statuspage_writes"):
            _take_write_lock(connection)
        else:
            connection.exec_driver_sql("BEGIN DEFERRED")


def _take_write_lock(connection: Connection) -> None:
    """Begin as soon as no other process writes.

    SQLite itself looks only every 100 ms after a while: whoever writes
    without end, with short pauses, would keep everybody else out.
    """
    raw: Any = connection.connection.dbapi_connection
    end = time.monotonic() + BUSY_TIMEOUT_SECONDS
    raw.execute(f"PRAGMA busy_timeout={LOOK_AGAIN_MILLISECONDS}")
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                    raise
            else:
                return
    finally:
        raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}")


# Under this name a session knows the id of the API token whose request it serves.
API_KEY_ID = "api_key_id"


@contextlib.contextmanager
def transaction(now: datetime) -> Iterator[Session]:
    """Run the block in one transaction: commit at its end, roll back if it raises.

    The only place that commits. Any read transaction that is still open is
    ended first, so that the block sees the present state. Transactions don't
    nest. Raises ValueError unless ``now`` is an aware UTC datetime.
    """
    require_utc(now)
    session = db.session()
    if session.info.get("in_transaction"):
        raise RuntimeError("transactions don't nest: an action calls no other action")
    session.rollback()
    session.info["in_transaction"] = True
    try:
        session.connection(execution_options={"statuspage_writes": True})
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info["in_transaction"] = False


def one_by_one(session: Session, name: str) -> None:
    """Let transactions that say the same name pass one after the other, from here to their end.

    For counting what no unique key can count. SQLite has one writer anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def insert_once(session: Session, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless its unique key is taken; tell whether it was inserted.

    The claim of the house: of any number that try, exactly one succeeds.
    """
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    # RETURNING tells on both databases; the row count of an INSERT is not promised by every driver.
    statement = insert(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key)
    return session.execute(statement).first() is not None


def insert_missing(session: Session, table: Table, rows: Sequence[dict[str, Any]], unique: str) -> set[str]:
    """Insert those rows whose unique key is not taken; return the keys, from the column ``unique``, of those inserted.

    In the order of the keys: two transactions that bring the same rows don't wait for each other in a circle.
    """
    if not rows:
        return set()
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    # The rows as parameters of one short statement: written out, it takes longer to compile than to run.
    statement = insert(table).on_conflict_do_nothing().returning(table.c[unique])
    return set(session.execute(statement, sorted(rows, key=lambda row: str(row[unique]))).scalars())
