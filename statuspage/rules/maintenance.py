"""Maintenance windows: their checks, which step is due when, and what they say by themselves."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from statuspage.rules.messages import CLOCK_TOLERANCE, TITLE_LIMIT, check_line, check_paragraph
from statuspage.rules.times import instant_in_words, parse_typed_instant, require_utc, span_in_words
from statuspage.rules.vocabulary import ComponentState, MaintenanceMessage, MaintenanceStage, RuleBroken

RUNNING = (MaintenanceStage.IN_PROGRESS, MaintenanceStage.VERIFYING)
OPEN = (MaintenanceStage.SCHEDULED, *RUNNING)
DEFAULT_REMINDER = timedelta(minutes=60)
LONGEST_REMINDER = timedelta(days=14)
# As Statuspage has it.
BODY_LIMIT = 25_000
LONGEST_WINDOW = timedelta(days=30)
# Further away is a slip of the keyboard.
FURTHEST_START = timedelta(days=731)
# How long before its start subscribers hear of a window that a series planned.
SERIES_NOTICE = timedelta(days=3)

SHAPE = "Please give a date and time, like 2026-11-21 02:00."


class Step(StrEnum):
    """What the clock does with a window."""

    ANNOUNCE = "announce"
    REMIND = "remind"
    START = "start"
    FINISH = "finish"


@dataclass(frozen=True)
class Window:
    """What decides which step is due."""

    stage: MaintenanceStage
    scheduled_for: datetime
    scheduled_until: datetime
    starts_itself: bool = True
    finishes_itself: bool = True
    remind_before: timedelta | None = DEFAULT_REMINDER
    is_reminded: bool = False
    announce_at: datetime | None = None
    """When it is to be announced; None once it was, or never will be."""


@dataclass(frozen=True)
class Due:
    """A step and when it falls due."""

    step: Step
    at: datetime


def next_step(window: Window) -> Due | None:
    """Return what the clock does next with a window; None if nothing."""
    if window.stage is MaintenanceStage.SCHEDULED:
        steps = []
        if window.announce_at is not None:
            steps.append(Due(Step.ANNOUNCE, window.announce_at))
        if window.remind_before is not None and not window.is_reminded:
            steps.append(Due(Step.REMIND, window.scheduled_for - window.remind_before))
        if window.starts_itself:
            steps.append(Due(Step.START, window.scheduled_for))
        order = list(Step)
        return min(steps, key=lambda due: (due.at, order.index(due.step)), default=None)
    if window.stage in RUNNING and window.finishes_itself:
        return Due(Step.FINISH, window.scheduled_until)
    return None


def after(window: Window, step: Step) -> Window:
    """Return the window as it is once the step is done."""
    match step:
        case Step.ANNOUNCE:
            return replace(window, announce_at=None)
        case Step.REMIND:
            return replace(window, is_reminded=True)
        case Step.START:
            return replace(window, stage=MaintenanceStage.IN_PROGRESS)
        case Step.FINISH:
            return replace(window, stage=MaintenanceStage.COMPLETED)


def steps_due(window: Window, now: datetime) -> list[Due]:
    """Return every step that is due, in order: after a downtime these may be several."""
    require_utc(now)
    steps = []
    while (due := next_step(window)) is not None and due.at <= now:
        steps.append(due)
        window = after(window, due.step)
    return steps


def is_worth_reminding(window: Window, now: datetime) -> bool:
    """Tell whether a reminder still comes before the start; none is told, nor recorded, after it."""
    return require_utc(now) < window.scheduled_for


def is_overlaid(state: ComponentState, is_covered: bool) -> bool:
    """Tell whether a component shows as under maintenance: a problem always shows through."""
    return is_covered and state is ComponentState.OPERATIONAL


def overlap(first: Window, second: Window) -> bool:
    """Tell whether two windows share a moment; one that begins when the other ends does not."""
    return first.scheduled_for < second.scheduled_until and second.scheduled_for < first.scheduled_until


def check_new(scheduled_for: datetime, scheduled_until: datetime, now: datetime) -> None:
    """Check the times of a window that has not begun. Raises RuleBroken beside the time that is wrong."""
    require_utc(now)
    if scheduled_for < now - CLOCK_TOLERANCE:
        raise RuleBroken({"scheduled_for": f"This is in the past; it is {instant_in_words(now)} now."})
    if scheduled_for - now > FURTHEST_START:
        raise RuleBroken({"scheduled_for": "Please plan no further ahead than two years."})
    check_end(scheduled_for, scheduled_until)


def check_end(scheduled_for: datetime, scheduled_until: datetime) -> None:
    """Check a window's length. Raises RuleBroken on ``scheduled_until``."""
    if scheduled_until <= scheduled_for:
        raise RuleBroken({"scheduled_until": "The end must come after the start."})
    if scheduled_until - scheduled_for > LONGEST_WINDOW:
        raise RuleBroken({"scheduled_until": f"A window may last {LONGEST_WINDOW.days} days at most."})


def check_running_end(scheduled_for: datetime, scheduled_until: datetime, now: datetime) -> None:
    """Check the new end of a window that runs. Raises RuleBroken on ``scheduled_until``."""
    check_end(scheduled_for, scheduled_until)
    if scheduled_until <= require_utc(now):
        raise RuleBroken(
            {"scheduled_until": f"This is in the past; it is {instant_in_words(now)} now. To end the work, finish it."}
        )


