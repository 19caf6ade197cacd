"""A month's report out of the database, as JSON and as CSV."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import event

from statuspage import reports
from statuspage.db import db, transaction
from statuspage.models import Incident
from statuspage.rules.reports import Outcome
from statuspage.rules.vocabulary import (
    ComponentState,
    MessageKind,
    PromiseKind,
    PromiseState,
    Severity,
    Visibility,
)
from tests import builders
from tests.ledgers import automatic, promise

MONTH = date(2026, 11, 1)
BEGIN, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
OUT = ComponentState.OUTAGE


@pytest.fixture(autouse=True)
def ledger_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Incidents owe nothing by themselves here: each test writes the promises it counts."""
    monkeypatch.setattr("statuspage.actions.incidents.record", lambda *_: None)


@pytest.fixture
def by(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


def incident(by: str, now: datetime, **about: object) -> str:
    states = {builders.component(now, builders.nonce()): OUT}
    return builders.declared(by, states, now, **about)  # type: ignore[arg-type]


def test_an_empty_month_has_nothing_in_it(app: Flask, now: datetime) -> None:
    report = reports.load_month(MONTH, now)
    assert (report.total.made, report.severities, report.incidents, report.promises) == (0, (), (), ())
    assert reports.as_json(report)["severities"] == {}
    assert reports.as_csv(report) == ",".join(reports.COLUMNS) + "\r\n"


def test_a_month_is_a_calendar_month_in_utc(by: str, now: datetime) -> None:
    moments = [BEGIN - INSTANT, BEGIN, END - INSTANT, END]
    made = [incident(by, moment) for moment in moments]
    for each, moment in zip(made, moments, strict=True):
        promise(each, PromiseState.KEPT, moment)
    report = reports.load_month(MONTH, now)
    assert [each.id for each in report.incidents] == made[1:3]
    assert [each.incident_id for each in report.promises] == made[1:3]


def test_a_promise_belongs_to_the_month_it_was_made_in(by: str, now: datetime) -> None:
    old = incident(by, BEGIN - timedelta(days=3), title="From October")
    promise(old, PromiseState.LATE, BEGIN, kind=PromiseKind.POST_MORTEM)
    report = reports.load_month(MONTH, now)
    assert report.incidents == ()
    assert [(each.incident_title, each.kind) for each in report.promises] == [("From October", PromiseKind.POST_MORTEM)]


def test_drills_are_left_out_and_internal_incidents_are_not(by: str, now: datetime) -> None:
    made = {kind: incident(by, now, visibility=kind, title=kind.value) for kind in Visibility}
    for each in made.values():
        promise(each, PromiseState.KEPT, now, kind=PromiseKind.INTERNAL_UPDATE)
    report = reports.load_month(MONTH, now)
    assert {each.title for each in report.incidents} == {"public", "internal"}
    assert {each.incident_title for each in report.promises} == {"public", "internal"}
    assert report.severities[0].incidents.public == 1


def test_a_promise_counts_for_the_severity_it_was_made_under(by: str, now: datetime) -> None:
    regraded = incident(by, now, severity=Severity.SEV1)
    promise(regraded, PromiseState.KEPT, now, severity=Severity.SEV3)
    graded = {each.severity: each for each in reports.load_month(MONTH, now).severities}
    assert graded[Severity.SEV1].promises == {}
    assert graded[Severity.SEV1].incidents.incidents == 1
    assert graded[Severity.SEV3].promises[PromiseKind.FIRST_UPDATE].made == 1
    assert graded[Severity.SEV3].incidents.incidents == 0


def test_incidents_without_a_severity_are_called_none(by: str, now: datetime) -> None:
    imported = incident(by, now)
    with transaction(now) as session:
        session.get_one(Incident, imported).severity = None
    assert reports.as_json(reports.load_month(MONTH, now))["severities"]["none"]["incidents"] == 1


def test_public_updates_are_counted_by_who_wrote_them(by: str, now: datetime) -> None:
    states = {builders.component(now): OUT}
    made = builders.declared(by, states, now)
    builders.post(MessageKind.ACKNOWLEDGE, made, states, by, now + timedelta(minutes=12))
    held = builders.post(MessageKind.UPDATE, made, states, by, now + timedelta(minutes=40))
    automatic(held, now)
    builders.post(MessageKind.UPDATE, made, states, by, now + timedelta(minutes=50))
    (fact,) = reports.load_month(MONTH, now).incidents
    assert fact.to_first_update == timedelta(minutes=12)
    assert (fact.updates, fact.automatic_updates) == (2, 1)


def test_what_was_said_about_an_internal_incident_is_no_public_update(by: str, now: datetime) -> None:
    states = {builders.component(now): OUT}
    made = builders.declared(by, states, now, visibility=Visibility.INTERNAL)
    builders.post(MessageKind.ACKNOWLEDGE, made, states, by, now)
    (fact,) = reports.load_month(MONTH, now).incidents
    assert (fact.first_posted_at, fact.updates, fact.automatic_updates) == (None, 0, 0)


def test_a_month_takes_two_queries_however_many_promises_it_has(by: str, now: datetime) -> None:
    for _ in range(3):
        made = incident(by, now)
        for kind in (PromiseKind.FIRST_UPDATE, PromiseKind.POST_MORTEM, PromiseKind.DIRECT_EMAIL):
            promise(made, PromiseState.KEPT, now, kind=kind)
    asked: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *arguments: asked.append(str(arguments[2])))
    reports.load_month(MONTH, now)
    assert len([each for each in asked if each.startswith("SELECT")]) == 2


