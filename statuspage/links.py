"""Signed links in mails: who may act, for what purpose, without an account."""

from datetime import timedelta
from enum import StrEnum

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
    """Return a token that names the subject and can't be forged."""
    return str(_serializer(settings, purpose).dumps(subject))


def read_token(settings: Settings, purpose: Purpose, token: str) -> str | None:
    """Return the subject a token names; None if it is forged, expired or for another purpose."""
    if len(token) > TOKEN_LIMIT:
        return None
    serializer = _serializer(settings, purpose)
    try:
        if isinstance(serializer, URLSafeTimedSerializer):
            subject = serializer.loads(token, max_age=int(LIFETIMES[purpose].total_seconds()))
        else:
            subject = serializer.loads(token)
    except (BadData, ValueError):
        return None
    return subject if isinstance(subject, str) else None


def _serializer(settings: Settings, purpose: Purpose) -> URLSafeSerializer | URLSafeTimedSerializer:
    kind = URLSafeTimedSerializer if purpose in LIFETIMES else URLSafeSerializer
    # itsdangerous signs with the last key and accepts any.
    return kind([*reversed(settings.secret_key_fallbacks), settings.secret_key], salt=f"statuspage.{purpose.value}")
