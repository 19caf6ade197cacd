"""RSS and Atom: one item for each incident, which moves up with every update."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from feedgen.feed import FeedGenerator
from markupsafe import Markup

from statuspage.rules.times import instant_in_words
from statuspage.site.page import Entry, Frame, PublicUpdate

# Statuspage's feeds hold 25; fifty updates in an hour must not push one out unseen.
ITEMS = 50
# What XML 1.0 can't hold (section 2.2), should an import have brought it.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def rss(frame: Frame, entries: Sequence[Entry]) -> bytes:
    """Return the feed as RSS 2.0."""
    return bytes(_feed(frame, entries, "/history.rss").rss_str(pretty=True))


def atom(frame: Frame, entries: Sequence[Entry]) -> bytes:
    """Return the feed as Atom (RFC 4287)."""
    return bytes(_feed(frame, entries, "/history.atom").atom_str(pretty=True))


def item_html(updates: Sequence[PublicUpdate], entry: Entry | None = None) -> Markup:
    """Return an item's content: the promise of an open incident, then its updates, newest first.

    The first ``<strong>`` of an update is its state, as readers of Statuspage's feeds expect.
    """
    promise = Markup()
    if entry is not None and entry.next_update_by is not None:
        promise = Markup("<p>Next update by {}.</p>\n").format(instant_in_words(entry.next_update_by))
    window = Markup()
    if entry is not None and entry.kind == "maintenance" and entry.is_open and entry.ended_at is not None:
        window = Markup("<p>Planned from {} to {}.</p>\n").format(
            instant_in_words(entry.started_at), instant_in_words(entry.ended_at)
        )
    parts = (
        Markup("<p><small>{}</small><br><strong>{}</strong></p>\n{}").format(
            _posted_in_words(update), update.label, update.html
        )
        for update in updates
    )
    return window + Markup("\n").join(parts) + (Markup("\n") + promise if promise else Markup())


def _posted_in_words(update: PublicUpdate) -> str:
    posted = instant_in_words(update.posted_at)
    return f"{posted}, edited at {instant_in_words(update.edited_at)}" if update.edited_at else posted


def _feed(frame: Frame, entries: Sequence[Entry], path: str) -> FeedGenerator:
    feed = FeedGenerator()
    feed.id(f"tag:{urlsplit(frame.public_url).hostname},2005:/history")
    feed.title(_xml(f"{frame.name} status: incident history"))
    feed.subtitle(_xml(f"Incidents and maintenance of {frame.name}"))
    feed.author(name=_xml(frame.name))
    feed.language("en")
    # feedgen takes the last one for RSS's own <link>: the page.
    feed.link(href=frame.public_url + path, rel="self")
    feed.link(href=frame.public_url + "/", rel="alternate")
    # feedgen's default is now, which would change the file without a change.
    feed.updated(max((entry.last_posted_at for entry in entries), default=frame.created_at))
    for entry in entries:
        item = feed.add_entry(order="append")
        item.id(frame.public_url + entry.path)
        item.guid(frame.public_url + entry.path, permalink=True)
        item.link(href=frame.public_url + entry.path)
        item.title(_xml(entry.title))
        item.content(_xml(item_html(entry.updates, entry)), type="html")
        item.published(entry.last_posted_at)
        item.updated(entry.last_posted_at)
    return feed


def _xml(text: str) -> str:
    return _NOT_XML.sub("", str(text))
