"""What the service is connected to: how each stands, and a test of each that the worker carries out."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from flask import Blueprint, current_app, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import ColumnElement, and_, func, select

from statuspage import clock
from statuspage.actions import integrations
from statuspage.db import db
from statuspage.delivery.announcements import IMPORT_LANE, INCIDENT_LANE, SECURITY_LANE
from statuspage.models import Announcement, Channel, Delivery
from statuspage.rules.vocabulary import AccountRole, Conflict
from statuspage.settings import Settings
from statuspage.site import mirror
from statuspage.web import access, done
from statuspage.web.admin.channels import Ending, ending, endings, shown_address
from statuspage.web.health import mail_stop, mirror_behind

blueprint = Blueprint("admin_integrations", __name__, url_prefix="/admin/integrations")

# How far back is looked for what went well or wrong last: a million deliveries must not be read for one page.
LOOKED_AT = 20_000
CHANNEL_POSTS_LOOKED_AT = 500
TAKEN = (Delivery.SUBMITTED, Delivery.DELIVERED)


@dataclass(frozen=True)
class Last:
    """What went well last, and what did not."""

    success_at: datetime | None = None
    failure_at: datetime | None = None
    error: str = ""


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """Show how everything stands that the service is connected to."""
    return _page({})


@blueprint.post("/mail/test")
@access.needs(AccountRole.ADMIN)
def test_mail() -> ResponseReturnValue:
    """Have a test mailed to whoever asks."""
    try:
        email = integrations.test_mail(current_user.id, clock.now())
    except Conflict as conflict:
        return _page({"": str(conflict)}), 409
    done.say(f"A test mail to {email} is on its way.")
    return redirect(url_for("admin_integrations.index"), 303)


@blueprint.post("/mirror/test")
@access.needs(AccountRole.ADMIN)
def test_mirror() -> ResponseReturnValue:
    """Have everything published anew, the copy elsewhere included."""
    integrations.publish_again(current_user.id, clock.now())
    done.say("Everything is being published anew. The line below says when the copy was complete last.")
    return redirect(url_for("admin_integrations.index"), 303)


def _page(errors: dict[str, str]) -> str:
    settings: Settings = current_app.config["STATUSPAGE"]
    query = select(Channel).where(Channel.removed_at.is_(None)).order_by(Channel.name, Channel.id)
    channels = db.session.scalars(query.execution_options(populate_existing=True)).all()
    copied = mirror.read_state(settings.data_dir) if settings.publish_to else None
    is_ours = copied is not None and copied.target == settings.publish_to
    return render_template(
        "admin/integrations.html",
        errors=errors,
        mail=mail_in_words(settings),
        stop=mail_stop(),
        last_mail=_last(Delivery.lane.in_((SECURITY_LANE, INCIDENT_LANE, IMPORT_LANE))),
        tested=_newest_test(),
        channels=[(each, shown_address(each)) for each in channels],
        endings=endings(),
        last_posts=_last_posts(),
        target=settings.publish_to,
        copied=copied if is_ours else None,
        behind=mirror_behind(),
        instant_of=datetime.fromisoformat,
        takes_events=bool(settings.sendgrid_webhook_key),
    )


def mail_in_words(settings: Settings) -> str:
    """Return how mail leaves; empty if it is only kept as files."""
    if settings.sendgrid_api_key:
        return f"SendGrid, {urlsplit(settings.sendgrid_url).hostname}"
    return f"SMTP, {settings.smtp.host}:{settings.smtp.port}" if settings.smtp else ""


def _last(among: ColumnElement[bool]) -> Last:
    newest = db.session.scalar(select(func.max(Delivery.id))) or 0
    query = select(Delivery).where(Delivery.id > newest - LOOKED_AT, among).order_by(Delivery.id.desc()).limit(1)
    good = db.session.scalar(query.where(Delivery.state.in_(TAKEN)))
    bad = db.session.scalar(query.where(Delivery.error != "", Delivery.state.not_in(TAKEN)))
    return Last(
        good.settled_at if good else None,
        (bad.settled_at or bad.not_before) if bad else None,
        bad.error if bad else "",
    )


def _newest_test() -> Ending | None:
    """Return how the newest test mail to whoever looks stands."""
    mine = and_(Announcement.kind == "mail_test", Announcement.subject_id == current_user.id)
    newest = select(func.max(Announcement.id)).where(mine).scalar_subquery()
    row = db.session.scalar(select(Delivery).where(Delivery.announcement_id == newest))
    return ending(row) if row else None


def _last_posts() -> dict[str, Last]:
    """Return for each channel what went well last, and what did not, among the newest posts."""
    newest = (
        select(Announcement.id)
        .where(Announcement.audience == "channel")
        .order_by(Announcement.id.desc())
        .limit(CHANNEL_POSTS_LOOKED_AT)
    )
    ids = db.session.scalars(newest).all()
    found: dict[str, Last] = {}
    # The oldest first, so that what is newest stays.
    for row in db.session.scalars(select(Delivery).where(Delivery.announcement_id.in_(ids)).order_by(Delivery.id)):
        last = found.get(row.address, Last())
        if row.state in TAKEN:
            found[row.address] = Last(row.settled_at, last.failure_at, last.error)
        elif row.error:
            found[row.address] = Last(last.success_at, row.settled_at or row.not_before, row.error)
    return found
