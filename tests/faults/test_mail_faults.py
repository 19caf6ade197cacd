"""Everything a provider may do wrong, and a worker that dies at any point of handing over.

After each: nobody is missing, nobody got more than two copies, and two only
where the row says that an answer went missing.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from statuspage.db import db
from statuspage.models import Announcement, Delivery, ProviderState
from statuspage.rules.vocabulary import ComponentState, MessageKind, Severity
from tests import builders, mailservers
from tests.delivery.conftest import subscribed
from tests.faults.test_workers import let_leases_lapse, until
from tests.mailservers import MailServer
from tests.nursery import Forked, Nursery

READERS = 9
ADDRESSES = {f"reader{number}@example.com" for number in range(READERS)}
FINAL = {Delivery.SUBMITTED, Delivery.DEAD}

# The worker as it is, with waits that fit into a test; FAILPOINT names where it kills itself, once.
PROGRAM = """
import logging, os, signal
from datetime import timedelta
from pathlib import Path
from statuspage import worker
from statuspage.bare import create_bare_app
from statuspage.delivery import outbox, sendgrid_mail
from statuspage.delivery.handover import Handovers
logging.basicConfig(format="%(message)s")
# What is unknown twice is for good: on a busy machine the second try must find the provider well, and in time.
outbox.LEASE, outbox.UNKNOWN_WAIT = timedelta(seconds=600), timedelta(seconds=2)
worker.FIRST_PROBE_AFTER = worker.LONGEST_PROBE_PAUSE = timedelta(seconds=0.5)
sendgrid_mail.CONNECT_SECONDS, sendgrid_mail.READ_SECONDS, sendgrid_mail.TOTAL_DEADLINE_SECONDS = 3, 3, 4
sendgrid_mail.UNREACHABLE_PAUSE = sendgrid_mail.REFUSED_PAUSE = sendgrid_mail.LONGEST_PAUSE = 1
sendgrid_mail.SendGridTransport.batch_size = 3

def die_at(owner, name, before):
    real = getattr(owner, name)
    def wrapped(*arguments, **named):
        if before:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(*arguments, **named)
        if answer is not None or not name.startswith("claim"):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    setattr(owner, name, wrapped)

point = os.environ.get("FAILPOINT")
if point:
    owner, name, before = {
        "after the claim": (outbox, "claim", False),
        "before the hand-over": (Handovers, "start", True),
        "before the request": (sendgrid_mail.SendGridTransport, "_post", True),
        "after the request": (sendgrid_mail.SendGridTransport, "_post", False),
        "before the receipt is kept": (outbox, "settle", True),
        "after the receipt is kept": (outbox, "settle", False),
    }[point]
    die_at(owner, name, before)
# Its clock is today's, by which the readers' update is long overdue: nobody is to be reminded here.
worker.Worker._keep_promises = lambda self, now: False
worker.run(create_bare_app())
"""


@pytest.fixture
def sendgrid(tmp_path: Path) -> Iterator[MailServer]:
    with mailservers.running("sendgrid", tmp_path / "sendgrid") as server:
        yield server


@pytest.fixture
def incident_id(app: object, now: datetime) -> str:
    """An incident that owes nothing: the worker keeps to today's clock, and would send reminders too."""
    builders.page(now)
    writer = builders.account(now)
    states = {builders.component(now): ComponentState.OUTAGE}
    made = builders.declared(writer, states, now, severity=Severity.SEV4)
    for address in sorted(ADDRESSES):
        subscribed(address, now)
    builders.post(MessageKind.ACKNOWLEDGE, made, {}, writer, now)
    return made


