"""The worker: from an announcement to a mailbox, whatever breaks on the way."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text, update

from statuspage import clock
from statuspage.actions import audiences, customers, expiry, personal_data
from statuspage.db import db, transaction
from statuspage.delivery import announcements, outbox
from statuspage.delivery.providers import transport_for
from statuspage.models import (
    Account,
    Announcement,
    Customer,
    CustomerComponent,
    Delivery,
    Document,
    Heartbeat,
    Incident,
    ProviderEvent,
    Subscriber,
)
from statuspage.rules.vocabulary import MessageKind
from statuspage.settings import Settings
from statuspage.worker import Worker
from tests import builders
from tests.delivery.conftest import subscribed
from tests.mailservers import MailServer


def work(worker: Worker, now: datetime) -> None:
    """Tick until there is nothing more to do at this moment."""
    while worker.tick(now):
        pass
    db.session.rollback()
    db.session.expire_all()


def states() -> list[str]:
    query = select(Delivery.state).join(Delivery.announcement).where(Announcement.kind == "incident_update")
    return sorted(db.session.scalars(query))


@pytest.fixture
def announced(incident_id: str, writer: str, now: datetime) -> str:
    for number in range(3):
        subscribed(f"reader{number}@example.com", now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {}, writer, now)
    return incident_id


@pytest.mark.parametrize("kind", ["smtp", "sendgrid"])
def test_an_update_reaches_every_mailbox_once(
    kind: str, announced: str, request: pytest.FixtureRequest, now: datetime
) -> None:
    settings: Settings = request.getfixturevalue(f"{kind}_settings")
    server: MailServer = request.getfixturevalue(f"{kind}_server")
    worker = Worker(settings, transport_for(settings))
    work(worker, now)
    work(worker, now + timedelta(hours=1))
    mails = [mail for mail in server.mails() if mail["Subject"].endswith("Sign-in fails")]
    assert sorted(mail["To"] for mail in mails) == [f"reader{number}@example.com" for number in range(3)]
    assert states() == ["submitted"] * 3


def direct_email(incident_id: str, by: str, now: datetime) -> None:
    """Announce a direct e-mail to customers."""
    with transaction(now) as session:
        document = Document(
            incident_id=incident_id, kind="direct_email", state="draft", fields={}, author_id=by, body="Sorry.",
            body_html="<p>Sorry.</p>", created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(document)
        session.flush()
        incident = session.get_one(Incident, incident_id)
        announcements.announce_to_customers(session, "document", document.id, incident, now)


@pytest.mark.parametrize("kind", ["smtp", "sendgrid"])
def test_a_direct_email_reaches_customers_and_subscribers_each_in_their_own_words(
    kind: str, incident_id: str, writer: str, request: pytest.FixtureRequest, now: datetime
) -> None:
    settings: Settings = request.getfixturevalue(f"{kind}_settings")
    server: MailServer = request.getfixturevalue(f"{kind}_server")
    for number in range(3):
        subscribed(f"reader{number}@example.com", now)
    rows = [customers.Row(number, f"user{number}@example.com", "", ()) for number in range(3)]
    assert len(list(customers.import_customers(rows, now))) == 3
    direct_email(incident_id, writer, now)
    work(Worker(settings, transport_for(settings)), now)
    mails = {mail["To"]: mail for mail in server.mails() if mail["Subject"] == "[Larkspur status] Sign-in fails"}
    assert len(mails) == 6
    for address, mail in mails.items():
        text = mail.get_body(("plain",))
        assert text is not None
        is_customer = address.startswith("user")
        assert ("because you use Larkspur." in text.get_content()) is is_customer
        assert ("List-Unsubscribe" not in mail) is is_customer
        assert "" not in mail.values()


def test_a_batch_holds_customers_or_subscribers_and_all_get_their_turn(
    incident_id: str, writer: str, now: datetime
) -> None:
    for number in range(6):
        subscribed(f"reader{number}@example.com", now)
    list(customers.import_customers([customers.Row(n, f"user{n}@example.com", "", ()) for n in range(6)], now))
    direct_email(incident_id, writer, now)
    while announcements.expand(audiences.audience, now):
        pass
    addresses = []
    while (batch := outbox.claim("one", 4, now)) is not None:
        if batch.announcement.kind == "document":
            assert {each.customer_id is not None for each in batch.deliveries} == {batch.is_to_customers}
            addresses += [each.address for each in batch.deliveries]
    assert len(addresses) == len(set(addresses)) == 12


def test_a_customer_who_is_removed_before_their_turn_gets_nothing(incident_id: str, writer: str, now: datetime) -> None:
    list(customers.import_customers([customers.Row(2, "user@example.com", "", ())], now))
    direct_email(incident_id, writer, now)
    while announcements.expand(audiences.audience, now):
        pass
    with transaction(now) as session:
        session.execute(update(Delivery).values(customer_id=None))
        session.execute(delete(CustomerComponent))
        session.execute(delete(Customer))
    batch = outbox.claim("one", 4, now)
    assert batch is not None
    assert batch.deliveries == ()
    assert db.session.scalars(select(Delivery.state)).all() == ["cancelled"]


def test_without_a_provider_mails_are_files(announced: str, settings: Settings, now: datetime) -> None:
    work(Worker(settings, transport_for(settings)), now)
    assert len(list(Path(settings.outbox_dir).glob("*.eml"))) == 3
    assert states() == ["submitted"] * 3


def test_a_provider_that_takes_nothing_burns_no_attempt(
    announced: str, sendgrid_settings: Settings, sendgrid_server: MailServer, now: datetime
) -> None:
    sendgrid_server.behave("401")
    worker = Worker(sendgrid_settings, transport_for(sendgrid_settings))
    work(worker, now)
    work(worker, now + timedelta(seconds=299))
    assert {row.attempts for row in db.session.scalars(select(Delivery))} == {0}
    sendgrid_server.behave("ok")
    work(worker, now + timedelta(seconds=301))
    assert states() == ["submitted"] * 3


def test_a_lost_answer_is_tried_once_more_and_marked(
    announced: str, sendgrid_settings: Settings, sendgrid_server: MailServer, now: datetime
) -> None:
    worker = Worker(sendgrid_settings, transport_for(sendgrid_settings))
    sendgrid_server.behave("reset")
    work(worker, now)
    sendgrid_server.behave("ok")
    work(worker, now + timedelta(seconds=60))
    assert len(sendgrid_server.mails()) == 3
    work(worker, now + timedelta(seconds=121))
    assert states() == ["submitted"] * 3
    assert len(sendgrid_server.mails()) == 6
    assert all(
        row.was_unknown for row in db.session.scalars(select(Delivery)) if row.announcement.kind == "incident_update"
    )


def test_a_provider_in_trouble_is_asked_with_one_mail_at_a_time(
    announced: str, sendgrid_settings: Settings, sendgrid_server: MailServer, now: datetime
) -> None:
    for number in range(4, 8):
        subscribed(f"reader{number}@example.com", now)
    worker = Worker(sendgrid_settings, transport_for(sendgrid_settings))
    sendgrid_server.behave("500")
    work(worker, now)
    assert states() == ["unknown"] * 7
    builders.post(MessageKind.UPDATE, announced, {}, account(), now)
    work(worker, now + timedelta(seconds=9))
    assert states() == ["queued"] * 7 + ["unknown"] * 7
    for seconds in (11, 32, 73):
        work(worker, now + timedelta(seconds=seconds))
    assert states() == ["queued"] * 4 + ["unknown"] * 10
    sendgrid_server.behave("ok")
    work(worker, now + timedelta(minutes=10))
    assert states() == ["submitted"] * 14


def account() -> str:
    return db.session.scalars(select(Account.id)).first() or ""


def test_an_announcement_that_can_not_be_written_does_not_hold_up_the_others(
    announced: str, writer: str, settings: Settings, now: datetime
) -> None:
    poisoned = db.session.scalars(select(Announcement.id).where(Announcement.kind == "incident_update")).one()
    db.session.execute(update(Announcement).where(Announcement.id == poisoned).values(subject_id="nosuchthing0"))
    db.session.commit()
    builders.post(MessageKind.UPDATE, announced, {}, writer, now)
    worker = Worker(settings, transport_for(settings))
    for minutes in range(5):
        work(worker, now + timedelta(minutes=minutes))
    assert states() == ["dead"] * 3 + ["submitted"] * 3
    dead = db.session.scalars(select(Delivery).where(Delivery.state == "dead")).first()
    assert dead is not None
    assert dead.error == "This mail can't be written: the update is gone"
    assert dead.attempts == 3


def test_an_announcement_whose_recipients_can_not_be_found_does_not_hold_up_the_others(
    announced: str, writer: str, settings: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.post(MessageKind.UPDATE, announced, {}, writer, now)
    older, newer = db.session.scalars(
        select(Announcement.id).where(Announcement.kind == "incident_update").order_by(Announcement.id)
    )
    real = audiences.audience

    def audience(announcement: Announcement) -> announcements.Audience:
        if announcement.id == newer:
            raise LookupError("its incident is gone")
        return real(announcement)

    monkeypatch.setattr(audiences, "audience", audience)
    worker = Worker(settings, transport_for(settings))
    work(worker, now)
    assert set(
        db.session.scalars(
            select(Delivery.announcement_id).join(Delivery.announcement).where(Announcement.kind == "incident_update")
        )
    ) == {older}
    monkeypatch.undo()
    work(worker, now + announcements.PUT_OFF)
    told = select(Delivery.announcement_id).where(Delivery.announcement_id == newer)
    assert len(db.session.scalars(told).all()) == 3


def test_the_worker_publishes_and_shows_that_it_lives(announced: str, settings: Settings, now: datetime) -> None:
    work(Worker(settings, transport_for(settings)), now)
    assert "Sign-in fails" in (settings.site_dir / "index.html").read_text()
    assert abs(db.session.get_one(Heartbeat, "worker").beat_at - clock.now()) < timedelta(minutes=1)


def test_a_step_that_fails_stops_no_other(
    announced: str, settings: Settings, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    settings.site_dir.parent.mkdir(parents=True, exist_ok=True)
    settings.site_dir.write_text("a file where the folder should be")
    work(Worker(settings, transport_for(settings)), now)
    assert states() == ["submitted"] * 3
    assert "publish failed" in caplog.text
    assert db.session.get(Heartbeat, "worker") is not None


def test_ticks_without_a_database_are_counted_so_that_they_get_rarer(
    announced: str, settings: Settings, now: datetime
) -> None:
    worker = Worker(settings, transport_for(settings))
    for there, after, failed in (("heartbeats", "away", [1, 2]), ("away", "heartbeats", [0])):
        db.session.execute(text(f"ALTER TABLE {there} RENAME TO {after}"))
        db.session.commit()
        for count in failed:
            assert not worker.tick(now) or count == 0
            assert worker.failed_ticks == count


def test_once_an_hour_the_worker_forgets_who_never_confirmed_and_what_is_kept_for_a_time_only(
    writer: str, settings: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "FORGOTTEN_AT_ONCE", 2)
    monkeypatch.setattr(expiry, "EXPIRED_AT_ONCE", 2)
    worker = Worker(settings, transport_for(settings))
    work(worker, now)
    report = {"delivery_id": None, "event": "delivered", "occurred_at": now, "received_at": now - timedelta(days=31)}
    with transaction(now) as session:
        session.execute(insert(ProviderEvent), [report | {"event_key": str(number)} for number in range(7)])
    for number in range(5):
        builders.asked(now - timedelta(days=7, seconds=1), f"reader{number}@example.com")
    for minutes, left in ((59, [5, 7]), (60, [0, 0])):
        work(worker, now + timedelta(minutes=minutes))
        assert [len(db.session.scalars(select(kind)).all()) for kind in (Subscriber, ProviderEvent)] == left
