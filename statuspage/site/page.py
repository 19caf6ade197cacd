"""The read model of the public page: what anonymous readers may see, and nothing else.

Drafts, internal incidents, drills and incidents without a first public message
are left out here, once, for page, feeds and everything made from them. The one
exception, `load_drill`, is for the console: nothing that publishes may use it.
"""

import itertools
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup
from sqlalchemy import select

from statuspage import prose
from statuspage.db import db
from statuspage.models import Component, Page
from statuspage.rules.branding import Brand
from statuspage.rules.maintenance import OPEN, is_overlaid
from statuspage.rules.times import next_month
from statuspage.rules.uptime import UptimeRule
from statuspage.rules.vocabulary import (
    LABELS,
    ComponentState,
    Impact,
    MaintenanceMessage,
    MaintenanceStage,
    Stage,
    Visibility,
    worst_state,
)
from statuspage.site.branding import load_brand
from statuspage.site.course import Course, courses
from statuspage.site.roster import Roster, load_roster
from statuspage.site.shelf import Event, Shelf

DAYS_ON_FRONT = 14
MONTHS_ON_HISTORY = 3
# Of a month with hundreds the history shows the newest; the month's own page has all.
ENTRIES_OF_MONTH_ON_HISTORY = 40
COMPONENT_ENTRIES = 50


@dataclass(frozen=True)
class Frame:
    """What every public page shows around its content."""

    name: str
    zone: ZoneInfo
    support_url: str
    public_url: str
    revision: int
    created_at: datetime
    uptime_rule: UptimeRule
    brand: Brand = field(default_factory=Brand)

    def day(self, instant: datetime) -> date:
        """Return the calendar day of an instant in the page's own time zone."""
        return instant.astimezone(self.zone).date()

    def begin(self, day: date) -> datetime:
        """Return the instant at which a day begins in the page's own time zone."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


@dataclass(frozen=True)
class PublicUpdate:
    """One message as readers see it."""

    stage: str
    label: str
    html: Markup
    posted_at: datetime
    edited_at: datetime | None = None
    """When its words were last corrected."""


@dataclass(frozen=True)
class PublicComponent:
    """A component as readers see it."""

    id: str
    name: str
    description: str
    state: ComponentState
    in_maintenance: bool = False


@dataclass(frozen=True, eq=False)
class Entry:
    """An incident or a maintenance window as readers see it; the same one as long as nothing of it changes."""

    kind: str
    """``incident`` or ``maintenance``."""
    id: str
    title: str
    label: str
    """Its stage in words."""
    is_open: bool
    impact: Impact | None
    started_at: datetime
    """When it began; of a maintenance, when its window begins."""
    ended_at: datetime | None
    """When it was resolved; of a maintenance, when its window ends."""
    next_update_by: datetime | None
    last_posted_at: datetime
    updates: tuple[PublicUpdate, ...]
    """Newest first; in lists only the newest."""
    components: tuple[PublicComponent, ...]
    """Empty in lists and feeds."""
    post_mortem: Markup
    post_mortem_at: datetime | None = None
    """When its post-mortem was published."""
    changed_at: datetime | None = None
    """When anything readers see of it was last changed, corrections too; None in lists."""
    stage: str = ""
    """The word of its stage; of a maintenance that was called off, ``completed``."""
    scheduled_for: datetime | None = None
    scheduled_until: datetime | None = None
    """The window of a maintenance."""
    completed_at: datetime | None = None
    """When a maintenance was over, or called off."""
    is_cancelled: bool = False
    made: dict[str, Any] = field(default_factory=dict, repr=False)
    """What was made of it: kept as long as it is."""
    courses: tuple[Course, ...] = ()
    """How an incident weighed on its components over time; empty in lists."""

    @property
    def path(self) -> str:
        """Its permanent address."""
        return f"/incidents/{self.id}"

    @property
    def lasted(self) -> timedelta | None:
        """How long it took; None while an incident goes on."""
        return self.ended_at - self.started_at if self.ended_at else None


Groups = tuple[tuple[str, tuple[PublicComponent, ...]], ...]
"""Heading (empty for components of no group) and components, in the page's order."""


