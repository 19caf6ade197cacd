"""What a chat room or a pager is told: the team's own, and those of subscribers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from statuspage import prose
from statuspage.db import db
from statuspage.delivery.composition import (
    IncidentMail,
    alarm_words,
    changed_component,
    incident_mail,
    maintenance_label,
    maintenance_values,
    posted_update,
    said_of_maintenance,
    told_document,
)
from statuspage.delivery.transport import Note
from statuspage.models import (
    Announcement,
    Channel,
    InternalUpdate,
    Page,
)
from statuspage.rules.documents import PUBLIC_TEXT
from statuspage.rules.times import instant_in_words
from statuspage.rules.vocabulary import (
    LABELS,
    Visibility,
)
from statuspage.settings import Settings

ROOM_LABEL = "Open the incident room"
STATUS_PAGE_LABEL = "The status page"
ENDPOINT_TEST = "This is a test: nothing has happened. Updates will be posted here."


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
    if announcement.kind == "endpoint_test":
        return Note(f"{page_name}: updates arrive here", ENDPOINT_TEST, settings.public_url, STATUS_PAGE_LABEL)
    if announcement.kind == "component_change":
        name, before, after = changed_component(announcement)
        text = f"Was: {LABELS[before]}. Now: {LABELS[after]}, since {instant_in_words(announcement.created_at)}."
        return Note(f"{page_name}: {name} is {LABELS[after].lower()}", text, settings.public_url, STATUS_PAGE_LABEL)
    if announcement.kind == "maintenance_update":
        return _maintenance_note(announcement, page_name, settings)
    if announcement.kind == "post_mortem":
        return _post_mortem_note(announcement, page_name, settings)
    update = posted_update(announcement)
    return note_of_update(incident_mail(update, page_name, settings, "", ""))


def note_of_update(mail: IncidentMail) -> Note:
    """Return what chat rooms are told by an update that its mail tells."""
    facts = [f"{mail.label}, {instant_in_words(mail.posted_at)}"]
    if mail.next_update_by:
        facts.append(f"Next update by {instant_in_words(mail.next_update_by)}")
    states = [f"{name}: {LABELS[state]}" for name, state in mail.components]
    return Note(
        title=f"{mail.page_name}: {mail.title}",
        text="\n".join([*facts, mail.body, *states]),
        url=mail.incident_url,
        url_label="The whole story",
    )


def _post_mortem_note(announcement: Announcement, page_name: str, settings: Settings) -> Note:
    document = told_document(announcement)
    return Note(
        title=f"{page_name}: {document.incident.title}, what we learned",
        text=document.fields[PUBLIC_TEXT],
        url=f"{settings.public_url}/incidents/{document.incident_id}#post-mortem",
        url_label="The whole story",
    )


def _maintenance_note(announcement: Announcement, page_name: str, settings: Settings) -> Note:
    update = said_of_maintenance(announcement)
    values = maintenance_values(
        update.maintenance, maintenance_label(update), prose.to_text(update.body), page_name, settings
    )
    return note_of_maintenance(values)


def note_of_maintenance(values: Mapping[str, Any]) -> Note:
    """Return what chat rooms are told by a message about a window."""
    facts, affected = [f"{values['label']}: {values['window']}", values["body"]], ", ".join(values["components"])
    return Note(
        title=f"{values['page_name']}: maintenance, {values['title']}",
        text="\n".join([*facts, *([f"Affected: {affected}"] if affected else [])]),
        url=values["window_url"],
        url_label="The whole story",
    )


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
        text=prose.to_text(told.body),
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


def alarm_note(silent_since: datetime, has_ever_run: bool, settings: Settings) -> Note:
    """Write what channels are told when the clock worker is silent."""
    title, text = alarm_words(silent_since, has_ever_run)
    return Note(title, f"{text}\nRestart it: statuspage worker", f"{settings.public_url}/console/", ROOM_LABEL)
