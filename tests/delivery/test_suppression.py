"""Addresses that must be left alone: onto the list, off it, and off the provider's own."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select

from statuspage.actions.receipts import take_events
from statuspage.db import db, transaction
from statuspage.delivery import sendgrid_suppressions, suppression
from statuspage.delivery.providers import transport_for
from statuspage.delivery.suppression import Why
from statuspage.delivery.transport import ChannelDown
from statuspage.models import Delivery, SoftBounce, Suppression
from statuspage.settings import Settings
from statuspage.worker import Worker
from tests import builders
from tests.events import customer, delivery, event, state_of, subscriber, suppressions

ADA = "ada@example.com"
MINUTE = timedelta(minutes=1)
SECRET = "a key that is kept"

pytestmark = pytest.mark.usefixtures("app")


def suppress(address: str, now: datetime, reason: str = Suppression.BOUNCE, **about: Any) -> set[str]:
    with transaction(now) as session:
        why = Why(reason, about.pop("detail", "550 5.1.1"), about.pop("occurred_at", now), **about)
        return suppression.suppress(session, {address: why}, now)


def lift(address: str, now: datetime, *secrets: str) -> bool:
    with transaction(now) as session:
        return suppression.lift(session, address, now, secret_keys=secrets)


def only_row() -> Suppression:
    db.session.rollback()
    return db.session.scalars(select(Suppression).execution_options(populate_existing=True)).one()


# --- the list ---------------------------------------------------------------


def test_addresses_are_found_whatever_their_letters(now: datetime) -> None:
    suppress(ADA, now)
    given = ["Ada@Example.com", ADA, "bob@example.com"]
    assert suppression.suppressed(db.session(), given) == {"Ada@Example.com", ADA}
    assert suppression.suppressed(db.session(), []) == set()


def test_a_lifted_address_is_written_to_again(now: datetime) -> None:
    suppress(ADA, now)
    assert lift("ADA@example.com", now) is True
    assert suppression.suppressed(db.session(), [ADA]) == set()
    assert lift(ADA, now) is True
    assert lift("stranger@example.com", now) is True


def test_a_complaint_is_not_lifted_by_its_owner(now: datetime) -> None:
    suppress(ADA, now, Suppression.COMPLAINT)
    assert lift(ADA, now) is False
    assert suppressions() == {ADA: "complaint"}


def test_lifting_forgets_the_refusals_too(now: datetime) -> None:
    suppress(ADA, now)
    with transaction(now) as session:
        session.add(SoftBounce(address_key=ADA, count=4, first_at=now, last_at=now))
    lift(ADA, now)
    assert db.session.scalars(select(SoftBounce)).all() == []


@pytest.mark.parametrize(
    ("reason", "minutes", "mirrored", "again"),
    [
        ("bounce", 1, False, True),
        ("bounce", -1, False, False),
        ("complaint", -1, False, True),
        ("bounce", 1, True, False),
        ("complaint", 1, True, False),
    ],
)
def test_what_is_older_than_the_lift_does_not_undo_it(
    reason: str, minutes: int, mirrored: bool, again: bool, now: datetime
) -> None:
    suppress(ADA, now - 9 * MINUTE)
    lift(ADA, now)
    later = now + 9 * MINUTE
    suppress(ADA, later, reason, occurred_at=now + minutes * MINUTE, is_mirrored=mirrored)
    assert (ADA in suppressions()) is again
    row = only_row()
    assert (row.lifted_at is None) is (row.clear_at is None) is again


def test_what_the_provider_dropped_while_it_was_forgetting_tells_nothing_new(now: datetime) -> None:
    suppress(ADA, now)
    lift(ADA, now)
    (lifted,) = suppression.claim_lifted(now)
    suppression.mark_cleared(lifted, now + MINUTE)
    suppress(ADA, now + 9 * MINUTE, occurred_at=now + 2 * MINUTE, is_mirrored=True)
    assert suppressions() == {}
    suppress(ADA, now + 90 * MINUTE, occurred_at=now + 80 * MINUTE, is_mirrored=True)
    assert suppressions() == {ADA: "bounce"}


def test_an_erased_address_is_still_left_alone(now: datetime) -> None:
    suppress(ADA, now, Suppression.COMPLAINT, detail="<ada@example.com> complained")
    with transaction(now) as session:
        suppression.erase(session, "Ada@example.com", SECRET)
    row = only_row()
    assert ADA not in f"{row.address_key} {row.detail}"
    assert suppression.suppressed(db.session(), [ADA]) == set()
    assert suppression.suppressed(db.session(), [ADA, "bob@example.com"], ["a newer key", SECRET]) == {ADA}
    assert lift(ADA, now, SECRET) is False


def test_an_erased_bounce_is_lifted_when_its_owner_comes_back(now: datetime) -> None:
    for bounced_again in (False, True):
        suppress(ADA, now)
        with transaction(now) as session:
            suppression.erase(session, ADA, SECRET)
        if bounced_again:
            suppress(ADA, now)
        assert lift(ADA, now, SECRET) is True
        assert suppression.suppressed(db.session(), [ADA], [SECRET]) == set()
        assert (only_row().address_key, only_row().clear_at) == (ADA, now)


@pytest.mark.parametrize(
    ("answer", "expected"), [("550 5.1.1 unknown user", True), ("550 5.7.1 policy", False), ("452 full", False)]
)
def test_a_refusal_by_smtp_counts_if_it_blames_the_address(answer: str, expected: bool, now: datetime) -> None:
    someone, buyer = subscriber(ADA, now), customer(ADA, now)
    waiting = [
        delivery("Ada@example.com", now, Delivery.QUEUED, subscriber_id=someone, attempts=0, batch=""),
        delivery("Ada@example.com", now, Delivery.QUEUED, customer_id=buyer, attempts=0, batch=""),
    ]
    with transaction(now) as session:
        assert suppression.note_refusal(session, "Ada@example.com", answer, now) is expected
    assert suppressions() == ({ADA: "bounce"} if expected else {})
    assert {state_of(each) for each in waiting} == {Delivery.CANCELLED if expected else Delivery.QUEUED}


# --- the provider's own lists -----------------------------------------------


class Stand(BaseHTTPRequestHandler):
    """SendGrid's suppression API; ``behaviour`` maps a path's ending to the status of its answer."""

    behaviour: dict[str, int]
    asked: list[str]

    def do_DELETE(self) -> None:
        self.asked.append(self.path)
        assert self.headers["Authorization"] == "Bearer SG.test"
        found = (status for name, status in self.behaviour.items() if name in self.path)
        self.send_response(next(found, 204))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def stand() -> Iterator[type[Stand]]:
    made = type("Running", (Stand,), {"behaviour": {}, "asked": [], "url": ""})
    server = ThreadingHTTPServer(("127.0.0.1", 0), made)
    made.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def worker(settings: Settings, stand: type[Stand], now: datetime) -> Worker:
    builders.page(now)
    url: str = stand.url  # type: ignore[attr-defined]
    using = replace(settings, sendgrid_api_key="SG.test", sendgrid_url=url, mail_from="status@example.com")
    return Worker(using, transport_for(using))


def names(stand: type[Stand]) -> list[str]:
    return [path.removeprefix("/v3/suppression/").partition("/")[0] for path in stand.asked]


def test_the_worker_has_the_provider_forget_a_lifted_address_once(
    worker: Worker, stand: type[Stand], now: datetime
) -> None:
    suppress("a+b/c@example.com", now)
    worker.tick(now)
    assert stand.asked == []
    lift("a+b/c@example.com", now)
    worker.tick(now)
    worker.tick(now + 90 * MINUTE)
    assert names(stand) == ["bounces", "blocks", "invalid_emails"]
    assert stand.asked[0] == "/v3/suppression/bounces/a%2Bb%2Fc%40example.com"
    assert (only_row().cleared_at, only_row().clear_at) == (now, None)


def test_a_complaint_is_taken_off_its_own_list_too(worker: Worker, stand: type[Stand], now: datetime) -> None:
    stand.behaviour = {"blocks": 404, "invalid_emails": 404}
    suppress(ADA, now, Suppression.COMPLAINT)
    with transaction(now) as session:
        suppression.lift_row(session, session.scalars(select(Suppression)).one(), now)
    worker.tick(now)
    assert "spam_reports" in names(stand)
    assert only_row().cleared_at == now


# What is kept of it is tried on both databases above.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("status", "asked"), [(500, 1), (429, 1), (401, 1), (403, 1), (400, 3), (302, 3)])
def test_whatever_the_provider_answers_it_is_asked_again_later(
    status: int, asked: int, worker: Worker, stand: type[Stand], now: datetime
) -> None:
    stand.behaviour = {"bounces": status}
    suppress(ADA, now)
    lift(ADA, now)
    worker.tick(now)
    worker.tick(now + timedelta(seconds=2))
    assert len(stand.asked) == asked
    assert only_row().cleared_at is None
    stand.behaviour.clear()
    worker.tick(now + 11 * MINUTE)
    assert only_row().cleared_at == now + 11 * MINUTE


def test_one_address_that_is_refused_holds_up_no_other(worker: Worker, stand: type[Stand], now: datetime) -> None:
    stand.behaviour = {"ada": 400}
    for number, address in enumerate((ADA, "bob@example.com", "eve@example.com")):
        suppress(address, now)
        lift(address, now + timedelta(seconds=number))
    later = now + MINUTE
    while worker.tick(later):
        pass
    waiting = select(Suppression.address_key).where(Suppression.clear_at.is_not(None))
    assert db.session.scalars(waiting).all() == [ADA]


def test_a_provider_that_is_away_is_left_alone_for_all_addresses(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    builders.page(now)
    calls: list[str] = []

    def away(_key: str, _url: str, address: str, **_: object) -> bool:
        calls.append(address)
        raise ChannelDown("away", 60)

    monkeypatch.setattr(sendgrid_suppressions, "forget", away)
    using = replace(settings, sendgrid_api_key="SG.test", mail_from="status@example.com")
    worker = Worker(using, transport_for(using))
    for address in (ADA, "bob@example.com", "eve@example.com"):
        suppress(address, now)
        lift(address, now)
    for seconds in range(0, 59, 10):
        worker.tick(now + timedelta(seconds=seconds))
    assert len(calls) == 1


def test_an_address_that_bounced_again_meanwhile_stays_on_the_list(now: datetime) -> None:
    suppress(ADA, now)
    lift(ADA, now)
    (lifted,) = suppression.claim_lifted(now)
    suppress(ADA, now + MINUTE)
    suppression.mark_cleared(lifted, now + 2 * MINUTE)
    assert (suppressions(), only_row().cleared_at) == ({ADA: "bounce"}, None)


def test_who_sends_otherwise_has_nobody_to_ask(settings: Settings, now: datetime) -> None:
    builders.page(now)
    suppress(ADA, now)
    lift(ADA, now)
    Worker(settings, transport_for(settings)).tick(now)
    assert only_row().cleared_at == now


def test_a_silent_provider_is_left_after_the_deadline(monkeypatch: pytest.MonkeyPatch, stand: type[Stand]) -> None:
    monkeypatch.setattr(sendgrid_suppressions, "TOTAL_DEADLINE_SECONDS", 0)
    with pytest.raises(ChannelDown, match="within the deadline"):
        sendgrid_suppressions.forget("SG.test", stand.url, ADA, complaint=False)  # type: ignore[attr-defined]


def test_a_dropped_mail_right_after_the_lift_does_not_suppress_again(
    worker: Worker, stand: type[Stand], now: datetime
) -> None:
    suppress(ADA, now)
    lift(ADA, now)
    mail = delivery(ADA, now)
    worker.tick(now)
    take_events([event("dropped", mail, ADA, now, reason="Bounced Address")], now + MINUTE)
    assert state_of(mail) == Delivery.DROPPED
    assert suppressions() == {}
    assert stand.asked
