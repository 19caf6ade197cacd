"""Accounts, sessions and API tokens."""

import hashlib
import hmac
import re
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.db import db, one_by_one, transaction
from statuspage.delivery.announcements import announce_to_address
from statuspage.models import Account, Announcement, ApiToken, LoginSession, new_id
from statuspage.rules.messages import check_line
from statuspage.rules.vocabulary import AccountRole, Conflict, NotFound, RuleBroken, TokenScope

# OWASP's password storage cheat sheet: argon2id with 19 MiB, 2 passes, 1 lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Each verification takes 19 MiB: a crowd at the sign-in form must not exhaust the memory.
_HASHING_AT_ONCE = threading.BoundedSemaphore(4)

PASSWORD_LEAST, PASSWORD_MOST_BYTES = 12, 1024
SESSION_LIFETIME = timedelta(hours=12)
SESSION_IDLE = timedelta(hours=4)
_SEEN_EVERY = timedelta(minutes=1)
INVITED_AGAIN_AFTER = timedelta(minutes=10)
_API_KEY = re.compile(r"sp_live_([0-9a-z]{12})_([0-9A-Za-z_-]{43})")


@dataclass(frozen=True)
class Browser:
    """Who asks: kept with the session so that its owner recognises it."""

    ip_address: str
    user_agent: str


def check_email(text: str) -> str:
    """Return one plain e-mail address, its domain in lower case and ASCII.

    Raises RuleBroken on ``email`` for anything else: lists, display names,
    comments, quoted local parts, address literals, domains without a dot.
    """
    if len(text) > 254:
        raise RuleBroken({"email": "This e-mail address is too long."})
    try:
        # RFC 5321 lengths and RFC 5322 dot-atoms; no look-up: it would tell strangers' addresses to the DNS.
        checked = validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        raise RuleBroken({"email": "Please give one e-mail address, like name@example.com."}) from None
    return checked.ascii_email or checked.normalized


def check_password(text: str) -> str:
    """Return the password unchanged. Raises RuleBroken on ``password`` if it is too short or long."""
    if len(text) < PASSWORD_LEAST:
        raise RuleBroken({"password": f"Please use at least {PASSWORD_LEAST} characters."})
    if len(text.encode()) > PASSWORD_MOST_BYTES:
        raise RuleBroken({"password": "Please use a shorter password."})
    if len(set(text)) < 5:
        raise RuleBroken({"password": "Please use a password with more different characters."})
    return text


def add_account(email: str, name: str, role: AccountRole, password: str, now: datetime) -> str:
    """Add an account that can sign in at once. Return its id. Raises RuleBroken or Conflict."""
    address, hashed = check_email(email).lower(), _HASHER.hash(check_password(password))
    with transaction(now) as session:
        account_id = _insert_account(session, address, name, role, now)
        session.get_one(Account, account_id).password_hash = hashed
        audit(session, None, "add_account", "account", account_id, now, role=role.value)
        return account_id


def invite(email: str, name: str, role: AccountRole, by: str, now: datetime) -> str:
    """Add an account and mail its owner a link to choose a password. Return its id.

    Raises RuleBroken for bad input or an address that has an account.
    """
    address = check_email(email).lower()
    with transaction(now) as session:
        account_id = _insert_account(session, address, name, role, now)
        announce_to_address(session, "invitation", account_id, address, None, now)
        audit(session, by, "invite", "account", account_id, now, role=role.value)
        return account_id


def _insert_account(session: Session, address: str, name: str, role: AccountRole, now: datetime) -> str:
    if session.scalar(select(Account.id).where(Account.email == address)) is not None:
        raise RuleBroken({"email": "There is an account with this address already."})
    account_id = new_id()
    shown = check_line("name", name, 100) if name.strip() else address
    session.add(Account(id=account_id, email=address, name=shown, role=role, created_at=now))
    session.flush()
    return account_id


def set_password(account_id: str, password: str, now: datetime) -> None:
    """Give an account a password and sign out all its browsers. Raises NotFound or RuleBroken."""
    hashed = _HASHER.hash(check_password(password))
    with transaction(now) as session:
        account = _usable(session, account_id)
        account.password_hash = hashed
        _revoke_sessions(session, account_id, now)
        audit(session, account_id, "set_password", "account", account_id, now)


