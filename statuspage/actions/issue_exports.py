"""Action items on their way to the issue tracker: asked for here, handed over by the worker, looked after until closed.

The claim is committed before anything is sent. Whatever is handed over a second
time is looked for first: a worker that dies in between makes no second issue.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from statuspage.actions.action_items import settle as settle_item
from statuspage.actions.ledger import audit
from statuspage.db import db, insert_once, transaction
from statuspage.models import ActionItem, IssueExport
from statuspage.rules.action_items import MOST_ATTEMPTS, Answer, Issue, Outcome, retry_after
from statuspage.rules.vocabulary import LABELS, ActionItemState, Conflict, IssueState, NotFound, RuleBroken, Visibility

# Longer than any question to the tracker may take.
LEASE = timedelta(minutes=5)
LOOK_EVERY = timedelta(hours=1)
SETTLED_BEFORE = "It was done or dropped before it was filed."
CLOSED_AS_NOT_PLANNED = "The issue was closed as not planned."


@dataclass(frozen=True)
class Job:
    """One question to the tracker that this worker may ask now."""

    issue: Issue
    asked_at: datetime
    is_repeat: bool
    """Whether the issue may be there already."""
    repository: str
    number: int | None
    """Of the issue to look at; None for one to be filed."""
    etag: str


def ask(item_id: str, by: str, now: datetime) -> None:
    """Have an open action item filed as an issue, or try again after that failed.

    Raises NotFound, RuleBroken for a drill, Conflict if it is not open or filed already.
    """
    with transaction(now) as session:
        item = session.get(ActionItem, item_id, with_for_update={"of": ActionItem}, populate_existing=True)
        if item is None:
            raise NotFound("action item")
        if item.incident.visibility is Visibility.DRILL:
            raise RuleBroken({"": "This came out of a drill: practice makes no issues."})
        if item.state is not ActionItemState.OPEN:
            raise Conflict("This action item is not open any more.")
        first = {"item_id": item_id, "state": IssueState.WAITING, "asked_at": now, "asked_by_id": by, "look_at": now}
        if not insert_once(session, IssueExport.__table__, first):  # type: ignore[arg-type]
            row = session.get_one(IssueExport, item_id, with_for_update={"of": IssueExport}, populate_existing=True)
            if row.state is IssueState.FILED:
                raise Conflict("This action item has its issue already.")
            if row.state is IssueState.FAILED:
                row.state, row.tries, row.error, row.look_at = IssueState.WAITING, 0, "", now
        audit(session, by, "file_issue", "action_item", item_id, now)


def look_now(item_id: str, by: str, now: datetime) -> None:
    """Have the worker look at once how an item's issue stands. Raises NotFound, Conflict if there is none."""
    with transaction(now) as session:
        row = session.get(IssueExport, item_id, with_for_update={"of": IssueExport}, populate_existing=True)
        if row is None:
            raise NotFound("issue")
        if row.state is not IssueState.FILED:
            raise Conflict("There is no issue yet.")
        # Without the tag: the tracker says how it stands even if nothing has changed.
        row.look_at, row.etag = now, ""
        audit(session, by, "look_at_issue", "action_item", item_id, now)


def claim(owner: str, public_url: str, now: datetime) -> Job | None:
    """Take the next question to the tracker for this worker; None if none is due. Nothing is written for none."""
    db.session.rollback()
    is_due = (
        IssueExport.look_at.is_not(None),
        IssueExport.look_at <= now,
        or_(IssueExport.lease_until.is_(None), IssueExport.lease_until <= now),
    )
    due = select(IssueExport.item_id).where(*is_due).order_by(IssueExport.look_at).limit(1)
    if db.session.scalar(due) is None:
        return None
    with transaction(now) as session:
        item_id = session.scalar(due.with_for_update(skip_locked=True))
        if item_id is None:
            return None
        row = session.get_one(IssueExport, item_id, populate_existing=True)
        item = row.item
        if row.number is None and item.state is not ActionItemState.OPEN:
            row.state, row.look_at, row.error = IssueState.FAILED, None, SETTLED_BEFORE
            return None
        is_repeat = row.attempts > 0
        row.attempts, row.tries = row.attempts + 1, row.tries + 1
        row.lease_owner, row.lease_until = owner, now + LEASE
        return Job(
            issue=Issue(
                item_id=item_id,
                title=item.title,
                priority=LABELS[item.priority].lower(),
                due_on=item.due_on,
                owner=item.owner.name,
                incident_title=item.incident.title,
                url=f"{public_url}/console/action-items/{item_id}",
            ),
            asked_at=row.asked_at,
            is_repeat=is_repeat,
            repository=row.repository,
            number=row.number,
            etag=row.etag,
        )


def settle(owner: str, job: Job, repository: str, answer: Answer, now: datetime) -> None:
    """Write down what the tracker said. What another worker has taken meanwhile is its business, unless it is certain."""
    item_id = job.issue.item_id
    with transaction(now) as session:
        # The item first, as everybody who changes both does.
        session.get_one(ActionItem, item_id, with_for_update={"of": ActionItem}, populate_existing=True)
        row = session.get_one(IssueExport, item_id, with_for_update={"of": IssueExport}, populate_existing=True)
        is_mine = row.lease_owner == owner
        is_news = answer.outcome is Outcome.FILED and row.number is None
        if not (is_mine or is_news):
            return
        row.lease_owner, row.lease_until = "", None
        row.error = answer.words[:500]
        if job.number is not None:
            _note_look(session, row, answer, now)
        elif row.number is None:
            _note_filing(session, row, repository, answer, now)


def _note_filing(session: Session, row: IssueExport, repository: str, answer: Answer, now: datetime) -> None:
    if answer.outcome is Outcome.FILED:
        row.state, row.repository, row.number, row.url = IssueState.FILED, repository, answer.number, answer.url
        row.looked_at, row.tries = now, 0
        row.look_at = now + LOOK_EVERY if row.item.state is ActionItemState.OPEN else None
        audit(session, None, "issue_filed", "action_item", row.item_id, now, url=answer.url)
    elif answer.outcome is Outcome.LATER and row.tries < MOST_ATTEMPTS:
        row.look_at = now + retry_after(row.tries, answer.retry_after)
    else:
        row.state, row.look_at = IssueState.FAILED, None


def _note_look(session: Session, row: IssueExport, answer: Answer, now: datetime) -> None:
    item = row.item
    row.look_at = now + LOOK_EVERY if item.state is ActionItemState.OPEN and not answer.is_gone else None
    if answer.outcome is not Outcome.SEEN:
        if row.look_at is not None and answer.outcome is Outcome.LATER:
            row.look_at = now + retry_after(row.tries, answer.retry_after)
        return
    row.looked_at, row.tries = now, 0
    row.etag = answer.etag[:200] if len(answer.etag) <= 200 else ""
    if answer.is_closed and item.state is ActionItemState.OPEN:
        item.version += 1
        state = ActionItemState.DROPPED if answer.is_dropped else ActionItemState.DONE
        settle_item(session, item, state, CLOSED_AS_NOT_PLANNED if answer.is_dropped else "", None, now)