@dataclass(frozen=True)
class Front:
    """Everything on the front page."""

    state: ComponentState
    groups: Groups
    open_incidents: tuple[Entry, ...]
    maintenances: tuple[Entry, ...]
    days: tuple[tuple[date, tuple[Entry, ...]], ...]
    """What began on each of the last days, newest first, empty days too."""

    @property
    def affected(self) -> list[PublicComponent]:
        """The components that are not operational."""
        listed = (component for _, components in self.groups for component in components)
        return [component for component in listed if component.state is not ComponentState.OPERATIONAL]


PAGE = select(Page).execution_options(populate_existing=True)


def load_frame(public_url: str) -> Frame | None:
    """Return the page's frame; None while there is no page."""
    page = db.session.scalar(PAGE)
    if page is None:
        return None
    rule = UptimeRule(page.uptime_degraded_percent, page.uptime_excludes_maintenance)
    return Frame(
        page.name,
        ZoneInfo(page.time_zone),
        page.support_url,
        public_url,
        page.revision,
        page.created_at,
        rule,
        load_brand(page),
    )


def load_state() -> ComponentState:
    """Return the page's state: the worst of its components."""
    return worst_state(db.session.scalars(select(Component.state).where(Component.archived_at.is_(None))))


def load_front(frame: Frame, roster: Roster, shelf: Shelf, now: datetime) -> Front:
    """Return the front page's content."""
    today = frame.day(now)
    first = frame.begin(today - timedelta(days=DAYS_ON_FRONT - 1))
    incidents, windows = ([place.id for place in each.still_open()] for each in (shelf.incidents, shelf.maintenances))
    return Front(
        state=worst_state(component.state for component in roster.listed.values()),
        groups=groups_of(roster),
        open_incidents=_newest_first(_entries(shelf.events(incidents))),
        maintenances=tuple(sorted(_entries(shelf.events((), windows)), key=lambda entry: entry.started_at)),
        days=tuple(_days(frame, today, entries_between(first, now, shelf))),
    )


def load_entry(entry_id: str, shelf: Shelf) -> Entry | None:
    """Return an incident or maintenance by its id, if readers may see it."""
    event = shelf.find(entry_id)
    return _entry(event) if event is not None and event.is_published else None


def load_drill(incident_id: str) -> Entry | None:
    """Return a drill as readers would see it were it real; for pages behind sign-in only."""
    event = Shelf().find(incident_id)
    if event is None or event.kind != "incident":
        return None
    is_posted_drill = event.row.visibility is Visibility.DRILL and event.row.last_posted_at is not None
    return _entry(event) if is_posted_drill else None


def load_component(component_id: str, roster: Roster, shelf: Shelf) -> tuple[PublicComponent, tuple[Entry, ...]] | None:
    """Return a component with its latest incidents and maintenances, newest first, in brief."""
    component = roster.listed.get(component_id)
    if component is None:
        return None
    incidents, windows = (
        each.newest(COMPONENT_ENTRIES, component_id) for each in (shelf.incidents, shelf.maintenances)
    )
    return _component(component, roster.covered), _in_brief(shelf.events(incidents, windows), COMPONENT_ENTRIES)


def load_latest(count: int, shelf: Shelf, component_id: str = "") -> tuple[Entry, ...]:
    """Return the incidents and maintenances with the newest messages, newest first: of all or of one component."""
    incidents, windows = (each.last_said(count, component_id) for each in (shelf.incidents, shelf.maintenances))
    return _newest_first(_entries(shelf.events(incidents, windows)))[:count]


def load_windows(count: int, shelf: Shelf) -> tuple[Entry, ...]:
    """Return the maintenance windows that begin last, those to come first."""
    return _entries(shelf.events((), shelf.maintenances.newest(count)))


