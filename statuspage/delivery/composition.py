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

from statuspage.db import db
from statuspage.delivery.outbox import Batch
from statuspage.delivery.transport import Message, Note, Recipient
from statuspage.delivery.voice import PLAIN, Voice, team_voice, voice_of
from statuspage.languages import filters, translated
from statuspage.links import Purpose, make_token, signer
from statuspage.models import (
    Account,
    Announcement,
    Channel,
    Component,
    Document,
    InternalUpdate,
    Maintenance,
    MaintenanceUpdate,
    Page,
    Update,
)
from statuspage.rendering import environment
from statuspage.rules.languages import ENGLISH
from statuspage.rules.times import instant_in_words
from statuspage.rules.vocabulary import (
    LABELS,
    ComponentState,
    DocumentKind,
    MaintenanceMessage,
    SubscriptionMethod,
    Visibility,
)
from statuspage.settings import Settings

# What goes to many, each of whom has links of their own.
TO_MANY = ("incident_update", "maintenance_update", "document", "component_change")
TO_TEAM = ("nudge", "invitation")
# What mail programs show of a mail's beginning in their lists.
PREHEADER_LIMIT = 90
MANAGE_PATH = "subscriptions/manage"
ROOM_LABEL = "Open the incident room"
STATUS_PAGE_LABEL = "The status page"


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
        "component_change": _component_change,
        "endpoint_disabled": _endpoint_disabled,
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


def note(announcement: Announcement, settings: Settings) -> Note:
    """Write what a channel is told by an announcement. Raises LookupError if what it tells about is gone."""
    if announcement.kind == "internal_update":
        return _internal_update(announcement, settings)
    if announcement.kind == "channel_test":
        return _channel_test(announcement, settings)
    if announcement.kind == "mail_stopped":
        return Note(
            title="No mail leaves",
            text=f"The mail provider refuses what we send: {(announcement.detail or {})['reason']}",
            url=f"{settings.public_url}/console/",
            url_label="Open the console",
        )
    # A nudge carries its own words: they were true when it was decided.
    detail = {"nudge": announcement.detail or {}}[announcement.kind]
    return Note(
        title=detail["title"],
        text=detail["text"],
        url=f"{settings.public_url}{detail['path']}",
        url_label=ROOM_LABEL,
    )


def note_to_subscribers(announcement: Announcement, settings: Settings) -> Note:
    """Write what subscribers' chat rooms are told. Raises LookupError if what it tells about is gone."""
    page_name = db.session.execute(select(Page.name)).scalar_one()
    if announcement.kind == "component_change":
        name, before, after = _changed(announcement)
        text = f"Was: {LABELS[before]}. Now: {LABELS[after]}, since {instant_in_words(announcement.created_at)}."
        return Note(f"{page_name}: {name} is {LABELS[after].lower()}", text, settings.public_url, STATUS_PAGE_LABEL)
    if announcement.kind == "maintenance_update":
        return _maintenance_note(announcement, page_name, settings)
    update = db.session.get(Update, announcement.subject_id)
    if update is None:
        raise LookupError("the update is gone")
    facts = [f"{LABELS[update.stage]}, {instant_in_words(update.posted_at)}"]
    if update.next_update_by:
        facts.append(f"Next update by {instant_in_words(update.next_update_by)}")
    states = [f"{each['name']}: {LABELS[each['new_state']]}" for each in update.component_states]
    return Note(
        title=f"{page_name}: {update.incident.title}",
        text="\n".join([*facts, update.body, *states]),
        url=f"{settings.public_url}/incidents/{update.incident_id}",
        url_label="The whole story",
    )


def _maintenance_note(announcement: Announcement, page_name: str, settings: Settings) -> Note:
    update = _said_of_maintenance(announcement)
    window = update.maintenance
    affected = ", ".join(each.component.name for each in window.components)
    facts = [f"{maintenance_label(update)}: {_window_in_words(window, ENGLISH)}", update.body]
    return Note(
        title=f"{page_name}: maintenance, {window.title}",
        text="\n".join([*facts, *([f"Affected: {affected}"] if affected else [])]),
        url=f"{settings.public_url}/incidents/{window.id}",
        url_label="The whole story",
    )


def _said_of_maintenance(announcement: Announcement) -> MaintenanceUpdate:
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


def _internal_update(announcement: Announcement, settings: Settings) -> Note:
    told = db.session.get(InternalUpdate, announcement.subject_id)
    if told is None:
        raise LookupError("the internal update is gone")
    incident = told.incident
    drill = "DRILL: " if incident.visibility is Visibility.DRILL else ""
    # An imported incident may have no severity.
    about = f"{incident.severity} {incident.title}" if incident.severity else incident.title
    return Note(
        title=f"{drill}{about}: internal update",
        text=told.body,
        url=f"{settings.public_url}/console/incidents/{incident.id}",
        url_label=ROOM_LABEL,
    )


