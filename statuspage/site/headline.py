"""The first glance at the front page: how things are, since when, what is being done, when readers hear more."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from statuspage.rules.maintenance import RUNNING
from statuspage.rules.vocabulary import PAGE_STATE_WORDS, ComponentState, Stage
from statuspage.site.page import Entry, Front

# A window that begins within a day is told of at the top.
SOON = timedelta(days=1)
DOING = {
    Stage.INVESTIGATING: "We are looking for the cause.",
    Stage.IDENTIFIED: "We know the cause and are working on a fix.",
    Stage.MONITORING: "A fix is in place. We are watching whether it holds.",
}
UNDER_MAINTENANCE = "Under maintenance"
NOTHING_LISTED = "No components listed yet"
# Without the full stop: a link may follow.
WHOSE_AFFECTED = "If one of these does not work for you, it is us, not you"
WHOSE_OPEN = "If you notice what is described below, it is us, not you"
WHOSE_PLANNED = "If what is under maintenance does not work for you, it is us, and planned"
WHOSE_UNKNOWN = (
    "No incident is open. If something does not work for you, it may be on your side, or we may not know yet"
)
# Everything the top of the page may say besides the states: templates translate it.
WORDS = (
    *DOING.values(),
    *(UNDER_MAINTENANCE, NOTHING_LISTED),
    *(WHOSE_AFFECTED, WHOSE_OPEN, WHOSE_PLANNED, WHOSE_UNKNOWN),
)


@dataclass(frozen=True)
class Headline:
    """What the top of the front page says."""

    mark: str
    """``operational``, ``degraded``, ``outage``, ``maintenance`` or ``unknown``: its shape and colour."""
    words: str
    since: datetime | None
    """When the oldest of what is open began; None while nothing is."""
    doing: tuple[tuple[Entry, str], ...]
    """Each open incident and what is being done about it."""
    next_update_by: datetime | None
    """The nearest promise; None where nothing is promised."""
    running: tuple[Entry, ...]
    """Maintenance that is under way."""
    soon: tuple[Entry, ...]
    """Maintenance that is about to begin."""
    whose: str
    """Whether it is the reader or us, in a sentence without its full stop: a link may follow."""
    offers_support: bool
    """Whether asking support is of use to the reader."""


def of(front: Front, now: datetime) -> Headline:
    """Return what the top of the front page says."""
    incidents = front.open_incidents
    running = tuple(window for window in front.maintenances if window.stage in RUNNING)
    soon = tuple(
        window for window in front.maintenances if window.stage not in RUNNING and now < window.started_at <= now + SOON
    )
    mark, words = _mark(front, bool(running))
    due = [entry.next_update_by for entry in incidents if entry.next_update_by]
    return Headline(
        mark=mark,
        words=words,
        since=min((entry.started_at for entry in incidents), default=None),
        doing=tuple((entry, DOING[Stage(entry.stage)]) for entry in incidents),
        next_update_by=min(due, default=None),
        running=running,
        soon=soon,
        whose=_whose(front, bool(running)),
        offers_support=not incidents and not front.affected,
    )


def _mark(front: Front, is_maintained: bool) -> tuple[str, str]:
    if front.state is ComponentState.OPERATIONAL:
        if is_maintained:
            return "maintenance", UNDER_MAINTENANCE
        if not front.groups:
            return "unknown", NOTHING_LISTED
    return front.state.value, PAGE_STATE_WORDS[front.state]


def _whose(front: Front, is_maintained: bool) -> str:
    if front.affected:
        return WHOSE_AFFECTED
    if front.open_incidents:
        return WHOSE_OPEN
    if is_maintained:
        return WHOSE_PLANNED
    return WHOSE_UNKNOWN
