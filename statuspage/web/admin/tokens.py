"""API keys: list, make one that is shown once, refuse one from now on."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import people
from statuspage.db import db
from statuspage.models import ApiToken
from statuspage.rules.vocabulary import AccountRole, NotFound, TokenScope, choose
from statuspage.web import access, done
from statuspage.web.confirm import Question, ask
from statuspage.web.forms import show_again

blueprint = Blueprint("admin_tokens", __name__, url_prefix="/admin/tokens")


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """List the keys and the form that makes one."""
    return _page({"scope": TokenScope.READ.value}, {})


@blueprint.post("/")
@access.needs(AccountRole.ADMIN)
def add() -> ResponseReturnValue:
    """Make a key and show it, this once."""
    form = request.form
    scope = choose(TokenScope, form.get("scope", ""), "scope", "Please choose what the key may do.")
    key = people.add_token(form.get("name", ""), scope, current_user.id, clock.now())
    # In this answer and nowhere else: a cookie or an address would keep it.
    return _page({"scope": TokenScope.READ.value}, {}, key)


@blueprint.get("/<token_id>/revoke")
@access.needs(AccountRole.ADMIN)
def ask_to_revoke(token_id: str) -> ResponseReturnValue:
    """Ask whether a key is to be refused."""
    token = db.session.get(ApiToken, token_id, populate_existing=True)
    if token is None or token.revoked_at is not None:
        raise NotFound("API key")
    question = Question(
        question=f"Revoke the key “{token.name}”?",
        consequences=(
            "Whatever uses it is refused from this moment on.",
            "What it did stays, and so does its name in the audit log.",
            "This can’t be undone: a new key has to be made and given to the program.",
        ),
        button="Revoke the key",
        back=url_for("admin_tokens.index"),
        back_label="All API keys",
    )
    return ask(question)


@blueprint.post("/<token_id>/revoke")
@access.needs(AccountRole.ADMIN)
def revoke(token_id: str) -> ResponseReturnValue:
    """Refuse a key from now on."""
    name = people.revoke_token(token_id, current_user.id, clock.now())
    done.say(f"The key “{name}” is refused from now on.")
    return redirect(url_for("admin_tokens.index"), 303)


def _page(values: dict[str, str], errors: dict[str, str], key: str = "") -> str:
    tokens = db.session.scalars(select(ApiToken).order_by(ApiToken.created_at.desc(), ApiToken.id)).all()
    return render_template(
        "admin/tokens.html",
        typed=values,
        errors=errors,
        key=key,
        live=[each for each in tokens if each.revoked_at is None],
        revoked=[each for each in tokens if each.revoked_at is not None],
        scopes=SCOPES,
    )


SCOPES = [
    (TokenScope.READ.value, "Read: see what is there"),
    (TokenScope.WRITE.value, "Write: also incidents, maintenance, components, subscribers"),
    (TokenScope.ADMIN.value, "Admin: everything"),
]


show_again(blueprint, _page)
