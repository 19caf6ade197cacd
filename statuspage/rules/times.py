"""Instants and spans: checked, parsed and put into words."""

import re
from datetime import UTC, date, datetime, timedelta

_TYPED_INSTANT = re.compile(r"(\d{4})-(\d{2})-(\d{2})[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d{1,6})?)?(?: ?(?:Z|UTC))?")
# ISO 8601 durations without years and months, which have no fixed length.
_ISO_SPAN = re.compile(
    r"([-+]?)P(?=[0-9T])(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?"
)


_TYPED_SPAN = re.compile(r"(?:(\d{1,6}) ?d)? ?(?:(\d{1,6}) ?h)? ?(?:(\d{1,6}) ?m(?:in)?)? ?(?:(\d{1,9}) ?s)?")
# Nearer than this, a minute more or less matters.
NEAR = timedelta(minutes=5)


def require_utc(instant: datetime) -> datetime:
    """Return the instant unchanged.

    Raises ValueError if it is naive or in another zone than UTC.
    """
    if instant.tzinfo is None or instant.utcoffset() != timedelta(0):
        raise ValueError(f"an aware UTC datetime is needed, not {instant!r}")
    return instant


def parse_typed_instant(text: str) -> datetime | None:
    """Read ``2026-11-21T14:30`` (also with a space, seconds, Z or UTC) as UTC, whole seconds.

    The form is that of HTML's ``datetime-local`` input. None if it is no
    instant, or one outside the years 2000 to 2100.
    """
    match = _TYPED_INSTANT.fullmatch(text.strip())
    if match is None:
        return None
    try:
        instant = datetime(*(int(part or 0) for part in match.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        return None
    return instant if 2000 <= instant.year <= 2100 else None


def parse_instant(text: str) -> datetime | None:
    """Read an instant as programs write it (ISO 8601 with Z or an offset) as UTC.

    None if it is no instant, says no offset, or lies outside the years 2000 to 2100.
    """
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if instant.tzinfo is None or not 2000 <= instant.year <= 2100:
        return None
    return instant.astimezone(UTC)


def typed_instant(instant: datetime) -> str:
    """Write an instant as HTML's ``datetime-local`` input wants it, in UTC, to the minute."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")


def typed_deadline(instant: datetime, now: datetime) -> str:
    """Write an instant for the same input: to the minute, to the second when it is near."""
    if instant - require_utc(now) < NEAR:
        return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return typed_instant(instant)


def parse_span(text: str) -> timedelta | None:
    """Read an ISO 8601 duration of weeks, days, hours, minutes and seconds; None if it is none.

    A sign before the P makes it negative (ISO 8601-2).
    """
    match = _ISO_SPAN.fullmatch(text)
    if match is None:
        return None
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:])
    span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return -span if match[1] == "-" else span


def span_in_iso(span: timedelta) -> str:
    """Write a span as an ISO 8601 duration, in hours rather than days: ``PT24H``, ``-PT5M``, ``PT0S``."""
    seconds = abs(int(span.total_seconds()))
    parts = [(seconds // 3600, "H"), (seconds // 60 % 60, "M"), (seconds % 60, "S")]
    written = "".join(f"{count}{unit}" for count, unit in parts if count) or "0S"
    return f"{'-' if span < timedelta(0) else ''}PT{written}"


def instant_in_words(instant: datetime) -> str:
    """Write an instant for readers: ``21 Nov 2026, 14:30 UTC``."""
    utc = instant.astimezone(UTC)
    return f"{utc.day} {utc.strftime('%b %Y, %H:%M')} UTC"


def moment_in_words(instant: datetime, now: datetime) -> str:
    """Write an instant as people say it beside a clock: without its day when that is today's, in UTC."""
    today = instant.astimezone(UTC).date() == require_utc(now).date()
    return instant.astimezone(UTC).strftime("%H:%M UTC") if today else instant_in_words(instant)


def span_in_words(span: timedelta) -> str:
    """Write a span for readers: ``2 h 10 min``, ``3 d 4 h``, ``45 s``.

    The two largest units at most, rounded down; a negative span reads as zero.
    """
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86400
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def next_month(month: date, count: int = 1) -> date:
    """Return the first day of the month ``count`` months after this one."""
    index = month.year * 12 + month.month - 1 + count
    return date(index // 12, index % 12 + 1, 1)


def parse_typed_span(text: str) -> timedelta | None:
    """Read a span as people type it (``15 min``, ``1 h 30 min``, ``90 s``) or in ISO 8601; None if it is none."""
    plain = text.strip()
    match = _TYPED_SPAN.fullmatch(plain)
    if match is None or not plain:
        return parse_span(plain)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def typed_span(span: timedelta) -> str:
    """Write a span so that parse_typed_span reads the very same: ``1 h 30 min``, ``4 s``."""
    seconds = abs(int(span.total_seconds()))
    parts = [(seconds // 3600, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"
