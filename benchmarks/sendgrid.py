"""Handing mails over to SendGrid, on the embedded database: the whole worker, and the part after the claim alone.

Beside them, in the same rounds, a bare loop that posts the same ready-made
bytes to the same sink, one request after the other. The sink is a process of
its own that reads each request as the provider must. Prints all three, the
ratio, and the CPU for 1,000 recipients: of the whole worker, and without the
outbox (each reader's links, the request, its hand-over). Exit status 1 beyond a
limit.
"""

import statistics
import sys
import time
from dataclasses import replace
from datetime import timedelta

import requests
from sqlalchemy import func, select

from benchmarks import crowds, sinks
from statuspage.actions import audiences
from statuspage.db import db
from statuspage.delivery import announcements, composition, outbox
from statuspage.delivery.providers import transport_for
from statuspage.delivery.sendgrid_mail import SendGridTransport
from statuspage.models import Delivery
from statuspage.settings import Settings
from statuspage.worker import Worker, spare_collections

SUBSCRIBERS, ROUNDS = 60_000, 3
CPU_LIMIT_MS, RATIO_LIMIT = 10.0, 0.7


def main() -> int:
    spare_collections()
    with sinks.running("sendgrid") as sink:
        environ = {
            "SENDGRID_API_KEY": "SG.x",
            "SENDGRID_URL": f"http://127.0.0.1:{sink.port}",
            "MAIL_FROM": "a@example.com",
        }
        with crowds.installation("sqlite", **environ) as app:
            settings: Settings = app.config["STATUSPAGE"]
            crowds.gather(SUBSCRIBERS)
            incident_id = crowds.declare()
            ours, cpu, path, bare, body = [], [], [], [], b""
            for number in range(ROUNDS):
                crowds.tell(incident_id, 2 * number)
                while announcements.expand(audiences.audience, crowds.NOW):
                    pass
                body = body or ready_made(settings)
                rate, spent = by_worker(settings)
                ours.append(rate)
                cpu.append(spent)
                path.append(by_transport(settings, incident_id, number))
                bare.append(by_bare_loop(settings, body))
    ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, bare, strict=True))
    spent, whole = statistics.median(path), statistics.median(cpu)
    print(f"worker    : {statistics.median(ours):9,.0f} mails/s")
    print(f"bare loop : {statistics.median(bare):9,.0f} mails/s")
    print(f"ratio     : {ratio:9.2f}                       limit at least {RATIO_LIMIT}")
    print(
        f"CPU       : {spent:9.1f} ms for 1,000 mails    limit at most {CPU_LIMIT_MS:.0f} ms (links, request, hand-over)"
    )
    print(f"          : {whole:9.1f} ms with the outbox: claim, lease, settle")
    print(f"(SQLite, {SUBSCRIBERS:,} subscribers, medians of {ROUNDS} rounds)")
    return 0 if spent <= CPU_LIMIT_MS and ratio >= RATIO_LIMIT else 1


def ready_made(settings: Settings) -> bytes:
    """Return the bytes of a request of ours; what was claimed for it is given back."""
    batch = outbox.claim("benchmark", 1_000, crowds.NOW)
    assert batch is not None
    message = replace(composition.compose(batch.announcement, settings), batch=batch.id)
    body = SendGridTransport("SG.x", settings.sendgrid_url, settings.mail_from).body(
        message, composition.recipients(batch, settings)
    )
    outbox.release("benchmark", batch, crowds.NOW, crowds.NOW)
    return body


def by_worker(settings: Settings) -> tuple[float, float]:
    """Return mails a second, and milliseconds of CPU for 1,000 of them."""
    worker = Worker(settings, transport_for(settings))
    began, used = time.perf_counter(), time.process_time()
    while worker.tick(crowds.NOW + timedelta(seconds=1)):
        pass
    taken, used = time.perf_counter() - began, time.process_time() - used
    waiting = select(func.count()).select_from(Delivery).where(Delivery.state != Delivery.SUBMITTED)
    assert db.session.execute(waiting).scalar_one() == 0
    return SUBSCRIBERS / taken, used * 1_000_000 / SUBSCRIBERS


def by_transport(settings: Settings, incident_id: str, number: int) -> float:
    """Return milliseconds of CPU for 1,000 mails, from what was claimed to the receipts."""
    crowds.tell(incident_id, 2 * number + 1)
    while announcements.expand(audiences.audience, crowds.NOW):
        pass
    transport, spent = transport_for(settings), 0.0
    while (batch := outbox.claim("benchmark", 1_000, crowds.NOW + timedelta(seconds=1))) is not None:
        message = replace(composition.compose(batch.announcement, settings), batch=batch.id)
        began = time.process_time()
        receipts = transport.deliver(message, composition.recipients(batch, settings))
        spent += time.process_time() - began
        outbox.settle("benchmark", receipts, crowds.NOW + timedelta(seconds=1), batch)
    return spent * 1_000_000 / SUBSCRIBERS


def by_bare_loop(settings: Settings, body: bytes) -> float:
    """Return mails a second."""
    headers = {"Authorization": "Bearer SG.x", "Content-Type": "application/json"}
    with requests.Session() as session:
        began = time.perf_counter()
        for _ in range(SUBSCRIBERS // 1_000):
            answer = session.post(f"{settings.sendgrid_url}/v3/mail/send", data=body, headers=headers, timeout=10)
            assert answer.status_code == 202
        return SUBSCRIBERS / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
