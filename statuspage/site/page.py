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
from sqlalchemy import ColumnElement, Select, and_, select

from statuspage import prose
from statuspage.db import db
from statuspage.models import (
    Component,
    ComponentGroup,
    Incident,
    IncidentComponent,
    Maintenance,
    MaintenanceComponent,
    Page,
)
from statuspage.rules.branding import Brand
from statuspage.rules.maintenance import RUNNING, is_overlaid
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
from statuspage.site.shelf import Event, Shelf

DAYS_ON_FRONT = 14
MONTHS_ON_HISTORY = 3
# Of a month with hundreds the history shows the newest; the month's own page has all.
ENTRIES_OF_MONTH_ON_HISTORY = 40
COMPONENT_ENTRIES = 50
OPEN_MAINTENANCE = (MaintenanceStage.SCHEDULED, MaintenanceStage.IN_PROGRESS, MaintenanceStage.VERIFYING)

# Readers may see these incidents; every query of this module but load_drill's says so.
PUBLISHED: ColumnElement[bool] = and_(Incident.visibility == Visibility.PUBLIC, Incident.last_posted_at.is_not(None))


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


def load_frame(public_url: str) -> Frame | None:
    """Return the page's frame; None while there is no page."""
    page = db.session.scalar(select(Page).execution_options(populate_existing=True))
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


def load_front(frame: Frame, shelf: Shelf, now: datetime) -> Front:
    """Return the front page's content."""
    today = frame.day(now)
    first = frame.begin(today - timedelta(days=DAYS_ON_FRONT - 1))
    opened = _incidents(shelf, _PUBLISHED_IDS.where(Incident.stage != Stage.RESOLVED))
    planned = _maintenances(shelf, select(Maintenance.id).where(Maintenance.stage.in_(OPEN_MAINTENANCE)))
    components = _components()
    return Front(
        state=worst_state(component.state for component in components),
        groups=_grouped(components, _overlaid()),
        open_incidents=_newest_first(opened),
        maintenances=tuple(sorted(planned, key=lambda entry: entry.started_at)),
        days=tuple(_days(frame, today, entries_between(first, now, shelf))),
    )


def load_entry(entry_id: str, shelf: Shelf) -> Entry | None:
    """Return an incident or maintenance by its id, if readers may see it."""
    incidents = _incidents(shelf, _PUBLISHED_IDS.where(Incident.id == entry_id))
    found = incidents or _maintenances(shelf, select(Maintenance.id).where(Maintenance.id == entry_id))
    return found[0] if found else None


def load_drill(incident_id: str) -> Entry | None:
    """Return a drill as readers would see it were it real; for pages behind sign-in only."""
    posted_drill = and_(Incident.visibility == Visibility.DRILL, Incident.last_posted_at.is_not(None))
    found = _incidents(Shelf(), select(Incident.id).where(posted_drill, Incident.id == incident_id))
    return found[0] if found else None


def load_component(component_id: str, shelf: Shelf) -> tuple[PublicComponent, tuple[Entry, ...]] | None:
    """Return a component with its latest incidents and maintenances, newest first, in brief."""
    component = db.session.get(Component, component_id, populate_existing=True)
    if component is None or component.archived_at is not None:
        return None
    entries = _in_brief(
        shelf,
        _STARTED.join(IncidentComponent).where(IncidentComponent.component_id == component_id),
        _PLANNED.join(MaintenanceComponent).where(MaintenanceComponent.component_id == component_id),
        COMPONENT_ENTRIES,
    )
    return _component(component, _overlaid()), entries


def load_latest(count: int, shelf: Shelf, component_id: str = "") -> tuple[Entry, ...]:
    """Return the incidents and maintenances with the newest messages, newest first: of all or of one component."""
    incidents = _PUBLISHED_IDS
    windows = select(Maintenance.id).where(Maintenance.last_posted_at.is_not(None))
    if component_id:
        incidents = incidents.join(IncidentComponent).where(IncidentComponent.component_id == component_id)
        windows = windows.join(MaintenanceComponent).where(MaintenanceComponent.component_id == component_id)
    found = (
        *_incidents(shelf, incidents.order_by(Incident.last_posted_at.desc()).limit(count)),
        *_maintenances(shelf, windows.order_by(Maintenance.last_posted_at.desc()).limit(count)),
    )
    return _newest_first(found)[:count]


def load_windows(count: int, shelf: Shelf) -> tuple[Entry, ...]:
    """Return the maintenance windows that begin last, those to come first."""
    latest = select(Maintenance.id).order_by(Maintenance.scheduled_for.desc(), Maintenance.id)
    return _maintenances(shelf, latest.limit(count))


def load_component_name(component_id: str) -> str | None:
    """Return what a component is called; None if it is not on the page."""
    query = select(Component.name).where(Component.id == component_id, Component.archived_at.is_(None))
    return db.session.scalar(query)


