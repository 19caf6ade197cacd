"""From an announcement to a channel: its own lane, its own pace, and what it says."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select, update

from statuspage.actions import channels
from statuspage.db import db, transaction
from statuspage.delivery import announcements, chat, notes, outbox, posts
from statuspage.delivery.providers import transport_for
from statuspage.delivery.transport import Outcome, Receipt
from statuspage.models import Announcement, Channel, Delivery, Incident, InternalUpdate, new_id
from statuspage.rules.vocabulary import ComponentState, MessageKind, Severity, Visibility
from statuspage.settings import Settings
from statuspage.worker import Worker
from tests import builders
from tests.chatserver import ChatServer
from tests.delivery.conftest import subscribed

NUDGE = {"title": "Update due in 5 min", "text": "Sign-in fails is owed an update.", "path": "/console/incidents/x"}


def announce(
    channel_id: str,
    now: datetime,
    kind: str = "nudge",
    subject_id: str = "promise00000",
    incident_id: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    with transaction(now) as session:
        incident = session.get_one(Incident, incident_id) if incident_id else None
        announcements.announce_to_channel(session, kind, subject_id, channel_id, detail or NUDGE, incident, now)


def deliveries() -> list[Delivery]:
    db.session.rollback()
    db.session.expire_all()
    query = select(Delivery).where(Delivery.lane == announcements.CHANNEL_LANE).order_by(Delivery.id)
    return list(db.session.scalars(query))


def states() -> list[str]:
    return [row.state for row in deliveries()]


def claim(now: datetime, busy: tuple[str, ...] = ()) -> outbox.Claimed | None:
    """Claim a note; None if there is none, or if the one that came was not to be sent any more."""
    batch = outbox.claim_for_channel("one", busy, now)
    return batch.deliveries[0] if batch is not None and batch.deliveries else None


def settle(claimed: outbox.Claimed, outcome: Outcome, now: datetime) -> None:
    outbox.settle("one", [Receipt(claimed.id, outcome, "Slack answered 500.")], now)


def mailed(writer: str, incident_id: str, now: datetime) -> None:
    """Have a subscriber's mail wait."""
    subscribed("reader@example.com", now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {}, writer, now)


@pytest.fixture
def channel_id(writer: str, now: datetime) -> str:
    return builders.channel(writer, now)


# --- the lane --------------------------------------------------------------


def test_a_note_is_queued_with_its_fact_for_its_channel_alone(channel_id: str, incident_id: str, now: datetime) -> None:
    announce(channel_id, now, incident_id=incident_id)
    (row,) = deliveries()
    assert (row.state, row.lane, row.address, row.not_before) == ("queued", 2, channel_id, now)
    told = row.announcement
    assert (told.audience, told.address, told.detail, told.expanded_at) == ("channel", channel_id, NUDGE, now)
    assert (told.incident_id, told.visibility) == (incident_id, Visibility.PUBLIC)


def test_a_note_of_a_drill_is_one_of_a_drill(writer: str, channel_id: str, now: datetime) -> None:
    states = {builders.component(now): ComponentState.OUTAGE}
    drill = builders.declared(writer, states, now, visibility=Visibility.DRILL)
    announce(channel_id, now, incident_id=drill)
    assert deliveries()[0].announcement.visibility is Visibility.DRILL


def test_mail_and_channels_are_claimed_apart(writer: str, incident_id: str, channel_id: str, now: datetime) -> None:
    announce(channel_id, now)
    assert outbox.claim("one", 10, now) is None
    mailed(writer, incident_id, now)
    while outbox.claim("one", 10, now) is not None:
        pass
    assert states() == ["queued"]
    assert claim(now) is not None
    assert claim(now) is None


