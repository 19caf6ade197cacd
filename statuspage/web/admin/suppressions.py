"""Suppressions: which addresses are left alone, and why; write to one again."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import ColumnElement, and_, func, or_, select

from statuspage import clock
from statuspage.actions import suppressions
from statuspage.db import db
from statuspage.delivery.suppression import ERASED, is_erased
from statuspage.models import Suppression
from statuspage.rules.vocabulary import AccountRole, Conflict, NotFound, RuleBroken
from statuspage.web import access, done
from statuspage.web.forms import typed

blueprint = Blueprint("admin_suppressions", __name__, url_prefix="/admin/suppressions")

SHOWN = 100


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """List the newest, or those that are searched for."""
    return _list({})


@blueprint.get("/<suppression_id>")
@access.needs(AccountRole.ADMIN)
def show(suppression_id: str) -> ResponseReturnValue:
    """Show one, with the form that lifts it."""
    return _one(suppression_id, {})


@blueprint.post("/<suppression_id>")
@access.needs(AccountRole.ADMIN)
def lift(suppression_id: str) -> ResponseReturnValue:
    """Write to an address again."""
    try:
        suppressions.lift_suppression(suppression_id, request.form.get("reason", ""), current_user.id, clock.now())
    except RuleBroken as broken:
        return _one(suppression_id, broken.errors), 422
    except Conflict as conflict:
        return _list({"": str(conflict)}), 409
    done.say("Lifted: the next mail goes to this address too.")
    return redirect(url_for("admin_suppressions.index"), 303)


def _one(suppression_id: str, errors: dict[str, str]) -> str:
    row = db.session.get(Suppression, suppression_id)
    if row is None or row.lifted_at is not None or is_erased(row):
        raise NotFound("suppression")
    return render_template("admin/suppression.html", row=row, typed=typed(), errors=errors)


def _list(errors: dict[str, str]) -> str:
    query = request.args.get("q", "").strip().lower()[:254].replace("\0", "")
    found = _found(query)
    count = db.session.scalar(select(func.count()).select_from(Suppression).where(found)) or 0
    rows = db.session.scalars(
        select(Suppression).where(found).order_by(Suppression.created_at.desc(), Suppression.id).limit(SHOWN)
    ).all()
    return render_template(
        "admin/suppressions.html", rows=rows, count=count, query=query, errors=errors, is_erased=is_erased
    )


def _found(query: str) -> ColumnElement[bool]:
    """Those in force, and those that the provider has not forgotten yet."""
    listed = or_(Suppression.lifted_at.is_(None), Suppression.clear_at.is_not(None))
    if not query:
        return listed
    # Who is erased is not to be found by letters of a hash.
    mine = and_(
        Suppression.address_key.contains(query, autoescape=True), Suppression.address_key.not_like(f"{ERASED}%")
    )
    return and_(listed, mine)