@pytest.fixture
def start(environ: dict[str, str], sendgrid: MailServer, nursery: Nursery) -> Iterator[Callable[..., Forked]]:
    started: list[Forked] = []

    def run(**more: str) -> Forked:
        given = {
            **environ,
            "MAIL_FROM": "status@example.com",
            "SENDGRID_API_KEY": "SG.test",
            "SENDGRID_URL": sendgrid.url,
        }
        started.append(nursery.start(PROGRAM, {**os.environ, **given, **more}))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def rows() -> list[Delivery]:
    """The deliveries of the newest update."""
    db.session.rollback()
    db.session.expire_all()
    newest = select(Announcement.id).where(Announcement.kind == "incident_update").order_by(Announcement.id.desc())
    found = list(
        db.session.scalars(select(Delivery).where(Delivery.announcement_id == newest.limit(1).scalar_subquery()))
    )
    db.session.rollback()
    return found


def all_settled() -> bool:
    found = rows()
    return len(found) == READERS and {row.state for row in found} <= FINAL


def check(taken: list[str], refused: frozenset[str] = frozenset()) -> None:
    copies, found = Counter(taken), {row.address: row for row in rows()}
    missing = ADDRESSES - set(copies)
    assert missing == refused, missing
    assert {address for address, row in found.items() if row.state == Delivery.DEAD} == refused
    assert max(copies.values()) <= 2
    assert {address for address, count in copies.items() if count > 1} <= {
        address for address, row in found.items() if row.was_unknown
    }


def updates(server: MailServer) -> list[str]:
    return [str(mail["To"]) for mail in server.mails() if mail["To"] in ADDRESSES and "List-Unsubscribe" in mail]


# One for each way that a delivery goes on from there: waited for, stopped for all, unknown, refused for one.
FAULTS = ("429", "401", "500-taken", "400:reader4@example.com", "hang")
# What the provider does is read the same way on both databases: the others are tried on one.
MORE_FAULTS = ("429:2", "500", "html502", "garbage", "reset", "redirect", "400-from", "404", "413", "drip")


def test_whatever_the_provider_does_everybody_is_told_once_it_is_well(
    start: Callable[..., Forked], sendgrid: MailServer, incident_id: str, app: object, now: datetime
) -> None:
    process = start()
    until(all_settled)
    check(updates(sendgrid))
    for mode in (*FAULTS, *(MORE_FAULTS if db.engine.dialect.name == "sqlite" else ())):
        before = len(updates(sendgrid))
        sendgrid.behave(mode)
        builders.post(MessageKind.UPDATE, incident_id, {}, None, now)
        until(lambda: len(rows()) == READERS and any(touched(row) for row in rows()))
        # Long enough for a second and third try to meet the same.
        time.sleep(0.7)
        sendgrid.behave(mode if mode.startswith("400:") else "ok")
        until(all_settled)
        refused = frozenset({mode.removeprefix("400:")}) if mode.startswith("400:") else frozenset()
        check(updates(sendgrid)[before:], refused)
    assert process.poll() is None


def touched(row: Delivery) -> bool:
    stopped = db.session.get(ProviderState, "mail", populate_existing=True)
    return row.state not in (Delivery.QUEUED, Delivery.LEASED) or (
        stopped is not None and stopped.stopped_at is not None
    )


@pytest.mark.parametrize(
    "point",
    [
        "after the claim",
        "before the hand-over",
        "before the request",
        "after the request",
        "before the receipt is kept",
        "after the receipt is kept",
    ],
)
def test_a_worker_that_dies_at_any_point_loses_nobody(
    start: Callable[..., Forked], sendgrid: MailServer, incident_id: str, point: str
) -> None:
    first = start(FAILPOINT=point)
    assert first.wait() == -9
    let_leases_lapse()
    start()
    until(all_settled)
    check(updates(sendgrid))


def test_a_provider_that_is_not_there_is_waited_for(
    start: Callable[..., Forked], sendgrid: MailServer, incident_id: str
) -> None:
    first = start(SENDGRID_URL="http://127.0.0.1:9")
    until(lambda: any(touched(row) for row in rows()))
    first.terminate()
    assert first.wait() == 0
    assert {(row.state, row.attempts, row.was_unknown) for row in rows()} == {("queued", 0, False)}
    state = db.session.get_one(ProviderState, "mail")
    assert "can't be reached" in state.reason
    start()
    until(all_settled)
    check(updates(sendgrid))
