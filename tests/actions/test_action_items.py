"""Action items: written down, changed, settled once; their owners reminded, each reminder once."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from statuspage.actions import action_items, issue_exports, people
from statuspage.db import db, transaction
from statuspage.models import ActionItem, ActionItemReminder, Announcement
from statuspage.rules.action_items import Answer, Outcome
from statuspage.rules.vocabulary import (
    AccountRole,
    ActionItemState,
    ComponentState,
    Conflict,
    IssueState,
    NotFound,
    Priority,
    RuleBroken,
    Visibility,
)
from tests import builders

DAY = timedelta(days=1)


@pytest.fixture
def writer(app: object, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def incident_id(writer: str, now: datetime) -> str:
    return builders.acknowledged(writer, {builders.component(now): ComponentState.OUTAGE}, now)


@pytest.fixture
def item_id(incident_id: str, writer: str, now: datetime) -> str:
    return builders.action_item(incident_id, writer, now)


def item(item_id: str) -> ActionItem:
    db.session.rollback()
    return db.session.get_one(ActionItem, item_id, populate_existing=True)


def reminded() -> list[tuple[str, int]]:
    db.session.rollback()
    found = db.session.scalars(select(Announcement).where(Announcement.kind == "action_item").order_by(Announcement.id))
    return [(each.address, (each.detail or {})["number"]) for each in found]


def tick(now: datetime) -> None:
    for each in action_items.due_reminders(now):
        action_items.remind(each, now)


def test_an_item_is_written_down_once_however_often_the_form_is_sent(
    incident_id: str, writer: str, now: datetime
) -> None:
    typed = builders.task(writer, now)
    made = {action_items.add(incident_id, typed, "a nonce", writer, now) for _ in range(2)}
    assert len(made) == 1
    written = item(made.pop())
    assert (written.title, written.priority, written.state) == (typed["title"], Priority.HIGH, ActionItemState.OPEN)


def test_an_owner_has_an_account_that_works(incident_id: str, writer: str, now: datetime) -> None:
    gone = builders.account(now)
    people.disable_account(gone, writer, now)
    for owner in (gone, "nosuchthing0"):
        with pytest.raises(RuleBroken) as broken:
            action_items.add(incident_id, builders.task(owner, now), builders.nonce(), writer, now)
        assert list(broken.value.errors) == ["owner_id"]


def test_nothing_is_added_to_what_is_not_there(writer: str, now: datetime) -> None:
    with pytest.raises(NotFound):
        action_items.add("nosuchthing0", builders.task(writer, now), builders.nonce(), writer, now)


def test_of_two_who_change_it_at_once_one_is_told(item_id: str, writer: str, now: datetime) -> None:
    action_items.change(item_id, builders.task(writer, now, title="Watch the disk"), 1, writer, now)
    with pytest.raises(Conflict):
        action_items.change(item_id, builders.task(writer, now, title="Something else"), 1, writer, now)
    assert item(item_id).title == "Watch the disk"


def test_a_day_that_is_over_may_stay_and_no_other_may_be_chosen(item_id: str, writer: str, now: datetime) -> None:
    due, later = item(item_id).due_on, now + 30 * DAY
    kept = builders.task(writer, now, title="Watch the disk", due_on=due.isoformat())
    action_items.change(item_id, kept, 1, writer, later)
    with pytest.raises(RuleBroken) as broken:
        action_items.change(item_id, kept | {"due_on": (due + DAY).isoformat()}, 2, writer, later)
    assert list(broken.value.errors) == ["due_on"]


def test_done_and_dropped_end_it_and_it_can_be_opened_again(item_id: str, writer: str, now: datetime) -> None:
    action_items.finish(item_id, 1, writer, now)
    assert (item(item_id).state, item(item_id).settled_at, item(item_id).remind_at) == (ActionItemState.DONE, now, None)
    with pytest.raises(Conflict):
        action_items.drop(item_id, "No need.", 2, writer, now)
    action_items.reopen(item_id, 2, writer, now)
    with pytest.raises(RuleBroken):
        action_items.drop(item_id, "", 3, writer, now)
    action_items.drop(item_id, "The part is gone.", 3, writer, now)
    assert (item(item_id).state, item(item_id).reason) == (ActionItemState.DROPPED, "The part is gone.")


def test_the_database_itself_wants_a_reason_for_what_is_dropped(item_id: str, now: datetime) -> None:
    with pytest.raises(IntegrityError), transaction(now) as session:
        session.execute(update(ActionItem).values(state=ActionItemState.DROPPED, settled_at=now, remind_at=None))


def test_the_owner_is_reminded_on_the_day_then_weekly_until_it_is_done(
    item_id: str, writer: str, now: datetime
) -> None:
    due = now.replace(hour=9) + 7 * DAY
    for at in (due - timedelta(minutes=1), due, due, due + 6 * DAY, due + 7 * DAY, due + 7 * DAY):
        tick(at)
    email = item(item_id).owner.email
    assert reminded() == [(email, 0), (email, 1)]
    action_items.finish(item_id, item(item_id).version, writer, due + 8 * DAY)
    tick(due + 30 * DAY)
    assert len(reminded()) == 2


def test_after_weeks_without_a_worker_the_newest_reminder_is_sent_alone(item_id: str, now: datetime) -> None:
    tick(now.replace(hour=9) + 30 * DAY)
    assert [number for _, number in reminded()] == [3]


def test_a_reminder_that_was_claimed_is_not_sent_twice(item_id: str, now: datetime) -> None:
    due = now.replace(hour=9) + 7 * DAY
    tick(due)
    with transaction(due) as session:
        # As after a restore that brought the old time back.
        session.get_one(ActionItem, item_id).remind_at = due
    tick(due)
    assert len(reminded()) == 1
    assert db.session.query(ActionItemReminder).count() == 1


def test_whoever_wrote_it_down_is_reminded_when_the_owner_has_left(
    incident_id: str, writer: str, now: datetime
) -> None:
    owner = builders.account(now, AccountRole.RESPONDER, "left@example.com")
    builders.action_item(incident_id, writer, now, owner=owner)
    people.disable_account(owner, writer, now)
    tick(now + 8 * DAY)
    assert [address for address, _ in reminded()] != ["left@example.com"]
    assert len(reminded()) == 1


def test_what_comes_out_of_a_drill_is_practice(writer: str, now: datetime) -> None:
    states = {builders.component(now, "Search"): ComponentState.OUTAGE}
    drill = builders.acknowledged(writer, states, now, visibility=Visibility.DRILL)
    made = builders.action_item(drill, writer, now)
    tick(now + 30 * DAY)
    assert reminded() == []
    with pytest.raises(RuleBroken):
        issue_exports.ask(made, writer, now)


URL = "https://github.example.com/larkspur/tools/issues/7"
FILED = Answer(Outcome.FILED, number=7, url=URL)


def filed(item_id: str, writer: str, now: datetime) -> None:
    issue_exports.ask(item_id, writer, now)
    settle(item_id, FILED, now)


def settle(item_id: str, answer: Answer, now: datetime) -> None:
    job = issue_exports.claim("worker", "https://status.example.com", now)
    assert job is not None
    assert job.issue.item_id == item_id
    issue_exports.settle("worker", job, "larkspur/tools", answer, now)


def test_a_filed_issue_is_linked_and_not_filed_again(item_id: str, writer: str, now: datetime) -> None:
    filed(item_id, writer, now)
    issue = item(item_id).issue
    assert issue is not None
    assert (issue.state, issue.number, issue.url) == (IssueState.FILED, 7, URL)
    with pytest.raises(Conflict):
        issue_exports.ask(item_id, writer, now)
    assert issue_exports.claim("worker", "", now + timedelta(minutes=59)) is None


def test_a_closed_issue_settles_its_item(item_id: str, writer: str, now: datetime) -> None:
    filed(item_id, writer, now)
    hour = now + timedelta(hours=1)
    settle(item_id, Answer(Outcome.SEEN, etag="a"), hour)
    assert item(item_id).state is ActionItemState.OPEN
    settle(item_id, Answer(Outcome.SEEN, etag="b", is_closed=True), hour + timedelta(hours=1))
    assert item(item_id).state is ActionItemState.DONE
    assert issue_exports.claim("worker", "", now + 30 * DAY) is None


def test_an_issue_closed_as_not_planned_drops_its_item(item_id: str, writer: str, now: datetime) -> None:
    filed(item_id, writer, now)
    settle(item_id, Answer(Outcome.SEEN, is_closed=True, is_dropped=True), now + timedelta(hours=1))
    assert (item(item_id).state, item(item_id).reason) == (ActionItemState.DROPPED, issue_exports.CLOSED_AS_NOT_PLANNED)


def test_what_was_refused_waits_for_a_person_and_is_looked_for_when_tried_again(
    item_id: str, writer: str, now: datetime
) -> None:
    issue_exports.ask(item_id, writer, now)
    settle(item_id, Answer(Outcome.REFUSED, "GitHub refused the token."), now)
    issue = item(item_id).issue
    assert issue is not None
    assert (issue.state, issue.error) == (IssueState.FAILED, "GitHub refused the token.")
    assert issue_exports.claim("worker", "", now + DAY) is None
    issue_exports.ask(item_id, writer, now + DAY)
    job = issue_exports.claim("worker", "", now + DAY)
    assert job is not None
    assert job.is_repeat


def test_the_worker_gives_up_at_last(item_id: str, writer: str, now: datetime) -> None:
    issue_exports.ask(item_id, writer, now)
    at = now
    for _ in range(15):
        settle(item_id, Answer(Outcome.LATER, "GitHub has trouble."), at)
        at += timedelta(hours=2)
    issue = item(item_id).issue
    assert issue is not None
    assert issue.state is IssueState.FAILED


def test_one_worker_asks_at_a_time(item_id: str, writer: str, now: datetime) -> None:
    issue_exports.ask(item_id, writer, now)
    first = issue_exports.claim("one", "", now)
    assert first is not None
    assert issue_exports.claim("another", "", now) is None
    second = issue_exports.claim("another", "", now + issue_exports.LEASE)
    assert second is not None
    assert second.is_repeat
    issue_exports.settle("one", first, "larkspur/tools", Answer(Outcome.LATER, "late"), now)
    assert item(item_id).issue.error == ""  # type: ignore[union-attr]
    issue_exports.settle("one", first, "larkspur/tools", FILED, now)
    issue_exports.settle("another", second, "larkspur/tools", Answer(Outcome.FILED, number=8, url=URL), now)
    assert item(item_id).issue.number == 7  # type: ignore[union-attr]


def test_what_is_done_before_it_is_filed_makes_no_issue(item_id: str, writer: str, now: datetime) -> None:
    issue_exports.ask(item_id, writer, now)
    action_items.finish(item_id, 1, writer, now)
    assert issue_exports.claim("worker", "", now) is None
    assert item(item_id).issue.error == issue_exports.SETTLED_BEFORE  # type: ignore[union-attr]


def test_looking_now_needs_an_issue(item_id: str, writer: str, now: datetime) -> None:
    with pytest.raises(NotFound):
        issue_exports.look_now(item_id, writer, now)
    filed(item_id, writer, now)
    issue_exports.look_now(item_id, writer, now)
    job = issue_exports.claim("worker", "", now)
    assert job is not None
    assert (job.number, job.etag) == (7, "")
