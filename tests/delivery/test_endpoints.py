"""From an announcement to subscribers' endpoints, with the real worker and real servers."""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select
from standardwebhooks import Webhook

from statuspage import endpoint_posts
from statuspage.actions import audiences, branding, subscriptions
from statuspage.db import db
from statuspage.delivery import announcements, composition, endpoints, guard, outbox
from statuspage.delivery.providers import transport_for
from statuspage.delivery.transport import Outcome, Receipt
from statuspage.links import Purpose, read_token
from statuspage.models import Announcement, AuditEntry, Delivery, Subscriber
from statuspage.rules.subscriptions import identity
from statuspage.rules.vocabulary import ComponentState, MessageKind, SubscriptionMethod
from statuspage.settings import Settings
from statuspage.worker import Worker
from tests import builders, chatserver, rawserver, servers
from tests.chatserver import ChatServer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATH = "/T000/sEcReTpart"
WEBHOOK = SubscriptionMethod.WEBHOOK


@pytest.fixture
def settings(settings: Settings, chat_server: ChatServer) -> Settings:
    return replace(settings, guard_allow=frozenset({f"127.0.0.1:{chat_server.port}"}))


@pytest.fixture
def worker(settings: Settings, writer: str, now: datetime) -> Iterator[Worker]:
    made = Worker(settings, transport_for(settings))
    yield made
    made.finish(now)


def endpoint(url: str, now: datetime, method: SubscriptionMethod = WEBHOOK, **values: Any) -> str:
    """Return the id of an active subscription of an endpoint."""
    who = identity("owner@example.com", method, url)
    subscriber = Subscriber(**who, secret=SECRET, state=Subscriber.ACTIVE, requested_at=now, **values)
    db.session.add(subscriber)
    db.session.commit()
    return str(subscriber.id)


def deliveries(lane: int = announcements.ENDPOINT_LANE) -> list[Delivery]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(select(Delivery).where(Delivery.lane == lane).order_by(Delivery.id)))


def states() -> list[str]:
    return [row.state for row in deliveries()]


def subscriber(subscriber_id: str) -> Subscriber:
    return db.session.get_one(Subscriber, subscriber_id, populate_existing=True)


def announce(writer: str, incident_id: str, now: datetime, kind: MessageKind = MessageKind.ACKNOWLEDGE) -> None:
    builders.post(kind, incident_id, {}, writer, now)


def work(worker: Worker, now: datetime) -> None:
    """Do what is due, and settle it."""
    while worker.tick(now):
        pass
    worker.finish(now)


def told_owner() -> list[dict[str, Any]]:
    kinds = select(Announcement).where(Announcement.kind == "endpoint_disabled")
    return [{"to": each.address, **(each.detail or {})} for each in db.session.scalars(kinds)]


# --- what arrives ----------------------------------------------------------


def test_a_webhook_gets_the_update_signed_with_its_own_way_out(
    worker: Worker, writer: str, incident_id: str, settings: Settings, chat_server: ChatServer
) -> None:
    # Whoever verifies looks at the clock.
    now = datetime.now(UTC)
    id_ = endpoint(f"{chat_server.url}{PATH}?key=1", now)
    announce(writer, incident_id, now)
    work(worker, now)
    (taken,) = chat_server.taken
    assert taken.path == f"{PATH}?key=1"
    assert taken.headers["Content-Type"].startswith("application/json")
    headers = {name.lower(): value for name, value in taken.headers.items()}
    assert Webhook(SECRET).verify(taken.content, headers) == taken.body
    assert taken.body["incident"]["id"] == incident_id
    way_out = taken.body["meta"]["unsubscribe"]
    assert read_token(settings, Purpose.UNSUBSCRIBE, way_out.rpartition("/")[2]) == id_
    assert states() == ["submitted"]


