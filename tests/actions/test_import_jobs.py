"""Files uploaded in the console: taken in chunk by chunk, each once, whatever happens to the worker."""

import csv
import io
from datetime import datetime

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from statuspage.actions import components, csv_rows, import_jobs, subscriber_import
from statuspage.db import db, transaction
from statuspage.delivery.providers import transport_for
from statuspage.models import (
    Announcement,
    AuditEntry,
    Customer,
    Delivery,
    ImportJob,
    Subscriber,
    SubscriberComponent,
)
from statuspage.rules.subscriptions import identity
from statuspage.rules.vocabulary import RuleBroken, SubscriptionMethod
from statuspage.settings import Settings
from statuspage.subscriber_export import export_subscribers
from statuspage.worker import Worker
from tests import builders

ROWS = "email,confirmed\n" + "".join(f"r{n}@example.com,yes\n" for n in range(25)) + "nobody,yes\n"


@pytest.fixture
def by(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def _chunks_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "BATCH", 10)


def upload(text: str, by: str, now: datetime, kind: str = "subscribers", *, dry: bool = False) -> str:
    return import_jobs.upload(kind, "old.csv", text.encode(), dry, by, now)


def job(job_id: str) -> ImportJob:
    db.session.rollback()
    return db.session.get_one(ImportJob, job_id, populate_existing=True)


def count(table: type) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.usefixtures("_chunks_of_ten")
def test_the_worker_takes_a_chunk_with_each_tick(by: str, settings: Settings, now: datetime) -> None:
    made, worker = upload(ROWS, by, now), Worker(settings, transport_for(settings))
    assert job(made).rows_total == 26
    for done in (10, 20, 26):
        assert worker.tick(now) == (done < 26)
        assert job(made).rows_done == done
        assert count(Subscriber) == min(done, 25)
    ended = job(made)
    assert (ended.finished_at, ended.content, ended.error) == (now, "", "")
    assert ended.counts == {"created": 25, "error": 1}
    reason = "Please give one e-mail address, like name@example.com."
    assert ended.report == [{"line": 27, "email": "nobody", "outcome": "error", "reason": reason}]
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "import_subscribers"))
    assert {entry.account_id for entry in entries} == {by}
    assert db.session.scalars(select(Subscriber)).first().confirm_user_agent == "imported from old.csv"  # type: ignore[union-attr]


@pytest.mark.usefixtures("_chunks_of_ten")
def test_another_worker_goes_on_where_one_was_killed(by: str, settings: Settings, now: datetime) -> None:
    made = upload(ROWS, by, now)
    for done in (10, 20, 26):
        Worker(settings, transport_for(settings)).tick(now)
        assert job(made).rows_done == done
    assert job(made).counts == {"created": 25, "error": 1}


@pytest.mark.usefixtures("_chunks_of_ten")
def test_two_workers_in_turn_take_each_row_once(by: str, settings: Settings, now: datetime) -> None:
    made = upload(ROWS, by, now)
    workers = [Worker(settings, transport_for(settings)) for _ in range(2)]
    for worker in (*workers, *workers):
        worker.tick(now)
    assert job(made).counts == {"created": 25, "error": 1}


