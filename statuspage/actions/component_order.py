"""The order of components and groups, and what leaves the page and comes back to it."""

from datetime import datetime
from typing import TypeVar

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit, mark_changed, take_page
from statuspage.db import transaction
from statuspage.models import Component, ComponentGroup
from statuspage.rules.vocabulary import Conflict, NotFound, RuleBroken

Listed = TypeVar("Listed", Component, ComponentGroup)


def check_place(text: str) -> int:
    """Return the place in a list that was asked for, from 1. Raises RuleBroken on the whole form."""
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise RuleBroken({"": "Please give a place in the list, such as 1."})
    return int(text)


def place_component(component_id: str, place: int, by: str | None, now: datetime) -> tuple[int, int]:
    """Put a component at a place among those of its group. Return its place, and of how many.

    A place beyond the end is the end. Raises NotFound.
    """
    with transaction(now) as session:
        take_page(session)
        component = session.get(Component, component_id)
        if component is None or component.archived_at is not None:
            raise NotFound("component")
        siblings = _siblings(session, component.group_id)
        number = _put(siblings, component, place)
        for position, each in enumerate(siblings, 1):
            each.position = position
        count_through(session)
        mark_changed(session, "page", component_id, now)
        audit(session, by, "place_component", "component", component_id, now, place=number, of=len(siblings))
        return number, len(siblings)


def place_group(group_id: str, place: int, by: str | None, now: datetime) -> tuple[int, int]:
    """Put a group with all that is in it at a place among the groups. Return its place, and of how many.

    A place beyond the end is the end. Raises NotFound.
    """
    with transaction(now) as session:
        take_page(session)
        group = session.get(ComponentGroup, group_id)
        if group is None:
            raise NotFound("group")
        groups = _groups(session)
        number = _put(groups, group, place)
        for position, each in enumerate(groups, 1):
            each.position = position
        count_through(session)
        mark_changed(session, "page", group_id, now)
        audit(session, by, "place_group", "component_group", group_id, now, place=number, of=len(groups))
        return number, len(groups)


def delete_group(group_id: str, by: str, now: datetime) -> str:
    """Delete a group that nothing is in. Return the name it had. Raises NotFound, or Conflict while something is in it."""
    with transaction(now) as session:
        take_page(session)
        group = session.get(ComponentGroup, group_id)
        if group is None:
            raise NotFound("group")
        if _siblings(session, group_id):
            raise Conflict(f"There are components in “{group.name}”. Please put them into another group first.")
        name = group.name
        # Those that are archived come back without a group.
        session.execute(update(Component).where(Component.group_id == group_id).values(group_id=None))
        session.delete(group)
        mark_changed(session, "page", group_id, now)
        audit(session, by, "delete_group", "component_group", group_id, now, name=name)
        return name


def restore_component(component_id: str, by: str, now: datetime) -> str:
    """Bring an archived component back to the page, last in its group. Return its name.

    Raises NotFound, Conflict if it is on the page or another has its name there.
    """
    with transaction(now) as session:
        take_page(session)
        component = session.get(Component, component_id)
        if component is None:
            raise NotFound("component")
        if component.archived_at is None:
            raise Conflict(f"“{component.name}” is on the page already.")
        siblings = _siblings(session, component.group_id)
        if component.name in {each.name for each in siblings}:
            raise Conflict(
                f"There is another component called “{component.name}” in this group. Please rename it first."
            )
        component.archived_at, component.updated_at = None, now
        component.position = (session.scalar(select(func.max(Component.position))) or 0) + 1
        count_through(session)
        mark_changed(session, "component", component_id, now)
        audit(session, by, "restore_component", "component", component_id, now, name=component.name)
        return component.name


def count_through(session: Session) -> None:
    """Number the components as the page lists them: group by group, those without a group last.

    So that every list that goes by position agrees with the page. A part of
    the transaction that changed the order.
    """
    session.flush()
    places = {group.id: place for place, group in enumerate(_groups(session))}
    components = session.scalars(select(Component).where(Component.archived_at.is_(None))).all()
    listed = sorted(components, key=lambda each: (places.get(each.group_id or "", len(places)), each.position, each.id))
    for position, component in enumerate(listed, 1):
        component.position = position


def _put(listed: list[Listed], moved: Listed, place: int) -> int:
    """Move one to a place in the list; return the place that it got."""
    listed.remove(moved)
    listed.insert(max(place - 1, 0), moved)
    return listed.index(moved) + 1


def _siblings(session: Session, group_id: str | None) -> list[Component]:
    here = (Component.group_id.is_not_distinct_from(group_id), Component.archived_at.is_(None))
    return list(session.scalars(select(Component).where(*here).order_by(Component.position, Component.id)))


def _groups(session: Session) -> list[ComponentGroup]:
    return list(session.scalars(select(ComponentGroup).order_by(ComponentGroup.position, ComponentGroup.id)))
