"""Plain language in the forms: the marks beside each field, and the tick that posts a text as it is."""

from collections.abc import Iterable, Mapping

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from statuspage.actions.wording import own_words
from statuspage.rules.vocabulary import AccountRole, RuleBroken
from statuspage.rules.wording import Finding, findings, in_words
from statuspage.web import access
from statuspage.web.forms import typed

blueprint = Blueprint("wording", __name__, url_prefix="/console")

FIELDS_LIMIT = 30
"""No form has more fields than this."""

Marks = Mapping[str, tuple[Finding, ...]]
"""Field to what is marked in it."""


@blueprint.post("/wording")
@access.needs(AccountRole.VIEWER)
def show() -> ResponseReturnValue:
    """Return what is marked in the posted texts, one list a field; nothing is kept."""
    texts = {name: text for name, text in typed().items() if name != "csrf_token"}
    names = list(texts)[:FIELDS_LIMIT]
    return render_template("console/marks.html", marks=marks_of(texts, names), names=names)


def marks_of(texts: Mapping[str, str], names: Iterable[str]) -> Marks:
    """Return what is marked in these fields of what was typed."""
    own = own_words()
    # A browser posts its line ends as two characters and counts them as one.
    return {name: findings(texts.get(name, "").replace("\r\n", "\n"), own) for name in names}


def check_wording(texts: Mapping[str, str], names: Iterable[str]) -> tuple[str, ...]:
    """Return the marked words that go out as they are.

    Raises RuleBroken on ``wording`` if words are marked and the writer did not
    say that the text goes out as it is.
    """
    words = in_words(each for found in marks_of(texts, names).values() for each in found)
    if words and request.form.get("as_it_is") != "yes":
        raise RuleBroken(
            {"wording": "Something in this text is marked: please change it, or tick that it stays as it is."}
        )
    return words
