"""How the API's addresses are written, and how it answers and refuses: always in JSON."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from statuspage.rules.vocabulary import Conflict, NotFound, RuleBroken

View = TypeVar("View", bound=Callable[..., Any])

PREFIX = "/v1"
# Every id has 12 letters and digits, so that "….json" is never taken for one.
PAGE = "/pages/<string(length=12):page_id>"

SENTENCES = {
    400: "This request can't be read.",
    401: "Could not authenticate",
    403: "This key may not do this.",
    404: "There is nothing here.",
    405: "This address does not take this method.",
    409: "Somebody was faster: please read it again.",
    413: "This body is too large: 256 kB at most.",
    429: "Too many requests with this key: please wait.",
    500: "Something broke on our side. It has been noted; please read what stands, then try again.",
    503: "The database does not answer. Please try again in a minute.",
}
# What the console shows a person, by the name a program gave it.
OUTWARD = {"title": "name", "rule": "recurrence"}


class Unreadable(Exception):
    """A body that can't be taken apart; the message is for whoever sent it."""


def make_blueprint(name: str, prefix: str = PREFIX) -> Blueprint:
    """Return a part of the API that refuses in JSON."""
    made = Blueprint(name, __name__, url_prefix=prefix)
    made.register_error_handler(RuleBroken, lambda broken: refuse_fields(broken.errors))
    made.register_error_handler(Conflict, lambda conflict: refuse(409, _for_programs(str(conflict))))
    made.register_error_handler(NotFound, lambda _: refuse(404))
    made.register_error_handler(Unreadable, lambda unreadable: refuse(400, str(unreadable)))
    return made


def at(blueprint: Blueprint, path: str, *methods: str) -> Callable[[View], View]:
    """Serve a view at a path, with and without ``.json`` behind it."""

    def register(view: View) -> View:
        for ending in ("", ".json"):
            blueprint.add_url_rule(path + ending, view_func=view, methods=list(methods))
        return view

    return register


def is_ours(path: str) -> bool:
    """Tell whether a path is one of the API's, whether or not anything is there."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def is_for_programs(path: str) -> bool:
    """Tell whether whoever asks there reads JSON: the API, or sign-up by program."""
    return is_ours(path) or path.startswith("/api/v2/")


def answer(content: Any, status: int = 200) -> Response:
    """Return content as JSON, its keys in the order they have."""
    return Response(json.dumps(content) + "\n", status, mimetype="application/json")


def refuse(status: int, sentence: str = "") -> Response:
    """Return a refusal with one sentence."""
    fallback = SENTENCES[400] if status < 500 else SENTENCES[500]
    return answer({"error": sentence or SENTENCES.get(status, fallback)}, status)


def refuse_fields(errors: dict[str, str]) -> ResponseReturnValue:
    """Return a refusal with a sentence for each field that is wrong."""
    named = {_outward(field): sentence for field, sentence in errors.items()}
    sentences = [f"{field}: {sentence}" if field else sentence for field, sentence in named.items()]
    return answer({"error": sentences, "errors": named}, 422)


def _outward(field: str) -> str:
    if field.startswith("role_"):
        return f"roles.{field.removeprefix('role_')}"
    return OUTWARD.get(field, field)


def _for_programs(sentence: str) -> str:
    """Leave out what speaks of the form on a person's screen: ``Your text is kept below``."""
    return sentence.partition(" Your")[0]
