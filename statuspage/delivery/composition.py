"""What a mail says: from an announcement's facts and the templates under ``templates/mail/``; what a channel is told."""

import hashlib
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from markupsafe import Markup
from sqlalchemy import select

from statuspage import prose
from statuspage.db import db
from statuspage.delivery.outbox import Batch
from statuspage.delivery.transport import Message, Recipient
from statuspage.delivery.voice import PLAIN, Voice, team_voice, voice_of
from statuspage.languages import filters, translated
from statuspage.links import Purpose, make_token, signer
from statuspage.models import (
    Account,
    ActionItem,
    Announcement,
    Component,
    Document,
    Maintenance,
    MaintenanceUpdate,
    Page,
    Update,
)
from statuspage.rendering import environment
from statuspage.rules.documents import PUBLIC_TEXT
from statuspage.rules.languages import ENGLISH
from statuspage.rules.times import instant_in_words
from statuspage.rules.vocabulary import (
    LABELS,
    ComponentState,
    DocumentKind,
    MaintenanceMessage,
    SubscriptionMethod,
)
from statuspage.settings import Settings

# What goes to many, each of whom has links of their own.
TO_MANY = ("incident_update", "maintenance_update", "document", "component_change", "post_mortem")
TO_TEAM = ("nudge", "invitation", "action_item", "mail_test")
# What mail programs show of a mail's beginning in their lists.
PREHEADER_LIMIT = 90
MANAGE_PATH = "subscriptions/manage"


@dataclass(frozen=True)
class IncidentMail:
    """What a mail about an update shows."""

    page_name: str
    title: str
    label: str
    posted_at: datetime
    body: str
    body_html: Markup
    next_update_by: datetime | None
    components: tuple[tuple[str, str], ...]
    """Name and state of every affected component."""
    incident_url: str
    manage_url: str
    unsubscribe_url: str


@dataclass(frozen=True)
class DocumentMail:
    """What the direct and the post-incident e-mail show."""

    page_name: str
    headline: str
    body: str
    body_html: Markup
    incident_url: str
    manage_url: str
    unsubscribe_url: str
    """Both empty for customers: they get it because they use the product, not because they signed up."""


def compose(announcement: Announcement, settings: Settings, for_customers: bool = False, language: str = "") -> Message:
    """Write the mail of an announcement, once for all its recipients: subscribers, or customers who are none.

    In the language that they want, if the page offers it. Raises LookupError
    if what it tells about is gone.
    """
    page = db.session.execute(select(Page)).scalar_one()
    to_team = announcement.kind in TO_TEAM
    voice = team_voice(page, settings.public_url) if to_team else voice_of(page, settings.public_url, language)
    if announcement.kind == "document":
        # A test to oneself has no subscription to end.
        return _document(announcement, voice, settings, for_customers or announcement.audience == "address")
    write = {
        "incident_update": _incident_update,
        "maintenance_update": _maintenance_update,
        "nudge": _nudge,
        "post_mortem": _post_mortem,
        "action_item": _action_item,
        "component_change": _component_change,
        "endpoint_disabled": _endpoint_disabled,
        "mail_test": _mail_test,
        "test_message": _test_message,
    }.get(announcement.kind, _link_mail)
    return write(announcement, voice, settings)


