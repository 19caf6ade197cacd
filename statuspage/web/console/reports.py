"""The report of promises: a month, its files, and the promises behind every figure."""

from dataclasses import dataclass
from datetime import date

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from statuspage import clock
from statuspage.reports import NO_SEVERITY, as_csv, as_json, load_month, severity_name
from statuspage.rules.reports import Outcome, PromiseFigures, Report, in_words, month_of, parse_month
from statuspage.rules.times import next_month
from statuspage.rules.vocabulary import SEVERITY_MEANINGS, AccountRole, PromiseKind, Severity
from statuspage.web import access

blueprint = Blueprint("reports", __name__, url_prefix="/console/reports")

WORDS = {
    Outcome.KEPT: "kept",
    Outcome.LATE: "late",
    Outcome.MISSED: "missed",
    Outcome.OVERDUE: "overdue",
    Outcome.OPEN: "not due yet",
    Outcome.WAIVED: "waived",
    Outcome.WITHDRAWN: "withdrawn",
}
MEANINGS = {
    Outcome.KEPT: "Done in time.",
    Outcome.LATE: "Done, but after the time promised.",
    Outcome.MISSED: "Never done.",
    Outcome.OVERDUE: "The time promised has passed, and it is still to be done.",
    Outcome.OPEN: "Still to be done, and in time so far.",
    Outcome.WAIVED: "A second person agreed that it need not be kept.",
    Outcome.WITHDRAWN: "What it was about went away before it was due.",
}
# What a bar shows, from left to right; the others need not be kept.
_BARRED = (Outcome.KEPT, Outcome.LATE, Outcome.MISSED, Outcome.OVERDUE, Outcome.OPEN)


@dataclass(frozen=True)
class Segment:
    """A part of a bar, in percent of its width."""

    outcome: Outcome
    count: int
    begin: float
    width: float


def segments(figures: PromiseFigures) -> list[Segment]:
    """Divide a bar by what became of the promises; nothing where none has to be kept."""
    shown = [(outcome, figures.counts[outcome]) for outcome in _BARRED if figures.counts[outcome]]
    whole, made, before = sum(count for _, count in shown), [], 0
    for outcome, count in shown:
        made.append(Segment(outcome, count, round(before * 100 / whole, 3), round(count * 100 / whole, 3)))
        before += count
    return made


@blueprint.get("/")
@access.needs(AccountRole.VIEWER)
def latest() -> ResponseReturnValue:
    """Lead to the present month."""
    return redirect(url_for("reports.show", month=f"{month_of(clock.now()):%Y-%m}"), 303)


@blueprint.get("/<month>")
@access.needs(AccountRole.VIEWER)
def show(month: str) -> ResponseReturnValue:
    """Show a month: a sentence, and figures by severity and kind."""
    report = _load(month)
    present = month_of(report.as_of)
    return _render(
        "month",
        report,
        sentence=in_words(report.total),
        is_present=report.month == present,
        earlier=_earlier(report.month),
        later=next_month(report.month) if report.month < present else None,
    )


@blueprint.get("/<month>.csv")
@access.needs(AccountRole.VIEWER)
def download(month: str) -> ResponseReturnValue:
    """Return the month as a table for a spreadsheet."""
    headers = {"Content-Disposition": f'attachment; filename="promises-{month}.csv"'}
    return Response(as_csv(_load(month)), mimetype="text/csv", headers=headers)


@blueprint.get("/<month>.json")
@access.needs(AccountRole.VIEWER)
def show_json(month: str) -> ResponseReturnValue:
    """Return the month as the API gives it."""
    return jsonify(as_json(_load(month)))


@blueprint.get("/<month>/<severity>")
@access.needs(AccountRole.VIEWER)
def incidents(month: str, severity: str) -> ResponseReturnValue:
    """List the incidents behind a severity's figures."""
    graded = _severity(severity)
    report = _load(month)
    shown = [each for each in report.incidents if each.severity is graded]
    return _render("incidents", report, severity=graded, incidents=shown)


@blueprint.get("/<month>/<severity>/<promise_kind>")
@access.needs(AccountRole.VIEWER)
def promises(month: str, severity: str, promise_kind: str) -> ResponseReturnValue:
    """List the promises behind a kind's figures, by what became of them."""
    graded = _severity(severity)
    if promise_kind not in set(PromiseKind):
        abort(404)
    report = _load(month)
    alike = [each for each in report.promises if each.severity is graded and each.kind == promise_kind]
    by_outcome = {outcome: [each for each in alike if each.outcome(report.as_of) is outcome] for outcome in Outcome}
    return _render("promises", report, severity=graded, kind=PromiseKind(promise_kind), by_outcome=by_outcome)


def _load(text: str) -> Report:
    """Load the month an address names; answer 404 if it is none, or one that has not begun."""
    month, now = parse_month(text), clock.now()
    if month is None or month > month_of(now):
        abort(404)
    return load_month(month, now)


def _severity(text: str) -> Severity | None:
    if text != NO_SEVERITY and text not in set(Severity):
        abort(404)
    return None if text == NO_SEVERITY else Severity(text)


def _earlier(month: date) -> date | None:
    before = next_month(month, -1)
    return before if parse_month(f"{before:%Y-%m}") else None


def _render(name: str, report: Report, **values: object) -> ResponseReturnValue:
    return render_template(
        f"console/report_{name}.html",
        report=report,
        address=url_for("reports.show", month=f"{report.month:%Y-%m}"),
        month_name=f"{report.month:%B %Y}",
        segments=segments,
        severity_name=severity_name,
        severity_meanings=SEVERITY_MEANINGS,
        outcomes=list(Outcome),
        words=WORDS,
        meanings=MEANINGS,
        **values,
    )