@pytest.mark.parametrize(
    ("method", "shown"),
    [
        (SubscriptionMethod.SLACK, lambda body: body["text"]),
        (SubscriptionMethod.DISCORD, lambda body: body["content"]),
        (SubscriptionMethod.TEAMS, lambda body: json.dumps(body["attachments"], ensure_ascii=False)),
    ],
)
def test_a_chat_room_gets_the_update_in_its_own_shape(
    method: SubscriptionMethod,
    shown: Any,
    worker: Worker,
    writer: str,
    incident_id: str,
    chat_server: ChatServer,
    now: datetime,
) -> None:
    endpoint(f"{chat_server.url}{PATH}", now, method)
    announce(writer, incident_id, now)
    work(worker, now)
    text = shown(chat_server.taken[0].body)
    for part in (
        "Larkspur: Sign-in fails",
        "Investigating",
        "Next update by",
        "Signing in may fail",
        "Sign-in: Outage",
    ):
        assert part in text
    assert "webhook-signature" not in {name.lower() for name in chat_server.taken[0].headers}


def test_a_chat_room_is_told_in_the_language_that_was_chosen_there(
    worker: Worker, writer: str, incident_id: str, chat_server: ChatServer, now: datetime
) -> None:
    branding.edit_languages("fr", ("de",), writer, now)
    for language in ("de", "", "en"):
        endpoint(f"{chat_server.url}/{language or 'own'}", now, SubscriptionMethod.SLACK, language=language)
    announce(writer, incident_id, now)
    work(worker, now)
    told = {each.path: str(each.body) for each in chat_server.taken}
    assert "Wird untersucht, 21. Nov. 2026" in told["/de"]
    assert "Nächste Meldung bis" in told["/de"]
    assert "Prochain message" in told["/own"]
    # What is offered no more is answered in the page's own.
    assert told["/en"] == told["/own"]


def test_a_change_by_hand_reaches_who_asked_for_it(
    worker: Worker, writer: str, chat_server: ChatServer, now: datetime
) -> None:
    component_id = builders.component(now, "Search")
    endpoint(f"{chat_server.url}/program", now, wants_component_changes=True)
    endpoint(f"{chat_server.url}/room", now, SubscriptionMethod.SLACK, wants_component_changes=True)
    endpoint(f"{chat_server.url}/incidents-only", now)
    builders.components.edit_component(component_id, "Search", "", "", ComponentState.DEGRADED, writer, now)
    work(worker, now)
    taken = {each.path: each.body for each in chat_server.taken}
    assert taken.keys() == {"/program", "/room"}
    assert taken["/program"]["component_update"]["new_status"] == "degraded_performance"
    assert taken["/room"]["text"].startswith("Larkspur: Search is degraded: Was: Operational.")


# --- nobody waits for another ----------------------------------------------


def test_one_that_hangs_delays_nobody_else(
    worker: Worker, writer: str, incident_id: str, chat_server: ChatServer, now: datetime
) -> None:
    chat_server.mode = "only:/hanging:hang"
    endpoint(f"{chat_server.url}/hanging", now)
    for number in range(8):
        endpoint(f"{chat_server.url}/{number}", now)
    announce(writer, incident_id, now)
    announce(writer, incident_id, now + timedelta(seconds=1), MessageKind.UPDATE)
    while worker.tick(now + timedelta(seconds=1)):
        pass
    chat_server.wait_for(17)
    while worker.tick(now + timedelta(seconds=1)):
        pass
    # One at a time: what comes next for the hanging one waits for it.
    assert sorted(states()) == ["leased", "queued", *["submitted"] * 16]
    chat_server.ending.set()
    end = time.monotonic() + servers.PATIENCE
    # Its second message is due once its first is settled.
    while set(states()) != {"submitted"} and time.monotonic() < end:
        worker.tick(now + timedelta(seconds=1))
    assert states() == ["submitted"] * 18


