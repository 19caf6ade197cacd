"""Subscribers and customers in and out as CSV: upload a file, follow the import, download the subscribers."""

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import defer

from statuspage import clock
from statuspage.actions import import_jobs
from statuspage.actions.import_kinds import KINDS
from statuspage.db import db
from statuspage.models import ImportJob
from statuspage.rules.vocabulary import AccountRole, NotFound, RuleBroken
from statuspage.subscriber_export import export_subscribers
from statuspage.web import access
from statuspage.web.forms import show_again

blueprint = Blueprint("admin_imports", __name__, url_prefix="/admin")

FILE_LIMIT = 10 * 1024 * 1024
SHOWN = 20


def allow_a_file() -> None:
    """Let this one form be as large as a list of 100,000 people (a before_request hook)."""
    if request.endpoint == f"{blueprint.name}.upload":
        # The form's other fields and its boundaries have room too.
        request.max_content_length = FILE_LIMIT + 64 * 1024


@blueprint.get("/imports/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """Show the form that uploads a file, and the newest imports."""
    return _page({"kind": "subscribers", "is_dry_run": "yes"}, {})


@blueprint.post("/imports/")
@access.needs(AccountRole.ADMIN)
def upload() -> ResponseReturnValue:
    """Keep a file for the worker to take in."""
    form, file = request.form, request.files.get("file")
    content, name = b"", "a file"
    if file is not None:
        content, name = file.read(), file.filename or name
        file.close()
    if len(content) > FILE_LIMIT:
        raise RuleBroken({"file": "This file is too large: 10 MB at most. Please divide it."})
    job_id = import_jobs.upload(
        form.get("kind", ""), name, content, form.get("is_dry_run") == "yes", current_user.id, clock.now()
    )
    return redirect(url_for("admin_imports.show", import_id=job_id), 303)


@blueprint.get("/imports/<import_id>")
@access.needs(AccountRole.ADMIN)
def show(import_id: str) -> ResponseReturnValue:
    """Show how far an import is, and which rows need a look."""
    job = db.session.get(ImportJob, import_id, options=[defer(ImportJob.content)], populate_existing=True)
    if job is None:
        raise NotFound("import")
    outcomes = [*KINDS[job.kind].outcomes]
    counts = [(outcome, job.counts[outcome]) for outcome in outcomes if job.counts.get(outcome)]
    return render_template("admin/import.html", job=job, counts=counts, most=import_jobs.MOST_REPORTED)


@blueprint.get("/subscribers/export.csv")
@access.needs(AccountRole.ADMIN)
def export() -> ResponseReturnValue:
    """Return all subscribers as a table, a part at a time."""
    headers = {"Content-Disposition": 'attachment; filename="subscribers.csv"'}
    return Response(export_subscribers(current_app.app_context), mimetype="text/csv", headers=headers)


def _page(values: dict[str, str], errors: dict[str, str]) -> str:
    newest = select(ImportJob).options(defer(ImportJob.content), defer(ImportJob.report))
    jobs = db.session.scalars(newest.order_by(ImportJob.created_at.desc(), ImportJob.id).limit(SHOWN)).all()
    return render_template("admin/imports.html", typed=values, errors=errors, jobs=jobs)


show_again(blueprint, _page)