def entries_between(first: datetime, end: datetime, shelf: Shelf, most: int | None = None) -> tuple[Entry, ...]:
    """List in brief what began from ``first`` up to, not including, ``end``; the newest first, and so many at most."""
    incidents, windows = (each.between(first, end, most) for each in (shelf.incidents, shelf.maintenances))
    return _in_brief(shelf.events(incidents, windows), most)


def load_entry_ids(shelf: Shelf) -> list[str]:
    """Return the id of every incident and maintenance readers may see."""
    return [*shelf.incidents.ids(), *shelf.maintenances.ids()]


def broken_promises(since: datetime, shelf: Shelf, now: datetime) -> list[str]:
    """Return the ids of the open incidents whose next update fell overdue in a span of time."""
    promised = ((place.id, place.next_update_by) for place in shelf.incidents.still_open())
    return [incident_id for incident_id, due_at in promised if due_at is not None and since <= due_at < now]


def load_months(frame: Frame, shelf: Shelf, now: datetime) -> list[date]:
    """Return the first days of the months with a history page, newest first.

    Every month from the first incident or maintenance to now; a later one
    where maintenance is planned.
    """
    instants = [now, *shelf.incidents.ends(), *shelf.maintenances.ends()]
    first, last = (frame.day(end(instants)).replace(day=1) for end in (min, max))
    count = (last.year - first.year) * 12 + last.month - first.month
    return [next_month(first, count - index) for index in range(count + 1)]


def load_groups() -> Groups:
    """Return the components on the page by their groups."""
    return groups_of(load_roster())


def groups_of(roster: Roster) -> Groups:
    """Return the components on the page by their groups."""
    headings = [*((group.name, group.id) for group in roster.groups), ("", None)]
    listed = roster.listed.values()
    of_groups = ((name, [each for each in listed if each.group_id == group_id]) for name, group_id in headings)
    return tuple(
        (name, tuple(_component(each, roster.covered) for each in found)) for name, found in of_groups if found
    )


def _entries(events: Iterable[Event]) -> tuple[Entry, ...]:
    return tuple(_entry(event) for event in events)


def _entry(event: Event) -> Entry:
    return _made(event, "entry", _from_incident if event.kind == "incident" else _from_maintenance)


def _in_brief(events: Iterable[Event], most: int | None) -> tuple[Entry, ...]:
    """Return entries with nothing but their newest update, the newest first."""
    found = (
        _made(event, "brief", _brief_incident if event.kind == "incident" else _brief_maintenance) for event in events
    )
    return tuple(sorted(found, key=lambda entry: entry.started_at, reverse=True)[:most])


def _made(event: Event, name: str, make: Callable[[Event], Entry]) -> Entry:
    entry: Entry | None = event.made.get(name)
    if entry is None:
        entry = event.made[name] = make(event)
    return entry


def _from_incident(event: Event) -> Entry:
    row, updates = event.row, event.updates
    is_open = row.stage is not Stage.RESOLVED
    said = [(each.posted_at, each.component_states) for each in reversed(updates)]
    listed = {each.id: each.name for each in event.components if each.archived_at is None}
    return Entry(
        kind="incident",
        id=row.id,
        title=row.title,
        label=LABELS[row.stage],
        is_open=is_open,
        impact=row.impact,
        started_at=row.started_at,
        ended_at=row.resolved_at,
        next_update_by=row.next_update_by if is_open else None,
        last_posted_at=row.last_posted_at or row.started_at,
        updates=_updates(updates),
        components=tuple(
            PublicComponent(each.id, each.name, each.description, each.state) for each in event.components
        ),
        # Few incidents have one, and Markdown is slow for a list of hundreds.
        post_mortem=Markup(prose.to_html(row.post_mortem)) if row.post_mortem else Markup(),  # noqa: S704  (cleaned by prose)
        post_mortem_at=row.post_mortem_published_at,
        changed_at=_latest(
            row.post_mortem_published_at, *(at for each in updates for at in (each.posted_at, each.edited_at))
        ),
        stage=row.stage.value,
        courses=courses(said, row.started_at, row.resolved_at, listed),
    )


