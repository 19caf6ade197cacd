"""The monthly report of promises, read from the database; the console and the API show the same."""

import csv
import io
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import case, func, select

from statuspage.db import db
from statuspage.models import Incident, PolicyVersion, Promise, Update, WordingOverride
from statuspage.rendering import machine_instant
from statuspage.rules.reports import (
    IncidentFact,
    IncidentFigures,
    Outcome,
    PromiseFact,
    PromiseFigures,
    Report,
    begin_of,
    make_report,
)
from statuspage.rules.times import next_month
from statuspage.rules.vocabulary import Severity, Visibility

COLUMNS = (
    "month",
    "incident_id",
    "incident_title",
    "severity",
    "kind",
    "opened_at",
    "due_at",
    "met_at",
    "state",
    "late_by_seconds",
    "automatic",
    "recorded_later",
    "reason",
)
# What makes a spreadsheet take a cell for a formula (OWASP, "CSV injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
NO_SEVERITY = "none"


def load_month(first_day: date, now: datetime) -> Report:
    """Load a calendar month (UTC): incidents by declaration, promises by opening; drills left out."""
    begin, end = begin_of(first_day), begin_of(next_month(first_day))
    return make_report(first_day, _load_incidents(begin, end), _load_promises(begin, end), now)


def _load_incidents(begin: datetime, end: datetime) -> list[IncidentFact]:
    overridden = (
        select(func.count(WordingOverride.id)).where(WordingOverride.incident_id == Incident.id).scalar_subquery()
    )
    rows = db.session.execute(
        select(
            Incident.id,
            Incident.title,
            Incident.severity,
            Incident.visibility,
            Incident.declared_at,
            Incident.started_at,
            Incident.resolved_at,
            func.min(Update.posted_at),
            func.count(Update.id),
            func.count(case((Update.is_automatic, 1))),
            overridden,
        )
        .outerjoin(Update, Update.incident_id == Incident.id)
        .where(Incident.declared_at >= begin, Incident.declared_at < end, Incident.visibility != Visibility.DRILL)
        .group_by(Incident.id)
    ).all()
    facts = []
    for *columns, first_posted_at, updates, held, overrides in rows:
        incident_id, title, severity, visibility, declared_at, started_at, resolved_at = columns
        # What was said about an internal incident, no customer read.
        public = visibility is Visibility.PUBLIC
        facts.append(
            IncidentFact(
                id=incident_id,
                title=title,
                severity=severity,
                is_public=public,
                declared_at=declared_at,
                started_at=started_at,
                resolved_at=resolved_at,
                first_posted_at=first_posted_at if public else None,
                updates=updates - held if public else 0,
                automatic_updates=held if public else 0,
                wording_overrides=overrides,
            )
        )
    return facts


def _load_promises(begin: datetime, end: datetime) -> list[PromiseFact]:
    rows = db.session.execute(
        select(
            Promise.incident_id,
            Incident.title,
            PolicyVersion.severity,
            Promise.kind,
            Promise.opened_at,
            Promise.due_at,
            Promise.met_at,
            Promise.state,
            Promise.is_met_automatically,
            Promise.is_recorded_later,
            Promise.reason,
        )
        .join(Incident, Incident.id == Promise.incident_id)
        .join(PolicyVersion, PolicyVersion.id == Promise.policy_id)
        .where(Promise.opened_at >= begin, Promise.opened_at < end, Incident.visibility != Visibility.DRILL)
    ).all()
    return [PromiseFact(*row) for row in rows]


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as the API gives it."""
    return {
        "month": _month(report),
        "as_of": machine_instant(report.as_of),
        "promises_kept_percent": report.total.kept_percent,
        "severities": {
            severity_name(each.severity): {
                **_incident_figures(each.incidents),
                "promises": {kind.value: _promise_figures(figures) for kind, figures in each.promises.items()},
            }
            for each in report.severities
        },
        "incidents": [_incident(each) for each in report.incidents],
        "promises": [
            _promise(each, report.as_of) for each in report.promises if each.outcome(report.as_of) is not Outcome.KEPT
        ],
    }


def as_csv(report: Report) -> str:
    """Return one row for each promise of the month, safe to open in a spreadsheet."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    for promise in report.promises:
        row = _promise(promise, report.as_of)
        writer.writerow([_cell({"month": _month(report), **row}[column]) for column in COLUMNS])
    return written.getvalue()


def severity_name(severity: Severity | None) -> str:
    """Return a severity as addresses and JSON name it: ``none`` where the source knew none."""
    return severity.value if severity else NO_SEVERITY


def _month(report: Report) -> str:
    return report.month.strftime("%Y-%m")


def _incident_figures(figures: IncidentFigures) -> dict[str, Any]:
    return {
        "incidents": figures.incidents,
        "public_incidents": figures.public,
        "announced": figures.announced,
        "resolved": figures.resolved,
        "updates": figures.updates,
        "automatic_updates": figures.automatic_updates,
        "updates_per_incident": figures.updates_each,
        "automatic_updates_per_incident": figures.automatic_updates_each,
        "wording_overrides": figures.wording_overrides,
        "start_to_declaration_median_seconds": _seconds(figures.to_declaration),
        "declaration_to_first_update_median_seconds": _seconds(figures.to_first_update),
        "declaration_to_resolution_median_seconds": _seconds(figures.to_resolve),
        "start_to_resolution_median_seconds": _seconds(figures.to_resolve_from_start),
    }


def _promise_figures(figures: PromiseFigures) -> dict[str, Any]:
    counts = {outcome.value: count for outcome, count in figures.counts.items()}
    # Outside of the page, "open" is the promise's state: overdue ones are open ones too.
    counts["open"] += counts["overdue"]
    return {
        "made": figures.made,
        **counts,
        "kept_automatically": figures.kept_automatically,
        "late_automatically": figures.late_automatically,
        "kept_percent": figures.kept_percent,
        "late_by_median_seconds": _seconds(figures.late_by_median),
        "late_by_worst_seconds": _seconds(figures.late_by_worst),
    }


def _incident(incident: IncidentFact) -> dict[str, Any]:
    return {
        "id": incident.id,
        "title": incident.title,
        "severity": incident.severity.value if incident.severity else None,
        "public": incident.is_public,
        "started_at": machine_instant(incident.started_at),
        "declared_at": machine_instant(incident.declared_at),
        "first_posted_at": _instant(incident.first_posted_at),
        "resolved_at": _instant(incident.resolved_at),
        "updates": incident.updates,
        "automatic_updates": incident.automatic_updates,
        "wording_overrides": incident.wording_overrides,
    }


def _promise(promise: PromiseFact, now: datetime) -> dict[str, Any]:
    return {
        "incident_id": promise.incident_id,
        "incident_title": promise.incident_title,
        "severity": promise.severity.value,
        "kind": promise.kind.value,
        "opened_at": machine_instant(promise.opened_at),
        "due_at": machine_instant(promise.due_at),
        "met_at": _instant(promise.met_at),
        "state": promise.state.value,
        "overdue": promise.outcome(now) is Outcome.OVERDUE,
        "late_by_seconds": _seconds(promise.late_by(now)),
        "automatic": promise.is_met_automatically,
        "recorded_later": promise.is_recorded_later,
        "reason": promise.reason,
    }


def _instant(instant: datetime | None) -> str | None:
    return machine_instant(instant) if instant else None


def _seconds(span: timedelta | None) -> int | None:
    return int(span.total_seconds()) if span is not None else None


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