def _channel_test(announcement: Announcement, settings: Settings) -> Note:
    channel = db.session.get(Channel, announcement.subject_id)
    if channel is None:
        raise LookupError("the channel is gone")
    page_name = db.session.execute(select(Page.name)).scalar_one()
    return Note(
        title=f"{page_name}: this channel works",
        text=f"This is a test. Reminders and internal updates will be posted here, to “{channel.name}”.",
        url=f"{settings.public_url}/admin/channels/",
        url_label="All channels",
    )


def compose_alarm(
    page_name: str, silent_since: datetime, has_ever_run: bool, settings: Settings, now: datetime
) -> Message:
    """Write the mail that tells the team that the clock worker is silent."""
    title, text = _alarm_words(silent_since, has_ever_run)
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


def alarm_note(silent_since: datetime, has_ever_run: bool, settings: Settings) -> Note:
    """Write what channels are told when the clock worker is silent."""
    title, text = _alarm_words(silent_since, has_ever_run)
    return Note(title, f"{text}\nRestart it: statuspage worker", f"{settings.public_url}/console/", ROOM_LABEL)


def _alarm_words(silent_since: datetime, has_ever_run: bool) -> tuple[str, str]:
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


def _incident_update(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    update = db.session.get(Update, announcement.subject_id)
    if update is None:
        raise LookupError("the update is gone")
    incident, host, marks = update.incident, _host(settings), _marks(announcement, settings)
    manage_url = f"{settings.public_url}/{MANAGE_PATH}/{marks['manage']}"
    unsubscribe_url = f"{settings.public_url}/unsubscribe/{marks['token']}"
    mail = IncidentMail(
        page_name=voice.page_name,
        title=incident.title,
        label=LABELS[update.stage],
        posted_at=update.posted_at,
        body=update.body,
        # Cleaned when the message was written.
        body_html=Markup(update.body_html),  # noqa: S704
        next_update_by=update.next_update_by,
        components=tuple((each["name"], each["new_state"]) for each in update.component_states),
        incident_url=f"{settings.public_url}/incidents/{incident.id}",
        manage_url=manage_url,
        unsubscribe_url=unsubscribe_url,
    )
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


def _maintenance_update(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    update, marks, host = _said_of_maintenance(announcement), _marks(announcement, settings), _host(settings)
    window, label = update.maintenance, translated(maintenance_label(update), voice.language)
    manage_url = f"{settings.public_url}/{MANAGE_PATH}/{marks['manage']}"
    unsubscribe_url = f"{settings.public_url}/unsubscribe/{marks['token']}"
    values = {
        "page_name": voice.page_name,
        "title": window.title,
        "label": label,
        "window": _window_in_words(window, voice.language),
        "is_cancelled": window.cancelled_at is not None,
        "body": update.body,
        # Cleaned when the message was written.
        "body_html": Markup(update.body_html),  # noqa: S704
        "components": [each.component.name for each in window.components],
        "preheader": textwrap.shorten(f"{label}: {update.body}", PREHEADER_LIMIT, placeholder=" …"),
        "window_url": f"{settings.public_url}/incidents/{window.id}",
        "manage_url": manage_url,
        "unsubscribe_url": unsubscribe_url,
    }
    headers = _common_headers(announcement)
    headers["Message-ID"] = f"<maintenance.{window.id}.{update.sequence}.{marks['recipient']}@{host}>"
    headers |= _list_headers(manage_url, unsubscribe_url, settings)
    if update.sequence > 1:
        first = f"<maintenance.{window.id}.1.{marks['recipient']}@{host}>"
        headers |= {"In-Reply-To": first, "References": first}
    return _render("maintenance_update", values, headers, voice)


def render_document(mail: DocumentMail, voice: Voice = PLAIN) -> tuple[str, str, str]:
    """Return subject, text and HTML of a direct or a post-incident e-mail."""
    preheader = textwrap.shorten(mail.body, PREHEADER_LIMIT, placeholder=" …")
    return _rendered("document", {"mail": mail, "preheader": preheader}, voice)


def _document(announcement: Announcement, voice: Voice, settings: Settings, for_customers: bool) -> Message:
    document = db.session.get(Document, announcement.subject_id)
    if document is None:
        raise LookupError("the document is gone")
    incident, marks = document.incident, _marks(announcement, settings)
    manage_url = "" if for_customers else f"{settings.public_url}/{MANAGE_PATH}/{marks['manage']}"
    unsubscribe_url = "" if for_customers else f"{settings.public_url}/unsubscribe/{marks['token']}"
    what_happened = document.kind is DocumentKind.POST_INCIDENT_EMAIL
    mail = DocumentMail(
        page_name=voice.page_name,
        headline=translated("%(title)s: what happened", voice.language) % {"title": incident.title}
        if what_happened
        else incident.title,
        body=document.body,
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


def _component_change(announcement: Announcement, voice: Voice, settings: Settings) -> Message:
    marks = _marks(announcement, settings)
    name, before, after = _changed(announcement)
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


def _changed(announcement: Announcement) -> tuple[str, ComponentState, ComponentState]:
    """Return the name of the component that changed, and its states before and after."""
    component = db.session.get(Component, announcement.subject_id)
    if component is None:
        raise LookupError("the component is gone")
    detail = announcement.detail or {}
    return component.name, ComponentState(detail["before"]), ComponentState(detail["after"])


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