def entries_between(first: datetime, end: datetime, shelf: Shelf, most: int | None = None) -> tuple[Entry, ...]:
    """List in brief what began from ``first`` up to, not including, ``end``; the newest first, and so many at most."""
    started = _STARTED.where(Incident.started_at >= first, Incident.started_at < end)
    planned = _PLANNED.where(Maintenance.scheduled_for >= first, Maintenance.scheduled_for < end)
    return _in_brief(shelf, started, planned, most)


def load_entry_ids() -> list[str]:
    """Return the id of every incident and maintenance readers may see."""
    incidents = db.session.scalars(select(Incident.id).where(PUBLISHED))
    return [*incidents, *db.session.scalars(select(Maintenance.id))]


def load_groups() -> Groups:
    """Return the components on the page by their groups."""
    return _grouped(_components(), _overlaid())


def load_component_ids(*, in_trouble: bool = False) -> list[str]:
    """Return the id of every component on the page, or of those that are not operational."""
    query = select(Component.id).where(Component.archived_at.is_(None))
    return list(db.session.scalars(query.where(Component.state != ComponentState.OPERATIONAL) if in_trouble else query))


def load_broken_promises(since: datetime, now: datetime) -> list[str]:
    """Return the ids of the open incidents whose next update fell overdue in a span of time."""
    query = select(Incident.id).where(
        PUBLISHED, Incident.stage != Stage.RESOLVED, Incident.next_update_by >= since, Incident.next_update_by < now
    )
    return list(db.session.scalars(query))


def load_months(frame: Frame, now: datetime) -> list[date]:
    """Return the first days of the months with a history page, newest first.

    Every month from the first incident or maintenance to now; a later one
    where maintenance is planned.
    """
    # One end at a time: each is one step in an index, both together are a walk through all of it.
    bounds = (
        *(select(Incident.started_at).where(PUBLISHED).order_by(end).limit(1) for end in _ends(Incident.started_at)),
        *(select(Maintenance.scheduled_for).order_by(end).limit(1) for end in _ends(Maintenance.scheduled_for)),
    )
    instants = [instant for query in bounds if (instant := db.session.scalar(query)) is not None]
    first, last = (frame.day(end([now, *instants])).replace(day=1) for end in (min, max))
    count = (last.year - first.year) * 12 + last.month - first.month
    return [next_month(first, count - index) for index in range(count + 1)]


def _ends(column: Any) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return column.asc(), column.desc()


# Ids alone: what they stand for is on the shelf, or is read at once.
_PUBLISHED_IDS = select(Incident.id).where(PUBLISHED)
_STARTED = _PUBLISHED_IDS.order_by(Incident.started_at.desc())
_PLANNED = select(Maintenance.id).order_by(Maintenance.scheduled_for.desc())


def _incidents(shelf: Shelf, ids: Select[Any]) -> tuple[Entry, ...]:
    return tuple(_made(event, "entry", _from_incident) for event in shelf.incidents(db.session.scalars(ids)))


def _maintenances(shelf: Shelf, ids: Select[Any]) -> tuple[Entry, ...]:
    return tuple(_made(event, "entry", _from_maintenance) for event in shelf.maintenances(db.session.scalars(ids)))


def _in_brief(shelf: Shelf, incidents: Select[Any], maintenances: Select[Any], most: int | None) -> tuple[Entry, ...]:
    """Return entries with nothing but their newest update, the newest first."""
    found = [
        *(_made(each, "brief", _brief_incident) for each in shelf.incidents(db.session.scalars(incidents.limit(most)))),
        *(
            _made(each, "brief", _brief_maintenance)
            for each in shelf.maintenances(db.session.scalars(maintenances.limit(most)))
        ),
    ]
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
        is_open=row.stage in OPEN_MAINTENANCE,
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


def _component(component: Component, overlaid: Container[str] = ()) -> PublicComponent:
    in_maintenance = is_overlaid(component.state, component.id in overlaid)
    return PublicComponent(component.id, component.name, component.description, component.state, in_maintenance)


def _components() -> Sequence[Component]:
    query = select(Component).where(Component.archived_at.is_(None)).order_by(Component.position)
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


def _overlaid() -> set[str]:
    """Ids of the components that a running maintenance window covers."""
    query = select(MaintenanceComponent.component_id).join(Maintenance).where(Maintenance.stage.in_(RUNNING))
    return set(db.session.scalars(query))


def _grouped(components: Sequence[Component], overlaid: set[str]) -> Groups:
    groups = db.session.scalars(select(ComponentGroup).order_by(ComponentGroup.position)).all()
    headings = [*((group.name, group.id) for group in groups), ("", None)]
    listed = ((name, [each for each in components if each.group_id == group_id]) for name, group_id in headings)
    return tuple((name, tuple(_component(each, overlaid) for each in found)) for name, found in listed if found)


def _days(frame: Frame, today: date, past: Sequence[Entry]) -> Iterable[tuple[date, tuple[Entry, ...]]]:
    for back in range(DAYS_ON_FRONT):
        day = today - timedelta(days=back)
        yield day, tuple(entry for entry in past if frame.day(entry.started_at) == day)


def _newest_first(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.last_posted_at, entry.id), reverse=True))
