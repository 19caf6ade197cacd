"""How page, feed, mail and Slack will show a message that is still being written.

Each part is drawn by the very code that publishes or sends it, from what the
message would be if it were posted now.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup, escape
from sqlalchemy import select

from statuspage import prose
from statuspage.actions.templates import template_for
from statuspage.db import db
from statuspage.delivery.chat_messages import slack_message
from statuspage.delivery.composition import (
    DocumentMail,
    IncidentMail,
    maintenance_values,
    render_document,
    render_incident_update,
    render_maintenance_update,
)
from statuspage.delivery.notes import note_of_maintenance, note_of_update
from statuspage.delivery.voice import Voice, voice_of
from statuspage.languages import translated
from statuspage.models import Component, Incident, IncidentComponent, Maintenance, Page, Update
from statuspage.rendering import environment
from statuspage.rules import documents, messages
from statuspage.rules.messages import Draft
from statuspage.rules.progress import ways_in_words
from statuspage.rules.vocabulary import (
    LABELS,
    ComponentState,
    DocumentKind,
    Impact,
    MaintenanceMessage,
    MaintenanceStage,
    MessageKind,
    Stage,
    SubscriptionMethod,
    Visibility,
    worst_state,
)
from statuspage.settings import Settings
from statuspage.site import page, publisher
from statuspage.site.course import courses
from statuspage.site.feeds import Feed, Item
from statuspage.site.page import Entry, PublicComponent, PublicUpdate
from statuspage.site.shelf import PUBLISHED, Shelf

# What stands in a preview where each reader gets a link of their own.
OWN_LINK = "(each reader's own link)"


@dataclass(frozen=True)
class Mail:
    """A mail as its readers get it."""

    sender: str
    subject: str
    text: str
    html: str
    frame: str
    """The address that shows the HTML by itself."""


@dataclass(frozen=True)
class Preview:
    """The same message in each place; None where it does not go."""

    update: Markup
    """Its part of the page."""
    page_frame: str
    """The address that shows the whole page."""
    item: Item | None
    mail: Mail | None
    slack: tuple[Markup, ...]
    ways: tuple[tuple[str, str], ...]
    """Each way with how many it reaches, in words."""


@dataclass(frozen=True)
class Sketch:
    """A message as it would be if it were posted now."""

    entry: Entry
    mail: IncidentMail
    voice: Voice

    def drawn(self) -> tuple[str, str, str]:
        """Return subject, text and HTML of its mail to those who chose no other language than the page's own."""
        return render_incident_update(self.mail, self.voice)


def sketch(
    incident: Incident, kind: MessageKind, values: Mapping[str, str], settings: Settings, now: datetime
) -> Sketch:
    """Return the message that the form of this kind would make of what is typed so far."""
    draft = messages.sketch(kind, values, now)
    started_at = draft.instant("started_at") or incident.started_at
    body = messages.render(template_for(kind, incident.language), draft, started_at, incident.language)
    # Cleaned by prose.
    html = Markup(prose.to_html(body))  # noqa: S704
    components = _components(incident, kind, values)
    entry, voice = _entry(incident, draft, html, components, now), _voice(settings)
    mail = IncidentMail(
        page_name=voice.page_name,
        title=incident.title,
        label=LABELS[draft.stage],
        posted_at=now,
        body=prose.to_text(body),
        body_html=html,
        next_update_by=draft.instant("next_update_by"),
        components=_mailed_states(incident, components),
        incident_url=f"{settings.public_url}/incidents/{incident.id}",
        manage_url=OWN_LINK,
        unsubscribe_url=OWN_LINK,
    )
    return Sketch(entry, mail, voice)


