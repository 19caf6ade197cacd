"""Maintenance windows as a calendar (RFC 5545) that programs subscribe to."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from markupsafe import Markup

from statuspage.languages import filters, translated
from statuspage.site.feeds import clean
from statuspage.site.page import Entry, Frame

WINDOWS = 200
LOOK_AGAIN = timedelta(minutes=30)
# Changes are counted in seconds from here: within the 31 bits that programs keep for a sequence number.
_FIRST_CHANGE = datetime(2000, 1, 1, tzinfo=UTC)
_LINE_END = re.compile(r"<br ?/?>|</(?:p|li|pre|blockquote)>\s*")


def calendar(frame: Frame, windows: Sequence[Entry]) -> bytes:
    """Return the maintenance windows as an iCalendar file."""
    # Takes a quarter of a second to import, which every start would pay.
    import icalendar

    made = icalendar.Calendar()
    made.add("prodid", "-//Statuspage//Maintenance//EN")
    made.add("version", "2.0")
    made.add("calscale", "GREGORIAN")
    language = frame.brand.language
    name = clean(translated("%(name)s maintenance", language, name=frame.name))
    for key in ("name", "x-wr-calname"):
        made.add(key, name)
    made.add("url", f"{frame.public_url}/")
    made.add("refresh-interval", LOOK_AGAIN, parameters={"VALUE": "DURATION"})
    made.add("x-published-ttl", icalendar.vDuration(LOOK_AGAIN))
    host = urlsplit(frame.public_url).hostname
    for window in windows:
        event = icalendar.Event()
        changed = (window.changed_at or window.last_posted_at).replace(microsecond=0)
        event.add("uid", f"{window.id}@{host}")
        # When it was last changed, not when this was written: the file changes only when a window does.
        event.add("dtstamp", changed)
        event.add("last-modified", changed)
        event.add("sequence", max(0, int((changed - _FIRST_CHANGE).total_seconds())))
        event.add("dtstart", window.started_at.replace(microsecond=0))
        if window.ended_at is not None and window.ended_at > window.started_at:
            event.add("dtend", window.ended_at.replace(microsecond=0))
        event.add("summary", f"{name}: {clean(window.title)}")
        event.add("description", _description(frame, window))
        event.add("url", frame.public_url + window.path)
        event.add("categories", ["Maintenance"])
        event.add("status", "CANCELLED" if window.is_cancelled else "CONFIRMED")
        # Readers' own time stays free.
        event.add("transp", "TRANSPARENT")
        made.add_component(event)
    return bytes(made.to_ical())


def _description(frame: Frame, window: Entry) -> str:
    language = frame.brand.language
    lines = [f"{translated(window.label, language)}."]
    if window.components:
        named = ", ".join(component.name for component in window.components)
        lines.append(f"{translated('Affected:', language)} {named}.")
    if window.updates:
        newest = window.updates[0]
        posted = filters(language)["instant"](newest.posted_at)
        lines += ["", f"{translated(newest.label, language)}, {posted}:", _plain(newest.html)]
    return clean("\n".join([*lines, "", frame.public_url + window.path]))


def _plain(html: Markup) -> str:
    """Return the words of cleaned HTML, a line for each paragraph."""
    return "\n".join(Markup(line).striptags() for line in _LINE_END.split(html) if line.strip())  # noqa: S704