@pytest.mark.usefixtures("_chunks_of_ten")
def test_a_chunk_that_fails_at_its_end_counts_for_nothing(
    by: str, settings: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, worker = upload(ROWS, by, now), Worker(settings, transport_for(settings))
    worker.tick(now)

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(import_jobs, "_note", killed)
        worker.tick(now)
    assert (job(made).rows_done, count(Subscriber)) == (10, 10)
    worker.tick(now)
    worker.tick(now)
    assert job(made).counts == {"created": 25, "error": 1}


def test_who_signs_up_between_the_look_and_the_write_stops_nothing(
    by: str, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, write, tries = upload(ROWS, by, now), subscriber_import._write, []

    def late(*arguments: object) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise IntegrityError("INSERT", {}, Exception("unique"))
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(subscriber_import, "_write", late)
    assert import_jobs.take_in_chunk(made, None, (), now) is None
    assert (job(made).counts, len(tries)) == ({"created": 25, "error": 1}, 2)


def test_an_import_that_can_t_go_on_says_so_and_holds_up_no_other(
    by: str, settings: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made, worker = upload(ROWS, by, now), Worker(settings, transport_for(settings))
    other = upload("email,components\na@example.com,\n", by, now, "customers")

    def broken(*_arguments: object) -> None:
        raise RuntimeError("boom")

    with monkeypatch.context() as patch:
        patch.setattr(subscriber_import, "_write", broken)
        for _ in range(2):
            worker.tick(now)
    assert "boom" in caplog.text
    assert job(made).error.startswith("Something broke on our side behind row 0.")
    assert (job(other).counts, count(Customer)) == ({"created": 1}, 1)


def test_a_dry_run_tells_and_writes_nothing(by: str, now: datetime) -> None:
    made = upload(ROWS, by, now, dry=True)
    assert import_jobs.take_in_chunk(made, None, (), now) is None
    assert (job(made).counts, count(Subscriber)) == ({"created": 25, "error": 1}, 0)


def test_only_so_many_rows_are_reported_and_ignored_columns_come_first(
    by: str, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_jobs, "MOST_REPORTED", 3)
    made = upload("email,phone\n" + "nobody,1\n" * 9, by, now)
    import_jobs.take_in_chunk(made, None, (), now)
    assert [each["outcome"] for each in job(made).report] == ["ignored", "error", "error"]
    assert job(made).report[0]["reason"] == "These columns are not read: phone."
    assert job(made).counts == {"error": 9}


@pytest.mark.parametrize(
    ("kind", "content", "errors"),
    [
        ("people", b"email\na@example.com\n", {"kind": "Please say whom the file holds."}),
        ("customers", b"", {"file": "Please choose a file."}),
        ("subscribers", b"email\n\n", {"file": "There is no row below the names of the columns."}),
        ("subscribers", "email\na@example.com\n".encode("utf-16"), {"file": "This is UTF-16: please save the file as “CSV UTF-8”."}),
        ("subscribers", "email\n".encode("utf-16-le"), {"file": "The first row must name the columns; there is none called “email”."}),
        ("customers", b"email\nx\n", {"file": "The first row must name the columns; there is none called \u201ccomponents\u201d."}),
    ],
)  # fmt: skip
def test_a_file_that_holds_nothing_to_import_is_refused(
    kind: str, content: bytes, errors: dict[str, str], by: str, now: datetime
) -> None:
    with pytest.raises(RuleBroken) as broken:
        import_jobs.upload(kind, "x.csv", content, False, by, now)
    assert broken.value.errors == errors
    assert count(ImportJob) == 0


def test_a_nul_or_a_letter_that_is_none_is_an_error_of_its_row(by: str, now: datetime) -> None:
    content = b"email,confirmed\na\0@example.com,yes\nb\xff@example.com,yes\nc@example.com,yes\n"
    made = import_jobs.upload("subscribers", "x.csv", content, False, by, now)
    import_jobs.take_in_chunk(made, None, (), now)
    assert job(made).counts == {"error": 2, "created": 1}
    assert {each["reason"] for each in job(made).report} == {csv_rows.NOT_UTF8}


# --- out and in again ------------------------------------------------------

NAMES = ("Sign-in", "=Sum", "A|B", "Twice", "Twice ", "'quoted", "+49", "-1", '"Said"', "a,b;c", "(none)")
LOCAL = st.sampled_from(["ada", "=ada", "+bea", "-cleo", "'=dora", "'eve", "Fay"])


@pytest.fixture
def parts(by: str, now: datetime) -> list[str]:
    """Ids of components whose names try the file's form."""
    group = components.create_group("Europe", by, now)
    return [builders.component(now, name, group if name == "Twice " else "") for name in NAMES]


def sign_up(email: str, chosen: list[str] | None, state: str, now: datetime) -> None:
    with transaction(now) as session:
        values = {**identity(email), "state": state, "requested_at": now, "all_components": chosen is None}
        who = session.execute(insert(Subscriber).returning(Subscriber.id), [values]).scalar_one()
        for each in chosen or ():
            session.add(SubscriberComponent(subscriber_id=who, component_id=each))


def chosen() -> dict[str, tuple[str, frozenset[str] | None]]:
    """Every active or waiting subscriber's address to the state and the ids of the components."""
    db.session.rollback()
    found: dict[str, set[str]] = {}
    for who, component_id in db.session.execute(
        select(SubscriberComponent.subscriber_id, SubscriberComponent.component_id)
    ):
        found.setdefault(who, set()).add(component_id)
    living = Subscriber.state.in_((Subscriber.ACTIVE, Subscriber.PENDING))
    return {
        each.email: (each.state, None if each.all_components else frozenset(found.get(each.id, set())))
        for each in db.session.scalars(select(Subscriber).where(living))
    }


def forget() -> None:
    with transaction(builders_now()) as session:
        for table in (Delivery, Announcement, SubscriberComponent, Subscriber):
            session.execute(delete(table))


def builders_now() -> datetime:
    return datetime.fromisoformat("2026-11-21T14:00:00+00:00")


# The database is emptied by hand between examples.
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    people=st.dictionaries(
        LOCAL,
        st.tuples(
            st.sampled_from(["active", "pending", "unsubscribed"]),
            st.none() | st.sets(st.integers(0, len(NAMES) - 1), min_size=1),
        ),
    )
)
def test_what_is_taken_out_comes_in_again_as_it_was(
    app: Flask, parts: list[str], now: datetime, people: dict[str, tuple[str, set[int] | None]]
) -> None:
    forget()
    for name, (state, numbers) in people.items():
        sign_up(f"{name}@example.com", None if numbers is None else [parts[n] for n in numbers], state, now)
    before, text = chosen(), "".join(export_subscribers(app.app_context))
    assert not [
        cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row if cell[:1] in "=+-@\t\r" and cell
    ]
    forget()
    table = subscriber_import.parse_subscribers(io.StringIO(text, newline=""))
    done = list(subscriber_import.import_subscribers(table.rows, csv_rows.Source("round trip"), now))
    assert {each.outcome for each in done} <= {"created", "asked", "skipped"}
    assert chosen() == before


def test_the_export_gives_away_no_secret_and_marks_who_only_follows(
    app: Flask, parts: list[str], now: datetime
) -> None:
    sign_up("follower@example.com", [], "active", now)
    with transaction(now) as session:
        who = identity("ada@example.com", SubscriptionMethod.SLACK, "https://hooks.slack.com/services/T/B/secret")
        session.execute(insert(Subscriber), [{**who, "state": "active", "requested_at": now}])
        gone = {**identity("gone@example.com"), "state": "erased", "requested_at": now}
        session.execute(insert(Subscriber), [gone])
    text = "".join(export_subscribers(app.app_context))
    assert text.endswith("\r\n")
    rows = {row["email"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
    assert rows.keys() == {"follower@example.com", "ada@example.com"}
    assert rows["follower@example.com"]["components"] == "(none)"
    slack = rows["ada@example.com"]
    assert (slack["method"], slack["endpoint"], slack["components"]) == ("slack", "hooks.slack.com", "")
    assert (slack["kinds"], slack["confirmed"], slack["source"]) == ("incidents;maintenance", "yes", "form")
    assert slack["requested_at"].startswith("2026-11-21T14:00:00")


@pytest.mark.usefixtures("_chunks_of_ten")
def test_a_long_export_comes_in_parts(app: Flask, by: str, now: datetime) -> None:
    for number in range(23):
        sign_up(f"r{number}@example.com", None, "active", now)
    parts = list(export_subscribers(app.app_context))
    assert len(parts) == 4
    assert len(list(csv.reader(io.StringIO("".join(parts), newline="")))) == 24
