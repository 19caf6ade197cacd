"""Signed links in mails: who may act, for what purpose, without an account."""

import hmac
import re
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer

from statuspage.settings import Settings

TOKEN_LIMIT = 500


class Purpose(StrEnum):
    """What a link is for; a token made for one purpose is refused for every other."""

    CONFIRM = "confirm-subscription"
    UNSUBSCRIBE = "unsubscribe"
    MANAGE = "manage-subscription"
    SIGN_UP = "sign-up-form"
    INVITATION = "invitation"
    FORM = "form"
    NUDGE = "nudge"


LIFETIMES = {
    Purpose.CONFIRM: timedelta(days=7),
    Purpose.INVITATION: timedelta(days=7),
    Purpose.FORM: timedelta(hours=12),
    Purpose.SIGN_UP: timedelta(days=1),
    Purpose.NUDGE: timedelta(days=7),
}
"""Purposes without a row here last for ever: every mail ever sent leads to the settings, and out."""


def make_token(settings: Settings, purpose: Purpose, subject: str) -> str:
    """Return a token that names the subject and can't be forged.

    Tokens that last for ever go into every mail, each reader's own: they are
    the subject and a short signature, which costs a tenth of the others.
    """
    if purpose not in LIFETIMES and _PLAIN_SUBJECT.fullmatch(subject):
        return signer(settings, purpose)(subject)
    return str(_serializer(settings, purpose).dumps(subject))


def signer(settings: Settings, purpose: Purpose) -> Callable[[str], str]:
    """Return what makes tokens that last for ever, quickly, for subjects that are ids."""
    if purpose in LIFETIMES:
        raise ValueError(f"tokens for {purpose} expire")
    # The key is taken in once: half of the work.
    keyed = blake2b(key=_purpose_key(settings.secret_key, purpose), digest_size=_SIGNATURE_BYTES)

    def sign(subject: str) -> str:
        digest = keyed.copy()
        digest.update(subject.encode())
        return f"{subject}.{digest.hexdigest()}"

    return sign


def read_token(settings: Settings, purpose: Purpose, token: str) -> str | None:
    """Return the subject a token names; None if it is forged, expired or for another purpose."""
    if len(token) > TOKEN_LIMIT:
        return None
    if purpose not in LIFETIMES and _is_signed(settings, purpose, token):
        return token.partition(".")[0]
    serializer = _serializer(settings, purpose)
    try:
        if isinstance(serializer, URLSafeTimedSerializer):
            subject = serializer.loads(token, max_age=int(LIFETIMES[purpose].total_seconds()))
        else:
            subject = serializer.loads(token)
    except (BadData, ValueError):
        return None
    return subject if isinstance(subject, str) else None


_PLAIN_SUBJECT = re.compile(r"[0-9a-z]{1,40}")
# 128 bits: nobody guesses that through a web server.
_SIGNATURE_BYTES = 16


def _is_signed(settings: Settings, purpose: Purpose, token: str) -> bool:
    subject, _, signature = token.partition(".")
    if not (_PLAIN_SUBJECT.fullmatch(subject) and signature.isascii()):
        return False
    keys = settings.secret_keys
    return any(hmac.compare_digest(signature, _signature(key, purpose, subject)) for key in keys)


def _signature(key: str, purpose: Purpose, subject: str) -> str:
    # Keyed BLAKE2 (RFC 7693, 2.9): a million of these are made for one update.
    return blake2b(subject.encode(), key=_purpose_key(key, purpose), digest_size=_SIGNATURE_BYTES).hexdigest()


@lru_cache(maxsize=64)
def _purpose_key(key: str, purpose: Purpose) -> bytes:
    """One key for each purpose: so that a token made for one is refused for every other."""
    return hmac.digest(key.encode(), f"statuspage.{purpose.value}".encode(), "sha256")


def _serializer(settings: Settings, purpose: Purpose) -> URLSafeSerializer | URLSafeTimedSerializer:
    kind = URLSafeTimedSerializer if purpose in LIFETIMES else URLSafeSerializer
    # itsdangerous signs with the last key and accepts any.
    return kind([*reversed(settings.secret_key_fallbacks), settings.secret_key], salt=f"statuspage.{purpose.value}")
