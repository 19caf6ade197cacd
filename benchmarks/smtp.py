"""Handing mails over by SMTP, to a sink in another process; interleaved rounds, medians.

- one connection on the loopback: mails per second, of which there should be 8,000;
- several connections to a sink that answers after 20 ms: against as many that use `smtplib.sendmail`, whose bytes are
  ready; it should be 1.8 times as fast;
- the time it takes to make the mail of a further recipient: 20 µs at most.

Exit status 1 if one of them is not met.
"""

import smtplib
import statistics
import sys
import threading
import time

from benchmarks.sinks import running
from statuspage.delivery.mime import MailTemplate
from statuspage.delivery.smtp import SmtpTransport
from statuspage.delivery.transport import Message, Outcome, Recipient
from statuspage.settings import SmtpServer

ROUNDS, MAILS, CONNECTIONS, DELAY = 7, 4_000, 8, 0.02
# 8,000 a second where `sendmail` makes 3,800: machines differ by three times.
LEAST_NEAR, LEAST_RATIO, MOST_MICROSECONDS = 8_000 / 3_800, 1.8, 20
FROM = "Larkspur Status <status@example.com>"
TOKEN, PERSON = "mark0123456789abcdeftoken", "mark0123456789abcdefrecipient"
URL = f"https://status.example.com/unsubscribe/{TOKEN}"
# About as large as the mail of an update.
MESSAGE = Message(
    "Sign-in fails for some customers",
    "Investigating – we are looking into it, and will write again by 14:30 UTC.\n" * 12 + f"\nUnsubscribe: {URL}\n",
    "<p style='margin: 0 0 16px; color: #1a1a1a'>We are looking into it.</p>\n" * 40
    + f"<a href='{URL}'>Unsubscribe</a>",
    {
        "Message-ID": f"<incident.1.2.{PERSON}@status.example.com>",
        "References": f"<incident.1.1.{PERSON}@status.example.com>",
        "List-Unsubscribe": f"<{URL}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    },
)


def people(count: int) -> list[Recipient]:
    values = (
        {TOKEN: f"IjAxOTM0NWE2Yjc4OTAxMjM0NTY3ODkwMSI.cLmVxHzF1cSxUkhF{n:07}", PERSON: f"{n:032}"} for n in range(count)
    )
    return [Recipient(n, f"person{n}@example.com", each) for n, each in enumerate(values)]


def ours(port: int, connections: int, recipients: list[Recipient]) -> float:
    """Mails per second by the transport, batches of its own size."""
    transport = SmtpTransport(SmtpServer("127.0.0.1", port, "", "", "none", connections), FROM)
    began = time.perf_counter()
    for first in range(0, len(recipients), transport.batch_size):
        receipts = transport.deliver(MESSAGE, recipients[first : first + transport.batch_size])
        assert all(receipt.outcome is Outcome.SUBMITTED for receipt in receipts)
    return len(recipients) / (time.perf_counter() - began)


def sendmail(port: int, connections: int, recipients: list[Recipient]) -> float:
    """Mails per second by the standard library: the bytes are ready, the sessions stay open."""
    template = MailTemplate(MESSAGE, FROM)
    mails = [(each.address, template.fill(each)) for each in recipients]

    def send(part: list[tuple[str, bytes]]) -> None:
        with smtplib.SMTP("127.0.0.1", port) as connection:
            for address, content in part:
                connection.sendmail("status@example.com", address, content)

    threads = [threading.Thread(target=send, args=(mails[n::connections],)) for n in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(mails) / (time.perf_counter() - began)


def making() -> float:
    """Microseconds of work for the mail of a further recipient."""
    template, recipients = MailTemplate(MESSAGE, FROM), people(MAILS)
    template.fill(recipients[0])
    began = time.perf_counter()
    for recipient in recipients:
        template.fill(recipient)
    return (time.perf_counter() - began) / MAILS * 1e6


def main() -> int:
    far = people(CONNECTIONS * 50)
    fast, plain, distant, distant_plain, made = [], [], [], [], []
    with running("smtp") as near_sink, running("smtp", DELAY) as far_sink:
        for _ in range(ROUNDS):
            fast.append(ours(near_sink.port, 1, people(MAILS)))
            plain.append(sendmail(near_sink.port, 1, people(MAILS)))
            distant.append(ours(far_sink.port, CONNECTIONS, far))
            distant_plain.append(sendmail(far_sink.port, CONNECTIONS, far))
            made.append(making())
        assert near_sink.end() == 2 * ROUNDS * MAILS
        assert far_sink.end() == 2 * ROUNDS * len(far)
    rate, ratio = statistics.median(fast), statistics.median(distant) / statistics.median(distant_plain)
    microseconds = statistics.median(made)
    print(f"medians of {ROUNDS} rounds; a mail has {len(MailTemplate(MESSAGE, FROM).fill(far[0])):,} bytes")
    near = rate / statistics.median(plain)
    print(f"one connection, loopback:      {rate:8,.0f} mails/s")
    print(
        f"  the same by smtplib.sendmail:{statistics.median(plain):8,.0f} mails/s   {near:.2f} x   limit {LEAST_NEAR:.1f} x"
    )
    print(f"{CONNECTIONS} connections, {DELAY * 1000:.0f} ms away:     {statistics.median(distant):8,.0f} mails/s")
    print(
        f"  the same by smtplib.sendmail:{statistics.median(distant_plain):8,.0f} mails/s   {ratio:.2f} x   limit {LEAST_RATIO} x"
    )
    print(f"a further recipient's mail:    {microseconds:8.1f} µs         limit {MOST_MICROSECONDS}")
    met = near >= LEAST_NEAR and ratio >= LEAST_RATIO and microseconds <= MOST_MICROSECONDS
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
