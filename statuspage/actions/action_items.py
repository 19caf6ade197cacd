"""What is to be done after an incident: written down, changed, done or dropped; its owner reminded until then."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from statuspage.actions.incidents import claim_form, require_drill_goes_on
from statuspage.actions.ledger import audit
from statuspage.db import db, insert_once, transaction
from statuspage.delivery.announcements import announce_to_address
from statuspage.models import Account, ActionItem, ActionItemReminder, Incident, new_id
from statuspage.rules import action_items
from statuspage.rules.vocabulary import ActionItemState, Conflict, NotFound, RuleBroken, Visibility

AT_ONCE = 50
LOOK_AGAIN = timedelta(hours=1)
PUT_OFF_BY = timedelta(minutes=5)
SOMEBODY_FASTER = "Somebody else changed this action item meanwhile. Please look at it and try again."


def add(incident_id: str, typed: Mapping[str, str], nonce: str, by: str, now: datetime) -> str:
    """Write down what is to be done after an incident. Return its id; the same nonce again adds nothing more.

    Raises NotFound, RuleBroken for bad input, Conflict if the incident is a drill that has ended.
    """
    task = action_items.check(typed, now.date(), now)
    with transaction(now) as session:
        item_id = new_id()
        earlier = claim_form(session, nonce, item_id, repr((incident_id, task)), by, now)
        if earlier is not None:
            return earlier
        incident = session.get(Incident, incident_id)
        if incident is None:
            raise NotFound("incident")
        require_drill_goes_on(session, incident)
        _require_owner(session, task.owner_id)
        item = ActionItem(
            id=item_id,
            incident_id=incident_id,
            title=task.title,
            owner_id=task.owner_id,
            priority=task.priority,
            due_on=task.due_on,
            created_by_id=by,
            created_at=now,
            updated_at=now,
        )
        session.add(item)
        session.flush()
        _plan_reminder(session, item, now)
        audit(session, by, "add", "action_item", item_id, now, title=task.title, owner_id=task.owner_id)
        return item_id


def change(item_id: str, typed: Mapping[str, str], version: int, by: str, now: datetime) -> None:
    """Change what is to be done, by whom, how soon.

    Raises NotFound, RuleBroken for bad input, Conflict if it is not open or changed meanwhile.
    """
    with transaction(now) as session:
        item = _take(session, item_id, version)
        action_items.require_open(item.state)
        # A day that is over may stay as it is; another must lie ahead.
        task = action_items.check(typed, min(item.due_on, now.date()), now)
        if task.due_on < now.date() and task.due_on != item.due_on:
            action_items.check(typed, now.date(), now)
        if task.owner_id != item.owner_id:
            _require_owner(session, task.owner_id)
        was = {"title": item.title, "owner_id": item.owner_id, "due_on": item.due_on.isoformat()}
        is_moved = task.due_on != item.due_on
        item.title, item.owner_id, item.priority, item.due_on = task.title, task.owner_id, task.priority, task.due_on
        item.updated_at = now
        if is_moved:
            _plan_reminder(session, item, now)
        audit(session, by, "edit", "action_item", item_id, now, was=was, title=task.title)


def finish(item_id: str, version: int, by: str, now: datetime) -> None:
    """Say that it is done. Raises NotFound, Conflict if it is not open or changed meanwhile."""
    with transaction(now) as session:
        item = _take(session, item_id, version)
        settle(session, item, ActionItemState.DONE, "", by, now)


def drop(item_id: str, reason: str, version: int, by: str, now: datetime) -> None:
    """Say that it will not be done, and why.

    Raises NotFound, RuleBroken on ``reason``, Conflict if it is not open or changed meanwhile.
    """
    checked = action_items.check_reason(reason)
    with transaction(now) as session:
        item = _take(session, item_id, version)
        settle(session, item, ActionItemState.DROPPED, checked, by, now)


def reopen(item_id: str, version: int, by: str, now: datetime) -> None:
    """Say that it is to be done after all. Raises NotFound, Conflict if it is open or changed meanwhile."""
    with transaction(now) as session:
        item = _take(session, item_id, version)
        if item.state is ActionItemState.OPEN:
            raise Conflict("This action item is open already.")
        item.state, item.reason, item.settled_at, item.updated_at = ActionItemState.OPEN, "", None, now
        _plan_reminder(session, item, now)
        if item.issue is not None and item.issue.number is not None:
            # With the tag of what was seen last: an issue that stays closed does not settle the item again.
            item.issue.look_at = now + LOOK_AGAIN
        audit(session, by, "reopen", "action_item", item_id, now)


def settle(
    session: Session, item: ActionItem, state: ActionItemState, reason: str, by: str | None, now: datetime
) -> None:
    """Settle an item within a transaction; nobody is reminded of it any more. Raises Conflict if it is not open."""
    action_items.require_open(item.state)
    item.state, item.reason, item.settled_at = state, reason, now
    item.remind_at, item.updated_at = None, now
    if item.issue is not None and item.issue.number is not None:
        item.issue.look_at = None
    audit(session, by, state.value, "action_item", item.id, now, **({"reason": reason} if reason else {}))


def due_reminders(now: datetime) -> list[str]:
    """Return the ids of the items whose owner is to be reminded now. One indexed query."""
    db.session.rollback()
    due = (ActionItem.remind_at.is_not(None), ActionItem.remind_at <= now)
    return list(db.session.scalars(select(ActionItem.id).where(*due).order_by(ActionItem.remind_at).limit(AT_ONCE)))


def remind(item_id: str, now: datetime) -> None:
    """Remind an item's owner, once per reminder; whoever wrote it down if the owner's account is disabled.

    Of reminders that were missed while no worker ran the newest is sent.
    """
    with transaction(now) as session:
        item = session.get(ActionItem, item_id, with_for_update={"of": ActionItem}, populate_existing=True)
        if item is None or item.remind_at is None or item.remind_at > now:
            return
        number = action_items.newest_reminder(item.due_on, now)
        if number is not None:
            to = next((each for each in (item.owner, item.created_by) if each.disabled_at is None), None)
            address = to.email if to else ""
            claim = {"item_id": item_id, "due_on": item.due_on, "number": number, "sent_at": now, "address": address}
            if insert_once(session, ActionItemReminder.__table__, claim) and address:  # type: ignore[arg-type]
                announce_to_address(session, "action_item", item_id, address, None, now, {"number": number})
        item.remind_at = action_items.next_reminder_at(item.due_on, now)


def put_off(item_id: str, now: datetime) -> None:
    """Try to remind of an item again later: something about it is broken, and others wait."""
    with transaction(now) as session:
        item = session.get(ActionItem, item_id, with_for_update={"of": ActionItem}, populate_existing=True)
        if item is not None and item.remind_at is not None:
            item.remind_at = now + PUT_OFF_BY


def _plan_reminder(session: Session, item: ActionItem, now: datetime) -> None:
    """Set when its owner is reminded first; what came out of a drill is practice."""
    is_drill = session.get_one(Incident, item.incident_id).visibility is Visibility.DRILL
    first = max(action_items.reminder_at(item.due_on, 0), now)
    item.remind_at = None if is_drill else first


def _require_owner(session: Session, account_id: str) -> None:
    account = session.get(Account, account_id)
    if account is None or account.disabled_at is not None:
        raise RuleBroken({"owner_id": "Please choose somebody who has an account."})


def _take(session: Session, item_id: str, version: int) -> ActionItem:
    item = session.get(ActionItem, item_id, with_for_update={"of": ActionItem}, populate_existing=True)
    if item is None:
        raise NotFound("action item")
    if item.version != version:
        raise Conflict(SOMEBODY_FASTER)
    item.version += 1
    return item
