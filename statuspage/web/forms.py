"""What every console form carries: its nonce, made here and good for one posting."""

import secrets

from flask import current_app, request
from flask_login import current_user

from statuspage.links import Purpose, make_token, read_token
from statuspage.rules.vocabulary import RuleBroken

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


def posted_version() -> int:
    """Return the version of the thing that the writer saw. Raises RuleBroken if it is no number."""
    text = request.form.get("version", "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RuleBroken({"": STALE})
    return int(text)
