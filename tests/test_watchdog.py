"""The watchdog: one alarm for each silence of the worker, whatever happens in between."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage import watchdog
from statuspage.actions import people
from statuspage.db import db, transaction
from statuspage.delivery import providers
from statuspage.delivery.transport import ChannelDown, Message, Outcome, Receipt, Recipient
from statuspage.models import Alarm, Channel, Heartbeat
from statuspage.rules.vocabulary import AccountRole, ChannelKind
from statuspage.watchdog import Watchdog
from tests import builders, chatserver
from tests.chatserver import ChatServer

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


class Post:
    """A way of sending that keeps what it was given, and does what the test says."""

    batch_size = 50

    def __init__(self) -> None:
        self.outcome: Outcome | Exception = Outcome.SUBMITTED
        self.calls: list[tuple[Message, list[str]]] = []

    def deliver(self, message: Message, recipients: list[Recipient]) -> list[Receipt]:
        self.calls.append((message, [each.address for each in recipients]))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return [Receipt(each.delivery_id, self.outcome) for each in recipients]


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Post:
    made = Post()
    monkeypatch.setattr(providers, "transport_for", lambda _settings: made)
    return made


@pytest.fixture
def team(app: Flask, now: datetime) -> None:
    """An administrator, a responder, a reader, one who has left; and a worker that was alive a moment ago."""
    builders.page(now - MINUTE)
    builders.account(now, AccountRole.ADMIN, "admin@example.com")
    builders.account(now, AccountRole.RESPONDER, "responder@example.com")
    builders.account(now, AccountRole.VIEWER, "viewer@example.com")
    people.disable_account(builders.account(now, AccountRole.COMMS, "left@example.com"), None, now)
    beat(now)


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with chatserver.running() as server:
        yield server


def beat(at: datetime) -> None:
    with transaction(at) as session:
        session.merge(Heartbeat(name="worker", beat_at=at))


def alarms() -> list[Alarm]:
    db.session.rollback()
    return list(db.session.scalars(select(Alarm).order_by(Alarm.silent_since)))


class Watch:
    """A watchdog of one web process, looked through at chosen moments."""

    def __init__(self, app: Flask, begun: datetime) -> None:
        self.dog = Watchdog(app, 2 * MINUTE, 20 * SECOND)
        self.begun = begun
        self.look(begun)

    def look(self, now: datetime) -> None:
        self.dog.look(now - self.begun, now)


def test_two_minutes_of_silence_are_told_once_to_all_who_can_help(
    app: Flask, team: None, post: Post, now: datetime
) -> None:
    watch = Watch(app, now)
    for seconds in (20, 60, 119):
        watch.look(now + seconds * SECOND)
    assert post.calls == []
    for seconds in (120, 140, 3600):
        watch.look(now + seconds * SECOND)
    ((message, addresses),) = post.calls
    assert addresses == ["admin@example.com", "responder@example.com"]
    assert message.subject == "The clock worker is silent since 14:00 UTC"
    assert "statuspage worker" in message.text
    (alarm,) = alarms()
    assert (alarm.silent_since, alarm.raised_at, alarm.told) == (now, now + 2 * MINUTE, ["Ada", "Ada"])


def test_a_heart_that_beats_raises_nothing_and_the_next_silence_is_another(
    app: Flask, team: None, post: Post, now: datetime
) -> None:
    watch = Watch(app, now)
    for minute in range(1, 10):
        beat(now + minute * MINUTE)
        watch.look(now + minute * MINUTE)
    assert alarms() == []
    watch.look(now + 12 * MINUTE)
    beat(now + 13 * MINUTE)
    watch.look(now + 13 * MINUTE)
    watch.look(now + 16 * MINUTE)
    assert [alarm.silent_since for alarm in alarms()] == [now + 9 * MINUTE, now + 13 * MINUTE]
    assert len(post.calls) == 2


def test_a_start_after_a_long_rest_gives_the_worker_its_two_minutes(
    app: Flask, team: None, post: Post, now: datetime
) -> None:
    later = now + timedelta(days=3)
    watch = Watch(app, later)
    watch.look(later + 20 * SECOND)
    beat(later + 30 * SECOND)
    watch.look(later + 2 * MINUTE)
    assert post.calls == []


@pytest.mark.parametrize("jump", [timedelta(hours=-2), timedelta(days=3)])
def test_a_clock_that_is_set_raises_no_alarm(
    jump: timedelta, app: Flask, team: None, post: Post, now: datetime
) -> None:
    watch = Watch(app, now)
    watch.dog.look(20 * SECOND, now + 20 * SECOND + jump)
    beat(now + 25 * SECOND + jump)
    watch.dog.look(40 * SECOND, now + 40 * SECOND + jump)
    watch.dog.look(2 * MINUTE, now + 2 * MINUTE + jump)
    assert post.calls == []


def test_a_worker_that_never_ran_is_told_of_too(app: Flask, post: Post, now: datetime) -> None:
    watch = Watch(app, now)
    watch.look(now + 5 * MINUTE)
    assert alarms() == []  # nothing is set up: there is nothing to watch
    builders.page(now)
    builders.account(now)
    watch.look(now + 5 * MINUTE)
    watch.look(now + 7 * MINUTE)
    ((message, _),) = post.calls
    assert "never run" in message.text


def test_of_many_web_processes_one_tells(app: Flask, team: None, post: Post, now: datetime) -> None:
    watches = [Watch(app, now) for _ in range(4)]
    failures: list[Exception] = []
    barrier = threading.Barrier(len(watches))

    def look(watch: Watch) -> None:
        barrier.wait()
        try:
            with app.app_context():
                watch.look(now + 2 * MINUTE)
                watch.look(now + 3 * MINUTE)
        except Exception as error:  # noqa: BLE001  Shown to the test.
            failures.append(error)

    db.session.rollback()
    threads = [threading.Thread(target=look, args=(watch,)) for watch in watches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(post.calls) == len(alarms()) == 1


@pytest.mark.parametrize("failure", [ChannelDown("no connection", 30), Outcome.REFUSED, Outcome.LATER])
def test_an_alarm_that_reached_nobody_is_tried_at_the_next_look(
    failure: Exception | Outcome, app: Flask, team: None, post: Post, now: datetime
) -> None:
    first, second = Watch(app, now), Watch(app, now)
    post.outcome = failure
    first.look(now + 120 * SECOND)
    # The other one leaves it to the first, which may be about to tell.
    second.look(now + 130 * SECOND)
    assert (len(post.calls), alarms()[0].told) == (1, [])
    post.outcome = Outcome.SUBMITTED
    first.look(now + 140 * SECOND)
    second.look(now + 145 * SECOND)
    assert (len(post.calls), len(alarms()[0].told)) == (2, 2)


def test_what_a_process_left_when_it_ended_is_taken_up_by_another(
    app: Flask, team: None, post: Post, now: datetime
) -> None:
    first, second = Watch(app, now), Watch(app, now)
    post.outcome = Outcome.LATER
    first.look(now + 2 * MINUTE)
    post.outcome = Outcome.SUBMITTED
    second.look(now + 4 * MINUTE)
    assert len(post.calls) == 2
    first.look(now + 5 * MINUTE)
    assert len(post.calls) == 2


def test_where_answers_go_missing_it_is_tried_ever_more_rarely_and_both_copies_have_one_id(
    app: Flask, team: None, post: Post, now: datetime
) -> None:
    watch = Watch(app, now)
    post.outcome = Outcome.UNKNOWN
    for seconds in range(20, 3600, 20):
        watch.look(now + seconds * SECOND)
    assert len(post.calls) == 5  # after 2, 4, 8, 16 and 32 minutes
    assert len({message.headers["Message-ID"] for message, _ in post.calls}) == 1


def test_an_alarm_that_got_out_is_not_told_again_though_it_could_not_be_recorded(
    app: Flask, team: None, post: Post, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(app, now)

    def fail(*_: object) -> None:
        raise RuntimeError("the database is gone")

    with monkeypatch.context() as patched:
        patched.setattr(watch.dog, "_record", fail)
        with pytest.raises(RuntimeError):
            watch.look(now + 2 * MINUTE)
    watch.look(now + 3 * MINUTE)
    assert (len(post.calls), len(alarms()[0].told)) == (1, 2)


def test_the_teams_rooms_are_told_though_no_mail_gets_out(
    app: Flask, team: None, post: Post, chat: ChatServer, now: datetime
) -> None:
    ada = builders.account(now)
    with transaction(now) as session:
        for name, owner in (("Ops room", None), ("Ada's own", ada)):
            session.add(
                Channel(kind=ChannelKind.SLACK, name=name, url=f"{chat.url}/hook", account_id=owner, created_at=now)
            )
    post.outcome = ChannelDown("no connection", 30)
    watch = Watch(app, now)
    watch.look(now + 2 * MINUTE)
    watch.look(now + 3 * MINUTE)
    (taken,) = chat.taken
    assert "silent since 14:00 UTC" in taken.body["text"]
    assert alarms()[0].told == ["Ops room"]


def test_it_goes_on_looking_while_the_database_does_not_answer(
    app: Flask, team: None, post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, looks = watchdog._last_sign, threading.Semaphore(0)

    def away() -> None:
        looks.release()
        db.session.execute(select(Alarm).where(Alarm.raised_at.op("no such operator")(1)))

    dog = Watchdog(app, 0.2 * SECOND, 0.05 * SECOND)
    db.session.rollback()
    try:
        with monkeypatch.context() as patched:
            patched.setattr(watchdog, "_last_sign", away)
            dog.start()
            assert all(looks.acquire(timeout=10) for _ in range(3))
        assert caplog.text.count("does not answer") == 1
        assert watchdog._last_sign is real
        for _ in range(200):
            if post.calls:
                break
            threading.Event().wait(0.05)
    finally:
        dog.stop()
    assert len(post.calls) == 1
