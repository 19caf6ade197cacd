"""Handing mails over to SendGrid, on the embedded database: the whole worker, and the part after the claim alone.

Beside them, in the same rounds, a bare loop that posts the same ready-made
bytes to the same sink, one request after the other. The sink is a process of
its own that reads each request as the provider must; once it is on this
machine, once 50 ms away. Prints all three, the ratio, and the CPU for 1,000
recipients: of the whole worker, and without the outbox (each reader's links,
the request, its hand-over), beside what SendGrid's own library takes in the same
run to write the same. Exit status 1 beyond a limit.
"""

import json
import statistics
import sys
import time
from dataclasses import dataclass, replace
from datetime import timedelta

import requests
from sendgrid.helpers.mail import CustomArg, Header, Mail, Personalization, Substitution, To
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
FAR_SECONDS = 0.05
RATIO_LIMIT = 0.7
# 10 ms where the library's own objects take 36 ms: machines differ by three times.
CPU_LIMIT = 10 / 36


def main() -> int:
    spare_collections()
    near, far = measure(0.0), measure(FAR_SECONDS)
    library = statistics.median(by_library() for _ in range(ROUNDS))
    print(f"                        on this machine    {FAR_SECONDS * 1000:.0f} ms away")
    print(f"worker                  {near.rate:11,.0f}/s    {far.rate:9,.0f}/s")
    print(f"bare loop               {near.bare:11,.0f}/s    {far.bare:9,.0f}/s")
    print(
        f"ratio                   {near.rate / near.bare:13.2f}    {far.rate / far.bare:11.2f}    limit {RATIO_LIMIT}"
    )
    print(f"CPU for 1,000 mails: links, request, hand-over {near.path:.1f} ms; with the outbox {near.whole:.1f} ms")
    print(
        f"  SendGrid's objects to write the same: {library:.1f} ms; ours of that {near.path / library:.2f}    limit {CPU_LIMIT:.2f}"
    )
    print(f"(SQLite, {SUBSCRIBERS:,} subscribers, medians of {ROUNDS} rounds)")
    return 0 if near.path / library <= CPU_LIMIT and near.rate / near.bare >= RATIO_LIMIT else 1


@dataclass
class Measured:
    """Mails a second, and milliseconds of CPU for 1,000 of them."""

    rate: float
    bare: float
    path: float
    whole: float


def measure(delay: float) -> Measured:
    """Hand a crowd's mails over again and again, each way in turn."""
    with sinks.running("sendgrid", delay) as sink:
        environ = {
            "SENDGRID_API_KEY": "SG.x",
            "SENDGRID_URL": f"http://127.0.0.1:{sink.port}",
            "MAIL_FROM": "a@example.com",
        }
        with crowds.installation("sqlite", **environ) as app:
            settings: Settings = app.config["STATUSPAGE"]
            crowds.gather(SUBSCRIBERS)
            incident_id = crowds.declare()
            rounds, body = [], b""
            for number in range(ROUNDS):
                crowds.tell(incident_id, 2 * number)
                while announcements.expand(audiences.audience, crowds.NOW):
                    pass
                body = body or ready_made(settings)
                rate, whole = by_worker(settings)
                path = by_transport(settings, incident_id, number)
                rounds.append((rate, by_bare_loop(settings, body), path, whole))
    return Measured(*(statistics.median(column) for column in zip(*rounds, strict=True)))


def by_library() -> float:
    """Return milliseconds of CPU that the library's own objects take for a request of 1,000 recipients."""
    began = time.process_time()
    mail = Mail(from_email="a@example.com", subject="x", plain_text_content="x", html_content="x")
    for number in range(1_000):
        person = Personalization()
        person.add_to(To(f"reader{number}@example.com"))
        person.add_custom_arg(CustomArg("sp_d", str(number)))
        for mark in ("token", "manage", "recipient"):
            person.add_substitution(Substitution(mark, f"{number:012}.aa35fce2228b3b9a93d3728c65e65287"))
        for name in ("List-Unsubscribe", "List-Help"):
            person.add_header(Header(name, f"<http://status.example.com/{number:012}>"))
        mail.add_personalization(person)
    json.dumps(mail.get())
    return (time.process_time() - began) * 1000


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
