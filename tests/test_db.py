"""The database: the schema is what the migrations make, time is UTC, a transaction is whole."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import create_engine, event, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from statuspage import schema
from statuspage.actions import escalation, maintenance_clock
from statuspage.db import Base, db, insert_once, transaction
from statuspage.models import Component, FormSubmission, Heartbeat, Update
from tests import builders


def test_the_migrations_make_the_schema_of_the_models(app: Flask) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    assert len(set(schema.versions(db.engine))) == 1


def test_every_check_of_the_models_is_in_the_database(app: Flask) -> None:
    found = inspect(db.engine)
    for table in Base.metadata.sorted_tables:
        named = {constraint["name"] for constraint in found.get_check_constraints(table.name)}
        wanted = {str(each.name) for each in table.constraints if type(each).__name__ == "CheckConstraint"}
        assert {name.removeprefix(f"ck_{table.name}_") for name in wanted} == {
            str(name).removeprefix(f"ck_{table.name}_") for name in named
        }, table.name


def test_migrating_again_changes_nothing(app: Flask) -> None:
    before = schema.versions(db.engine)
    schema.migrate(db.engine)
    assert schema.versions(db.engine) == before


def test_the_embedded_database_keeps_what_it_said_it_keeps(app: Flask) -> None:
    if db.engine.dialect.name != "sqlite":
        return
    pragmas = {
        name: db.session.execute(text(f"PRAGMA {name}")).scalar()
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


def test_a_row_that_points_nowhere_is_refused(app: Flask, now: datetime) -> None:
    orphan = Component(name="Lost", group_id="nosuchgroup0", position=1, created_at=now, updated_at=now)
    with pytest.raises(IntegrityError), transaction(now) as session:
        session.add(orphan)


@pytest.mark.parametrize(
    "instant",
    [datetime(2026, 11, 21, 14, 0), datetime(2026, 11, 21, 14, 0, tzinfo=timezone(timedelta(hours=1)))],  # noqa: DTZ001
)
def test_only_aware_utc_instants_get_in(instant: datetime, app: Flask, now: datetime) -> None:
    with pytest.raises(StatementError, match="aware UTC"), transaction(now) as session:
        session.add(Heartbeat(name="worker", beat_at=instant))
        session.flush()
    with pytest.raises(ValueError, match="aware UTC"), transaction(instant):
        pass


def test_instants_come_back_as_they_went_in(app: Flask) -> None:
    instant = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
    with transaction(instant) as session:
        session.add(Heartbeat(name="worker", beat_at=instant))
    db.session.expire_all()
    found = db.session.get_one(Heartbeat, "worker").beat_at
    assert (found, found.utcoffset()) == (instant, timedelta(0))


def test_a_transaction_that_raises_leaves_nothing(app: Flask, now: datetime) -> None:
    with pytest.raises(RuntimeError, match="half"), transaction(now) as session:
        session.add(Heartbeat(name="worker", beat_at=now))
        session.flush()
        raise RuntimeError("half way")
    assert db.session.get(Heartbeat, "worker") is None


def test_transactions_do_not_nest(app: Flask, now: datetime) -> None:
    with pytest.raises(RuntimeError, match="don't nest"), transaction(now), transaction(now):
        pass
    with transaction(now):
        pass


def test_of_any_number_of_claims_one_succeeds(app: Flask, now: datetime) -> None:
    builders.page(now)
    by = builders.account(now)
    row = {"nonce": "one", "account_id": by, "result_id": "abcabcabcabc", "digest": "", "submitted_at": now}
    with transaction(now) as session:
        claims = [insert_once(session, FormSubmission.__table__, row) for _ in range(3)]
    assert claims == [True, False, False]


def test_a_resolved_incident_without_its_time_is_refused_by_the_database_itself(app: Flask, now: datetime) -> None:
    builders.page(now)
    incident_id = builders.declared(builders.account(now), {builders.component(now): "outage"}, now)
    with pytest.raises(IntegrityError), transaction(now) as session:
        session.execute(text("UPDATE incidents SET stage = 'resolved' WHERE id = :id"), {"id": incident_id})


def test_two_updates_of_an_incident_can_not_be_the_same_in_order(app: Flask, now: datetime) -> None:
    builders.page(now)
    by = builders.account(now)
    component = builders.component(now)
    incident_id = builders.acknowledged(by, {component: "outage"}, now)
    first = db.session.scalars(select(Update)).one()
    twin = Update(
        incident_id=incident_id, sequence=first.sequence, kind=first.kind, stage=first.stage, body="", body_html="",
        component_states=[], posted_at=now, created_at=now,
    )  # fmt: skip
    with pytest.raises(IntegrityError), transaction(now) as session:
        session.add(twin)


def test_a_database_of_before_the_first_migration_is_brought_up(tmp_path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    assert schema.versions(engine)[0] is None
    schema.migrate(engine)
    present, newest = schema.versions(engine)
    assert present == newest
    engine.dispose()


LEDGER_ROW = (
    "INSERT INTO audit_entries (acted_at, action, object_kind, object_id, detail) VALUES (:now, 'a', 'b', 'c', '{}')"
)


@pytest.mark.parametrize("act", ["DELETE FROM audit_entries", "UPDATE audit_entries SET action = 'other'"])
def test_the_database_itself_refuses_to_rewrite_a_ledger(act: str, app: Flask, now: datetime) -> None:
    with transaction(now) as session:
        session.execute(text(LEDGER_ROW), {"now": now.isoformat()})
    with pytest.raises(DBAPIError, match="kept as they are"), transaction(now) as session:
        session.execute(text(act))
    assert db.session.scalar(text("SELECT action FROM audit_entries")) == "a"


def test_mails_of_the_first_schema_come_along_with_their_incident(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    config = schema._config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    at = "2026-11-21 14:00:00.000000"
    with engine.begin() as connection:
        for row in (
            (
                f"INSERT INTO incidents (id, title, visibility, stage, started_at, declared_at, post_mortem, version, "
                f"created_at, updated_at) VALUES ('i', 't', 'public', 'investigating', '{at}', '{at}', '', 1, '{at}', '{at}')"
            ),
            (
                f"INSERT INTO updates (id, incident_id, sequence, kind, stage, body, body_html, component_states, posted_at, "
                f"created_at) VALUES ('u', 'i', 1, 'acknowledge', 'investigating', '', '', '[]', '{at}', '{at}')"
            ),
            (
                f"INSERT INTO announcements (id, kind, audience, visibility, subject_id, address, created_at, expanded_to) "
                f"VALUES (7, 'incident_update', 'subscribers', 'public', 'u', '', '{at}', '')"
            ),
            (
                f"INSERT INTO deliveries (announcement_id, address, lane, state, attempts, not_before, lease_owner, "
                f"was_unknown, error) VALUES (7, 'a@example.com', 1, 'queued', 0, '{at}', '', false, '')"
            ),
        ):
            connection.exec_driver_sql(row)
    schema.migrate(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("SELECT id, incident_id FROM announcements").all() == [(7, "i")]
        assert connection.exec_driver_sql("SELECT announcement_id FROM deliveries").all() == [(7,)]
        with pytest.raises(IntegrityError):
            connection.exec_driver_sql("DELETE FROM incidents")
    engine.dispose()


def test_wording_that_was_edited_before_there_were_languages_is_english(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    config, at = schema._config(), "2026-11-21 14:00:00.000000"
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO accounts (id, email, name, role, password_hash, created_at) "
            f"VALUES ('a', 'a@example.com', 'Ada', 'admin', '', '{at}')"
        )
        connection.exec_driver_sql(f"INSERT INTO message_templates VALUES ('update', 'Now: ...', '{at}', 'a')")
    schema.migrate(engine)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT id, kind, language, text, created_by_id FROM template_versions").all()
        assert rows == [(1, "update", "en", "Now: ...", "a")]
    engine.dispose()


@pytest.mark.parametrize(
    ("look", "index"),
    [
        (escalation.due_promises, "ix_promises_next_step_at"),
        (escalation.unproven_steps, "ix_escalation_steps_look_again_at"),
        (maintenance_clock.due_windows, "ix_maintenances_next_step_at"),
        (maintenance_clock.due_series, "ix_maintenance_series_plan_at"),
    ],
)
def test_what_a_worker_looks_for_each_second_is_found_by_its_partial_index(
    look: Callable[[datetime], object], index: str, app: Flask, now: datetime
) -> None:
    """On PostgreSQL the planner reads small tables whole; SQLite's plan tells that the index can be used."""
    if db.engine.dialect.name != "sqlite":
        return
    asked: list[tuple[str, tuple[object, ...]]] = []

    def listen(
        _connection: object, _cursor: object, statement: str, parameters: tuple[object, ...], *_: object
    ) -> None:
        asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", listen)
    look(now)
    event.remove(db.engine, "before_cursor_execute", listen)
    (statement, parameters) = next(each for each in asked if each[0].startswith("SELECT"))
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert any(index in row[-1] for row in plan), plan
    assert not any("TEMP B-TREE" in row[-1] for row in plan), plan