def _brief_incident(event: Event) -> Entry:
    row = event.row
    return Entry(
        kind="incident",
        id=row.id,
        title=row.title,
        label=LABELS[row.stage],
        is_open=row.stage is not Stage.RESOLVED,
        impact=row.impact,
        started_at=row.started_at,
        ended_at=row.resolved_at,
        next_update_by=None,
        last_posted_at=row.last_posted_at,
        updates=_newest(event),
        components=(),
        post_mortem=Markup(),
        stage=row.stage.value,
    )


def _from_maintenance(event: Event) -> Entry:
    row = event.row
    return Entry(
        kind="maintenance",
        id=row.id,
        title=row.title,
        label=_stage_label(row.stage, row.cancelled_at),
        is_open=row.stage in OPEN,
        impact=None,
        started_at=row.scheduled_for,
        ended_at=row.scheduled_until,
        next_update_by=None,
        last_posted_at=row.last_posted_at or row.created_at,
        updates=_updates(event.updates),
        components=tuple(
            PublicComponent(each.id, each.name, each.description, each.state) for each in event.components
        ),
        post_mortem=Markup(),
        changed_at=_latest(row.updated_at, row.last_posted_at),
        stage=row.stage.value,
        scheduled_for=row.scheduled_for,
        scheduled_until=row.scheduled_until,
        completed_at=row.completed_at,
        is_cancelled=row.cancelled_at is not None,
    )


def _brief_maintenance(event: Event) -> Entry:
    last_posted_at = event.updates[0].posted_at if event.updates else event.row.scheduled_for
    return replace(
        _made(event, "entry", _from_maintenance),
        last_posted_at=last_posted_at,
        updates=_newest(event),
        components=(),
        changed_at=None,
        made={},
    )


def _newest(event: Event) -> tuple[PublicUpdate, ...]:
    """The newest update alone; that its stage is the same as before is no news there."""
    if not event.updates:
        return ()
    newest = event.updates[0]
    label = LABELS[newest.kind if newest.kind in _SPOKEN else newest.stage]
    return (PublicUpdate(newest.stage.value, label, Markup(newest.body_html), newest.posted_at),)  # noqa: S704  (cleaned)


def _latest(*instants: datetime | None) -> datetime | None:
    return max((instant for instant in instants if instant is not None), default=None)


def _stage_label(stage: MaintenanceStage, cancelled_at: datetime | None) -> str:
    return LABELS[stage] if cancelled_at is None else LABELS[MaintenanceMessage.CANCELLED]


# What says more than that the stage is still the same.
_SPOKEN = (MaintenanceMessage.MOVED, MaintenanceMessage.REMINDER, MaintenanceMessage.CANCELLED)


def _update_label(update: Any, before: str | None) -> str:
    if update.kind in _SPOKEN:
        return LABELS[update.kind]
    return "Update" if update.stage == before else LABELS[update.stage]


def _updates(updates: Sequence[Any]) -> tuple[PublicUpdate, ...]:
    """Newest first, as they come; one that did not change the stage is called "Update"."""
    earlier = [update.stage for update in updates[1:]]
    return tuple(
        PublicUpdate(
            stage=update.stage.value,
            label=_update_label(update, before),
            # Cleaned when the message was written.
            html=Markup(update.body_html),  # noqa: S704
            posted_at=update.posted_at,
            # Messages of maintenance have no such column.
            edited_at=getattr(update, "edited_at", None),
        )
        for update, before in itertools.zip_longest(updates, earlier)
    )


def _component(component: Any, covered: Container[str]) -> PublicComponent:
    in_maintenance = is_overlaid(component.state, component.id in covered)
    return PublicComponent(component.id, component.name, component.description, component.state, in_maintenance)


def _days(frame: Frame, today: date, past: Sequence[Entry]) -> Iterable[tuple[date, tuple[Entry, ...]]]:
    for back in range(DAYS_ON_FRONT):
        day = today - timedelta(days=back)
        yield day, tuple(entry for entry in past if frame.day(entry.started_at) == day)


def _newest_first(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.last_posted_at, entry.id), reverse=True))
