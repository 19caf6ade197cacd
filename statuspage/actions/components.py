"""Set up the page: its name, its components and their groups."""

from datetime import datetime
from functools import cache
from zoneinfo import available_timezones

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from statuspage.actions.component_order import count_through
from statuspage.actions.ledger import audit, mark_changed, take_page
from statuspage.db import transaction
from statuspage.delivery.announcements import announce_component_change
from statuspage.models import Component, ComponentGroup, ComponentStateChange, Incident, IncidentComponent, Page
from statuspage.rules.messages import check_line
from statuspage.rules.uptime import check_degraded_percent
from statuspage.rules.vocabulary import ComponentState, Conflict, NotFound, RuleBroken, Stage

NAME_LIMIT = 100
DESCRIPTION_LIMIT = 500
# To list them all, hundreds of files are opened: once is enough.
_time_zones = cache(available_timezones)


def create_page(name: str, time_zone: str, now: datetime) -> str:
    """Make the one status page. Return its id. Raises Conflict if there is one."""
    checked = check_line("name", name, NAME_LIMIT)
    with transaction(now) as session:
        if session.scalar(select(Page.id)) is not None:
            raise Conflict("There is a status page already.")
        page = Page(name=checked, time_zone=_check_zone(time_zone), created_at=now, updated_at=now)
        session.add(page)
        session.flush()
        mark_changed(session, "page", page.id, now)
        audit(session, None, "create_page", "page", page.id, now, name=checked)
        return page.id


def edit_page(name: str, time_zone: str, support_url: str, by: str, now: datetime) -> None:
    """Change the page's name, time zone and support address. Raises RuleBroken for bad input."""
    checked = check_line("name", name, NAME_LIMIT)
    support = _check_support_url(support_url)
    zone = _check_zone(time_zone)
    with transaction(now) as session:
        page = session.execute(select(Page)).scalar_one()
        page.name, page.time_zone, page.support_url = checked, zone, support
        mark_changed(session, "page", page.id, now)
        audit(session, by, "edit_page", "page", page.id, now, name=checked, time_zone=zone, support_url=support)


def edit_uptime_rule(degraded_percent: str, excludes_maintenance: bool, by: str, now: datetime) -> None:
    """Say what counts as downtime beside outage. Raises RuleBroken on ``degraded_percent``."""
    percent = check_degraded_percent(degraded_percent)
    with transaction(now) as session:
        page = session.execute(select(Page)).scalar_one()
        page.uptime_degraded_percent, page.uptime_excludes_maintenance = percent, excludes_maintenance
        mark_changed(session, "page", page.id, now)
        detail = {"degraded_percent": percent, "excludes_maintenance": excludes_maintenance}
        audit(session, by, "edit_uptime_rule", "page", page.id, now, **detail)


def create_group(name: str, by: str | None, now: datetime) -> str:
    """Add a heading over components. Return its id. Raises RuleBroken for a bad name."""
    checked = check_line("name", name, NAME_LIMIT)
    with transaction(now) as session:
        take_page(session)
        if session.scalar(select(ComponentGroup.id).where(ComponentGroup.name == checked)) is not None:
            raise RuleBroken({"name": "There is a group of this name already."})
        group = ComponentGroup(
            name=checked, position=_next_position(session, ComponentGroup), created_at=now, updated_at=now
        )
        session.add(group)
        session.flush()
        mark_changed(session, "page", group.id, now)
        audit(session, by, "create_group", "component_group", group.id, now, name=checked)
        return group.id


def edit_group(group_id: str, name: str, by: str, now: datetime) -> None:
    """Rename a group. Raises NotFound, or RuleBroken for a bad name."""
    checked = check_line("name", name, NAME_LIMIT)
    with transaction(now) as session:
        group = session.get(ComponentGroup, group_id)
        if group is None:
            raise NotFound("group")
        same = select(ComponentGroup.id).where(ComponentGroup.name == checked, ComponentGroup.id != group_id)
        if session.scalar(same) is not None:
            raise RuleBroken({"name": "There is another group of this name already."})
        group.name, group.updated_at = checked, now
        mark_changed(session, "page", group.id, now)
        audit(session, by, "edit_group", "component_group", group.id, now, name=checked)


