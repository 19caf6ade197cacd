"""The first page of administration: what is set up, what is missing, and what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, func, select

from statuspage.db import db
from statuspage.models import (
    Account,
    ApiToken,
    Channel,
    Component,
    ComponentGroup,
    Customer,
    Page,
    PolicyVersion,
    Subscriber,
    Suppression,
    TemplateVersion,
)
from statuspage.rules.vocabulary import AccountRole
from statuspage.settings import Settings
from statuspage.web import access
from statuspage.web.admin.integrations import mail_in_words
from statuspage.web.health import mail_stop, mirror_behind

blueprint = Blueprint("admin_overview", __name__, url_prefix="/admin")

READY, MISSING, BROKEN, OPTIONAL = "ready", "missing", "broken", "optional"


@dataclass(frozen=True)
class Part:
    """One thing that is set up, or is not."""

    name: str
    path: str
    state: str
    words: str
    """How it stands."""
    next_step: str = ""
    """What to do about it, if anything should be done."""


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """Show everything that can be set up, on one screen."""
    settings: Settings = current_app.config["STATUSPAGE"]
    sections = [
        ("What readers see", [_components(), _page(), _wording()]),
        ("Who works here", [_people(), _policies(), _channels()]),
        ("Who is told", [_mail(settings), _subscribers(), _customers(), _suppressions()]),
        ("What it is connected to", [_mirror(settings), _keys()]),
    ]
    steps = [each for _, parts in sections for each in parts if each.state in (BROKEN, MISSING)]
    # What is broken before what is missing; otherwise in the order of the page.
    steps.sort(key=lambda each: each.state != BROKEN)
    return render_template("admin/overview.html", sections=sections, steps=steps)


def _count(table: type, *conditions: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _page() -> Part:
    page = db.session.execute(select(Page)).scalar_one()
    words = f"“{page.name}”, days by {page.time_zone}"
    if not page.support_url:
        return Part("Page", "/admin/page/", MISSING, words, "Say where readers get help: the support address is empty.")
    return Part("Page", "/admin/page/", READY, words)


def _components() -> Part:
    number, groups = _count(Component, Component.archived_at.is_(None)), _count(ComponentGroup)
    path = "/admin/components/"
    if not number:
        return Part(
            "Components", path, MISSING, "None yet", "Add the parts of your product that customers know by name."
        )
    words = _counted(number, "component", "components")
    return Part("Components", path, READY, f"{words} in {_counted(groups, 'group', 'groups')}" if groups else words)


def _wording() -> Part:
    edited = _count(TemplateVersion)
    return Part(
        "Wording",
        "/admin/templates/",
        READY,
        f"Edited {edited} time{'' if edited == 1 else 's'}" if edited else "As shipped",
    )


def _people() -> Part:
    may_sign_in: Sequence[ColumnElement[bool]] = (Account.disabled_at.is_(None), Account.password_hash != "")
    number = _count(Account, *may_sign_in)
    invited = _count(Account, Account.disabled_at.is_(None), Account.password_hash == "")
    admins = _count(Account, *may_sign_in, Account.role == AccountRole.ADMIN)
    words = f"{_counted(number, 'person', 'people')}, {_counted(admins, 'administrator', 'administrators')}"
    words += f", {invited} invited" if invited else ""
    path = "/admin/people/"
    if number + invited < 2:
        step = "Invite a second person: a post-incident e-mail needs somebody else’s yes."
        return Part("People", path, MISSING, words, step)
    return Part("People", path, READY, words)


def _policies() -> Part:
    by_hand = select(func.count(PolicyVersion.severity.distinct())).where(PolicyVersion.created_by_id.is_not(None))
    edited = db.session.scalar(by_hand) or 0
    words = f"{_counted(edited, 'severity', 'severities')} edited" if edited else "As shipped"
    return Part("Policies", "/admin/policies/", READY, words)


def _channels() -> Part:
    number = _count(Channel, Channel.removed_at.is_(None))
    if not number:
        step = "Connect the chat room of your team, or a pager: reminders go by mail alone."
        return Part("Channels", "/admin/channels/", MISSING, "None yet", step)
    return Part("Channels", "/admin/channels/", READY, _counted(number, "channel", "channels"))


def _mail(settings: Settings) -> Part:
    path, words, stop = "/admin/integrations/", mail_in_words(settings), mail_stop()
    if not words:
        step = "Set SENDGRID_API_KEY or SMTP_URL: until then nobody gets mail."
        return Part("Mail", path, MISSING, "Kept as files", step)
    if stop:
        return Part("Mail", path, BROKEN, words, f"No mail leaves: {stop.reason}")
    return Part("Mail", path, READY, words)


def _subscribers() -> Part:
    active = _count(Subscriber, Subscriber.state == Subscriber.ACTIVE)
    words = (
        _counted(active, "subscriber", "subscribers") if active else "Nobody yet: readers sign up on the public page"
    )
    return Part("Subscribers", "/admin/subscribers/", READY if active else OPTIONAL, words)


def _customers() -> Part:
    number = _count(Customer)
    words = _counted(number, "customer", "customers") if number else "None: import those who should be told directly"
    return Part("Customers", "/admin/imports/", READY if number else OPTIONAL, words)


def _suppressions() -> Part:
    number = _count(Suppression, Suppression.lifted_at.is_(None))
    words = f"{_counted(number, 'address is', 'addresses are')} left alone" if number else "No address is left alone"
    return Part("Suppressions", "/admin/suppressions/", READY, words)


def _mirror(settings: Settings) -> Part:
    name, path, behind = "Copy elsewhere", "/admin/integrations/", mirror_behind()
    if not settings.publish_to:
        return Part(name, path, OPTIONAL, "Not used: set PUBLISH_TO to outlive this machine")
    if behind:
        return Part(
            name, path, BROKEN, settings.publish_to, f"The copy is behind: {behind.last_error or 'it takes long'}"
        )
    return Part(name, path, READY, settings.publish_to)


def _keys() -> Part:
    number = _count(ApiToken, ApiToken.revoked_at.is_(None))
    words = _counted(number, "key", "keys") if number else "None: make one for your monitoring"
    return Part("API keys", "/admin/tokens/", READY if number else OPTIONAL, words)
