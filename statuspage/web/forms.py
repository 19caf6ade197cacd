"""What forms share: the nonce of one posting, what was typed, and the page that says what is wrong."""

import json
import secrets
from collections.abc import Callable

from flask import Blueprint, current_app, request
from flask_login import current_user

from statuspage.links import Purpose, make_token, read_token
from statuspage.rules.vocabulary import Conflict, RuleBroken

STALE = "This form is too old or was not made here. Nothing was posted: please check it and post again."


class StaleForm(Exception):
    """A form whose token is forged, expired or another account's."""


def form_token() -> str:
    """Return a fresh signed nonce for a form of this account."""
    subject = f"{current_user.id}:{secrets.token_urlsafe(16)}"
    return make_token(current_app.config["STATUSPAGE"], Purpose.FORM, subject)


def posted_nonce() -> str:
    """Return the nonce of the posted form. Raises StaleForm unless it was made here for this account."""
    subject = read_token(current_app.config["STATUSPAGE"], Purpose.FORM, request.form.get("form_token", ""))
    account_id, _, nonce = (subject or "").partition(":")
    if account_id != current_user.id or not nonce:
        raise StaleForm
    return nonce


def typed() -> dict[str, str]:
    """Return what was typed, one value a field."""
    return request.form.to_dict(flat=True)


def posted_words(name: str) -> dict[str, str]:
    """Return what a form noted in this hidden field when it opened, by control; empty if that can't be read."""
    try:
        content = json.loads(request.form.get(name, ""))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {control: value for control, value in content.items() if isinstance(value, str)}


def posted_version() -> int:
    """Return the version of the thing that the writer saw. Raises RuleBroken if it is no number."""
    text = request.form.get("version", "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RuleBroken({"": STALE})
    return int(text)


def show_again(blueprint: Blueprint, page: Callable[[dict[str, str], dict[str, str]], str]) -> None:
    """Answer a form of ``blueprint`` that breaks a rule, or that comes too late, with its ``page`` and what is wrong.

    What breaks a rule stays in its field. What conflicts is a button of a row, with nothing typed.
    """
    blueprint.register_error_handler(RuleBroken, lambda broken: (page(typed(), broken.errors), 422))
    blueprint.register_error_handler(Conflict, lambda conflict: (page({}, {"": str(conflict)}), 409))
