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
from statuspage.languages import filters, translated
from statuspage.models import (
    Announcement,
    Channel,
    InternalUpdate,
    Page,
)
from statuspage.rules.documents import PUBLIC_TEXT
from statuspage.rules.vocabulary import (
    LABELS,
    Visibility,
)
from statuspage.settings import Settings

ROOM_LABEL = "Open the incident room"
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


def notes_to_subscribers(announcement: Announcement, settings: Settings) -> Mapping[str, Note]:
    """Write what subscribers' chat rooms are told, in each of the page's languages, its own first.

    Raises LookupError if what it tells about is gone.
    """
    page = db.session.execute(select(Page)).scalar_one()
    return {
        language: _note_to_subscribers(announcement, page.name, settings, language)
        for language in (page.language, *page.languages)
    }


def _note_to_subscribers(announcement: Announcement, page_name: str, settings: Settings, language: str) -> Note:
    if announcement.kind == "endpoint_test":
        title = translated("%(name)s: updates arrive here", language, name=page_name)
        return Note(title, translated(ENDPOINT_TEST, language), settings.public_url, _status_page(language))
    if announcement.kind == "component_change":
        return _change_note(announcement, page_name, settings, language)
    if announcement.kind == "maintenance_update":
        return _maintenance_note(announcement, page_name, settings, language)
    if announcement.kind == "post_mortem":
        return _post_mortem_note(announcement, page_name, settings, language)
    update = posted_update(announcement)
    return note_of_update(incident_mail(update, page_name, settings, "", ""), language)


def _status_page(language: str) -> str:
    return translated("The status page", language)


def _whole_story(language: str) -> str:
    return translated("The whole story", language)


def _change_note(announcement: Announcement, page_name: str, settings: Settings, language: str) -> Note:
    name, *states = changed_component(announcement)
    before, after = (translated(LABELS[state], language) for state in states)
    written = filters(language)
    is_now = translated("%(name)s is %(state)s", language, name=name, state=written["inside"](after))
    since = written["instant"](announcement.created_at)
    return Note(
        title=f"{page_name}: {is_now}",
        text=translated(
            "Was: %(before)s. Now: %(after)s, since %(instant)s.", language, before=before, after=after, instant=since
        ),
        url=settings.public_url,
        url_label=_status_page(language),
    )


def note_of_update(mail: IncidentMail, language: str) -> Note:
    """Return what chat rooms are told by an update that its mail tells."""
    instant = filters(language)["instant"]
    facts = [f"{translated(mail.label, language)}, {instant(mail.posted_at)}"]
    if mail.next_update_by:
        facts.append(translated("Next update by %(instant)s", language, instant=instant(mail.next_update_by)))
    states = [f"{name}: {translated(LABELS[state], language)}" for name, state in mail.components]
    return Note(
        title=f"{mail.page_name}: {mail.title}",
        text="\n".join([*facts, mail.body, *states]),
        url=mail.incident_url,
        url_label=_whole_story(language),
    )


def _post_mortem_note(announcement: Announcement, page_name: str, settings: Settings, language: str) -> Note:
    document = told_document(announcement)
    learned = translated("%(title)s: what we learned", language, title=document.incident.title)
    return Note(
        title=f"{page_name}: {learned}",
        text=prose.to_text(document.fields[PUBLIC_TEXT]),
        url=f"{settings.public_url}/incidents/{document.incident_id}#post-mortem",
        url_label=_whole_story(language),
    )


def _maintenance_note(announcement: Announcement, page_name: str, settings: Settings, language: str) -> Note:
    update = said_of_maintenance(announcement)
    label, body = translated(maintenance_label(update), language), prose.to_text(update.body)
    return note_of_maintenance(
        maintenance_values(update.maintenance, label, body, page_name, settings, language), language
    )


def note_of_maintenance(values: Mapping[str, Any], language: str) -> Note:
    """Return what chat rooms are told by a message about a window; ``values`` in the same language."""
    facts, affected = [f"{values['label']}: {values['window']}", values["body"]], ", ".join(values["components"])
    name = translated("%(name)s maintenance", language, name=values["page_name"])
    return Note(
        title=f"{name}: {values['title']}",
        text="\n".join([*facts, *([f"{translated('Affected:', language)} {affected}"] if affected else [])]),
        url=values["window_url"],
        url_label=_whole_story(language),
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
