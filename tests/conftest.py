"""What most tests stand on: settings, a migrated database of each kind, an application."""

import asyncio
import gc
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import create_engine

from statuspage import schema
from statuspage.actions import people
from statuspage.app import _configuration, create_app
from statuspage.db import Base, db
from statuspage.settings import Settings, load
from statuspage.web.console import counting
from tests import nursery as nursery_module
from tests import servers
from tests.nursery import Nursery

# Twenty times as fast as TRUNCATE where most tables are empty; without the triggers that keep ledgers.
EMPTY_EVERY_TABLE = "; ".join(
    [
        "SET LOCAL session_replication_role = replica",
        *(f"DELETE FROM {table.name}" for table in Base.metadata.sorted_tables),
        "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'",
    ]
)

# The databases are asked to be on the disk at every commit; in memory nobody waits for that.
MEMORY, ENOUGH_BYTES = Path("/dev/shm"), 2 * 1024**3
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


def unavailable(reason: str) -> None:
    """Skip a test whose server is not installed; where CI=true that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash quickly: what the real parameters cost is no test's business, and every account would pay for it."""
    monkeypatch.setattr(people, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


@pytest.fixture(autouse=True)
def no_loop_of_the_browsers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let code run loops of its own: Playwright leaves its one running between the tests of a process."""
    running = asyncio._get_running_loop()
    if "chromium" not in request.fixturenames:
        asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(running)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where a test gets its processes of the service from, when their start is not what it is about."""
    with nursery_module.opened(tmp_path_factory.mktemp("nursery")) as opened:
        yield opened


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated empty SQLite file, to be copied for each test."""
    file = tmp_path_factory.mktemp("migrated") / "statuspage.db"
    engine = create_engine(f"sqlite:///{file}")
    schema.migrate(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return file


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A PostgreSQL server of this test process; the address of its empty database."""
    programs = servers.postgresql_programs()
    if programs is None:
        unavailable("PostgreSQL is not installed: install Debian's package postgresql (or any with initdb and pg_ctl)")
        raise AssertionError
    with servers.postgresql(programs) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: str) -> str:
    engine = create_engine(postgresql_server.replace("postgresql:", "postgresql+psycopg:", 1))
    schema.migrate(engine)
    engine.dispose()
    return postgresql_server


# Tests of whole processes: they take long, and sleep most of the time.
LONG = ("tests/faults/", "tests/browser/", "tests/test_cli.py")
# One service for all tests of the module: they stay together.
TOGETHER = "tests/faults/test_running_service.py"


def pytest_collection_finish() -> None:
    """Look for garbage less often, and not among what stays: with the usual threshold that takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deal the long tests out, and to each worker first: none is left alone with one when the others are done."""
    hands: int = getattr(config, "workerinput", {}).get("workercount", 1)
    long = [item for item in items if item.nodeid.startswith(LONG) and not item.nodeid.startswith(TOGETHER)]
    are_long = set(long)
    short = [item for item in items if item not in are_long]
    # xdist gives each worker one stretch of the list.
    share = -(-len(short) // hands)
    items[:] = [
        item for hand in range(hands) for item in (*long[hand::hands], *short[hand * share : (hand + 1) * share])
    ]


# Views only call actions, and pages only read, which both do on both databases in their own tests. What is typed by
# strangers, posted by many at once, or kept between publications is tried on both all the same.
ON_SQLITE = ("web", "site", "browser")
ON_BOTH = {"test_api_hostile", "test_hooks", "test_publisher", "test_shelf"}
# What is done when the database is gone.
WITH_NEITHER = "test_break_glass"
# PostgreSQL refuses what SQLite takes.
ON_POSTGRESQL = ("hostile",)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that has a database on SQLite and on PostgreSQL, most of those of views on SQLite alone."""
    chosen = any(mark.args[0] == "database_url" for mark in metafunc.definition.iter_markers("parametrize"))
    if "database_url" not in metafunc.fixturenames or chosen:
        return
    _, room, name = ("." + metafunc.module.__name__).rsplit(".", 2)
    kinds = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
    if room in ON_POSTGRESQL:
        kinds = kinds[1:]
    elif (room in ON_SQLITE and name not in ON_BOTH) or name == WITH_NEITHER:
        kinds = kinds[:1]
    metafunc.parametrize("database_url", kinds, indirect=True)


@pytest.fixture(scope="session")
def sqlite_file(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this process's embedded database lies; each test finds a fresh one there."""
    return tmp_path_factory.mktemp("database") / migrated_sqlite.name


@pytest.fixture(scope="session")
def emptied_postgresql(migrated_postgresql: str) -> Iterator[Callable[[], None]]:
    """Return a way to delete every row."""
    engine = create_engine(migrated_postgresql.replace("postgresql:", "postgresql+psycopg:", 1))

    def empty() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql(EMPTY_EVERY_TABLE)

    yield empty
    engine.dispose()


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database without rows, of each kind in turn."""
    if request.param == "sqlite":
        file: Path = request.getfixturevalue("sqlite_file")
        # A new file each time: whoever still holds the last one, holds it alone.
        for old in file.parent.glob(f"{file.name}*"):
            old.unlink()
        shutil.copy(request.getfixturevalue("migrated_sqlite"), file)
        yield f"sqlite:///{file}"
        return
    url: str = request.getfixturevalue("migrated_postgresql")
    empty: Callable[[], None] = request.getfixturevalue("emptied_postgresql")
    yield url
    empty()


@pytest.fixture
def environ(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment variables of a test's installation."""
    return {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path / "var"),
        "SECRET_KEY": "a key for the tests that is long enough to be taken",
        "PUBLIC_URL": "http://status.example.com",
    }


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return load(environ)


@dataclass(frozen=True)
class Kept:
    """An application that many tests use one after the other, and what it was when it was made."""

    app: Flask
    config: dict[str, Any]
    extensions: dict[str, Any]


@pytest.fixture(scope="session")
def applications() -> Iterator[dict[str, Kept]]:
    """This process's applications by the address of their database."""
    kept: dict[str, Kept] = {}
    yield kept
    for each in kept.values():
        with each.app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(settings: Settings, applications: dict[str, Kept]) -> Iterator[Flask]:
    """An application on a migrated database without rows, its context open.

    The routes, the compiled templates and statements are those of the tests before; the settings are this
    test's, and nothing was counted yet. Who adds a route makes an application of its own.
    """
    url = settings.database_url
    if url not in applications:
        made = create_app(settings)
        applications[url] = Kept(made, dict(made.config), dict(made.extensions))
    kept = applications[url]
    made = kept.app
    made.config.clear()
    made.config.update(kept.config | _configuration(settings))
    made.extensions.clear()
    made.extensions.update(kept.extensions)
    counting.install(made)
    with made.app_context():
        yield made
        db.session.remove()
        # Of SQLite the file is another one for the next test.
        db.engine.dispose()
