"""RSS, Atom and JSON Feed: one item for each incident, which moves up with every update.

Why ids and dates are as they are: docs/decisions/0011-feeds.md.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from feedgen.entry import FeedEntry
from feedgen.ext.base import BaseEntryExtension
from feedgen.feed import FeedGenerator
from markupsafe import Markup, escape

from statuspage.languages import filters, translated
from statuspage.rendering import json_text, machine_instant
from statuspage.rules.vocabulary import LABELS, MaintenanceStage
from statuspage.site.page import Entry, Frame, PublicUpdate

# Statuspage's feeds hold 25; fifty incidents in an hour must not push one out unseen.
ITEMS = 50
# Of one component, where less happens, and which an update may have to write many of.
COMPONENT_ITEMS = 25
# What a browser shows above one; without quotation marks, since it stands in a style sheet.
ABOUT = (
    "This is a feed, for programs to read. "
    "Copy the address of this page into your feed reader, and it shows you every update."
)
KINDS = {"incident": "Incident", "maintenance": "Maintenance"}
# What XML 1.0 can't hold (section 2.2), should an import have brought it.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Item:
    """What every format says of an incident or maintenance."""

    url: str
    """Its permanent address, and its id for ever."""
    title: str
    html: str
    kind: str
    stage: str
    """What programs go by: in English."""
    labels: tuple[str, str]
    """The same in the feed's language."""
    posted_at: datetime
    """When its latest message was posted."""
    changed_at: datetime
    """The same, or when a word of it was corrected since."""
    planned_until: datetime | None
    """When maintenance that is still to come will end."""

    @cached_property
    def element(self) -> "_Element":
        """It as feedgen knows it; a feed that is made anew takes most of its items from the last one."""
        return _element(self)


@dataclass(frozen=True)
class Feed:
    """The page's feed, or that of one component."""

    frame: Frame
    entries: Sequence[Entry]
    stylesheet: str
    """Path of what makes the XML readable for somebody who opens it in a browser."""
    component_id: str = ""
    component_name: str = ""

    @property
    def path(self) -> str:
        """Its address, without the suffix that names the format."""
        return f"/components/{self.component_id}" if self.component_id else "/history"

    @property
    def language(self) -> str:
        """The page's own: a feed's address is the same for everybody."""
        return self.frame.brand.language

    @property
    def home(self) -> str:
        """The page for people with the same content."""
        return self.frame.public_url + (self.path if self.component_id else "/")

    @property
    def title(self) -> str:
        """What it is called in a reader's list."""
        name, language = clean(self.frame.name), self.language
        if self.component_id:
            return f"{translated('%(name)s status', language, name=name)}: {clean(self.component_name)}"
        return translated("%(name)s status: incident history", language, name=name)

    @property
    def description(self) -> str:
        """What it holds."""
        about = f"{self.frame.name}, {self.component_name}" if self.component_id else self.frame.name
        return clean(translated("Incidents and maintenance of %(name)s", self.language, name=about))

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Its items, newest message first."""
        for entry in self.entries:
            if self.language not in entry.made:
                entry.made[self.language] = _item(self.frame, entry)
        return tuple(entry.made[self.language] for entry in self.entries)

    @property
    def changed_at(self) -> datetime:
        """When anything in it was last changed."""
        return max((item.changed_at for item in self.items), default=_whole(self.frame.created_at))


def rss(feed: Feed) -> bytes:
    """Return the feed as RSS 2.0."""
    return _styled(_generator(feed, ".rss").rss_str(pretty=True), feed.stylesheet)


def atom(feed: Feed) -> bytes:
    """Return the feed as Atom (RFC 4287)."""
    return _styled(_generator(feed, ".atom").atom_str(pretty=True), feed.stylesheet)


def json_feed(feed: Feed, now: datetime) -> bytes:
    """Return the feed as JSON Feed 1.1, with when it was made as an extension of ours."""
    shown = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "home_page_url": feed.home,
        "feed_url": f"{feed.frame.public_url}/feed.json",
        "description": feed.description,
        **({"icon": _logo(feed)} if _logo(feed) else {}),
        "favicon": f"{feed.frame.public_url}/favicon.ico",
        "authors": [{"name": clean(feed.frame.name), "url": feed.home}],
        "language": feed.language,
        "_statuspage": {"about": f"{feed.frame.public_url}/", "generated_at": machine_instant(now)},
        "items": [_json_item(item) for item in feed.items],
    }
    return json_text(shown)


def _logo(feed: Feed) -> str:
    logo = feed.frame.brand.logo
    return f"{feed.frame.public_url}{logo.path}" if logo is not None else ""


def item_html(entry: Entry, language: str) -> Markup:
    """Return an item's content: its updates, newest first, and what else is to be known of it.

    The first ``<strong>`` of an update is its state, as readers of Statuspage's feeds expect, in the feed's language.
    """
    instant = filters(language)["instant"]
    # Put together as text: Markup's own formatting takes ten times as long, and there are hundreds of updates.
    parts = []
    if entry.kind == "maintenance" and entry.is_open and entry.ended_at is not None:
        planned = {"begin": instant(entry.started_at), "end": instant(entry.ended_at)}
        parts.append(f"<p>{translated('Planned from %(begin)s to %(end)s.', language, **planned)}</p>")
    if entry.post_mortem:
        published = f"<small>{instant(entry.post_mortem_at)}</small><br>" if entry.post_mortem_at else ""
        heading = translated("Post-mortem", language)
        parts.append(f"<p>{published}<strong>{heading}</strong></p>\n{entry.post_mortem}")
    for update in entry.updates:
        said, posted = escape(translated(update.label, language)), _posted_in_words(update, language)
        parts.append(f"<p><small>{posted}</small><br><strong>{said}</strong></p>\n{update.html}")
    if entry.next_update_by is not None:
        promised = translated("Next update by %(instant)s", language, instant=instant(entry.next_update_by))
        parts.append(f"<p>{promised}.</p>\n")
    # Bodies were cleaned when they were written; everything else is ours or escaped.
    return Markup("\n".join(parts))  # noqa: S704


def clean(text: str) -> str:
    """Return the text without the characters that neither XML nor calendars can hold."""
    return _NOT_XML.sub("", str(text))


def _posted_in_words(update: PublicUpdate, language: str) -> str:
    instant = filters(language)["instant"]
    posted = str(instant(update.posted_at))
    if update.edited_at is None:
        return posted
    return f"{posted}, {translated('edited at %(instant)s', language, instant=instant(update.edited_at))}"


def _item(frame: Frame, entry: Entry) -> Item:
    is_to_come = entry.kind == "maintenance" and entry.label == LABELS[MaintenanceStage.SCHEDULED]
    kind, language = KINDS[entry.kind], frame.brand.language
    return Item(
        url=frame.public_url + entry.path,
        # An item must have a title; nothing else of an incident is sure to be left of a title of control characters.
        title=clean(entry.title).strip() or entry.id,
        html=clean(item_html(entry, language)),
        kind=kind,
        stage=entry.label,
        labels=(translated(kind, language), translated(entry.label, language)),
        posted_at=_whole(entry.last_posted_at),
        changed_at=_whole(max(entry.last_posted_at, entry.changed_at or entry.last_posted_at)),
        planned_until=entry.ended_at if is_to_come else None,
    )


def _whole(instant: datetime) -> datetime:
    return instant.replace(microsecond=0)


def _json_item(item: Item) -> dict[str, object]:
    return {
        "id": item.url,
        "url": item.url,
        "title": item.title,
        "content_html": item.html,
        "date_published": machine_instant(item.posted_at),
        "date_modified": machine_instant(item.changed_at),
        "tags": [item.kind, item.stage],
    }


class _PlannedEnd(BaseEntryExtension):  # type: ignore[misc]
    """Statuspage's element for the end of maintenance to come, which programs read from its RSS."""

    end: datetime

    def extend_rss(self, entry: Any) -> Any:
        element = entry.makeelement("maintenanceEndDate", {})
        element.text = format_datetime(self.end)
        entry.append(element)
        return entry