def check_title(text: str) -> str:
    """Return a window's title without surrounding blanks, or raise RuleBroken on ``title``."""
    if not text.strip():
        raise RuleBroken({"title": "Please give the work a title customers understand."})
    return check_line("title", text, TITLE_LIMIT)


def check_body(text: str) -> str:
    """Return what the work is about, or raise RuleBroken on ``body``."""
    if not text.strip():
        raise RuleBroken({"body": "Please say what customers will notice, and what for."})
    return check_paragraph("body", text, BODY_LIMIT)


def check_reminder(minutes: int | None) -> int | None:
    """Return how many minutes before the start to remind. Raises RuleBroken on ``remind_minutes``."""
    if minutes is not None and not 1 <= minutes <= LONGEST_REMINDER // timedelta(minutes=1):
        raise RuleBroken({"remind_minutes": "Please remind between a minute and 14 days before the start."})
    return minutes


def parse_local(name: str, text: str, zone: ZoneInfo) -> datetime:
    """Read a date and time as typed in the page's own zone.

    Of an hour that comes twice the first is meant. Raises RuleBroken beside
    ``name`` for what is no time, and for one that the clocks leap over.
    """
    typed = parse_typed_instant(text)
    if typed is None:
        raise RuleBroken({name: SHAPE})
    instant = typed.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != typed.replace(tzinfo=None):
        raise RuleBroken({name: "This time does not exist on that day: the clocks are put forward then."})
    return instant


def typed_local(instant: datetime, zone: ZoneInfo) -> str:
    """Write an instant as HTML's ``datetime-local`` input wants it, in the page's own zone."""
    return instant.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


def local_in_words(instant: datetime, zone: ZoneInfo) -> str:
    """Write an instant in the page's own zone and in UTC: ``21 Nov 2026, 02:00 CET (01:00 UTC)``."""
    local, utc = instant.astimezone(zone), instant.astimezone(UTC)
    words = instant_in_words(instant)
    if local.utcoffset() == timedelta(0):
        return words
    beside = f"{utc:%H:%M} UTC" if local.date() == utc.date() else words
    return f"{local.day} {local:%b %Y, %H:%M} {zone_name(local)} ({beside})"


def zone_name(local: datetime) -> str:
    """Return what a zone is called at an instant: ``CET``, or ``UTC+05:30`` where it has no letters of its own."""
    name = local.tzname() or ""
    # Zones without letters of their own call themselves by their offset.
    return name if name.isalpha() else f"UTC{local.isoformat()[-6:]}"


def window_in_words(scheduled_for: datetime, scheduled_until: datetime, zone: ZoneInfo) -> str:
    """Write a window for readers, in the page's own zone and in UTC, with its length."""
    begins, ends = (local_in_words(each, zone) for each in (scheduled_for, scheduled_until))
    return f"{begins} to {ends}, {span_in_words(scheduled_until - scheduled_for)}"


def may_turn(before: MaintenanceStage, after_it: MaintenanceStage) -> bool:
    """Tell whether a message may bring a window from one stage to another; back to work from checking it, too."""
    order = list(MaintenanceStage)
    if before is MaintenanceStage.COMPLETED or after_it is MaintenanceStage.COMPLETED:
        return False
    return order.index(after_it) >= order.index(before) or (before in RUNNING and after_it in RUNNING)


WORDINGS: Mapping[MaintenanceMessage, str] = {
    MaintenanceMessage.STARTED: "The planned work has begun.",
    MaintenanceMessage.FINISHED: "The planned work is finished. Thank you for your patience.",
    MaintenanceMessage.CANCELLED: "This maintenance will not take place. Nothing changes for you.",
}
"""What is said where nobody has typed anything."""
ENDED_EARLY = "This maintenance was called off while it was going on. The work has stopped."
CHECKING = "The work is done. We are checking that everything runs as it should."
STILL_PLANNED = "The maintenance will take place as planned."


def reminder_words(until_start: timedelta, window: str) -> str:
    """Return what a reminder says."""
    # To the minute: a second after its time it is still an hour.
    minutes = max(1, round(until_start / timedelta(minutes=1)))
    return f"This planned work begins in {span_in_words(timedelta(minutes=minutes))}: {window}."


def moved_words(before: str, window: str) -> str:
    """Return what readers are told of a window that was moved."""
    return f"This maintenance has been moved.\n\nNew time: {window}.\n\nIt was planned for {before}."


def extended_words(window_end: str, *, is_longer: bool) -> str:
    """Return what readers are told of a running window with another end."""
    return f"The work {'takes longer' if is_longer else 'will be done sooner'} than planned: it ends {window_end}."


def must_tell(wanted: bool, was_told: bool) -> bool:
    """Tell whether subscribers hear of a move or a cancellation: whoever was told of the window is told of its end."""
    return wanted or was_told


def next_step_at(window: Window) -> datetime | None:
    """Return when the clock has something to do with a window."""
    due = next_step(window)
    return due.at if due else None


def overlapping(window: Window, others: Collection[tuple[str, Window]]) -> list[str]:
    """Return the names of the open windows that share a moment with this one."""
    return [name for name, other in others if other.stage in OPEN and overlap(window, other)]