def of_message(
    incident: Incident,
    kind: MessageKind,
    values: Mapping[str, str],
    reach: Mapping[SubscriptionMethod, int],
    settings: Settings,
    now: datetime,
) -> Preview:
    """Return how each place would show the message; ``reach`` is how many it tells by which method."""
    made = sketch(incident, kind, values, settings, now)
    subject, text, html = made.drawn()
    # The frames draw the same again, from the same fields.
    query = urlencode({name: text for name, text in values.items() if _is_of_message(kind, name)})
    frames = f"/console/incidents/{incident.id}/{kind.value}/preview"
    return Preview(
        update=_drawn(made.entry.updates[0], made.voice),
        page_frame=f"{frames}/page?{query}",
        item=_item(made.entry, settings),
        mail=Mail(settings.mail_from, subject, text, html, f"{frames}/mail?{query}"),
        slack=_slack(slack_message(note_of_update(made.mail, made.voice.language))),
        ways=_ways(incident, reach),
    )


def of_correction(update: Update, body: str, settings: Settings, now: datetime) -> Preview:
    """Return how page and feed would show a message with other words; mails that have left stay as they are."""
    entry = corrected(update, body, now)
    shown = next(each for each in entry.updates if each.edited_at == now)
    frame = f"/console/incidents/{update.incident_id}/updates/{update.id}/correct/preview?{urlencode({'body': body})}"
    return Preview(_drawn(shown, _voice(settings)), frame, _item(entry, settings), None, (), ())


def corrected(update: Update, body: str, now: datetime) -> Entry:
    """Return an incident's entry with other words in one of its messages."""
    entry = _present(update.incident)
    # Cleaned by prose.
    html = Markup(prose.to_html(body))  # noqa: S704
    place = len(update.incident.updates) - update.sequence
    updates = list(entry.updates)
    updates[place] = replace(updates[place], html=html, edited_at=now)
    return replace(entry, updates=tuple(updates), changed_at=now)


def of_document(
    incident: Incident, kind: DocumentKind, fields: Mapping[str, str], signed: tuple[str, str], settings: Settings
) -> Mail:
    """Return a direct or a post-incident e-mail as customers would get it; ``signed`` is its author and reviewer."""
    body = documents.render(
        kind, fields, documents.About(incident.title, incident.started_at, incident.resolved_at, *signed)
    )
    voice, headline = _voice(settings), incident.title
    if kind is DocumentKind.POST_INCIDENT_EMAIL:
        headline = translated("%(title)s: what happened", voice.language, title=incident.title)
    mail = DocumentMail(
        page_name=voice.page_name,
        headline=headline,
        body=prose.to_text(body),
        # Cleaned by prose.
        body_html=Markup(prose.to_html(body)),  # noqa: S704
        incident_url=f"{settings.public_url}/incidents/{incident.id}",
        manage_url="",
        unsubscribe_url="",
    )
    subject, text, html = render_document(mail, voice)
    query = urlencode({field.name: fields.get(field.name, "") for field in documents.FIELDS[kind]})
    frame = f"/console/incidents/{incident.id}/{kind.value.replace('_', '-')}/preview?{query}"
    return Mail(settings.mail_from, subject, text, html, frame)


@dataclass(frozen=True)
class WindowSketch:
    """A message about a maintenance window as it would be if it were posted now."""

    entry: Entry
    values: Mapping[str, Any]
    """What mails and chat rooms are told of it."""
    html: Markup
    voice: Voice

    def drawn(self) -> tuple[str, str, str]:
        """Return subject, text and HTML of its mail to those who chose no other language than the page's own."""
        return render_maintenance_update(self.values, self.html, OWN_LINK, OWN_LINK, self.voice)


