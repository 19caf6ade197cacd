"""Real workers killed, doubled and stopped while they hand mails over: nothing lost, no copy unexplained."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text, update

from statuspage import clock
from statuspage.db import db, transaction
from statuspage.models import Announcement, Delivery
from statuspage.rules.vocabulary import ComponentState, MessageKind, Severity
from tests import builders, mailservers, servers
from tests.delivery.conftest import subscribed
from tests.mailservers import MailServer
from tests.nursery import Forked, Nursery

READERS = 30
StartWorker = Callable[[], Forked]

# The worker as it is, but with leases and batches that fit into a test.
PROGRAM = """
import logging, os
from datetime import timedelta
from statuspage import worker
from statuspage.bare import create_bare_app
from statuspage.delivery import outbox
from statuspage.delivery.sendgrid_mail import SendGridTransport
from statuspage.delivery.smtp import SmtpTransport
logging.basicConfig(format="%(message)s")
outbox.LEASE, outbox.UNKNOWN_WAIT = timedelta(seconds=float(os.environ["LEASE"])), timedelta(seconds=1)
worker.FIRST_PROBE_AFTER = worker.LONGEST_PROBE_PAUSE = timedelta(seconds=1)
SendGridTransport.batch_size = SmtpTransport.batch_size = 4
SendGridTransport.batches_at_once = 1
# Its clock is today's, by which the readers' update is long overdue: nobody is to be reminded here.
worker.Worker._keep_promises = lambda self, now: False
worker.run(create_bare_app())
"""


@pytest.fixture
def sendgrid(tmp_path: Path) -> Iterator[MailServer]:
    with mailservers.running("sendgrid", tmp_path / "sendgrid") as server:
        yield server


@pytest.fixture
def smtp(tmp_path: Path) -> Iterator[MailServer]:
    with mailservers.running("smtp", tmp_path / "smtp") as server:
        yield server


@pytest.fixture
def announced(app: object, now: datetime) -> None:
    """Readers, and an update that waits to be told to them."""
    builders.page(now)
    writer = builders.account(now)
    # One that owes nothing: the workers keep to today's clock, and would send reminders too.
    states = {builders.component(now): ComponentState.OUTAGE}
    incident_id = builders.declared(writer, states, now, severity=Severity.SEV4)
    for number in range(READERS):
        subscribed(f"reader{number}@example.com", now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {}, writer, now)


@pytest.fixture
def workers(nursery: Nursery) -> Iterator[Callable[[dict[str, str]], Forked]]:
    started: list[Forked] = []

    def start(environ: dict[str, str]) -> Forked:
        started.append(nursery.start(PROGRAM, {**os.environ, "LEASE": "4", **environ}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def start_worker(
    announced: None,
    environ: dict[str, str],
    request: pytest.FixtureRequest,
    workers: Callable[[dict[str, str]], Forked],
) -> StartWorker:
    """Start a worker that delivers to the server that the test asked for."""
    # Where workers die one after the other, none takes up again what the one before it left: twice unknown is for good.
    lease = "600" if "any_moment" in request.node.name or "several" in request.node.name else "4"
    given = {**environ, "MAIL_FROM": "status@example.com", "LEASE": lease}
    if "smtp" in request.fixturenames:
        given["SMTP_URL"] = request.getfixturevalue("smtp").url
    else:
        given |= {"SENDGRID_API_KEY": "SG.test", "SENDGRID_URL": request.getfixturevalue("sendgrid").url}
    return lambda: workers(given)


def until(true: Callable[[], bool], seconds: float = servers.PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"it did not happen in time: {states()}"
        # Not oftener: looking is work that the workers wait for.
        time.sleep(0.1)


def rows() -> list[Delivery]:
    db.session.rollback()
    db.session.expire_all()
    query = select(Delivery).join(Delivery.announcement).where(Announcement.kind == "incident_update")
    found = list(db.session.scalars(query))
    db.session.rollback()
    return found


def states() -> Counter[str]:
    db.session.rollback()
    query = select(Delivery.state).join(Delivery.announcement).where(Announcement.kind == "incident_update")
    found = Counter(db.session.scalars(query))
    db.session.rollback()
    return found


def let_leases_lapse() -> None:
    """Spare the test the wait for the leases of workers that are dead."""
    now = clock.now()
    with transaction(now) as session:
        session.execute(update(Delivery).where(Delivery.state == Delivery.LEASED).values(lease_until=now))


def all_submitted() -> bool:
    return states() == {"submitted": READERS}


def assert_nothing_lost_and_every_second_copy_explained(server: MailServer) -> None:
    copies = Counter(str(mail["To"]) for mail in server.mails())
    assert set(copies) == {f"reader{number}@example.com" for number in range(READERS)}
    db.session.rollback()
    query = (
        select(Delivery.address)
        .join(Delivery.announcement)
        .where(Announcement.kind == "incident_update", Delivery.was_unknown.is_(True))
    )
    explained = set(db.session.scalars(query))
    assert {address for address, count in copies.items() if count > 1} <= explained
    assert max(copies.values()) <= 2


def test_a_worker_killed_after_the_provider_took_a_batch(start_worker: StartWorker, sendgrid: MailServer) -> None:
    sendgrid.behave("hold")
    first = start_worker()
    sendgrid.wait_for(4)
    first.kill()
    first.wait()
    assert states()["leased"] == 4
    sendgrid.behave("ok")
    start_worker()
    until(all_submitted)
    assert_nothing_lost_and_every_second_copy_explained(sendgrid)
    assert len(sendgrid.mails()) == READERS + 4


def test_a_worker_killed_before_the_provider_took_a_batch(start_worker: StartWorker, sendgrid: MailServer) -> None:
    sendgrid.behave("hang")
    first = start_worker()
    until(lambda: states()["leased"] == 4)
    first.kill()
    first.wait()
    sendgrid.behave("ok")
    start_worker()
    until(all_submitted)
    assert len(sendgrid.mails()) == READERS
    assert_nothing_lost_and_every_second_copy_explained(sendgrid)


def test_workers_killed_at_any_moment(start_worker: StartWorker, smtp: MailServer) -> None:
    # Slow, so that no worker is done before it is killed.
    smtp.behave("slow")
    moments = random.Random(20261121)
    for _ in range(4):
        before = len(smtp.mails())
        process = start_worker()
        # At least one mail more, so that every one of them dies at work.
        until(lambda before=before: len(smtp.mails()) > before)  # type: ignore[misc]
        time.sleep(moments.random() * 0.05)
        process.kill()
        process.wait()
    smtp.behave("ok")
    let_leases_lapse()
    start_worker()
    until(all_submitted)
    assert_nothing_lost_and_every_second_copy_explained(smtp)


def test_several_workers_on_one_queue_send_nothing_twice(start_worker: StartWorker, sendgrid: MailServer) -> None:
    # Slow, so that no worker is done before the others have started.
    sendgrid.behave("slow")
    for _ in range(3):
        start_worker()
    until(all_submitted)
    assert Counter(str(mail["To"]) for mail in sendgrid.mails()) == {
        f"reader{number}@example.com": 1 for number in range(READERS)
    }
    assert {(row.attempts, row.was_unknown) for row in rows()} == {(1, False)}
    assert len({row.lease_owner for row in rows()}) == 3


def test_a_stopped_worker_finishes_what_it_has_in_hand(start_worker: StartWorker, sendgrid: MailServer) -> None:
    sendgrid.behave("slow")
    process = start_worker()
    until(lambda: states()["leased"] > 0)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    found = states()
    assert set(found) <= {"submitted", "queued"}
    assert len(sendgrid.mails()) == found["submitted"] > 0


def test_a_worker_outlives_a_database_that_is_not_there(
    workers: Callable[[dict[str, str]], Forked], migrated_sqlite: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "away"
    process = workers(
        {
            "DATABASE_URL": f"sqlite:///{folder}/statuspage.db",
            "DATA_DIR": str(tmp_path / "var"),
            "SECRET_KEY": "a key for the tests that is long enough to be taken",
        }
    )
    time.sleep(2)
    assert process.poll() is None
    folder.mkdir()
    shutil.copy(migrated_sqlite, folder / "statuspage.db")
    engine = create_engine(f"sqlite:///{folder}/statuspage.db")

    def beats() -> bool:
        with engine.connect() as connection:
            return connection.execute(text("SELECT count(*) FROM heartbeats")).scalar() == 1

    until(beats)
    engine.dispose()
