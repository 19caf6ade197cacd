"""What a person does about mails on their way: take them back, correct and send, send again to those who failed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, select, update
from sqlalchemy.orm import Session

from statuspage import prose
from statuspage.actions.incidents import require_drill_goes_on
from statuspage.actions.ledger import audit, mark_changed, record_override, take_page
from statuspage.db import db, transaction
from statuspage.delivery.announcements import announce_component_change, announce_to_subscribers
from statuspage.models import Announcement, Delivery, Incident, Suppression, Update
from statuspage.rules.messages import check_paragraph
from statuspage.rules.vocabulary import ComponentState, Conflict, NotFound

# What the API takes as a message.
BODY_LIMIT = 25_000
# Other writers wait no longer than one of these takes.
AGAIN_AT_ONCE = 20_000
TO_MANY = ("subscribers", "customers")

Tally = Mapping[tuple[int, str, bool], int]
"""Lane, state, and whether an answer once went missing, to the number of deliveries."""


def take_back(announcement_id: int, by: str | None, now: datetime) -> None:
    """Let nobody be told of an update whose mails still wait; the page goes on showing it.

    Raises NotFound, Conflict if it did not wait or its recipients are being looked up already.
    """
    with transaction(now) as session:
        announcement = session.get(Announcement, announcement_id, populate_existing=True)
        if announcement is None or announcement.kind != "incident_update":
            raise NotFound("announcement")
        if _cancel(session, Announcement.id == announcement_id, by, now) != 1:
            # Of two who press the button at once the second gets here.
            session.refresh(announcement)
            raise Conflict("It was taken back already." if announcement.cancelled_at else "It is on its way already.")
        _cancel(session, _changes_of(announcement), by, now)
        audit(session, by, "take_back", "update", announcement.subject_id, now, announcement_id=announcement_id)


def _cancel(session: Session, which: ColumnElement[bool], by: str | None, now: datetime) -> int:
    """Cancel what waits and was not begun with; tell how many."""
    cancelled = session.execute(
        update(Announcement)
        .where(
            which,
            Announcement.not_before.is_not(None),
            Announcement.expanded_at.is_(None),
            Announcement.expanded_to == "",
            Announcement.cancelled_at.is_(None),
        )
        .values(cancelled_at=now, cancelled_by_id=by, expanded_at=now)
        .execution_options(synchronize_session=False)
    )
    count: int = cancelled.rowcount  # type: ignore[attr-defined]
    return count


def _changes_of(announcement: Announcement) -> ColumnElement[bool]:
    """Return what the same message said of components, to those who hear of each one."""
    return and_(
        Announcement.kind == "component_change",
        Announcement.incident_id == announcement.incident_id,
        Announcement.created_at == announcement.created_at,
    )


def correct_update(update_id: str, body: str, by: str | None, now: datetime, overridden: Sequence[str] = ()) -> bool:
    """Give a public message other words; tell whether subscribers are told it now, for it was taken back.

    The former words stay in the audit entry, the page says when they were
    changed. What is owed stays as it was: the page said it in time.
    ``overridden`` are words that are marked and posted as they are.

    Raises NotFound, RuleBroken on ``body``, Conflict if its drill has ended.
    """
    checked = check_paragraph("body", body, BODY_LIMIT)
    with transaction(now) as session:
        take_page(session)
        message = _get_update(session, update_id)
        incident = message.incident
        require_drill_goes_on(session, incident)
        was, announcement = message.body, _taken_back(session, message)
        if checked != was:
            message.body, message.body_html, message.edited_at = checked, prose.to_html(checked), now
            incident.updated_at = now
            if incident.is_published:
                mark_changed(session, "incident", incident.id, now)
        if announcement is not None:
            _announce_anew(session, announcement, incident, now)
        is_told = announcement is not None
        record_override(session, "update", update_id, incident.id, overridden, by, now)
        audit(session, by, "correct_update", "update", update_id, now, was=was, is_told=is_told)
        return is_told


def send_unchanged(update_id: str, by: str | None, now: datetime) -> None:
    """Tell subscribers of an update that was taken back, as it stands, at once.

    Raises NotFound, Conflict unless it was taken back and is the newest.
    """
    with transaction(now) as session:
        take_page(session)
        message = _get_update(session, update_id)
        announcement = _taken_back(session, message)
        if announcement is None:
            raise Conflict("This update is not held back any more: somebody sent it, or posted a newer one.")
        _announce_anew(session, announcement, message.incident, now)
        audit(session, by, "send_unchanged", "update", update_id, now)


def _get_update(session: Session, update_id: str) -> Update:
    message = session.get(Update, update_id, populate_existing=True)
    if message is None:
        raise NotFound("update")
    return message


def _taken_back(session: Session, message: Update) -> Announcement | None:
    """Return the announcement of an update that was taken back; None if it was sent since, or a newer one tells more."""
    newest = session.scalar(
        select(Announcement)
        .where(Announcement.subject_id == message.id, Announcement.kind == "incident_update")
        .order_by(Announcement.id.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )
    if newest is None or newest.cancelled_at is None or _is_overtaken(session, newest):
        return None
    return newest


def _announce_anew(session: Session, announcement: Announcement, incident: Incident, now: datetime) -> None:
    announce_to_subscribers(session, announcement.kind, announcement.subject_id, incident, now)
    taken_back = Announcement.cancelled_at == announcement.cancelled_at
    for change in session.scalars(select(Announcement).where(_changes_of(announcement), taken_back)).all():
        detail = change.detail or {}
        before, after = ComponentState(detail["before"]), ComponentState(detail["after"])
        announce_component_change(session, change.subject_id, before, after, incident, now)


def send_again(announcement_id: int, even_if_arrived: bool, by: str | None, now: datetime) -> int:
    """Try those once more that failed for good; return how many, AGAIN_AT_ONCE at most.

    Addresses that bounced or complained since are left alone. Those whose
    answer went missing may have it already: they get it only with
    ``even_if_arrived``. Raises NotFound, Conflict if a newer update tells more.
    """
    with transaction(now) as session:
        announcement = session.get(Announcement, announcement_id, populate_existing=True)
        if announcement is None or announcement.audience not in TO_MANY:
            raise NotFound("announcement")
        if _is_overtaken(session, announcement):
            raise Conflict("A newer update has been posted since: it goes to everybody, those who failed included.")
        suppressed = exists().where(Suppression.address_key == func.lower(Delivery.address))
        failed = select(Delivery.id).where(
            Delivery.announcement_id == announcement_id,
            Delivery.state == Delivery.DEAD,
            # What fails again meanwhile is not taken a second time.
            Delivery.settled_at <= now,
            ~suppressed,
        )
        if not even_if_arrived:
            failed = failed.where(Delivery.was_unknown.is_(False))
        queued = session.execute(
            update(Delivery)
            .where(Delivery.id.in_(failed.limit(AGAIN_AT_ONCE)), Delivery.state == Delivery.DEAD)
            .values(state=Delivery.QUEUED, attempts=0, not_before=now, settled_at=None, error="", lease_owner="")
            .execution_options(synchronize_session=False)
        )
        count: int = queued.rowcount  # type: ignore[attr-defined]
        if count:
            detail = {"count": count, "even_if_arrived": even_if_arrived}
            audit(session, by, "send_again", "announcement", str(announcement_id), now, **detail)
        return count


def _is_overtaken(session: Session, announcement: Announcement) -> bool:
    if announcement.kind != "incident_update":
        return False
    newer = select(Announcement.id).where(
        Announcement.incident_id == announcement.incident_id,
        Announcement.kind == announcement.kind,
        Announcement.id > announcement.id,
        Announcement.cancelled_at.is_(None),
    )
    return session.scalar(newer.limit(1)) is not None


def tally(announcement_ids: Collection[int]) -> Mapping[int, Tally]:
    """Return how many deliveries of each announcement are in which state. A million rows take a second or two."""
    key = (Delivery.announcement_id, Delivery.lane, Delivery.state, Delivery.was_unknown)
    found = db.session.execute(
        select(*key, func.count()).where(Delivery.announcement_id.in_(announcement_ids)).group_by(*key)
    )
    counted: dict[int, dict[tuple[int, str, bool], int]] = {each: {} for each in announcement_ids}
    for announcement_id, lane, state, was_unknown, count in found:
        counted[announcement_id][lane, state, was_unknown] = count
    return counted


def are_few(announcement_ids: Collection[int], limit: int) -> bool:
    """Tell whether announcements have at most ``limit`` deliveries: soon known, however many there are."""
    rows = select(Delivery.address).where(Delivery.announcement_id.in_(announcement_ids)).limit(limit + 1).subquery()
    return (db.session.scalar(select(func.count()).select_from(rows)) or 0) <= limit