def sketch_window(
    window: Maintenance, stage: MaintenanceStage, body: str, settings: Settings, now: datetime
) -> WindowSketch:
    """Return the message about a window that would be made of what is typed so far. Raises LookupError without a page."""
    present = page.load_entry(window.id, Shelf())
    if present is None:
        raise LookupError("the window is gone")
    begins = window.stage is MaintenanceStage.SCHEDULED and stage is not window.stage
    label = LABELS[MaintenanceMessage.STARTED] if begins else LABELS[stage]
    # Cleaned by prose.
    html = Markup(prose.to_html(body))  # noqa: S704
    before = window.updates[0].stage if window.updates else None
    update = PublicUpdate(stage.value, "Update" if stage is before else LABELS[stage], html, now)
    entry = replace(
        present,
        label=LABELS[stage],
        stage=stage.value,
        last_posted_at=now,
        changed_at=now,
        updates=(update, *present.updates),
    )
    voice = _voice(settings)
    own_label = translated(label, voice.language)
    values = maintenance_values(window, own_label, prose.to_text(body), voice.page_name, settings, voice.language)
    return WindowSketch(entry, values, html, voice)


def of_window(
    window: Maintenance,
    stage: MaintenanceStage,
    body: str,
    reach: Mapping[SubscriptionMethod, int],
    settings: Settings,
    now: datetime,
) -> Preview:
    """Return how each place would show a message about a window."""
    made = sketch_window(window, stage, body, settings, now)
    subject, text, html = made.drawn()
    query = urlencode({"stage": stage.value, "body": body})
    frames = f"/console/maintenance/{window.id}/preview"
    return Preview(
        update=_drawn(made.entry.updates[0], made.voice),
        page_frame=f"{frames}/page?{query}",
        item=_item(made.entry, settings),
        mail=Mail(settings.mail_from, subject, text, html, f"{frames}/mail?{query}"),
        slack=_slack(slack_message(note_of_maintenance(made.values, made.voice.language))),
        ways=(("Page and feeds", "everybody"), *ways_in_words(reach)),
    )


def page_html(entry: Entry, settings: Settings, now: datetime) -> bytes:
    """Return an entry's whole page as it would be published."""
    return publisher.draw_entry(settings, entry, now)


def _voice(settings: Settings) -> Voice:
    """Return how mails speak to those who chose no language."""
    return voice_of(db.session.execute(select(Page)).scalar_one(), settings.public_url, "")


def _drawn(update: PublicUpdate, voice: Voice) -> Markup:
    """Return a message as the page shows it, in the page's own language."""
    return Markup(environment(voice.language).get_template("components/update.html").module.update(update))  # type: ignore[attr-defined]  # noqa: S704


def _is_of_message(kind: MessageKind, name: str) -> bool:
    return name.startswith("state_") or name in {field.name for field in messages.FIELDS[kind]}


def _present(incident: Incident) -> Entry:
    """Return an incident as readers see it; before its first message, as they will."""
    known = page.load_entry(incident.id, Shelf()) or page.load_drill(incident.id)
    return known or Entry(
        kind="incident",
        id=incident.id,
        title=incident.title,
        label=LABELS[incident.stage],
        is_open=incident.is_open,
        impact=incident.impact,
        started_at=incident.started_at,
        ended_at=incident.resolved_at,
        next_update_by=incident.next_update_by,
        last_posted_at=incident.last_posted_at or incident.started_at,
        updates=tuple(_said(each) for each in incident.updates),
        components=(),
        post_mortem=Markup(),
        stage=incident.stage.value,
    )


def _said(update: Update) -> PublicUpdate:
    # Cleaned when the message was written.
    html = Markup(update.body_html)  # noqa: S704
    return PublicUpdate(update.stage.value, LABELS[update.stage], html, update.posted_at, update.edited_at)


