"""Who may use a route: every view says so, and one hook enforces it.

A view that says nothing is refused to everybody.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import abort, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from statuspage.rules.vocabulary import AccountRole, TokenScope
from statuspage.web.api import keys

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC = "public"


def public(view: View) -> View:
    """Mark a view as open to everybody."""
    view.access = PUBLIC  # type: ignore[attr-defined]
    return view


def needs(role: AccountRole) -> Callable[[View], View]:
    """Mark a view as open to accounts with this role or a higher one."""

    def mark(view: View) -> View:
        view.access = role  # type: ignore[attr-defined]
        return view

    return mark


def needs_scope(scope: TokenScope) -> Callable[[View], View]:
    """Mark a view as open to programs whose key has this scope or a higher one; nobody's cookie counts here."""

    def mark(view: View) -> View:
        view.access = scope  # type: ignore[attr-defined]
        return view

    return mark


def enforce() -> ResponseReturnValue | None:
    """Refuse the request unless the account, or the program's key, may use its route (a before_request hook)."""
    if request.endpoint is None or request.endpoint == "static":
        return None
    needed = getattr(current_app.view_functions[request.endpoint], "access", None)
    if needed == PUBLIC:
        return None
    if needed is None:
        abort(403)
    if isinstance(needed, TokenScope):
        return keys.check(needed)
    if request.method not in ("GET", "HEAD") and request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        abort(403)
    if not current_user.is_authenticated:
        return _ask_to_sign_in()
    if not current_user.role.allows(needed):
        abort(403)
    return None


def _ask_to_sign_in() -> ResponseReturnValue:
    if request.method not in ("GET", "HEAD"):
        abort(401)
    return redirect(url_for("auth.sign_in", next=request.path), 303)
