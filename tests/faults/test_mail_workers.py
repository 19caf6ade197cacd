"""Real workers killed again and again while they hand mails over: nobody missing, every second copy explained."""

import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from benchmarks import crowds
from statuspage.db import db, transaction
from statuspage.models import Announcement, Delivery
from statuspage.rules.vocabulary import ComponentState, MessageKind, Severity
from tests import builders, mailservers
from tests.faults.crowd import workers
from tests.nursery import Nursery

# For each kind of database: workers, kills, the longest pause between two, readers.
STRAIN = {"sqlite": (2, 20, 0.8, 200), "postgresql": (10, 100, 0.5, 1_000)}
LIMIT_SECONDS = 150

# Small batches, so that many are under way. None that a worker left behind is taken up again while workers still die
# (the test itself lets the leases lapse): what is struck twice is left alone for good, and would be missing.
CHANGES = """
from datetime import timedelta
from statuspage.delivery import outbox
from statuspage.delivery.sendgrid_mail import SendGridTransport
outbox.LEASE, outbox.UNKNOWN_WAIT = timedelta(hours=1), timedelta(seconds=1)
worker.FIRST_PROBE_AFTER = worker.LONGEST_PROBE_PAUSE = timedelta(seconds=1)
SendGridTransport.batch_size = 4
SendGridTransport.batches_at_once = 1
# Its clock is today's, by which the readers' update is long overdue: nobody is to be reminded here. Nor is this about the page.
worker.Worker._keep_promises = worker.Worker._publish = lambda self, now: False
"""


def announce_to(readers: int, now: datetime) -> None:
    builders.page(now)
    writer = builders.account(now)
    states = {builders.component(now): ComponentState.OUTAGE}
    incident_id = builders.declared(writer, states, now, severity=Severity.SEV4)
    crowds.gather(readers)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {}, writer, now)


def states() -> Counter[str]:
    db.session.rollback()
    query = select(Delivery.state, func.count()).join(Delivery.announcement)
    counted = db.session.execute(query.where(Announcement.kind == "incident_update").group_by(Delivery.state))
    found = Counter(dict(counted.all()))
    db.session.rollback()
    return found


def let_leases_lapse(now: datetime) -> None:
    with transaction(now) as session:
        session.execute(update(Delivery).where(Delivery.state == Delivery.LEASED).values(lease_until=now))


@pytest.mark.usefixtures("app")
def test_ten_workers_killed_a_hundred_times_leave_nobody_out(
    environ: dict[str, str], nursery: Nursery, now: datetime, tmp_path: Path
) -> None:
    count, kills, longest_pause, readers = STRAIN[db.engine.dialect.name]
    announce_to(readers, now)
    began = time.monotonic()
    with mailservers.running("sendgrid", tmp_path / "sendgrid") as sendgrid:
        sendgrid.behave("slow")
        mail = {"MAIL_FROM": "status@example.com", "SENDGRID_API_KEY": "SG.test", "SENDGRID_URL": sendgrid.url}
        with workers(nursery, count, environ | mail, CHANGES) as crowd:
            while states()["leased"] == 0:
                assert time.monotonic() - began < LIMIT_SECONDS, states()
                crowd.pause(0.1)
            # Many kills have to strike a worker with a batch in hand: what a dead one leased stays so until its lease
            # has lapsed.
            while crowd.kills < kills or states()["leased"] <= kills / 4:
                assert time.monotonic() - began < LIMIT_SECONDS, states()
                crowd.kill_one()
                crowd.pause(longest_pause)
            sendgrid.behave("ok")
            while states()["queued"]:
                assert time.monotonic() - began < LIMIT_SECONDS, states()
                crowd.pause(1)
            let_leases_lapse(now)
            while states() != {"submitted": readers}:
                assert time.monotonic() - began < LIMIT_SECONDS, states()
                crowd.pause(1)
        copies = Counter(str(mail["To"]) for mail in sendgrid.mails())
    assert set(copies) == {f"reader{number}@example.com" for number in range(1, readers + 1)}
    assert max(copies.values()) <= 2
    explained = set(db.session.scalars(select(Delivery.address).where(Delivery.was_unknown.is_(True))))
    assert {address for address, times in copies.items() if times > 1} <= explained
