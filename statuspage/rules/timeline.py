"""The timeline of a post-mortem: what was recorded, in its order, a line each."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

LINE_LIMIT = 260
# Between the instant and the words of a line.
_BETWEEN = " UTC: "


@dataclass(frozen=True)
class Moment:
    """Something that happened, in words."""

    at: datetime
    text: str


def write(moments: Iterable[Moment]) -> str:
    """Return the timeline as text, the oldest line first; what happened at once stays in the order given."""
    return "\n".join(
        f"{moment.at.astimezone(UTC):%Y-%m-%d %H:%M}{_BETWEEN}{_one_line(moment.text)}"
        for moment in sorted(moments, key=lambda each: each.at)
    )


def read(text: str) -> tuple[tuple[str, str], ...]:
    """Return the lines of a timeline: the instant as written (empty if a line has none), and the words."""
    lines = [line.partition(_BETWEEN) for line in text.splitlines()]
    return tuple((at, words) if between else ("", at) for at, between, words in lines)


def _one_line(text: str) -> str:
    return textwrap.shorten(" ".join(text.split()), LINE_LIMIT, placeholder=" …")