class _Element(FeedEntry):  # type: ignore[misc]
    """An entry whose XML is made once; each feed takes it over from the last one that was written."""

    @cached_property
    def _as_rss(self) -> Any:
        return super().rss_entry()

    @cached_property
    def _as_atom(self) -> Any:
        return super().atom_entry()

    def rss_entry(self, extensions: bool = True) -> Any:  # noqa: ARG002  (as feedgen calls it)
        return self._as_rss

    def atom_entry(self, extensions: bool = True) -> Any:  # noqa: ARG002
        return self._as_atom


def _generator(feed: Feed, suffix: str) -> FeedGenerator:
    made = FeedGenerator()
    made.id(f"tag:{urlsplit(feed.frame.public_url).hostname},2005:{feed.path}")
    made.title(feed.title)
    made.subtitle(feed.description)
    made.author(name=clean(feed.frame.name).strip() or "Status")
    made.language(feed.language)
    if _logo(feed):
        made.logo(_logo(feed))
    # feedgen takes the last one for RSS's own <link>: the page.
    made.link(href=f"{feed.frame.public_url}{feed.path}{suffix}", rel="self", type=_MEDIA_TYPES[suffix])
    made.link(href=feed.home, rel="alternate", type="text/html")
    # feedgen's default is now, which would change the file without a change.
    made.updated(feed.changed_at)
    for item in feed.items:
        made.add_entry(item.element, order="append")
    return made


def _element(item: Item) -> "_Element":
    entry = _Element()
    entry.id(item.url)
    entry.guid(item.url, permalink=True)
    entry.link(href=item.url)
    entry.title(item.title)
    entry.content(item.html, type="html")
    # RSS shows the label; Atom has both.
    terms = zip((item.kind, item.stage), item.labels, strict=True)
    entry.category([{"term": term, "label": label} for term, label in terms])
    entry.published(item.posted_at)
    entry.updated(item.changed_at)
    if item.planned_until is not None:
        entry.register_extension("planned", _PlannedEnd, atom=False)
        entry.planned.end = item.planned_until
    return entry


_MEDIA_TYPES = {".rss": "application/rss+xml", ".atom": "application/atom+xml"}


def _styled(xml: bytes, stylesheet: str) -> bytes:
    declaration, _, rest = xml.partition(b"\n")
    return declaration + f'\n<?xml-stylesheet type="text/css" href="{stylesheet}"?>\n'.encode() + rest
