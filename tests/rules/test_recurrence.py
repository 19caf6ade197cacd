"""Repetition rules: what is taken, which days they name, what the clocks' change does to them."""

import itertools
import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.recurrence import (
    HORIZON,
    in_words,
    monthly,
    occurrences,
    parse,
    starts_with,
    weekly,
)
from statuspage.rules.vocabulary import RuleBroken

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


def local(zone: ZoneInfo, *parts: int) -> datetime:
    return datetime(*parts, tzinfo=zone).astimezone(UTC)  # type: ignore[misc,arg-type]


def windows(text: str, first: datetime, hours: float, zone: ZoneInfo, count: int) -> list[str]:
    """The next windows as the clock on the wall shows them, with their length in hours."""
    found = occurrences(parse(text), first, first + timedelta(hours=hours), zone, first)
    return [
        f"{begin.astimezone(zone):%m-%d %H:%M}–{end.astimezone(zone):%H:%M} {(end - begin) / timedelta(hours=1):g} h"
        for begin, end in itertools.islice(found, count)
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FREQ=WEEKLY;BYDAY=SU", "every week on Sunday"),
        ("rrule: freq=weekly; interval=2; byday=mo,th", "every 2 weeks on Monday and Thursday"),
        ("FREQ=MONTHLY;BYDAY=2SA;COUNT=10", "every month on the second Saturday, 10 times"),
        ("FREQ=MONTHLY;BYDAY=-1FR", "every month on the last Friday"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,15,-1", "every month on day 1, 15 and 1 from the end"),
        ("FREQ=YEARLY;BYMONTH=3;UNTIL=20301231", "every year in March, until 2030-12-31"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
         "every month on Monday, Tuesday, Wednesday, Thursday and Friday taking the last of these"),
        ("FREQ=DAILY;UNTIL=20301231T000000Z", "every day, until 2030-12-31"),
    ],
)  # fmt: skip
def test_a_rule_is_told_in_plain_words(text: str, words: str) -> None:
    assert in_words(parse(text)) == words


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "like FREQ=WEEKLY"),
        ("every sunday", "like FREQ=WEEKLY"),
        ("FREQ=SECONDLY", "how often"),
        ("FREQ=MINUTELY", "how often"),
        ("FREQ=HOURLY", "how often"),
        ("BYDAY=MO", "how often"),
        ("FREQ=WEEKLY;FREQ=DAILY", "like FREQ=WEEKLY"),
        ("FREQ=DAILY;BYHOUR=1,2,3", "BYHOUR"),
        ("FREQ=DAILY;BYSECOND=0", "BYSECOND"),
        ("FREQ=YEARLY;BYWEEKNO=1", "BYWEEKNO"),
        ("FREQ=WEEKLY;INTERVAL=0", "INTERVAL"),
        ("FREQ=WEEKLY;INTERVAL=1000000", "INTERVAL"),
        ("FREQ=WEEKLY;INTERVAL=٣", "INTERVAL"),
        ("FREQ=WEEKLY;COUNT=0", "COUNT"),
        ("FREQ=WEEKLY;COUNT=5;UNTIL=20300101", "not both"),
        ("FREQ=WEEKLY;UNTIL=20301399", "UNTIL"),
        ("FREQ=WEEKLY;UNTIL=soon", "UNTIL"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY"),
        ("FREQ=WEEKLY;BYDAY=2MO", "MONTHLY only"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=" + ",".join(["1"] * 60), "BYMONTHDAY"),
        ("FREQ=DAILY;BYSETPOS=31", "BYSETPOS"),
        ("FREQ=WEEKLY;WKST=SU", "Monday"),
        ("FREQ=WEEKLY;" + "X" * 400, "too long"),
    ],
)
def test_what_can_not_be_kept_to_is_refused_with_a_sentence(text: str, part: str) -> None:
    with pytest.raises(RuleBroken) as refused:
        parse(text)
    assert part in refused.value.errors["rule"]


@pytest.mark.parametrize(
    ("zone", "first", "expected"),
    [
        (BERLIN, (2026, 3, 22, 2, 0), ["03-29 03:00–04:00 1 h", "04-05 02:00–04:00 2 h"]),
        (BERLIN, (2026, 10, 18, 2, 0), ["10-25 02:00–04:00 3 h", "11-01 02:00–04:00 2 h"]),
        (NEW_YORK, (2026, 3, 1, 2, 0), ["03-08 03:00–04:00 1 h", "03-15 02:00–04:00 2 h"]),
        (ZoneInfo("Etc/UTC"), (2026, 3, 22, 2, 0), ["03-29 02:00–04:00 2 h", "04-05 02:00–04:00 2 h"]),
    ],
)
def test_two_o_clock_stays_two_o_clock_when_the_clocks_change(
    zone: ZoneInfo, first: tuple[int, ...], expected: list[str]
) -> None:
    assert windows("FREQ=WEEKLY", local(zone, *first), 2, zone, 2) == expected