def _link_mail(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    """Write a mail whose point is one link; of whoever asked for it, it says nothing."""
    kind, detail, subject = announcement.kind, announcement.detail or {}, announcement.subject_id
    purpose, path = {
        "confirm_subscription": (Purpose.CONFIRM, "subscriptions"),
        "confirm_follow": (Purpose.CONFIRM, "subscriptions"),
        "subscription_settings": (Purpose.MANAGE, MANAGE_PATH),
        "invitation": (Purpose.INVITATION, "invitation"),
    }[kind]
    if kind == "confirm_follow":
        subject = f"{subject}:{detail['incident_id']}"
    if purpose is Purpose.INVITATION and db.session.get(Account, subject) is None:
        raise LookupError("the invited account is gone")
    values = {
        "page_name": voice.page_name,
        "url": f"{settings.public_url}/{path}/{make_token(settings, purpose, subject)}",
        "method": detail.get("method", SubscriptionMethod.EMAIL.value),
    }
    headers = _common_headers(announcement)
    headers["Message-ID"] = f"<{kind}.{announcement.id}@{_host(settings)}>"
    return _render(kind, values, headers, voice)


def recipients(batch: Batch, settings: Settings) -> list[Recipient]:
    """Return the recipients of a batch, each with the values of its marks."""
    if batch.announcement.kind not in TO_MANY:
        return [Recipient(each.id, each.address, {}) for each in batch.deliveries]
    # This runs a million times for one update.
    marks = _marks(batch.announcement, settings)
    token, manage, recipient = marks["token"], marks["manage"], marks["recipient"]
    unsubscribe, settle = signer(settings, Purpose.UNSUBSCRIBE), signer(settings, Purpose.MANAGE)
    return [
        Recipient(number, address, {token: unsubscribe(who), manage: settle(who), recipient: who})
        if who is not None
        else Recipient(number, address, {recipient: customer or "test"})
        for number, address, who, customer, _ in batch.deliveries
    ]


def told_document(announcement: Announcement) -> Document:
    """Return the text that an announcement tells. Raises LookupError if it is gone."""
    document = db.session.get(Document, announcement.subject_id)
    if document is None:
        raise LookupError("the document is gone")
    return document


def maintenance_values(
    window: Maintenance, label: str, body: str, page_name: str, settings: Settings, language: str = ENGLISH
) -> dict[str, Any]:
    """Return what mail and chat rooms tell of a message about a window."""
    return {
        "page_name": page_name,
        "title": window.title,
        "label": label,
        "window": _window_in_words(window, language),
        "is_cancelled": window.cancelled_at is not None,
        "body": body,
        "components": [each.component.name for each in window.components],
        "preheader": textwrap.shorten(f"{label}: {body}", PREHEADER_LIMIT, placeholder=" …"),
        "window_url": f"{settings.public_url}/incidents/{window.id}",
    }


def render_maintenance_update(
    values: Mapping[str, Any], body_html: str, manage_url: str, unsubscribe_url: str, voice: Voice = PLAIN
) -> tuple[str, str, str]:
    """Return subject, text and HTML of a mail about a window."""
    own = {"manage_url": manage_url, "unsubscribe_url": unsubscribe_url}
    # Cleaned when the message was written.
    return _rendered("maintenance_update", {**values, **own, "body_html": Markup(body_html)}, voice)  # noqa: S704


def said_of_maintenance(announcement: Announcement) -> MaintenanceUpdate:
    """Return the message about a window that an announcement tells. Raises LookupError if it is gone."""
    update = db.session.get(MaintenanceUpdate, announcement.subject_id)
    if update is None:
        raise LookupError("the update is gone")
    return update


def _window_in_words(window: Maintenance, language: str) -> str:
    """As the window stands when this is written: a mail that waited tells no old time."""
    zone = ZoneInfo(db.session.execute(select(Page.time_zone)).scalar_one())
    return filters(language)["window"](window.scheduled_for, window.scheduled_until, zone)  # type: ignore[no-any-return]


def maintenance_label(update: MaintenanceUpdate) -> str:
    """Return in a word or two what a message about a window is for."""
    if update.kind is MaintenanceMessage.UPDATE:
        return LABELS[update.stage]
    return LABELS[update.kind]


def compose_alarm(
    page_name: str, silent_since: datetime, has_ever_run: bool, settings: Settings, now: datetime
) -> Message:
    """Write the mail that tells the team that the clock worker is silent."""
    title, text = alarm_words(silent_since, has_ever_run)
    values = {"page_name": page_name, "title": title, "text": text, "url": f"{settings.public_url}/console/"}
    headers = {
        "Date": format_datetime(now),
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        # Should an alarm be sent twice, both copies have the same id: receivers can drop the second.
        "Message-ID": f"<alarm.{int(silent_since.timestamp())}@{_host(settings)}>",
        "Importance": "high",
    }
    return _render("alarm", values, headers, PLAIN)


def alarm_words(silent_since: datetime, has_ever_run: bool) -> tuple[str, str]:
    """Return title and text of the alarm that no worker is at work."""
    if not has_ever_run:
        return "The clock worker does not run", "It has never run: reminders and mails are not going out."
    return (
        f"The clock worker is silent since {silent_since:%H:%M} UTC",
        f"Its last sign of life came {instant_in_words(silent_since)}. Reminders and mails are not going out.",
    )


def render_incident_update(mail: IncidentMail, voice: Voice = PLAIN) -> tuple[str, str, str]:
    """Return subject, text and HTML of a mail about an update."""
    # The subject stays the same for the whole thread: what mail programs show beside it tells the stage.
    label = translated(mail.label, voice.language)
    preheader = textwrap.shorten(f"{label}: {mail.body}", PREHEADER_LIMIT, placeholder=" …")
    return _rendered("incident_update", {"mail": mail, "preheader": preheader}, voice)


def posted_update(announcement: Announcement) -> Update:
    """Return the update that an announcement tells. Raises LookupError if it is gone."""
    update = db.session.get(Update, announcement.subject_id)
    if update is None:
        raise LookupError("the update is gone")
    return update


def incident_mail(
    update: Update, page_name: str, settings: Settings, manage_url: str, unsubscribe_url: str
) -> IncidentMail:
    """Return what a mail about an update shows."""
    return IncidentMail(
        page_name=page_name,
        title=update.incident.title,
        label=LABELS[update.stage],
        posted_at=update.posted_at,
        body=prose.to_text(update.body),
        # Cleaned when the message was written.
        body_html=Markup(update.body_html),  # noqa: S704
        next_update_by=update.next_update_by,
        components=tuple((each["name"], each["new_state"]) for each in update.component_states),
        incident_url=f"{settings.public_url}/incidents/{update.incident_id}",
        manage_url=manage_url,
        unsubscribe_url=unsubscribe_url,
    )


def _incident_update(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    update = posted_update(announcement)
    incident, host, marks = update.incident, _host(settings), _marks(announcement, settings)
    manage_url = f"{settings.public_url}/{MANAGE_PATH}/{marks['manage']}"
    unsubscribe_url = f"{settings.public_url}/unsubscribe/{marks['token']}"
    mail = incident_mail(update, voice.page_name, settings, manage_url, unsubscribe_url)
    subject, text, html = render_incident_update(mail, voice)
    headers = _common_headers(announcement) | {
        # The same update to the same person has the same id: receivers can drop a second copy.
        "Message-ID": f"<incident.{incident.id}.{update.sequence}.{marks['recipient']}@{host}>",
    }
    headers |= _list_headers(manage_url, unsubscribe_url, settings)
    if update.sequence > 1:
        first = f"<incident.{incident.id}.1.{marks['recipient']}@{host}>"
        headers |= {"In-Reply-To": first, "References": first}
    return Message(subject, text, html, headers)


def _test_message(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    """Write an example of a message, sent to whoever works on its wording: it carries its own words."""
    detail = announcement.detail or {}
    promised = detail["next_update_by"]
    mail = IncidentMail(
        page_name=voice.page_name,
        title=detail["title"],
        label=detail["label"],
        posted_at=announcement.created_at,
        body=detail["body"],
        # Cleaned by prose.
        body_html=Markup(prose.to_html(detail["body"])),  # noqa: S704
        next_update_by=datetime.fromisoformat(promised) if promised else None,
        components=(),
        incident_url=settings.public_url,
        manage_url="",
        unsubscribe_url="",
    )
    subject, text, html = render_incident_update(mail, voice)
    headers = _common_headers(announcement)
    headers["Message-ID"] = f"<test_message.{announcement.id}@{_host(settings)}>"
    return Message(f"Test: {subject}", text, html, headers)


def _maintenance_update(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    update, marks, host = said_of_maintenance(announcement), _marks(announcement, settings), _host(settings)
    window, label = update.maintenance, translated(maintenance_label(update), voice.language)
    manage_url = f"{settings.public_url}/{MANAGE_PATH}/{marks['manage']}"
    unsubscribe_url = f"{settings.public_url}/unsubscribe/{marks['token']}"
    values = maintenance_values(window, label, prose.to_text(update.body), voice.page_name, settings, voice.language)
    subject, text, html = render_maintenance_update(values, update.body_html, manage_url, unsubscribe_url, voice)
    headers = _common_headers(announcement)
    headers["Message-ID"] = f"<maintenance.{window.id}.{update.sequence}.{marks['recipient']}@{host}>"
    headers |= _list_headers(manage_url, unsubscribe_url, settings)
    if update.sequence > 1:
        first = f"<maintenance.{window.id}.1.{marks['recipient']}@{host}>"
        headers |= {"In-Reply-To": first, "References": first}
    return Message(subject, text, html, headers)


def render_document(mail: DocumentMail, voice: Voice = PLAIN) -> tuple[str, str, str]:
    """Return subject, text and HTML of a direct or a post-incident e-mail."""
    preheader = textwrap.shorten(mail.body, PREHEADER_LIMIT, placeholder=" …")
    return _rendered("document", {"mail": mail, "preheader": preheader}, voice)


def _document(announcement: Announcement, voice: Voice, settings: Settings, for_customers: bool) -> Message:
    document = told_document(announcement)
    incident, marks = document.incident, _marks(announcement, settings)
    manage_url = "" if for_customers else f"{settings.public_url}/{MANAGE_PATH}/{marks['manage']}"
    unsubscribe_url = "" if for_customers else f"{settings.public_url}/unsubscribe/{marks['token']}"
    what_happened = document.kind is DocumentKind.POST_INCIDENT_EMAIL
    mail = DocumentMail(
        page_name=voice.page_name,
        headline=translated("%(title)s: what happened", voice.language, title=incident.title)
        if what_happened
        else incident.title,
        body=prose.to_text(document.body),
        # Cleaned when the document was written.
        body_html=Markup(document.body_html),  # noqa: S704
        incident_url=f"{settings.public_url}/incidents/{incident.id}",
        manage_url=manage_url,
        unsubscribe_url=unsubscribe_url,
    )
    subject, text, html = render_document(mail, voice)
    if announcement.audience == "address":
        subject = f"Test: {subject}"
    headers = _common_headers(announcement)
    headers["Message-ID"] = f"<document.{announcement.id}.{marks['recipient']}@{_host(settings)}>"
    if unsubscribe_url:
        headers |= _list_headers(manage_url, unsubscribe_url, settings)
    return Message(subject, text, html, headers)


def _post_mortem(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    """Write the mail of a published post-mortem: its public version and nothing else of it."""
    document, marks = told_document(announcement), _marks(announcement, settings)
    text = document.fields[PUBLIC_TEXT]
    mail = DocumentMail(
        page_name=voice.page_name,
        headline=translated("%(title)s: what we learned", voice.language, title=document.incident.title),
        body=prose.to_text(text),
        # Cleaned by prose.
        body_html=Markup(prose.to_html(text)),  # noqa: S704
        incident_url=f"{settings.public_url}/incidents/{document.incident_id}#post-mortem",
        manage_url=f"{settings.public_url}/{MANAGE_PATH}/{marks['manage']}",
        unsubscribe_url=f"{settings.public_url}/unsubscribe/{marks['token']}",
    )
    subject, plain, html = render_document(mail, voice)
    headers = _common_headers(announcement)
    headers["Message-ID"] = f"<post_mortem.{document.id}.{marks['recipient']}@{_host(settings)}>"
    return Message(subject, plain, html, headers | _list_headers(mail.manage_url, mail.unsubscribe_url, settings))


def _action_item(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    item = db.session.get(ActionItem, announcement.subject_id)
    if item is None:
        raise LookupError("the action item is gone")
    values = {
        "page_name": voice.page_name,
        "item": item,
        "number": (announcement.detail or {})["number"],
        "url": f"{settings.public_url}/console/action-items/{item.id}",
        "issue_url": item.issue.url if item.issue else "",
    }
    headers = _common_headers(announcement)
    headers["Message-ID"] = f"<action_item.{announcement.id}@{_host(settings)}>"
    return _render("action_item", values, headers, voice)


def _component_change(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    marks = _marks(announcement, settings)
    name, before, after = changed_component(announcement)
    unsubscribe_url = f"{settings.public_url}/unsubscribe/{marks['token']}"
    manage_url = f"{settings.public_url}/{MANAGE_PATH}/{marks['manage']}"
    values = {
        "page_name": voice.page_name,
        "name": name,
        "before": before,
        "after": after,
        "changed_at": announcement.created_at,
        "page_url": settings.public_url,
        "manage_url": manage_url,
        "unsubscribe_url": unsubscribe_url,
    }
    headers = _common_headers(announcement)
    headers["Message-ID"] = f"<component.{announcement.id}.{marks['recipient']}@{_host(settings)}>"
    headers |= _list_headers(manage_url, unsubscribe_url, settings)
    return _render("component_change", values, headers, voice)


def changed_component(announcement: Announcement) -> tuple[str, ComponentState, ComponentState]:
    """Return the name of the component that changed, and its states before and after."""
    component = db.session.get(Component, announcement.subject_id)
    if component is None:
        raise LookupError("the component is gone")
    detail = announcement.detail or {}
    return component.name, ComponentState(detail["before"]), ComponentState(detail["after"])


def _mail_test(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    account = db.session.get(Account, announcement.subject_id)
    if account is None:
        raise LookupError("the account is gone")
    values = {"page_name": voice.page_name, "name": account.name, "url": f"{settings.public_url}/admin/integrations/"}
    headers = _common_headers(announcement)
    headers["Message-ID"] = f"<test.{announcement.id}@{_host(settings)}>"
    return _render("mail_test", values, headers, voice)


def _endpoint_disabled(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    detail = announcement.detail or {}
    values = {
        "page_name": voice.page_name,
        "method": LABELS[detail["method"]],
        "host": detail["host"],
        "is_gone": detail["is_gone"],
        "subscribe_url": f"{settings.public_url}/subscribe",
    }
    headers = _common_headers(announcement)
    headers["Message-ID"] = f"<endpoint_disabled.{announcement.id}@{_host(settings)}>"
    return _render("endpoint_disabled", values, headers, voice)


def _list_headers(manage_url: str, unsubscribe_url: str, settings: Settings) -> dict[str, str]:
    """For mail to people who signed up: RFC 8058, one click, no questions; RFC 2369 and RFC 2919, what list this is."""
    return {
        "List-Unsubscribe": f"<{unsubscribe_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Help": f"<{manage_url}>",
        "List-Id": f"<incidents.{_host(settings)}>",
        "List-Archive": f"<{settings.public_url}/history>",
        "Precedence": "list",
    }


def _nudge(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    detail = announcement.detail or {}
    token = make_token(settings, Purpose.NUDGE, f"{announcement.subject_id}:{detail['account_id']}")
    values = {
        "page_name": voice.page_name,
        "detail": detail,
        "form_url": settings.public_url + detail["path"],
        "snooze_url": f"{settings.public_url}/nudges/{token}",
    }
    headers = _common_headers(announcement)
    # A nudge is worth being woken for (RFC 2156 and what mail programs made of it).
    headers |= {"Message-ID": f"<nudge.{announcement.id}@{_host(settings)}>", "Importance": "high"}
    return _render("nudge", values, headers, voice)


def _common_headers(announcement: Announcement) -> dict[str, str]:
    return {
        "Date": format_datetime(announcement.created_at),
        # RFC 3834: no holiday answers, please; the second is Microsoft's word for the same.
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }


def _marks(announcement: Announcement, settings: Settings) -> dict[str, str]:
    """What stands for a recipient's own values: words that no text of an incident can contain by chance."""
    secret = hashlib.sha256(f"{settings.secret_key} marks {announcement.id}".encode()).hexdigest()[:16]
    return {name: f"mark{secret}{name}" for name in ("token", "manage", "recipient")}


def _render(kind: str, values: Mapping[str, Any], headers: Mapping[str, str], voice: Voice) -> Message:
    subject, text, html = _rendered(kind, values, voice)
    return Message(subject, text, html, headers)


def _rendered(kind: str, values: Mapping[str, Any], voice: Voice) -> tuple[str, str, str]:
    subject, text, html = (
        environment(voice.language).get_template(f"mail/{kind}/{name}").render({**values, "look": voice})
        for name in ("subject.txt", "body.txt", "body.html")
    )
    return " ".join(subject.split()), re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", _inliner().inline(html)


@cache
def _inliner() -> Any:
    # 4 MB of compiled code that only mail needs.
    import css_inline

    # The rules for dark mode can't be inlined: they stay.
    return css_inline.CSSInliner(keep_style_tags=True, keep_at_rules=True, load_remote_stylesheets=False)


def _host(settings: Settings) -> str:
    return urlsplit(settings.public_url).hostname or "localhost"
