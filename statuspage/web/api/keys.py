"""Whose key a request carries, what it may do, and how often."""

import hashlib
import secrets

from flask import g, request
from flask.typing import ResponseReturnValue

from statuspage import clock
from statuspage.actions import people
from statuspage.db import API_KEY_ID, db
from statuspage.rules.vocabulary import RuleBroken, TokenScope
from statuspage.web import throttle
from statuspage.web.api.routes import refuse

REQUESTS_PER_KEY = "300 per minute"
IDEMPOTENCY_KEY = "Idempotency-Key"
LONGEST_IDEMPOTENCY_KEY = 255


def check(needed: TokenScope) -> ResponseReturnValue | None:
    """Return the refusal of a request whose key may not do this; None if it may."""
    found = people.find_token(_key(), clock.now())
    if found is None:
        refused = refuse(401)
        refused.headers["WWW-Authenticate"] = "OAuth"
        return refused
    token_id, scope = found.id, found.scope
    wait = throttle.allow("api", token_id, REQUESTS_PER_KEY)
    if wait:
        refused = refuse(429)
        refused.headers["Retry-After"] = str(wait)
        return refused
    if not scope.allows(needed):
        return refuse(403, f"This key has the scope {scope.value}; this needs {needed.value}.")
    g.api_token_id, g.api_scope = token_id, scope
    # The audit log says which program did it; the session ends with the request.
    db.session().info[API_KEY_ID] = token_id
    return None


def _key() -> str:
    """Return the request's key as it was sent: in the header, or in the query as Statuspage takes it."""
    scheme, _, key = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() in ("oauth", "bearer"):
        return key.strip()
    return "" if scheme else request.args.get("api_key", "")


def may_be_a_retry() -> bool:
    """Tell whether the request says what makes it the same as an earlier one."""
    return bool(request.headers.get(IDEMPOTENCY_KEY))


def nonce(*parts: str) -> str:
    """Return the nonce of one step: the same again when this key's owner sends the same Idempotency-Key.

    Raises RuleBroken for a header that is too long.
    """
    given = request.headers.get(IDEMPOTENCY_KEY, "")
    if not given:
        return secrets.token_hex(32)
    if len(given) > LONGEST_IDEMPOTENCY_KEY:
        raise RuleBroken({IDEMPOTENCY_KEY: f"Please use at most {LONGEST_IDEMPOTENCY_KEY} characters."})
    return hashlib.sha256(repr((g.api_token_id, given, *parts)).encode()).hexdigest()