def test_a_hundred_that_hang_do_not_hold_up_the_others(
    settings: Settings,
    writer: str,
    incident_id: str,
    chat_server: ChatServer,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with chatserver.running() as hanging:
        hanging.mode = "hang"
        opened = settings.guard_allow | {f"127.0.0.1:{hanging.port}"}
        worker = Worker(replace(settings, guard_allow=opened), transport_for(settings))
        for number in range(100):
            endpoint(f"{hanging.url}/{number}", now, failing_since=now)
        for number in range(20):
            endpoint(f"{chat_server.url}/{number}", now)
        announce(writer, incident_id, now)
        begun = time.monotonic()
        while len(chat_server.taken) < 20:
            worker.tick(now)
            assert time.monotonic() - begun < 10
        assert len(hanging.taken) <= 4
        hanging.ending.set()
        worker.finish(now)


def test_one_that_hangs_for_the_first_time_gives_its_place_to_the_next(
    worker: Worker,
    writer: str,
    incident_id: str,
    chat_server: ChatServer,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint_posts, "AT_ONCE", 1)
    monkeypatch.setattr(endpoint_posts, "HANGS_AFTER_SECONDS", 0.3)
    chat_server.mode = "only:/first:hang"
    endpoint(f"{chat_server.url}/first", now, id="aaaaaaaaaaaa")
    endpoint(f"{chat_server.url}/second", now, id="bbbbbbbbbbbb")
    announce(writer, incident_id, now)
    end = time.monotonic() + 8
    while "/second" not in {each.path for each in chat_server.taken}:
        worker.tick(now)
        assert time.monotonic() < end
    chat_server.ending.set()


def test_two_workers_do_not_post_to_one_endpoint_at_once(
    worker: Worker, writer: str, incident_id: str, chat_server: ChatServer, now: datetime
) -> None:
    endpoint(f"{chat_server.url}/x", now)
    announce(writer, incident_id, now)
    announce(writer, incident_id, now, MessageKind.UPDATE)
    while announcements.expand(audiences.audience, now):
        pass
    assert outbox.claim_for_endpoint("another", (), 10, now) is not None
    assert outbox.claim_for_endpoint("this", (), 10, now) is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_looking_for_posts_does_not_read_what_was_delivered_long_ago(
    writer: str, incident_id: str, chat_server: ChatServer, now: datetime
) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []

    def note(_connection: object, _cursor: object, statement: str, values: tuple[object, ...], *_: object) -> None:
        if statement.startswith("SELECT") and "FROM deliveries" in statement:
            asked.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    outbox.claim_for_endpoint("one", ("busy00000000",), 10, now)
    event.remove(db.engine, "before_cursor_execute", note)
    assert asked
    for statement, values in asked:
        plan = [row[-1] for row in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
        assert not [step for step in plan if "SCAN" in step and "USING" not in step], plan


# --- what an answer means --------------------------------------------------


@pytest.mark.parametrize("mode", ["redirect", "400", "404", "429", "500", "503"])
def test_what_is_not_taken_is_tried_again_and_counted(
    mode: str, worker: Worker, writer: str, incident_id: str, chat_server: ChatServer, now: datetime
) -> None:
    chat_server.mode = mode
    id_ = endpoint(f"{chat_server.url}{PATH}", now)
    announce(writer, incident_id, now)
    work(worker, now)
    assert (states(), subscriber(id_).failing_since, len(chat_server.taken)) == (["queued"], now, 1)
    chat_server.mode = "ok"
    later = now + timedelta(seconds=2)
    work(worker, later)
    assert (states(), subscriber(id_).failing_since) == (["submitted"], None)
    # The same id each time, so that a second copy can be told from a second update.
    ids = {taken.headers.get("webhook-id", taken.headers.get("Webhook-Id")) for taken in chat_server.taken}
    assert len(chat_server.taken) == 2
    assert len(ids) == 1


def test_an_answer_that_asks_to_wait_is_obeyed(
    worker: Worker, writer: str, incident_id: str, chat_server: ChatServer, now: datetime
) -> None:
    chat_server.mode, chat_server.answer_headers = "429", {"Retry-After": "90"}
    endpoint(f"{chat_server.url}{PATH}", now)
    announce(writer, incident_id, now)
    work(worker, now)
    assert deliveries()[0].not_before == now + timedelta(seconds=90)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("", 0), ("soon", 0), ("-5", 0), ("7", 7), ("999999999999", 3_600), ("１", 0)),
        ("Sat, 21 Nov 2026 14:01:00 GMT", 60),
        ("Sat, 21 Nov 2026 13:00:00 GMT", 0),
    ],
)
def test_how_long_an_answer_asks_to_wait(text: str, seconds: float, now: datetime) -> None:
    assert endpoints._retry_after(guard.Answer(429, {"retry-after": text}, b""), now) == seconds


