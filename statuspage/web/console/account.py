"""One's own account: password and signed-in browsers."""

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, logout_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import people
from statuspage.db import db
from statuspage.models import LoginSession
from statuspage.rules.vocabulary import AccountRole, RuleBroken
from statuspage.web import access, throttle

blueprint = Blueprint("account", __name__, url_prefix="/console/account")


@blueprint.get("/")
@access.needs(AccountRole.VIEWER)
def show() -> ResponseReturnValue:
    """Show the account and its browsers."""
    return _page({})


@blueprint.post("/password")
@access.needs(AccountRole.VIEWER)
def change_password() -> ResponseReturnValue:
    """Change the password; every browser has to sign in again."""
    wait = throttle.allow("change-password", current_user.id, "10 per 15 minutes")
    if wait:
        return _page({"present": "Too many tries. Please wait some minutes."}), 429, {"Retry-After": str(wait)}
    try:
        people.change_password(
            current_user.id, request.form.get("present", ""), request.form.get("password", ""), clock.now()
        )
    except RuleBroken as broken:
        return _page(broken.errors), 422
    logout_user()
    session.clear()
    return redirect(url_for("auth.sign_in"), 303)


@blueprint.post("/sessions/<token_hash>/revoke")
@access.needs(AccountRole.VIEWER)
def revoke(token_hash: str) -> ResponseReturnValue:
    """Sign one of one's own browsers out."""
    people.revoke_session(token_hash, current_user.id, clock.now())
    return redirect(url_for("account.show"), 303)


def _page(errors: dict[str, str]) -> str:
    now = clock.now()
    sessions = db.session.scalars(
        select(LoginSession)
        .where(
            LoginSession.account_id == current_user.id,
            LoginSession.revoked_at.is_(None),
            LoginSession.created_at > now - people.SESSION_LIFETIME,
            LoginSession.last_seen_at > now - people.SESSION_IDLE,
        )
        .order_by(LoginSession.last_seen_at.desc())
    ).all()
    return render_template("console/account.html", errors=errors, sessions=sessions)
