"""The team's channels: add, try, remove."""

from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.db import transaction
from statuspage.delivery.announcements import announce_to_channel
from statuspage.models import Account, Channel, new_id
from statuspage.rules.messages import check_line
from statuspage.rules.vocabulary import ChannelKind, Conflict, NotFound, RuleBroken

URL_LIMIT = 2_000
_THIS_MACHINE = ("localhost", "127.0.0.1")


def check_url(kind: ChannelKind, text: str) -> str:
    """Return a channel's address. Raises RuleBroken on ``url`` if nothing can be posted there."""
    url = text.strip()
    if not url:
        raise RuleBroken({"url": "Please fill this in."})
    if len(url) > URL_LIMIT:
        raise RuleBroken({"url": f"Please use an address of at most {URL_LIMIT} characters."})
    if any(letter.isspace() or not letter.isprintable() for letter in url):
        raise RuleBroken({"url": "Please give one address, without spaces."})
    if kind is ChannelKind.PAGER:
        _check_pager(url)
    else:
        _check_webhook(url)
    return url


def _check_webhook(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("https", "http"):
        raise RuleBroken({"url": "Please give the whole address of the webhook, beginning with https://."})
    if parts.scheme == "http" and host not in _THIS_MACHINE:
        raise RuleBroken(
            {"url": "Please use https://: this address is a secret, and http:// would show it on the way."}
        )


def _check_pager(url: str) -> None:
    # A second and 30 MB for all its services: only where a pager is added.
    import apprise

    pagers = apprise.Apprise()
    if not pagers.add(url) or len(pagers) != 1:
        raise RuleBroken(
            {"url": "Apprise does not understand this address. It looks like pagerduty://… or mailto://…."}
        )


def add_channel(kind: ChannelKind, name: str, url: str, account_id: str | None, by: str, now: datetime) -> str:
    """Add a channel of one person, or of the whole team. Return its id.

    Raises RuleBroken on ``name``, ``url`` or ``account_id``.
    """
    errors: dict[str, str] = {}
    shown = checked = ""
    try:
        shown = check_line("name", name, 100)
    except RuleBroken as broken:
        errors |= broken.errors
    try:
        checked = check_url(kind, url)
    except RuleBroken as broken:
        errors |= broken.errors
    if errors:
        raise RuleBroken(errors)
    with transaction(now) as session:
        _check_owner(session, account_id)
        channel_id = new_id()
        session.add(Channel(id=channel_id, kind=kind, name=shown, url=checked, account_id=account_id, created_at=now))
        # Without the address: it is a secret, and the ledger is not.
        audit(session, by, "add_channel", "channel", channel_id, now, kind=kind.value, name=shown)
    return channel_id


def _check_owner(session: Session, account_id: str | None) -> None:
    if account_id is None:
        return
    account = session.get(Account, account_id)
    if account is None or account.disabled_at is not None:
        raise RuleBroken({"account_id": "This account does not exist any more: please choose another."})


def remove_channel(channel_id: str, by: str, now: datetime) -> str:
    """Post no more to a channel, what waits for it included. Return its name. Raises NotFound, again too."""
    with transaction(now) as session:
        channel = _usable(session, channel_id)
        channel.removed_at = now
        audit(session, by, "remove_channel", "channel", channel_id, now)
        return channel.name


def restore_channel(channel_id: str, by: str, now: datetime) -> str:
    """Post to a removed channel again, from now on. Return its name.

    Raises NotFound, Conflict if it was not removed, or if its owner's account is disabled.
    """
    with transaction(now) as session:
        channel = session.get(Channel, channel_id, with_for_update=True)
        if channel is None:
            raise NotFound("channel")
        if channel.removed_at is None:
            raise Conflict(f"“{channel.name}” is in use already.")
        owner = session.get(Account, channel.account_id) if channel.account_id else None
        if owner is not None and owner.disabled_at is not None:
            raise Conflict(f"“{channel.name}” belongs to {owner.name}, who is disabled.")
        channel.removed_at = None
        audit(session, by, "restore_channel", "channel", channel_id, now)
        return channel.name


def test_channel(channel_id: str, by: str, now: datetime) -> str:
    """Have the worker post a test to a channel. Return its name. Raises NotFound."""
    with transaction(now) as session:
        channel = _usable(session, channel_id)
        announce_to_channel(session, "channel_test", channel_id, channel_id, {}, None, now)
        audit(session, by, "test_channel", "channel", channel_id, now)
        return channel.name


def _usable(session: Session, channel_id: str) -> Channel:
    channel = session.get(Channel, channel_id, with_for_update=True)
    if channel is None or channel.removed_at is not None:
        raise NotFound("channel")
    return channel