def test_an_answer_that_went_missing_is_unknown_and_tried_once_more(
    worker: Worker, writer: str, incident_id: str, chat_server: ChatServer, now: datetime
) -> None:
    chat_server.mode = "reset"
    id_ = endpoint(f"{chat_server.url}{PATH}", now)
    announce(writer, incident_id, now)
    work(worker, now)
    (row,) = deliveries()
    assert (row.state, row.was_unknown, subscriber(id_).failing_since) == ("unknown", True, now)
    later = now + outbox.UNKNOWN_WAIT
    work(worker, later)
    assert (states(), len(chat_server.taken)) == (["dead"], 2)


def test_nobody_there_is_tried_again(worker: Worker, writer: str, incident_id: str, now: datetime) -> None:
    id_ = endpoint("https://hooks.invalid/x", now)
    announce(writer, incident_id, now)
    work(worker, now)
    assert [(row.state, row.error) for row in deliveries()] == [
        ("queued", "Webhook can't be reached: its host is not found.")
    ]
    assert subscriber(id_).failing_since == now


def test_one_that_came_to_lead_inside_gets_nothing(
    worker: Worker, writer: str, incident_id: str, now: datetime
) -> None:
    with rawserver.running(rawserver.says(rawserver.OK)) as inside:
        endpoint(f"http://{inside.place}/metadata", now)
        announce(writer, incident_id, now)
        work(worker, now)
        assert inside.connections == 0
    assert [row.error for row in deliveries()] == ["The address of this Webhook may not be posted to."]


def test_no_transaction_is_open_while_an_endpoint_is_waited_for(
    worker: Worker,
    writer: str,
    incident_id: str,
    chat_server: ChatServer,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bool] = []

    def look(_self: object, seconds: float = 0, enough: int | None = None) -> list[Receipt]:
        seen.append(db.session().in_transaction())
        return []

    monkeypatch.setattr(endpoint_posts.posts.Posts, "collect", look)
    endpoint(f"{chat_server.url}{PATH}", now)
    announce(writer, incident_id, now)
    worker.tick(now)
    assert seen
    assert not any(seen)


def test_what_can_not_be_written_holds_up_no_other(
    worker: Worker, writer: str, incident_id: str, chat_server: ChatServer, now: datetime
) -> None:
    endpoint(f"{chat_server.url}/broken", now)
    db.session.query(Subscriber).update({"secret": "whsec_"})
    db.session.commit()
    endpoint(f"{chat_server.url}/well", now)
    announce(writer, incident_id, now)
    for minutes in range(4):
        work(worker, now + timedelta(minutes=minutes))
    assert sorted(states()) == ["dead", "submitted"]
    assert [taken.path for taken in chat_server.taken] == ["/well"]


# --- the end of a subscription ---------------------------------------------


def test_one_that_says_to_be_gone_is_disabled_at_once_and_its_owner_told(
    worker: Worker, writer: str, incident_id: str, chat_server: ChatServer, now: datetime
) -> None:
    chat_server.mode = "410"
    id_ = endpoint(f"{chat_server.url}{PATH}", now)
    announce(writer, incident_id, now)
    work(worker, now)
    assert (states(), subscriber(id_).state) == (["dead"], Subscriber.DISABLED)
    assert told_owner() == [{"to": "owner@example.com", "method": "webhook", "host": "127.0.0.1", "is_gone": True}]
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "disable")).one()
    assert (entry.object_id, "sEcReT" in str(entry.detail)) == (id_, False)
    announce(writer, incident_id, now, MessageKind.UPDATE)
    work(worker, now)
    assert (len(states()), len(chat_server.taken), len(told_owner())) == (1, 1, 1)


def test_one_that_takes_nothing_for_five_days_is_disabled_and_its_owner_told_once(
    worker: Worker, writer: str, incident_id: str, chat_server: ChatServer, now: datetime
) -> None:
    chat_server.mode = "500"
    id_ = endpoint(f"{chat_server.url}{PATH}", now)
    announce(writer, incident_id, now)
    work(worker, now)
    moment = now + timedelta(days=5) - timedelta(seconds=1)
    announce(writer, incident_id, moment, MessageKind.UPDATE)
    work(worker, moment)
    assert (subscriber(id_).state, told_owner()) == (Subscriber.ACTIVE, [])
    work(worker, now + timedelta(days=5, minutes=40))
    assert subscriber(id_).state == Subscriber.DISABLED
    assert [each["is_gone"] for each in told_owner()] == [False]
    work(worker, now + timedelta(days=6))
    assert (set(states()) <= {"queued", "dead", "cancelled", "superseded"}, len(told_owner())) == (True, 1)
    assert "queued" not in states()


