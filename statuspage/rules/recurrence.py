"""Repetition rules (RRULE, RFC 5545): checked, put into words, and expanded without ever taking long.

Walked through day by day up to a horizon. Libraries look at the end only when
they have found a day: a rule that never comes to one keeps them for half a
minute. The tests compare with one of them where it does not.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from statuspage.rules.times import next_month
from statuspage.rules.vocabulary import RuleBroken

LENGTH_LIMIT = 300
# How far ahead a rule is walked through: one that names no day there has come to its end.
HORIZON = timedelta(days=5 * 366)
MOST_INTERVAL, MOST_COUNT, MOST_IN_A_LIST = 99, 1000, 31

_DAYS = {"MO": "Monday", "TU": "Tuesday", "WE": "Wednesday", "TH": "Thursday", "FR": "Friday", "SA": "Saturday"}
_DAYS["SU"] = "Sunday"
_NAMES = tuple(_DAYS)
_ONE_DAY = re.compile(r"([+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})Z?)?")
_ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", -1: "last", -2: "last but one"}
_UNITS = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"}

_RULE = "Please give a repetition rule like FREQ=WEEKLY;BYDAY=SU."


@dataclass(frozen=True)
class Rule:
    """A repetition rule that has been checked."""

    text: str
    frequency: str
    interval: int
    count: int | None
    until: date | None
    """The last day, in the zone the rule is read in."""
    days: tuple[tuple[int | None, str], ...]
    """Which one in the month, and the day of the week."""
    month_days: tuple[int, ...]
    months: tuple[int, ...]
    positions: tuple[int, ...]


def parse(text: str) -> Rule:
    """Return a rule as it was typed. Raises RuleBroken on ``rule`` for anything that can't be kept to."""
    plain = text.strip().upper().removeprefix("RRULE:").replace(" ", "")
    if len(plain) > LENGTH_LIMIT:
        raise _broken("This rule is too long.")
    pairs = [part.partition("=") for part in plain.rstrip(";").split(";")]
    parts = {name: value for name, _, value in pairs}
    if len(parts) != len(pairs) or not all(parts.values()):
        raise _broken(_RULE)
    frequency = parts.pop("FREQ", "")
    if frequency not in _UNITS:
        raise _broken("Please say how often: FREQ=DAILY, WEEKLY, MONTHLY or YEARLY.")
    interval, count = parts.pop("INTERVAL", "1"), parts.pop("COUNT", "")
    until, days = parts.pop("UNTIL", ""), parts.pop("BYDAY", "")
    if parts.pop("WKST", "MO") != "MO":
        raise _broken("Weeks begin on Monday here.")
    rule = Rule(
        text=plain.rstrip(";"),
        frequency=frequency,
        interval=_number("INTERVAL", interval, 1, MOST_INTERVAL),
        count=_number("COUNT", count, 1, MOST_COUNT) if count else None,
        until=_last_day(until) if until else None,
        days=tuple(_day(each, frequency) for each in days.split(",")) if days else (),
        month_days=_numbers("BYMONTHDAY", parts.pop("BYMONTHDAY", ""), 31),
        months=_numbers("BYMONTH", parts.pop("BYMONTH", ""), 12, negative=False),
        positions=_numbers("BYSETPOS", parts.pop("BYSETPOS", ""), 31),
    )
    if parts:
        raise _broken(f"{min(parts)[:20]} can’t be used here: the time of day is that of the first window.")
    if rule.count and rule.until:
        raise _broken("Please give COUNT or UNTIL, not both.")
    if frequency == "WEEKLY" and rule.month_days:
        raise _broken("BYMONTHDAY does not go with FREQ=WEEKLY.")
    if rule.positions and frequency not in ("MONTHLY", "YEARLY"):
        raise _broken("BYSETPOS goes with FREQ=MONTHLY and FREQ=YEARLY only.")
    return rule


def _broken(sentence: str) -> RuleBroken:
    return RuleBroken({"rule": sentence})


def _number(name: str, text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,4}", text) or not least <= int(text) <= most:
        raise _broken(f"{name} must be a number from {least} to {most}.")
    return int(text)


def _numbers(name: str, text: str, most: int, *, negative: bool = True) -> tuple[int, ...]:
    if not text:
        return ()
    parts = text.split(",")
    found = tuple(_number(name, each, -most if negative else 1, most) for each in parts[:MOST_IN_A_LIST])
    if 0 in found or len(parts) > MOST_IN_A_LIST:
        raise _broken(f"{name} is not right.")
    return found


def _day(text: str, frequency: str) -> tuple[int | None, str]:
    match = _ONE_DAY.fullmatch(text)
    if match is None:
        raise _broken("BYDAY names days of the week: MO, TU, WE, TH, FR, SA, SU, or 2SA for the second Saturday.")
    if match[1] and frequency != "MONTHLY":
        raise _broken("A number before a day, like 2SA, goes with FREQ=MONTHLY only.")
    return int(match[1]) if match[1] else None, match[2]


def _last_day(text: str) -> date:
    match = _UNTIL.fullmatch(text)
    try:
        if match is not None:
            return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        pass
    raise _broken("UNTIL must be a day, like UNTIL=20271231.")