def test_the_next_note_waits_for_a_busy_channel_and_others_do_not(writer: str, channel_id: str, now: datetime) -> None:
    other = builders.channel(writer, now, name="#other")
    for to in (channel_id, channel_id, other):
        announce(to, now)
    assert [claim(now, (channel_id,)), claim(now, (channel_id,))][1] is None
    assert states() == ["queued", "queued", "leased"]
    assert claim(now) is not None
    assert states() == ["leased", "queued", "leased"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_looking_for_notes_does_not_read_what_was_delivered_long_ago(channel_id: str, now: datetime) -> None:
    announce(channel_id, now)
    asked: list[tuple[str, tuple[object, ...]]] = []

    def note(_connection: object, _cursor: object, statement: str, values: tuple[object, ...], *_: object) -> None:
        if statement.startswith(("SELECT", "WITH")) and "FROM deliveries" in statement:
            asked.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    assert claim(now, ("busychannel0",)) is not None
    event.remove(db.engine, "before_cursor_execute", note)
    for statement, values in asked:
        plan = " ".join(
            row[-1] for row in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        )
        assert "USING INDEX ix_deliveries_" in plan, statement
        assert "TEMP B-TREE" not in plan, statement
    assert len(asked) == 4


def test_what_waits_for_a_removed_channel_is_cancelled(writer: str, channel_id: str, now: datetime) -> None:
    announce(channel_id, now)
    channels.remove_channel(channel_id, writer, now)
    assert claim(now) is None
    assert states() == ["cancelled"]


def test_a_channel_that_fails_is_given_up_after_about_five_minutes(channel_id: str, now: datetime) -> None:
    announce(channel_id, now)
    moment, tries = now, 0
    while states() == ["queued"]:
        claimed = claim(moment)
        if claimed is not None:
            tries += 1
            settle(claimed, Outcome.LATER, moment)
            given_up = moment
        moment += timedelta(seconds=1)
        assert moment - now < timedelta(hours=1)
    assert (states(), tries) == (["dead"], outbox.CHANNEL_MOST_ATTEMPTS)
    assert timedelta(minutes=4) < given_up - now < timedelta(minutes=6)
    assert deliveries()[0].error == "Slack answered 500."


def test_a_note_that_waited_for_a_worker_all_night_is_told_to_nobody(channel_id: str, now: datetime) -> None:
    announce(channel_id, now)
    assert claim(now + timedelta(minutes=61)) is None
    assert [(row.state, row.error) for row in deliveries()] == [("dead", outbox.STALE)]
    announce(channel_id, now)
    assert claim(now + timedelta(minutes=59)) is not None


def test_after_an_answer_that_went_missing_there_is_one_more_try(channel_id: str, now: datetime) -> None:
    announce(channel_id, now)
    first = claim(now)
    assert first is not None
    settle(first, Outcome.UNKNOWN, now)
    assert claim(now + timedelta(seconds=29)) is None
    again = claim(now + timedelta(seconds=30))
    assert again is not None
    settle(again, Outcome.UNKNOWN, now)
    assert [(row.state, row.error) for row in deliveries()] == [("dead", outbox.TWICE_UNKNOWN)]


def test_a_worker_that_died_leaves_a_note_that_is_tried_once_more(channel_id: str, now: datetime) -> None:
    announce(channel_id, now)
    outbox.claim_for_channel("dead", (), now)
    lapsed = now + timedelta(seconds=121)
    assert claim(lapsed) is None
    assert states() == ["unknown"]
    assert claim(lapsed + timedelta(seconds=30)) is not None


# --- what it says ----------------------------------------------------------


def written(settings: Settings) -> notes.Note:
    announcement = db.session.scalars(select(Announcement).order_by(Announcement.id.desc())).first()
    assert announcement is not None
    return notes.note(announcement, settings)


def internal_update(incident_id: str, writer: str, now: datetime) -> str:
    told = InternalUpdate(
        id=new_id(), incident_id=incident_id, body="The *disk* is full.", posted_at=now, author_id=writer
    )
    update_id = told.id
    db.session.add(told)
    db.session.commit()
    return update_id


@pytest.mark.parametrize(
    ("visibility", "title"),
    [
        (Visibility.PUBLIC, "SEV1 Sign-in fails: internal update"),
        (Visibility.INTERNAL, "SEV1 Sign-in fails: internal update"),
        (Visibility.DRILL, "DRILL: SEV1 Sign-in fails: internal update"),
    ],
)
def test_an_internal_update_says_what_about_and_where(
    visibility: Visibility, title: str, writer: str, channel_id: str, settings: Settings, now: datetime
) -> None:
    affected = {builders.component(now): ComponentState.OUTAGE}
    incident_id = builders.declared(writer, affected, now, severity=Severity.SEV1, visibility=visibility)
    announce(channel_id, now, "internal_update", internal_update(incident_id, writer, now), incident_id)
    assert written(settings) == notes.Note(
        title,
        "The *disk* is full.",
        f"http://status.example.com/console/incidents/{incident_id}",
        "Open the incident room",
    )


def test_a_nudge_says_what_was_decided(channel_id: str, settings: Settings, now: datetime) -> None:
    announce(channel_id, now)
    assert written(settings) == notes.Note(
        "Update due in 5 min",
        "Sign-in fails is owed an update.",
        "http://status.example.com/console/incidents/x",
        "Open the incident room",
    )


def test_a_test_names_the_page_and_the_channel(writer: str, channel_id: str, settings: Settings, now: datetime) -> None:
    channels.test_channel(channel_id, writer, now)
    note = written(settings)
    assert note.title == "Larkspur: this channel works"
    assert "“#incidents”" in note.text


# --- the worker ------------------------------------------------------------


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    made = Worker(settings, transport_for(settings))
    yield made
    made._posts.collect(5)


@pytest.fixture
def room(writer: str, chat_server: ChatServer, now: datetime) -> str:
    return builders.channel(writer, now, f"{chat_server.url}/room")


def work(worker: Worker, now: datetime) -> None:
    while worker.tick(now):
        pass


def test_the_worker_posts_a_note_once(worker: Worker, room: str, chat_server: ChatServer, now: datetime) -> None:
    announce(room, now)
    work(worker, now)
    work(worker, now + timedelta(minutes=30))
    assert [taken.body["text"] for taken in chat_server.taken] == [
        "Update due in 5 min: Sign-in fails is owed an update."
    ]
    assert [(row.state, row.settled_at) for row in deliveries()] == [("submitted", now)]


def test_the_worker_reaches_a_pager(worker: Worker, writer: str, chat_server: ChatServer, now: datetime) -> None:
    announce(builders.channel(writer, now, f"json://127.0.0.1:{chat_server.port}/pager"), now)
    work(worker, now)
    worker.finish(now)
    assert [taken.body["title"] for taken in chat_server.taken] == ["Update due in 5 min"]
    assert states() == ["submitted"]


def test_notes_to_one_channel_come_in_their_order(
    worker: Worker, room: str, chat_server: ChatServer, now: datetime
) -> None:
    for number in range(4):
        announce(room, now, detail=NUDGE | {"title": f"Number {number}"})
    work(worker, now)
    assert [taken.body["text"].split(":")[0] for taken in chat_server.taken] == [f"Number {n}" for n in range(4)]
    assert states() == ["submitted"] * 4


def test_a_hook_that_is_gone_is_told_and_left(
    worker: Worker, room: str, chat_server: ChatServer, now: datetime
) -> None:
    chat_server.mode = "404"
    announce(room, now)
    work(worker, now)
    work(worker, now + timedelta(minutes=10))
    assert [(row.state, row.error) for row in deliveries()] == [("dead", "Slack answered 404 (no_service).")]
    assert len(chat_server.taken) == 1


def test_a_passing_failure_is_tried_again_soon(
    worker: Worker, room: str, chat_server: ChatServer, now: datetime
) -> None:
    chat_server.mode = "503"
    announce(room, now)
    work(worker, now)
    chat_server.mode = "ok"
    work(worker, now + timedelta(seconds=1))
    assert states() == ["queued"]
    work(worker, now + timedelta(seconds=2))
    assert states() == ["submitted"]


def test_no_transaction_is_open_while_a_hook_is_waited_for(
    worker: Worker, room: str, app: Flask, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def look(self: posts.Posts, seconds: float = 0, enough: int | None = None) -> list[Receipt]:
        seen.append(db.session().in_transaction())
        return []

    announce(room, now)
    with monkeypatch.context() as patch:
        patch.setattr(posts.Posts, "collect", look)
        worker.tick(now)
    assert seen
    assert not any(seen)


def test_a_hanging_hook_holds_back_neither_mail_nor_other_channels(
    worker: Worker,
    writer: str,
    incident_id: str,
    room: str,
    chat_server: ChatServer,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # However slow the machine is: the hook hangs until it is told to stop.
    monkeypatch.setattr(posts, "TOTAL_SECONDS", 300)
    monkeypatch.setattr(chat, "READ_SECONDS", 300)
    other = builders.channel(writer, now, f"{chat_server.url}/other", "#other")
    mailed(writer, incident_id, now)
    chat_server.mode = "only:/room:hang"
    for to in (room, room, other):
        announce(to, now)
    work(worker, now)
    assert states() == ["leased", "queued", "submitted"]
    mails = select(Delivery.state).where(Delivery.lane == announcements.INCIDENT_LANE)
    assert db.session.scalars(mails).all() == ["submitted"]
    chat_server.ending.set()
    worker.finish(now)
    work(worker, now)
    assert states() == ["submitted"] * 3


def test_a_mail_provider_that_is_down_holds_up_no_chat(
    sendgrid_settings: Settings, sendgrid_server: Any, writer: str, incident_id: str, room: str, now: datetime
) -> None:
    sendgrid_server.behave("401")
    worker = Worker(sendgrid_settings, transport_for(sendgrid_settings))
    mailed(writer, incident_id, now)
    work(worker, now)
    announce(room, now)
    work(worker, now + timedelta(seconds=1))
    # The second tells the room that no mail leaves.
    assert states() == ["submitted", "submitted"]


def test_a_note_that_can_not_be_written_holds_up_no_other(
    worker: Worker, writer: str, room: str, chat_server: ChatServer, now: datetime
) -> None:
    announce(room, now, "internal_update", "nosuchthing0")
    announce(room, now, "nosuchkind")
    announce(room, now)
    for minutes in range(4):
        work(worker, now + timedelta(minutes=minutes))
    assert states() == ["dead", "dead", "submitted"]
    assert deliveries()[0].error == "This note can't be written: the internal update is gone"


def test_a_changed_address_counts_at_once(worker: Worker, room: str, chat_server: ChatServer, now: datetime) -> None:
    announce(room, now)
    db.session.execute(update(Channel).values(url=f"{chat_server.url}/moved"))
    db.session.commit()
    work(worker, now)
    assert [taken.path for taken in chat_server.taken] == ["/moved"]