def accept_invitation(account_id: str, password: str, now: datetime) -> None:
    """Give an invited account its first password. Raises NotFound, RuleBroken, Conflict if it has one."""
    hashed = _HASHER.hash(check_password(password))
    with transaction(now) as session:
        account = _usable(session, account_id)
        if account.password_hash:
            raise Conflict("This invitation was used already. Please sign in.")
        account.password_hash = hashed
        audit(session, account_id, "accept_invitation", "account", account_id, now)


def change_password(account_id: str, present: str, password: str, now: datetime) -> None:
    """Change one's own password. Raises RuleBroken on ``present`` or ``password``."""
    account = db.session.get(Account, account_id)
    if account is None or not _matches(account.password_hash, present):
        raise RuleBroken({"present": "This is not your present password."})
    set_password(account_id, password, now)


def edit_account(account_id: str, role: AccountRole, by: str, now: datetime) -> None:
    """Give an account another role and sign out its browsers.

    Raises NotFound, or Conflict for one's own and for the last administrator's.
    """
    with transaction(now) as session:
        account = _usable(session, account_id)
        if account_id == by:
            raise Conflict("Your own role can only be changed by another administrator.")
        if role is not AccountRole.ADMIN:
            _keep_an_administrator(session, account)
        account.role = role
        _revoke_sessions(session, account_id, now)
        audit(session, by, "edit_account", "account", account_id, now, role=role.value)


def disable_account(account_id: str, by: str | None, now: datetime) -> str:
    """Shut an account out and sign out its browsers. Return its owner's name.

    Raises NotFound, or Conflict for one's own and for the last administrator's.
    """
    with transaction(now) as session:
        account = _usable(session, account_id)
        if account_id == by:
            raise Conflict("You can't disable your own account.")
        _keep_an_administrator(session, account)
        account.disabled_at = now
        _revoke_sessions(session, account_id, now)
        audit(session, by, "disable_account", "account", account_id, now)
        return account.name


def enable_account(account_id: str, by: str, now: datetime) -> str:
    """Let a disabled account in again, with the password and the role it had. Return its owner's name.

    Raises NotFound, Conflict if it is not disabled.
    """
    with transaction(now) as session:
        account = session.get(Account, account_id)
        if account is None:
            raise NotFound("account")
        if account.disabled_at is None:
            raise Conflict(f"{account.name} is not disabled.")
        account.disabled_at = None
        audit(session, by, "enable_account", "account", account_id, now)
        return account.name


def invite_again(account_id: str, by: str, now: datetime) -> str:
    """Mail an invited person a fresh link. Return their address.

    Raises NotFound; Conflict if they have a password, or were mailed a few minutes ago.
    """
    with transaction(now) as session:
        account = _usable(session, account_id)
        if account.password_hash:
            raise Conflict(f"{account.name} has signed up already.")
        mailed = select(func.max(Announcement.created_at)).where(
            Announcement.kind == "invitation", Announcement.subject_id == account_id
        )
        last = session.scalar(mailed)
        if last is not None and now - last < INVITED_AGAIN_AFTER:
            raise Conflict(f"{account.name} was mailed just now. Please wait ten minutes.")
        announce_to_address(session, "invitation", account_id, account.email, None, now)
        audit(session, by, "invite_again", "account", account_id, now)
        return account.email


def _keep_an_administrator(session: Session, account: Account) -> None:
    """Raise Conflict if this account is the last administrator who can sign in."""
    if account.role is not AccountRole.ADMIN or not account.password_hash:
        return
    # Two administrators who disable each other at the same moment: one of them is too late.
    one_by_one(session, "administrators")
    others = select(func.count()).where(
        Account.role == AccountRole.ADMIN,
        Account.disabled_at.is_(None),
        Account.password_hash != "",
        Account.id != account.id,
    )
    if not session.scalar(others):
        raise Conflict(f"{account.name} is the last administrator: please make somebody else one first.")


