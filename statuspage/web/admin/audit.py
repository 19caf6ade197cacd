"""The audit log: who did what, filtered, a page at a time, and as a file."""

from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from statuspage import audit_log
from statuspage.db import db
from statuspage.models import Account
from statuspage.rules.vocabulary import AccountRole, RuleBroken
from statuspage.web import access

blueprint = Blueprint("admin_audit", __name__, url_prefix="/admin/audit")

FILTERS = ("who", "kind", "object", "first", "last")


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """List the entries that are asked for, newest first."""
    asked, errors = _asked(), {}
    try:
        lines, further = audit_log.read(audit_log.check_filter(asked), _before())
    except RuleBroken as broken:
        lines, further, errors = [], None, broken.errors
    kept = {name: value for name, value in asked.items() if value}
    page = render_template(
        "admin/audit.html",
        lines=lines,
        asked=asked,
        errors=errors,
        people=db.session.scalars(select(Account).order_by(Account.name)).all(),
        kinds=audit_log.KINDS,
        kept=urlencode(kept),
        newest=f"?{urlencode(kept)}" if "before" in request.args else "",
        further=f"?{urlencode(kept | {'before': further})}" if further else "",
    )
    return page, 422 if errors else 200


@blueprint.get("/export.csv")
@access.needs(AccountRole.ADMIN)
def export() -> ResponseReturnValue:
    """Return all the entries that are asked for as a table, a part at a time."""
    try:
        chosen = audit_log.check_filter(_asked())
    except RuleBroken:
        return index()
    headers = {"Content-Disposition": 'attachment; filename="audit-log.csv"'}
    return Response(audit_log.export(chosen, current_app.app_context), mimetype="text/csv", headers=headers)


def _asked() -> dict[str, str]:
    # No id or word that is kept has a NUL in it, and PostgreSQL takes none.
    return {name: request.args.get(name, "").strip().replace("\0", "") for name in FILTERS}


def _before() -> int | None:
    text = request.args.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
