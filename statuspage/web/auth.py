"""Sign in and out, invitations, and the account that a request comes from."""

from urllib.parse import urlsplit

from flask import Blueprint, Flask, current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from statuspage import clock
from statuspage.actions import people
from statuspage.db import db
from statuspage.links import Purpose, read_token
from statuspage.models import Account
from statuspage.rules.vocabulary import AccountRole, Conflict, RuleBroken
from statuspage.settings import Settings
from statuspage.web import access, throttle

blueprint = Blueprint("auth", __name__)

# One person may mistype; a list of passwords may not be tried.
TRIES_PER_ACCOUNT_AND_NETWORK = "10 per 15 minutes"
TRIES_PER_NETWORK = "50 per 15 minutes"
TRIES_PER_ACCOUNT = "200 per hour"


class SignedIn(UserMixin):  # type: ignore[misc]
    """The account behind a request, as it was when the request came in."""

    def __init__(self, account: Account, token: str) -> None:
        self.id = account.id
        self.name = account.name
        self.email = account.email
        self.role = AccountRole(account.role)
        self.token_hash = people.hash_token(token)
        self._token = token

    def get_id(self) -> str:
        """Return what Flask-Login keeps in the cookie: the session's token, so that it can be revoked."""
        return self._token


def install(app: Flask) -> None:
    """Let Flask-Login find the account of each request by its session's token."""
    manager = LoginManager()
    # A phone changes its address between two requests; the session row is what counts.
    manager.session_protection = None
    manager.user_loader(_load)
    manager.init_app(app)


def _load(token: str) -> SignedIn | None:
    now = clock.now()
    found = people.find_session(token, now)
    if found is None:
        return None
    signed_in = SignedIn(found.account, token)
    people.touch_session(found, now)
    return signed_in


@blueprint.get("/login")
@access.public
def sign_in() -> ResponseReturnValue:
    """Show the sign-in form."""
    if current_user.is_authenticated:
        return redirect(url_for("console.board"), 303)
    return _sign_in_page({}, {})


@blueprint.post("/login")
@access.public
def sign_in_post() -> ResponseReturnValue:
    """Check the password and open a session."""
    email, password = request.form.get("email", ""), request.form.get("password", "")
    wait = _wait(email)
    if wait:
        minutes = -(-wait // 60)
        sentence = f"Too many tries. Please wait {minutes} minute{'s' if minutes > 1 else ''} and try again."
        return _sign_in_page({"": sentence}, {"email": email}), 429, {"Retry-After": str(wait)}
    browser = people.Browser(request.remote_addr or "", request.user_agent.string)
    token = people.sign_in(email, password, browser, clock.now())
    if token is None:
        return _sign_in_page({"": "The e-mail address or the password is wrong."}, {"email": email}), 422
    next_path = _safe_path(request.form.get("next", ""))
    # Nothing of the time before the sign-in goes on: no fixed session, no old form token.
    session.clear()
    found = people.find_session(token, clock.now())
    if found is None:
        return _sign_in_page({"": "Please try again."}, {"email": email}), 422
    login_user(SignedIn(found.account, token))
    return redirect(next_path, 303)


@blueprint.post("/logout")
@access.needs(AccountRole.VIEWER)
def sign_out() -> ResponseReturnValue:
    """Revoke this browser's session."""
    people.revoke_session(current_user.token_hash, current_user.id, clock.now())
    logout_user()
    session.clear()
    return redirect(url_for("auth.sign_in"), 303)


@blueprint.get("/invitation/<token>")
@access.public
def invitation(token: str) -> ResponseReturnValue:
    """Show an invited person the form for a password."""
    account = _invited(token)
    if account is None:
        return _no_invitation()
    return render_template("console/invitation.html", account=account, errors={})


@blueprint.post("/invitation/<token>")
@access.public
def invitation_post(token: str) -> ResponseReturnValue:
    """Give an invited account its first password."""
    account = _invited(token)
    if account is None:
        return _no_invitation()
    try:
        people.accept_invitation(account.id, request.form.get("password", ""), clock.now())
    except RuleBroken as broken:
        return render_template("console/invitation.html", account=account, errors=broken.errors), 422
    except Conflict:
        return _no_invitation()
    return redirect(url_for("auth.sign_in"), 303)


def _invited(token: str) -> Account | None:
    settings: Settings = current_app.config["STATUSPAGE"]
    account_id = read_token(settings, Purpose.INVITATION, token)
    account = db.session.get(Account, account_id) if account_id else None
    if account is None or account.disabled_at is not None or account.password_hash:
        return None
    return account


def _no_invitation() -> ResponseReturnValue:
    sentence = "This invitation was used already or is older than a week. Please ask for a new one, or sign in."
    return render_template("error.html", title="No invitation here", sentence=sentence), 400


def _sign_in_page(errors: dict[str, str], typed: dict[str, str]) -> str:
    next_path = request.values.get("next", "")
    return render_template("console/sign_in.html", errors=errors, typed=typed, next_path=_safe_path(next_path))


def _wait(email: str) -> int:
    """Seconds to wait before another try; no account is ever locked for everybody for long."""
    account, network = email.strip().lower()[:254], throttle.network(request.remote_addr)
    return throttle.allow_all(
        ("sign-in-network", network, TRIES_PER_NETWORK),
        ("sign-in-pair", f"{account} {network}", TRIES_PER_ACCOUNT_AND_NETWORK),
        ("sign-in-account", account, TRIES_PER_ACCOUNT),
    )


def _safe_path(path: str) -> str:
    """Return the path if it leads into this console, else the board's."""
    parts = urlsplit(path)
    inside = path.startswith(("/console/", "/admin/")) and not parts.scheme and not parts.netloc
    return path if inside and "\\" not in path else url_for("console.board")
