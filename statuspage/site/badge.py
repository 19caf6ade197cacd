"""The page's state in very little room: a badge for other pages, and an icon for browsers."""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from statuspage.languages import filters, translated
from statuspage.rendering import environment
from statuspage.rules.vocabulary import LABELS, PAGE_STATE_WORDS, ComponentState, MaintenanceStage
from statuspage.site.feeds import clean
from statuspage.site.headline import UNDER_MAINTENANCE
from statuspage.site.page import Frame, Front

NAME_LENGTH = 40
_HEIGHT_OF_TEXT = 11
# How wide letters are at 11 px in Verdana, the widest of the fonts asked for.
_NARROW, _WIDE = frozenset(" \xa0.,:;'|!iIjlfrt()[]"), frozenset("mwMWQOGD@%")
_ICON = 32
_RUNNING = (LABELS[MaintenanceStage.IN_PROGRESS], LABELS[MaintenanceStage.VERIFYING])


@dataclass(frozen=True)
class Badge:
    """What a badge says."""

    name: str
    state: str
    """``operational``, ``degraded``, ``outage`` or ``maintenance``: its colour and shape."""
    words: str
    promise: str
    """When readers hear more; empty while nothing is wrong."""


def badge(frame: Frame, front: Front, now: datetime) -> bytes:
    """Return the badge as an SVG picture."""
    shown = describe(frame, front, now)
    said = f"{shown.words} · {shown.promise}" if shown.promise else shown.words
    return (
        environment(frame.brand.language)
        .get_template("public/badge.svg")
        .render(badge=shown, said=said, name_width=text_width(shown.name), said_width=text_width(said))
        .encode()
    )


def describe(frame: Frame, front: Front, now: datetime) -> Badge:
    """Say how things are, and when readers hear more."""
    name = " ".join(clean(frame.name).split())
    name = name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"
    language = frame.brand.language
    words, state = PAGE_STATE_WORDS[front.state], str(front.state)
    running = any(window.label in _RUNNING for window in front.maintenances)
    if front.state is ComponentState.OPERATIONAL and running:
        words, state = UNDER_MAINTENANCE, "maintenance"
    due = min((entry.next_update_by for entry in front.open_incidents if entry.next_update_by), default=None)
    return Badge(name, state, translated(words, language), _promise(due, language, now) if due else "")


def text_width(text: str) -> int:
    """Return about how many pixels a text takes; the picture is set to exactly as many."""
    return round(sum(_letter_width(letter) for letter in text))


@cache
def favicon_ico(state: ComponentState) -> bytes:
    """Return the icon for browsers that know no SVG: 32 × 32 pixels, a shape and colour for each state."""
    inside, colour = _SHAPES[state]
    clear = bytes(4)
    rows = (
        b"\0" + b"".join(colour if inside(column + 0.5, row + 0.5) else clear for column in range(_ICON))
        for row in range(_ICON)
    )
    picture = b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", _ICON, _ICON, 8, 6, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(b"".join(rows), 9)),
            _chunk(b"IEND", b""),
        )
    )
    # A folder of one picture: its size, 1 plane, 32 bits a pixel, how long, where.
    head = struct.pack("<HHH", 0, 1, 1)
    return head + struct.pack("<BBBBHHII", _ICON, _ICON, 0, 0, 1, 32, len(picture), 22) + picture


def _promise(due: datetime, language: str, now: datetime) -> str:
    if due < now:
        return translated("update is late", language)
    is_today = due.astimezone(UTC).date() == now.date()
    instant = f"{due.astimezone(UTC):%H:%M} UTC" if is_today else filters(language)["instant"](due)
    return translated("next update by %(instant)s", language, instant=instant)


def _letter_width(letter: str) -> float:
    if letter in _NARROW:
        return 4.4
    if letter in _WIDE:
        return 9.4
    # Beyond Latin, Greek and Cyrillic letters may be as wide as they are high, and pictures wider.
    return 7.3 if ord(letter) < 0x500 else 1.25 * _HEIGHT_OF_TEXT


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _in_circle(x: float, y: float) -> bool:
    return (x - 16) ** 2 + (y - 16) ** 2 <= 14.5**2


def _in_triangle(x: float, y: float) -> bool:
    return 2 <= y <= 30 and abs(x - 16) <= (y - 2) / 2 + 0.5


def _in_square(x: float, y: float) -> bool:
    return 3 <= x <= 29 and 3 <= y <= 29


# The shapes and colours of favicon.svg.
_SHAPES: Mapping[ComponentState, tuple[Callable[[float, float], bool], bytes]] = {
    ComponentState.OPERATIONAL: (_in_circle, b"\x1a\x7a\x42\xff"),
    ComponentState.DEGRADED: (_in_triangle, b"\xc2\x7c\x00\xff"),
    ComponentState.OUTAGE: (_in_square, b"\xb3\x26\x1e\xff"),
}