@pytest.fixture
def whole_month(by: str, now: datetime) -> str:
    """One incident of SEV1 with a promise in every state; return its id."""
    made = incident(by, now - timedelta(days=2), title="=HYPERLINK(1)")
    opened_at = now - timedelta(days=1)
    kinds = dict(zip(PromiseState, PromiseKind, strict=False))
    for state, kind in kinds.items():
        promise(made, state, opened_at, kind=kind, late=timedelta(minutes=14), reason="+1 said so")
    return made


def test_json_has_every_figure(whole_month: str, now: datetime) -> None:
    found = json.loads(json.dumps(reports.as_json(reports.load_month(MONTH, now))))
    assert (found["month"], found["as_of"], found["promises_kept_percent"]) == ("2026-11", "2026-11-21T14:00:00Z", 25)
    assert found["severities"]["SEV1"]["incidents"] == 1
    figures = found["severities"]["SEV1"]["promises"]
    late = figures["resolution_update"]
    assert (late["made"], late["late"], late["kept"], late["kept_percent"]) == (1, 1, 0, 0)
    assert (late["late_by_median_seconds"], late["late_by_worst_seconds"]) == (840, 840)
    overdue = figures["first_update"]
    assert (overdue["made"], overdue["open"], overdue["overdue"]) == (1, 1, 1)
    for each in figures.values():
        parts = ("kept", "late", "missed", "waived", "withdrawn", "open")
        assert sum(each[part] for part in parts) == each["made"]
    (shown,) = found["incidents"]
    assert (shown["id"], shown["severity"], shown["resolved_at"]) == (whole_month, "SEV1", None)


def test_json_lists_what_was_not_simply_kept(whole_month: str, now: datetime) -> None:
    listed = {each["state"]: each for each in reports.as_json(reports.load_month(MONTH, now))["promises"]}
    assert set(listed) == {"open", "late", "missed", "waived", "withdrawn"}
    assert listed["late"]["late_by_seconds"] == 840
    assert listed["late"]["reason"] == "+1 said so"
    assert listed["late"]["incident_id"] == whole_month
    assert listed["open"]["overdue"] is True
    assert listed["open"]["late_by_seconds"] == 24 * 3600 - 15 * 60
    assert listed["missed"]["late_by_seconds"] is None


def test_csv_has_a_row_for_every_promise_and_no_formula(whole_month: str, now: datetime) -> None:
    report = reports.load_month(MONTH, now)
    rows = list(csv.DictReader(io.StringIO(reports.as_csv(report), newline="")))
    assert len(rows) == report.total.made == len(PromiseState)
    assert all(tuple(row) == reports.COLUMNS for row in rows)
    late = next(row for row in rows if row["state"] == "late")
    assert late == {
        "month": "2026-11",
        "incident_id": whole_month,
        "incident_title": "'=HYPERLINK(1)",
        "severity": "SEV1",
        "kind": "resolution_update",
        "opened_at": "2026-11-20T14:00:00Z",
        "due_at": "2026-11-20T14:15:00Z",
        "met_at": "2026-11-20T14:29:00Z",
        "state": "late",
        "late_by_seconds": "840",
        "automatic": "no",
        "recorded_later": "no",
        "reason": "'+1 said so",
    }
    assert next(row for row in rows if row["state"] == "missed")["late_by_seconds"] == ""


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", 'Say "hello", then\r\ngo', "Plain", ""]
)
def test_csv_gives_back_what_was_written(text: str, by: str, now: datetime) -> None:
    promise(incident(by, now), PromiseState.WAIVED, now, reason=text)
    (row,) = csv.DictReader(io.StringIO(reports.as_csv(reports.load_month(MONTH, now)), newline=""))
    is_formula = text[:1] in "=+-@\t\r\n" and text != ""
    assert row["reason"] == (f"'{text}" if is_formula else text)


def test_an_open_promise_becomes_overdue_by_the_passing_of_time(by: str, now: datetime) -> None:
    promise(incident(by, now), PromiseState.OPEN, now)
    for later, outcome in ((timedelta(minutes=15), Outcome.OPEN), (timedelta(minutes=16), Outcome.OVERDUE)):
        assert reports.load_month(MONTH, now + later).total.counts[outcome] == 1
