"""Channels: add a chat room or pager, try it, remove it."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import func, select

from statuspage import clock
from statuspage.actions import channels
from statuspage.db import db
from statuspage.models import Account, Announcement, Channel, Delivery
from statuspage.rules.vocabulary import AccountRole, ChannelKind, choose
from statuspage.web import access, done
from statuspage.web.forms import show_again

blueprint = Blueprint("admin_channels", __name__, url_prefix="/admin/channels")

_WORDS = {
    Delivery.QUEUED: "The newest post is on its way. Reload this page to see how it ends.",
    Delivery.LEASED: "The newest post is on its way. Reload this page to see how it ends.",
    Delivery.SUBMITTED: "The newest post was taken.",
    Delivery.UNKNOWN: "The answer to the newest post went missing: it is tried once more.",
    Delivery.CANCELLED: "The newest post was cancelled.",
    Delivery.DEAD: "The newest post failed.",
}


@dataclass(frozen=True)
class Ending:
    """How the newest post to a channel ended."""

    words: str
    error: str
    settled_at: datetime | None
    is_bad: bool


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """List the channels and the form that adds one."""
    return _page({"kind": ChannelKind.SLACK.value}, {})


@blueprint.post("/")
@access.needs(AccountRole.ADMIN)
def add() -> ResponseReturnValue:
    """Add a channel."""
    form = request.form
    kind = choose(ChannelKind, form.get("kind", ""), "kind", "Please choose a kind.")
    owner = form.get("account_id", "") or None
    channel_id = channels.add_channel(
        kind, form.get("name", ""), form.get("url", ""), owner, current_user.id, clock.now()
    )
    done.say(f"“{db.session.get_one(Channel, channel_id).name}” was added: send it a test.")
    return redirect(url_for("admin_channels.index"), 303)


@blueprint.post("/<channel_id>/test")
@access.needs(AccountRole.ADMIN)
def test(channel_id: str) -> ResponseReturnValue:
    """Have a test posted to a channel."""
    name = channels.test_channel(channel_id, current_user.id, clock.now())
    done.say(f"A test to “{name}” is on its way.")
    to = "admin_integrations.index" if request.form.get("back") == "integrations" else "admin_channels.index"
    return redirect(url_for(to), 303)


@blueprint.post("/<channel_id>/remove")
@access.needs(AccountRole.ADMIN)
def remove(channel_id: str) -> ResponseReturnValue:
    """Post no more to a channel; the next page offers to take that back."""
    name = channels.remove_channel(channel_id, current_user.id, clock.now())
    undo = url_for("admin_channels.restore", channel_id=channel_id)
    done.say(f"Nothing is posted to “{name}” any more, what waited for it included.", undo)
    return redirect(url_for("admin_channels.index"), 303)


@blueprint.post("/<channel_id>/restore")
@access.needs(AccountRole.ADMIN)
def restore(channel_id: str) -> ResponseReturnValue:
    """Post to a removed channel again."""
    name = channels.restore_channel(channel_id, current_user.id, clock.now())
    done.say(f"“{name}” is back: reminders are posted there again.")
    return redirect(url_for("admin_channels.index"), 303)


def _page(values: dict[str, str], errors: dict[str, str]) -> str:
    listed = db.session.execute(
        select(Channel, Account.name)
        .outerjoin(Account, Account.id == Channel.account_id)
        .where(Channel.removed_at.is_(None))
        .order_by(Channel.name, Channel.id)
    ).all()
    accounts = db.session.scalars(select(Account).where(Account.disabled_at.is_(None)).order_by(Account.name)).all()
    return render_template(
        "admin/channels.html",
        typed=values,
        errors=errors,
        channels=[(channel, owner, shown_address(channel)) for channel, owner in listed],
        endings=endings(),
        accounts=accounts,
        kinds=list(ChannelKind),
    )


def shown_address(channel: Channel) -> str:
    """Return so much of a channel's address as is no secret: an Apprise address has its keys anywhere."""
    parts = urlsplit(channel.url)
    return f"{parts.scheme}://{'' if channel.kind is ChannelKind.PAGER else parts.hostname}"


def endings() -> dict[str, Ending]:
    """Return how the newest post to each channel stands."""
    newest = select(func.max(Announcement.id)).where(Announcement.audience == "channel").group_by(Announcement.address)
    rows = db.session.scalars(select(Delivery).where(Delivery.announcement_id.in_(newest)))
    return {row.address: ending(row) for row in rows}


def ending(row: Delivery) -> Ending:
    """Say how a delivery stands."""
    waits_again = row.state == Delivery.QUEUED and row.error != ""
    words = "The newest post was not taken: it is tried again." if waits_again else _WORDS[row.state]
    is_bad = waits_again or row.state in (Delivery.UNKNOWN, Delivery.DEAD)
    return Ending(words, row.error if is_bad else "", row.settled_at, is_bad)


show_again(blueprint, _page)