def sign_in(email: str, password: str, browser: Browser, now: datetime) -> str | None:
    """Check a password and open a session. Return the session's token, None if either is wrong.

    The answer takes equally long for an unknown address.
    """
    account = db.session.scalar(select(Account).where(Account.email == email.strip().lower()))
    known = account is not None and account.disabled_at is None and account.password_hash != ""
    fits = _matches(account.password_hash if account and known else _hash_of_nobody(), password)
    if account is None or not known or not fits:
        return None
    account_id, old_hash = account.id, account.password_hash
    token = secrets.token_urlsafe(32)
    with transaction(now) as session:
        account = _usable(session, account_id)
        if account.password_hash != old_hash:
            return None
        if _HASHER.check_needs_rehash(old_hash):
            account.password_hash = _HASHER.hash(password)
        session.add(
            LoginSession(
                token_hash=hash_token(token),
                account_id=account_id,
                user_agent=browser.user_agent[:200],
                ip_address=browser.ip_address[:45],
                created_at=now,
                last_seen_at=now,
            )
        )
        audit(session, account_id, "sign_in", "account", account_id, now, ip_address=browser.ip_address[:45])
    return token


def find_session(token: str, now: datetime) -> LoginSession | None:
    """Return the live session of this token: not revoked, expired, idle too long or shut out."""
    found = db.session.get(LoginSession, hash_token(token))
    if found is None or found.revoked_at is not None or found.account.disabled_at is not None:
        return None
    if now - found.created_at > SESSION_LIFETIME or now - found.last_seen_at > SESSION_IDLE:
        return None
    return found


def touch_session(found: LoginSession, now: datetime) -> None:
    """Note that the session is in use; writes once a minute at most."""
    if now - found.last_seen_at < _SEEN_EVERY:
        return
    token_hash = found.token_hash
    with transaction(now) as session:
        session.execute(update(LoginSession).where(LoginSession.token_hash == token_hash).values(last_seen_at=now))


def revoke_session(token_hash: str, account_id: str, now: datetime) -> None:
    """Sign one of the account's browsers out."""
    with transaction(now) as session:
        _revoke_sessions(session, account_id, now, token_hash)
        audit(session, account_id, "sign_out", "account", account_id, now)


def _revoke_sessions(session: Session, account_id: str, now: datetime, token_hash: str | None = None) -> None:
    live = (LoginSession.account_id == account_id, LoginSession.revoked_at.is_(None))
    chosen = (*live, LoginSession.token_hash == token_hash) if token_hash else live
    session.execute(update(LoginSession).where(*chosen).values(revoked_at=now))


def add_token(name: str, scope: TokenScope, by: str | None, now: datetime) -> str:
    """Make an API token. Return it; only its hash is kept. Raises RuleBroken for a bad name."""
    shown = check_line("name", name, 100)
    token_id, secret = new_id(), secrets.token_urlsafe(32)
    with transaction(now) as session:
        session.add(ApiToken(id=token_id, name=shown, scope=scope, secret_hash=hash_token(secret), created_at=now))
        audit(session, by, "add_token", "api_token", token_id, now, name=shown, scope=scope.value)
    return f"sp_live_{token_id}_{secret}"


def revoke_token(token_id: str, by: str, now: datetime) -> str:
    """Refuse an API token from now on. Return the name it had. Raises NotFound, again too."""
    with transaction(now) as session:
        found = session.get(ApiToken, token_id, with_for_update=True, populate_existing=True)
        if found is None or found.revoked_at is not None:
            raise NotFound("API key")
        found.revoked_at = now
        audit(session, by, "revoke_token", "api_token", token_id, now, name=found.name)
        return found.name


def find_token(key: str, now: datetime) -> ApiToken | None:
    """Return the API token of this key unless it was revoked, and note its use once a minute at most."""
    match = _API_KEY.fullmatch(key)
    found = db.session.get(ApiToken, match[1]) if match else None
    if match is None or found is None or found.revoked_at is not None:
        return None
    if not hmac.compare_digest(found.secret_hash, hash_token(match[2])):
        return None
    if found.last_used_at is None or now - found.last_used_at >= _SEEN_EVERY:
        token_id = found.id
        with transaction(now) as session:
            session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))
    return found


def hash_token(token: str) -> str:
    """Return the SHA-256 of a random token, in hex: what is kept in its place."""
    return hashlib.sha256(token.encode()).hexdigest()


@cache
def _hash_of_nobody() -> str:
    """Verified when the account is unknown, so that the answer takes as long as for a known one."""
    return _HASHER.hash(secrets.token_hex())


def _usable(session: Session, account_id: str) -> Account:
    account = session.get(Account, account_id)
    if account is None or account.disabled_at is not None:
        raise NotFound("account")
    return account


def _matches(hashed: str, password: str) -> bool:
    if len(password.encode()) > PASSWORD_MOST_BYTES:
        return False
    try:
        with _HASHING_AT_ONCE:
            return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
