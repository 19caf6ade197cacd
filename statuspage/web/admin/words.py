"""The words of this installation: what customers know, and what the console marks because they don't."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from statuspage import clock
from statuspage.actions.wording import add_word, listed_words, remove_word
from statuspage.rules.vocabulary import AccountRole
from statuspage.web import access, done
from statuspage.web.forms import show_again

blueprint = Blueprint("admin_words", __name__, url_prefix="/admin/words")


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """List the words that were added, with a form for another."""
    return _page({}, {})


@blueprint.post("/")
@access.needs(AccountRole.ADMIN)
def add() -> ResponseReturnValue:
    """Add a word to one of the lists."""
    add_word(request.form.get("word", ""), request.form.get("list") == "allowed", current_user.id, clock.now())
    done.say("Added: it counts from the next text on.")
    return redirect(url_for("admin_words.index"), 303)


@blueprint.post("/<word_id>/remove")
@access.needs(AccountRole.ADMIN)
def remove(word_id: str) -> ResponseReturnValue:
    """Take a word out of its list."""
    remove_word(word_id, current_user.id, clock.now())
    done.say("Removed from the list.")
    return redirect(url_for("admin_words.index"), 303)


def _page(values: dict[str, str], errors: dict[str, str]) -> str:
    return render_template("admin/words.html", listed=listed_words(), typed=values, errors=errors)


show_again(blueprint, _page)