def occurrences(
    rule: Rule, first_for: datetime, first_until: datetime, zone: ZoneInfo, after: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Give the windows of a rule that begin after a moment, soonest first, up to the horizon from there.

    They keep the first one's time of day in ``zone``: 02:00 stays 02:00 when
    the clocks change. A time that they leap over begins as much later; the
    end is kept on the clock as well, unless it came before the start.
    """
    begins, ends = (each.astimezone(zone).replace(tzinfo=None) for each in (first_for, first_until))
    for local in _local_days(rule, begins, after.astimezone(zone).replace(tzinfo=None) + HORIZON):
        window_for = _instant(local, zone)
        if window_for <= after:
            continue
        window_until = _instant(local + (ends - begins), zone)
        if window_until <= window_for:
            window_until = window_for + (first_until - first_for)
        yield window_for, window_until


def starts_with(rule: Rule, first_for: datetime, zone: ZoneInfo) -> bool:
    """Tell whether the first window falls on a day that the rule names."""
    local = first_for.astimezone(zone).replace(tzinfo=None)
    return next(_local_days(rule, local, local + HORIZON), None) == local


def _local_days(rule: Rule, begins: datetime, end: datetime) -> Iterator[datetime]:
    """Walk through a rule by the wall clock, from its first moment to the end."""
    if rule.until is not None:
        end = min(end, datetime.combine(rule.until, begins.time()))
    return itertools.islice(_days_between(rule, begins, end), rule.count)


def _days_between(rule: Rule, begins: datetime, end: datetime) -> Iterator[datetime]:
    first = begins.date()
    for period in _periods(rule, first, end.date()):
        named = [day for day in period if _is_named(rule, day, first)]
        if rule.positions:
            chosen = {position - 1 if position > 0 else len(named) + position for position in rule.positions}
            named = [day for index, day in enumerate(named) if index in chosen]
        for day in named:
            moment = datetime.combine(day, begins.time())
            if begins <= moment <= end:
                yield moment


def _periods(rule: Rule, first: date, last: date) -> Iterator[list[date]]:
    """Give the days of each day, week, month or year that the rule looks at."""
    match rule.frequency:
        case "DAILY":
            begin, length = first, timedelta(days=1)
        case "WEEKLY":
            begin, length = first - timedelta(days=first.weekday()), timedelta(days=7)
        case _:
            months = rule.interval * (12 if rule.frequency == "YEARLY" else 1)
            begin = first.replace(day=1, month=1 if rule.frequency == "YEARLY" else first.month)
            while begin <= last:
                yield _span(begin, next_month(begin, 12 if rule.frequency == "YEARLY" else 1))
                begin = next_month(begin, months)
            return
    while begin <= last:
        yield _span(begin, begin + length)
        begin += length * rule.interval


def _span(begin: date, end: date) -> list[date]:
    return [begin + timedelta(days=count) for count in range((end - begin).days)]


def _is_named(rule: Rule, day: date, first: date) -> bool:
    """Tell whether the rule names a day; what it leaves open is as on the first one."""
    months, month_days, days = rule.months, rule.month_days, rule.days
    if not month_days and not days:
        match rule.frequency:
            case "WEEKLY":
                days = ((None, _NAMES[first.weekday()]),)
            case "MONTHLY":
                month_days = (first.day,)
            case "YEARLY":
                months, month_days = months or (first.month,), (first.day,)
    length = (next_month(day) - day.replace(day=1)).days
    return (
        (not months or day.month in months)
        and (not month_days or day.day in month_days or day.day - length - 1 in month_days)
        and (not days or any(_is_that(day, length, which, name) for which, name in days))
    )


def _is_that(day: date, length: int, which: int | None, name: str) -> bool:
    if _NAMES[day.weekday()] != name:
        return False
    return which is None or which in ((day.day - 1) // 7 + 1, -((length - day.day) // 7 + 1))


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    return local.replace(tzinfo=zone).astimezone(UTC)


def weekly(first: date) -> str:
    """Return the rule of every week on the day of the first window."""
    return f"FREQ=WEEKLY;BYDAY={list(_DAYS)[first.weekday()]}"


def monthly(first: date) -> str:
    """Return the rule of every month on the same weekday: the second Saturday, or the last."""
    which = (first.day - 1) // 7 + 1
    return f"FREQ=MONTHLY;BYDAY={which if which < 5 else -1}{list(_DAYS)[first.weekday()]}"


def in_words(rule: Rule) -> str:
    """Write a rule for people: ``every 2 weeks on Saturday, 10 times``."""
    unit = _UNITS[rule.frequency]
    words = [f"every {unit}" if rule.interval == 1 else f"every {rule.interval} {unit}s"]
    if rule.days:
        words.append("on " + _listed([_day_in_words(each) for each in rule.days]))
    if rule.month_days:
        words.append(
            "on day " + _listed([str(each) if each > 0 else f"{-each} from the end" for each in rule.month_days])
        )
    if rule.months:
        words.append("in " + _listed([f"{date(2000, each, 1):%B}" for each in rule.months]))
    if rule.positions:
        words.append(
            "taking the " + _listed([_ORDINALS.get(each, f"{each}.") for each in rule.positions]) + " of these"
        )
    ends = f", {rule.count} times" if rule.count else f", until {rule.until:%Y-%m-%d}" if rule.until else ""
    return " ".join(words) + ends


def _day_in_words(day: tuple[int | None, str]) -> str:
    which, name = day
    return f"the {_ORDINALS.get(which, f'{which}.')} {_DAYS[name]}" if which else _DAYS[name]


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
