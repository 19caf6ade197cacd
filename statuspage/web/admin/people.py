"""People: invite, change role, disable."""

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import func, select

from statuspage import clock
from statuspage.actions import people
from statuspage.db import db
from statuspage.links import Purpose, make_token
from statuspage.models import Account, LoginSession
from statuspage.rules.vocabulary import LABELS, AccountRole, choose
from statuspage.settings import Settings
from statuspage.web import access, done
from statuspage.web.forms import show_again

blueprint = Blueprint("admin_people", __name__, url_prefix="/admin/people")


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """List the accounts and the form that invites somebody."""
    return _page({"role": AccountRole.COMMS.value}, {})


@blueprint.post("/")
@access.needs(AccountRole.ADMIN)
def invite() -> ResponseReturnValue:
    """Invite somebody: they choose their own password."""
    form = request.form
    role = choose(AccountRole, form.get("role", ""), "role", "Please choose a role.")
    account_id = people.invite(form.get("email", ""), form.get("name", ""), role, current_user.id, clock.now())
    done.say(f"{_name(account_id)} is invited: a mail with a link is on its way.")
    return redirect(url_for("admin_people.index"), 303)


@blueprint.post("/<account_id>")
@access.needs(AccountRole.ADMIN)
def edit(account_id: str) -> ResponseReturnValue:
    """Give somebody another role."""
    role = choose(AccountRole, request.form.get("role", ""), "", "Please choose a role.")
    people.edit_account(account_id, role, current_user.id, clock.now())
    done.say(f"{_name(account_id)} is now: {LABELS[role]}. They have to sign in again.")
    return redirect(url_for("admin_people.index"), 303)


@blueprint.post("/<account_id>/disable")
@access.needs(AccountRole.ADMIN)
def disable(account_id: str) -> ResponseReturnValue:
    """Shut somebody out; the next page offers to take that back."""
    name = people.disable_account(account_id, current_user.id, clock.now())
    done.say(
        f"{name} can’t sign in any more, and was signed out.", url_for("admin_people.enable", account_id=account_id)
    )
    return redirect(url_for("admin_people.index"), 303)


@blueprint.post("/<account_id>/enable")
@access.needs(AccountRole.ADMIN)
def enable(account_id: str) -> ResponseReturnValue:
    """Let somebody in again."""
    name = people.enable_account(account_id, current_user.id, clock.now())
    done.say(f"{name} can sign in again.")
    return redirect(url_for("admin_people.index"), 303)


@blueprint.post("/<account_id>/invite")
@access.needs(AccountRole.ADMIN)
def invite_again(account_id: str) -> ResponseReturnValue:
    """Mail somebody who is invited a fresh link."""
    email = people.invite_again(account_id, current_user.id, clock.now())
    done.say(f"A fresh link is on its way to {email}.")
    return redirect(url_for("admin_people.index"), 303)


def _name(account_id: str) -> str:
    return db.session.get_one(Account, account_id).name


def _page(values: dict[str, str], errors: dict[str, str]) -> str:
    settings: Settings = current_app.config["STATUSPAGE"]
    accounts = db.session.scalars(select(Account).order_by(Account.name)).all()
    invitations = {
        account.id: f"{settings.public_url}/invitation/{make_token(settings, Purpose.INVITATION, account.id)}"
        for account in accounts
        if not account.password_hash and account.disabled_at is None
    }
    seen = select(LoginSession.account_id, func.max(LoginSession.created_at)).group_by(LoginSession.account_id)
    return render_template(
        "admin/people.html",
        typed=values,
        errors=errors,
        accounts=accounts,
        invitations=invitations,
        signed_in={row[0]: row[1] for row in db.session.execute(seen)},
        roles=list(AccountRole),
    )


show_again(blueprint, _page)