def _entry(
    incident: Incident, draft: Draft, html: Markup, components: tuple[PublicComponent, ...], now: datetime
) -> Entry:
    present, stage = _present(incident), draft.stage
    before = incident.updates[0].stage if incident.updates else None
    # The page calls a message that does not change the stage an update.
    update = PublicUpdate(stage.value, "Update" if stage is before else LABELS[stage], html, now)
    first = draft.kind is MessageKind.ACKNOWLEDGE
    started_at = (draft.instant("started_at") if first else None) or present.started_at
    ended_at = draft.instant("resolved_at")
    states = [{"component_id": each.id, "name": each.name, "new_state": each.state.value} for each in components]
    said = [(each.posted_at, each.component_states) for each in reversed(incident.updates)]
    return replace(
        present,
        label=LABELS[stage],
        stage=stage.value,
        is_open=stage is not Stage.RESOLVED,
        impact=Impact(draft.text("impact")) if first else present.impact,
        started_at=started_at,
        ended_at=ended_at,
        next_update_by=draft.instant("next_update_by"),
        last_posted_at=now,
        changed_at=now,
        updates=(update, *present.updates),
        components=components,
        courses=courses([*said, (now, states)], started_at, ended_at, {each.id: each.name for each in components}),
    )


def _components(incident: Incident, kind: MessageKind, values: Mapping[str, str]) -> tuple[PublicComponent, ...]:
    """Return the affected components with the states the form has now, in the order of the page."""
    chosen = {name.removeprefix("state_"): value for name, value in values.items() if name.startswith("state_")}
    posted = {each: ComponentState(value) for each, value in chosen.items() if value in set(ComponentState)}
    known = {each.component_id: each.state for each in incident.components}
    if kind is MessageKind.ACKNOWLEDGE and posted:
        # Until now nothing was public: what is left out was never affected.
        known = {each: state for each, state in known.items() if each in posted}
    states = known | posted
    rows = db.session.execute(
        select(Component.id, Component.name, Component.description).where(Component.id.in_(states))
    )
    found = {row.id: row for row in rows}
    return tuple(
        PublicComponent(each, found[each].name, found[each].description, state)
        for each, state in states.items()
        if each in found
    )


def _mailed_states(incident: Incident, components: tuple[PublicComponent, ...]) -> tuple[tuple[str, str], ...]:
    """Return names and states as a mail tells them: an incident never hides another's."""
    elsewhere: dict[str, list[ComponentState]] = {each.id: [] for each in components}
    if incident.visibility is Visibility.PUBLIC:
        query = (
            select(IncidentComponent.component_id, IncidentComponent.state)
            .join(Incident)
            .where(PUBLISHED, Incident.stage != Stage.RESOLVED, Incident.id != incident.id)
            .where(IncidentComponent.component_id.in_(elsewhere))
        )
        for component_id, state in db.session.execute(query):
            elsewhere[component_id].append(state)
    return tuple((each.name, worst_state([each.state, *elsewhere[each.id]]).value) for each in components)


def _item(entry: Entry, settings: Settings) -> Item:
    frame = page.load_frame(settings.public_url)
    if frame is None:
        raise LookupError("there is no page yet")
    return Feed(frame, (entry,), "").items[0]


def _ways(incident: Incident, reach: Mapping[SubscriptionMethod, int]) -> tuple[tuple[str, str], ...]:
    if incident.visibility is not Visibility.PUBLIC:
        return ()
    return (("Page and feeds", "everybody"), *ways_in_words(reach))


_SLACK_LINK = re.compile(r"<([^|<>]+)\|([^<>]+)>")
_SLACK_BOLD = re.compile(r"\*(.+)\*", re.DOTALL)


def _slack(message: Mapping[str, Any]) -> tuple[Markup, ...]:
    """Return the blocks that Slack is sent, as it shows them."""
    return tuple(_slack_look(block["text"]["text"]) for block in message["blocks"])


def _slack_look(text: str) -> Markup:
    """Show a block's text as Slack does: bold between stars, a link's label, its own escapes undone."""
    if link := _SLACK_LINK.fullmatch(text):
        return Markup('<span class="slack-link">{}</span>').format(_unescaped(link[2]))
    if bold := _SLACK_BOLD.fullmatch(text):
        return Markup("<strong>{}</strong>").format(_unescaped(bold[1]))
    lines = [escape(_unescaped(line)) for line in text.split("\n")]
    return Markup("<br>").join(lines)


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