def test_a_window_that_the_clocks_leap_over_keeps_its_length() -> None:
    found = windows("FREQ=WEEKLY", local(BERLIN, 2026, 3, 22, 2, 15), 0.5, BERLIN, 1)
    assert found == ["03-29 03:15–03:45 0.5 h"]
    assert windows("FREQ=WEEKLY", local(BERLIN, 2026, 3, 22, 2, 30), 0.5, BERLIN, 1) == ["03-29 03:30–04:00 0.5 h"]


def test_count_and_until_end_a_rule() -> None:
    first = local(BERLIN, 2026, 1, 4, 2, 0)
    assert len(windows("FREQ=WEEKLY;COUNT=3", first, 1, BERLIN, 9)) == 2
    assert [each[:5] for each in windows("FREQ=WEEKLY;UNTIL=20260118", first, 1, BERLIN, 9)] == ["01-11", "01-18"]
    assert windows("FREQ=WEEKLY;UNTIL=20200101", first, 1, BERLIN, 9) == []


def test_the_simple_choices_are_rules_that_the_first_window_follows() -> None:
    for day in (date(2026, 11, 1) + timedelta(days=count) for count in range(60)):
        first = datetime(day.year, day.month, day.day, 2, tzinfo=UTC)
        for text in (weekly(day), monthly(day)):
            assert starts_with(parse(text), first, ZoneInfo("Etc/UTC")), text


def test_a_first_window_on_another_day_is_noticed() -> None:
    tuesday = local(BERLIN, 2026, 11, 24, 2, 0)
    assert not starts_with(parse("FREQ=WEEKLY;BYDAY=SU"), tuesday, BERLIN)


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
        "FREQ=MONTHLY;BYDAY=5MO,5TU,5WE;BYSETPOS=31",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31;COUNT=1000",
        "FREQ=YEARLY;INTERVAL=99;BYDAY=FR;BYMONTHDAY=13;BYMONTH=2",
    ],
)
def test_a_rule_that_never_comes_to_a_day_takes_no_time(text: str) -> None:
    first = local(BERLIN, 2026, 2, 3, 2, 0)
    begun = time.process_time()
    list(occurrences(parse(text), first, first + timedelta(hours=1), BERLIN, first))
    assert time.process_time() - begun < 0.5


_rules = st.one_of(
    st.builds(
        "FREQ=WEEKLY;INTERVAL={};BYDAY={}".format, st.integers(1, 9), st.sampled_from(["MO", "SU,WE", "TU,TH,SA"])
    ),
    st.builds("FREQ=MONTHLY;INTERVAL={};BYMONTHDAY={}".format, st.integers(1, 9), st.integers(-31, -1) | st.integers(1, 28)),
    st.builds("FREQ=MONTHLY;BYDAY={}".format, st.sampled_from(["1MO", "-1FR", "2SA,4SA", "5TU", "SU", "-5WE"])),
    st.builds("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS={}".format, st.integers(-5, -1) | st.integers(1, 5)),
    st.builds("FREQ=YEARLY;BYMONTH={};BYDAY={}".format, st.integers(1, 12), st.sampled_from(["MO", "SA,SU"])),
    st.builds("FREQ=DAILY;INTERVAL={}".format, st.integers(1, 99)),
    st.sampled_from(["FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=YEARLY", "FREQ=DAILY;BYDAY=MO", "FREQ=YEARLY;BYMONTH=1,7"]),
)  # fmt: skip


@given(rule=_rules, day=st.dates(date(2026, 1, 1), date(2029, 12, 31)))
def test_the_days_are_those_that_a_library_finds(rule: str, day: date) -> None:
    first = datetime(day.year, day.month, day.day, 2, tzinfo=UTC)
    ours = occurrences(parse(rule), first, first + timedelta(hours=1), ZoneInfo("Etc/UTC"), first - timedelta(1))
    theirs = rrulestr(rule, dtstart=first.replace(tzinfo=None))
    end = first + HORIZON - timedelta(days=2)
    found = [begin.replace(tzinfo=None) for begin, _ in itertools.islice(ours, 6) if begin < end]
    assert found == [each for each in itertools.islice(theirs, 6) if each < end.replace(tzinfo=None)][: len(found)]