def create_component(name: str, description: str, group_id: str, by: str | None, now: datetime) -> str:
    """Add a component, operational from now on. Return its id.

    ``group_id`` is empty for none. Raises RuleBroken for bad input.
    """
    checked, about = _check_texts(name, description)
    with transaction(now) as session:
        take_page(session)
        group = _check_group(session, group_id)
        same = select(Component.id).where(
            Component.name == checked, Component.group_id.is_not_distinct_from(group), Component.archived_at.is_(None)
        )
        if session.scalar(same) is not None:
            raise RuleBroken({"name": "There is a component of this name in this group already."})
        component = Component(
            name=checked,
            description=about,
            group_id=group,
            position=_next_position(session, Component),
            state=ComponentState.OPERATIONAL,
            start_date=now.date(),
            created_at=now,
            updated_at=now,
        )
        session.add(component)
        count_through(session)
        session.add(ComponentStateChange(component_id=component.id, state=component.state, changed_at=now))
        mark_changed(session, "component", component.id, now)
        audit(session, by, "create_component", "component", component.id, now, name=checked)
        return component.id


def edit_component(
    component_id: str,
    name: str,
    description: str,
    group_id: str,
    state: ComponentState | None,
    by: str | None,
    now: datetime,
) -> None:
    """Change a component; ``state`` None leaves its state alone. Raises NotFound, or RuleBroken for bad input."""
    checked, about = _check_texts(name, description)
    with transaction(now) as session:
        take_page(session)
        component = _get(session, component_id)
        component.name, component.description, component.updated_at = checked, about, now
        group = _check_group(session, group_id)
        if group != component.group_id:
            component.group_id, component.position = group, _next_position(session, Component)
            count_through(session)
        if state is not None and component.state is not state:
            announce_component_change(session, component.id, component.state, state, None, now)
            component.state = state
            session.add(ComponentStateChange(component_id=component.id, state=state, changed_at=now))
        mark_changed(session, "component", component.id, now)
        audit(session, by, "edit_component", "component", component.id, now, name=checked, state=component.state.value)


def archive_component(component_id: str, by: str, now: datetime) -> str:
    """Take a component off the page; its past stays. Return its name.

    Raises NotFound, or Conflict while an open incident affects it.
    """
    with transaction(now) as session:
        take_page(session)
        component = _get(session, component_id)
        busy = session.scalar(
            select(Incident.title)
            .join(IncidentComponent)
            .where(IncidentComponent.component_id == component_id, Incident.stage != Stage.RESOLVED)
            .limit(1)
        )
        if busy is not None:
            raise Conflict(f"“{component.name}” is affected by an open incident: “{busy}”. Please resolve it first.")
        component.archived_at = component.updated_at = now
        mark_changed(session, "component", component.id, now)
        audit(session, by, "archive_component", "component", component.id, now, name=component.name)
        return component.name


def _get(session: Session, component_id: str) -> Component:
    component = session.get(Component, component_id)
    if component is None or component.archived_at is not None:
        raise NotFound("component")
    return component


def _next_position(session: Session, table: type[Component] | type[ComponentGroup]) -> int:
    return (session.scalar(select(func.max(table.position))) or 0) + 1


def _check_texts(name: str, description: str) -> tuple[str, str]:
    checked = check_line("name", name, NAME_LIMIT)
    return checked, check_line("description", description, DESCRIPTION_LIMIT) if description.strip() else ""


def _check_group(session: Session, group_id: str) -> str | None:
    if group_id and session.get(ComponentGroup, group_id) is None:
        raise RuleBroken({"group_id": "This group does not exist any more: please choose again."})
    return group_id or None


def _check_zone(time_zone: str) -> str:
    if time_zone not in _time_zones():
        raise RuleBroken({"time_zone": "Please give a time zone such as Etc/UTC or Europe/Berlin."})
    return time_zone


def _check_support_url(text: str) -> str:
    if not text.strip():
        return ""
    plain = check_line("support_url", text, 500)
    if not plain.startswith(("https://", "http://", "mailto:")):
        raise RuleBroken({"support_url": "Please give an address that begins with https://, http:// or mailto:."})
    return plain
