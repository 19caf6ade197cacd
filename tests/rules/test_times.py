"""Instants and spans."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.times import (
    instant_in_words,
    moment_in_words,
    next_month,
    parse_instant,
    parse_typed_instant,
    require_utc,
    span_in_words,
    typed_instant,
)

INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T14:30", datetime(2026, 11, 21, 14, 30, tzinfo=UTC)),
        ("2026-11-21 14:30", datetime(2026, 11, 21, 14, 30, tzinfo=UTC)),
        ("2026-11-21 9:05", datetime(2026, 11, 21, 9, 5, tzinfo=UTC)),
        (" 2026-11-21T14:30:59Z ", datetime(2026, 11, 21, 14, 30, 59, tzinfo=UTC)),
        ("2026-11-21T14:30:59.123Z", datetime(2026, 11, 21, 14, 30, 59, tzinfo=UTC)),
        ("2026-11-21 14:30 UTC", datetime(2026, 11, 21, 14, 30, tzinfo=UTC)),
        ("2028-02-29T00:00", datetime(2028, 2, 29, tzinfo=UTC)),
        ("2026-02-29T00:00", None),
        ("2026-11-21", None),
        ("14:30", None),
        ("2026-11-21T25:00", None),
        ("2026-11-21T14:30+02:00", None),
        ("1999-12-31T23:59", None),
        ("2101-01-01T00:00", None),
        ("", None),
    ],
)
def test_typed_instants(text: str, expected: datetime | None) -> None:
    assert parse_typed_instant(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T14:30:05Z", datetime(2026, 11, 21, 14, 30, 5, tzinfo=UTC)),
        ("2026-11-21T14:30:05.123Z", datetime(2026, 11, 21, 14, 30, 5, 123_000, tzinfo=UTC)),
        ("2026-11-21T16:30:05+02:00", datetime(2026, 11, 21, 14, 30, 5, tzinfo=UTC)),
        (" 2026-11-21 09:30-05:00 ", datetime(2026, 11, 21, 14, 30, tzinfo=UTC)),
        ("2026-11-21T14:30:05", None),
        ("2026-11-21", None),
        ("2026-02-29T00:00Z", None),
        ("2026-11-21T14:30:05+25:00", None),
        ("1999-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("now", None),
        ("", None),
    ],
)
def test_instants_of_programs_say_their_offset(text: str, expected: datetime | None) -> None:
    assert parse_instant(text) == expected


@given(INSTANTS, st.timezones())
def test_what_a_program_writes_in_its_own_zone_is_read_back(instant: datetime, zone: ZoneInfo) -> None:
    assert parse_instant(instant.astimezone(zone).isoformat()) in (instant, None)


@given(INSTANTS)
def test_a_typed_instant_is_read_back_to_the_minute(instant: datetime) -> None:
    assert parse_typed_instant(typed_instant(instant)) == instant.replace(second=0, microsecond=0)


@given(st.text(max_size=40))
def test_any_text_is_an_instant_or_none(text: str) -> None:
    found = parse_typed_instant(text)
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2026, 11, 21, 14, 30),  # noqa: DTZ001
        datetime(2026, 11, 21, 14, 30, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_an_instant_that_is_not_utc_is_refused(instant: datetime) -> None:
    with pytest.raises(ValueError, match="aware UTC"):
        require_utc(instant)


def test_an_instant_is_written_in_utc() -> None:
    there = timezone(timedelta(hours=2))
    assert instant_in_words(datetime(2026, 3, 1, 1, 5, tzinfo=there)) == "28 Feb 2026, 23:05 UTC"


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (datetime(2026, 2, 28, 23, 59, tzinfo=UTC), "23:05 UTC"),
        (datetime(2026, 3, 1, 0, 0, tzinfo=UTC), "28 Feb 2026, 23:05 UTC"),
        (datetime(2026, 2, 27, 23, 59, tzinfo=UTC), "28 Feb 2026, 23:05 UTC"),
    ],
)
def test_a_moment_of_today_needs_no_day(now: datetime, words: str) -> None:
    assert moment_in_words(datetime(2026, 3, 1, 1, 5, tzinfo=timezone(timedelta(hours=2))), now) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (7800, "2 h 10 min"),
        (86400, "1 d"),
        (86400 + 60, "1 d"),
        (3 * 86400 + 4 * 3600 + 59 * 60, "3 d 4 h"),
    ],
)
def test_spans_in_words(seconds: int, words: str) -> None:
    assert span_in_words(timedelta(seconds=seconds)) == words


@given(st.timedeltas(timedelta(0), timedelta(days=4000)))
def test_a_span_has_two_units_at_most(span: timedelta) -> None:
    assert 2 <= len(span_in_words(span).split()) <= 4


@pytest.mark.parametrize(
    ("month", "count", "expected"),
    [
        (date(2026, 11, 1), 1, date(2026, 12, 1)),
        (date(2026, 12, 1), 1, date(2027, 1, 1)),
        (date(2026, 1, 1), -1, date(2025, 12, 1)),
        (date(2026, 11, 1), 14, date(2028, 1, 1)),
        (date(2026, 11, 1), 0, date(2026, 11, 1)),
    ],
)
def test_months_follow_each_other(month: date, count: int, expected: date) -> None:
    assert next_month(month, count) == expected