def test_a_success_in_between_begins_the_five_days_anew(
    worker: Worker, writer: str, incident_id: str, chat_server: ChatServer, now: datetime
) -> None:
    id_ = endpoint(f"{chat_server.url}{PATH}", now)
    kinds = iter([MessageKind.ACKNOWLEDGE, *[MessageKind.UPDATE] * 2])
    for days, mode in ((0, "500"), (4, "ok"), (6, "500")):
        chat_server.mode = mode
        moment = now + timedelta(days=days)
        announce(writer, incident_id, moment, next(kinds))
        work(worker, moment)
    assert subscriber(id_).state == Subscriber.ACTIVE
    assert subscriber(id_).failing_since == now + timedelta(days=6)


def test_the_owners_mail_names_the_host_and_nothing_else_of_the_address(
    worker: Worker, writer: str, incident_id: str, settings: Settings, chat_server: ChatServer, now: datetime
) -> None:
    chat_server.mode = "410"
    endpoint(f"{chat_server.url}{PATH}", now, SubscriptionMethod.SLACK)
    announce(writer, incident_id, now)
    work(worker, now)
    told = db.session.scalars(select(Announcement).where(Announcement.kind == "endpoint_disabled")).one()
    mail = composition.compose(told, settings)
    assert mail.subject == "[Larkspur status] Your Slack subscription has ended"
    for text in (mail.text, mail.html):
        assert "127.0.0.1" in text
        assert "410" in text
        assert "http://status.example.com/subscribe" in text
        assert "sEcReT" not in text
    (row,) = deliveries(announcements.SECURITY_LANE)
    assert (row.address, row.state) == ("owner@example.com", "submitted")


def test_whoever_unsubscribed_gets_nothing_that_waits(
    worker: Worker, writer: str, incident_id: str, chat_server: ChatServer, now: datetime
) -> None:
    chat_server.mode = "500"
    id_ = endpoint(f"{chat_server.url}{PATH}", now)
    announce(writer, incident_id, now)
    work(worker, now)
    subscriptions.unsubscribe(id_, now)
    work(worker, now + timedelta(minutes=1))
    assert (states(), len(chat_server.taken)) == (["cancelled"], 1)


# --- secrets ---------------------------------------------------------------


# What a log says is the same on both databases.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("mode", ["echo", "redirect", "500", "reset", "410"])
@pytest.mark.parametrize("method", [WEBHOOK, SubscriptionMethod.SLACK])
def test_no_error_and_no_log_repeats_the_address(
    mode: str,
    method: SubscriptionMethod,
    worker: Worker,
    writer: str,
    incident_id: str,
    chat_server: ChatServer,
    now: datetime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    chat_server.mode = mode
    endpoint(f"{chat_server.url}{PATH}?token=sEcReTtoken", now, method)
    announce(writer, incident_id, now)
    work(worker, now)
    (row,) = deliveries()
    assert row.error
    kept = [record.getMessage() for record in caplog.records if not record.name.startswith("sqlalchemy")]
    assert not [text for text in (row.error, *kept) if "sEcReT" in text or SECRET in text]


def test_of_an_answer_the_beginning_is_kept_as_plain_text(settings: Settings, now: datetime, app: Flask) -> None:
    page = b"<script>alert(1)</script>\0\r\n" + b"x" * 10_000
    answer = f"HTTP/1.1 500 No\r\nContent-Length: {len(page)}\r\n\r\n".encode() + page
    with rawserver.running(rawserver.says(answer)) as server:
        post = endpoints.Post(WEBHOOK, f"http://{server.place}/hook", b"{}", {})
        posted = endpoints.send(post, {server.place}, now)
    assert posted.outcome is Outcome.LATER
    assert posted.error.startswith("Webhook answered 500 (<script>alert(1)</script> x")
    assert len(posted.error) < 400
    assert "\0" not in posted.error
    shown = app.jinja_env.from_string("{{ error }}").render(error=posted.error)
    assert "<script>" not in shown
