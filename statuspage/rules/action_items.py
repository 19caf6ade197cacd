"""What is to be done after an incident: its fields, when its owner is reminded, the issue that is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from statuspage.rules.messages import check_line, check_paragraph
from statuspage.rules.vocabulary import ActionItemState, Conflict, Priority, RuleBroken

TITLE_LIMIT = 200
REASON_LIMIT = 500
# In the morning of most of Europe, before the day is planned.
REMINDED_AT = time(9, tzinfo=UTC)
REMINDED_EVERY = timedelta(days=7)
FURTHEST_DUE = timedelta(days=2 * 365)
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)
# With this back-off about nine hours.
MOST_ATTEMPTS = 15
# Words that would ping somebody or link elsewhere lose their sign's power by a space of no width.
_QUIET = str.maketrans({"@": "@\u200b", "#": "#\u200b"})


@dataclass(frozen=True)
class Task:
    """What was typed about an action item, checked."""

    title: str
    owner_id: str
    priority: Priority
    due_on: date


def check(typed: Mapping[str, str], earliest: date, now: datetime) -> Task:
    """Return an action item as it was typed; it may be due on ``earliest`` or later.

    Raises RuleBroken with one sentence for every field that is wrong.
    """
    errors: dict[str, str] = {}
    title, priority, due_on = "", Priority.MEDIUM, earliest
    try:
        title = check_line("title", typed.get("title", ""), TITLE_LIMIT)
    except RuleBroken as broken:
        errors |= broken.errors
    if not typed.get("owner_id", ""):
        errors["owner_id"] = "Please choose who sees to it."
    try:
        priority = Priority(typed.get("priority", ""))
    except ValueError:
        errors["priority"] = "Please choose high, medium or low."
    try:
        due_on = date.fromisoformat(typed.get("due_on", "").strip())
    except ValueError:
        errors["due_on"] = "Please give a day, like 2026-11-30."
    else:
        if due_on < earliest:
            errors["due_on"] = f"This day is over; today is {now.date()}."
        elif due_on > now.date() + FURTHEST_DUE:
            errors["due_on"] = "This is more than two years away: please choose a nearer day."
    if errors:
        raise RuleBroken(errors)
    return Task(title, typed["owner_id"], priority, due_on)


def check_reason(text: str) -> str:
    """Return why an item is dropped. Raises RuleBroken on ``reason`` if it is missing or too long."""
    if not text.strip():
        raise RuleBroken({"reason": "Please say why it will not be done."})
    return check_paragraph("reason", text, REASON_LIMIT)


def require_open(state: ActionItemState) -> None:
    """Raise Conflict unless there is still something to do."""
    if state is not ActionItemState.OPEN:
        raise Conflict("This action item is not open any more.")


def reminder_at(due_on: date, number: int) -> datetime:
    """Return when a reminder is due: number 0 on the due day, then one a week."""
    return datetime.combine(due_on, REMINDED_AT) + number * REMINDED_EVERY


def newest_reminder(due_on: date, now: datetime) -> int | None:
    """Return the number of the newest reminder whose time has come; None before the due day."""
    waited = now - reminder_at(due_on, 0)
    return None if waited < timedelta(0) else waited // REMINDED_EVERY


def next_reminder_at(due_on: date, now: datetime) -> datetime:
    """Return when the next reminder is due after now."""
    newest = newest_reminder(due_on, now)
    return reminder_at(due_on, 0 if newest is None else newest + 1)


def is_overdue(state: ActionItemState, due_on: date, now: datetime) -> bool:
    """Whether the due day is over and the item still open."""
    return state is ActionItemState.OPEN and due_on < now.date()


def retry_after(attempts: int, asked: float) -> timedelta:
    """Return how long to wait after so many attempts; never less than the other side asked for, in seconds."""
    doubled: int = 2 ** min(max(attempts, 1) - 1, 10)
    back_off = min(FIRST_RETRY * doubled, LONGEST_RETRY)
    return max(back_off, timedelta(seconds=asked))


@dataclass(frozen=True)
class Issue:
    """What an issue tracker is told of an action item."""

    item_id: str
    title: str
    priority: str
    due_on: date
    owner: str
    incident_title: str
    url: str
    """The item's page in the console."""


def marker(item_id: str) -> str:
    """Return the line that tells the issue of an item from all others; GitHub does not show it."""
    return f"<!-- statuspage-action-item: {item_id} -->"


def issue_body(issue: Issue) -> str:
    """Return the text of an issue: who, when, and where the whole story is; nothing of the story itself."""
    lines = (
        f"After the incident: {issue.incident_title.translate(_QUIET)}",
        "",
        f"- Owner: {issue.owner.translate(_QUIET)}",
        f"- Priority: {issue.priority}",
        f"- Due: {issue.due_on.isoformat()}",
        f"- In the status page's console: {issue.url}",
        "",
        "Close this issue when it is done: the action item follows within an hour.",
        "",
        marker(issue.item_id),
    )
    return "\n".join(lines)


class Outcome(StrEnum):
    """What became of a question to the issue tracker."""

    FILED = "filed"
    """The issue is there."""
    SEEN = "seen"
    """The tracker said how the issue stands."""
    LATER = "later"
    """It is to be tried again: the tracker has trouble, or its answer went missing."""
    REFUSED = "refused"
    """A person has to see to it."""


@dataclass(frozen=True)
class Answer:
    """What the issue tracker said."""

    outcome: Outcome
    words: str = ""
    """What is wrong, for people."""
    retry_after: float = 0
    """Seconds it asks to wait."""
    number: int = 0
    url: str = ""
    etag: str = ""
    is_closed: bool = False
    is_dropped: bool = False
    """Closed, as not to be done."""
    is_gone: bool = False
    """There is no such issue any more."""
