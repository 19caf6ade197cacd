"""Mail servers for the tests: a real SMTP server and a stand-in for SendGrid's v3/mail/send.

Each runs as a process of its own and keeps a ledger on disk of what it took.
"""

import asyncio
import contextlib
import email
import email.policy
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests import certificates, servers


@dataclass(frozen=True)
class MailServer:
    """A running mail server: how to reach it, what it took, how it behaves from now on."""

    url: str
    folder: Path

    def behave(self, mode: str) -> None:
        """Change its behaviour: see the servers' own lists of modes."""
        (self.folder / "mode").write_text(mode)

    def mails(self) -> list[EmailMessage]:
        """Return every mail it took, in order."""
        files = sorted((self.folder / "taken").glob("*.eml"))
        return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]

    def wait_for(self, count: int, to: str = "", seconds: float = servers.PATIENCE) -> list[EmailMessage]:
        """Wait until it took this many mails (to an address); return them."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = [mail for mail in self.mails() if to in ("", mail["To"])]
            if len(found) >= count:
                return found
            time.sleep(0.05)
        raise AssertionError(f"only {len(found)} of {count} mails to {to or 'anybody'} came")


@contextlib.contextmanager
def running(kind: str, folder: Path) -> Iterator[MailServer]:
    """Run a mail server of a kind, ``sendgrid`` or one of ``SMTP_KINDS``, with its ledger in this folder."""
    (folder / "taken").mkdir(parents=True)
    port = servers.free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.mailservers", kind, str(port), str(folder)])
    try:
        end = time.monotonic() + servers.PATIENCE
        while not (folder / "ready").exists():
            assert process.poll() is None, f"the {kind} server ended"
            assert time.monotonic() < end, f"the {kind} server did not start"
            time.sleep(0.02)
        scheme = "http" if kind == "sendgrid" else "smtp"
        yield MailServer(f"{scheme}://127.0.0.1:{port}", folder)
    finally:
        process.kill()
        process.wait()


class Ledger:
    """Mails taken, each a file; the mode is a file too, read anew for every mail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def mode(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "mode").read_text()
        return "ok"

    def keep(self, content: bytes) -> None:
        self.count += 1
        name = self.folder / "taken" / f"{time.time_ns()}-{self.count:06}"
        name.with_suffix(".part").write_bytes(content)
        name.with_suffix(".part").rename(name.with_suffix(".eml"))


class SmtpSink:
    """aiosmtpd's handler.

    Modes: ok, refuse:ADDRESS (550), later:ADDRESS (451), refuse-data (554),
    refuse-sender (550), cut (takes, then closes without an answer).
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.ledger.mode() == "refuse-sender":
            return "550 sender unknown here"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        mode = self.ledger.mode()
        if mode == f"refuse:{address}":
            return "550 no such person"
        if mode == f"later:{address}":
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.ledger.mode() == "refuse-data":
            return "554 not this"
        assert isinstance(envelope.content, bytes)
        if self.ledger.mode() == "slow":
            await asyncio.sleep(0.1)
        self.ledger.keep(envelope.content)
        if self.ledger.mode() == "cut":
            server.transport.abort()
        return "250 taken"


class PipeliningSmtpSink(SmtpSink):
    """One that offers PIPELINING (RFC 2920)."""

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]


def sign_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, found: object) -> AuthResult:
    assert isinstance(found, LoginPassword)
    # Not handled: the answer is left to the server.
    return AuthResult(success=(found.login, found.password) == (b"ada", b"lovelace"), handled=False)


def smtp_controller(kind: str, ledger: Ledger, port: int) -> Controller:
    if kind in ("smtp", "smtp-pipelining"):
        handler = SmtpSink(ledger) if kind == "smtp" else PipeliningSmtpSink(ledger)
        return Controller(handler, hostname="127.0.0.1", port=port)
    context = certificates.server_context(ledger.folder)
    if kind == "smtps":
        return Controller(SmtpSink(ledger), hostname="127.0.0.1", port=port, ssl_context=context)
    return Controller(
        PipeliningSmtpSink(ledger),
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=sign_in,
    )


SMTP_KINDS = ("smtp", "smtp-pipelining", "smtp-starttls", "smtps")
"""``smtp-starttls`` takes mail only with encryption, from ada with her word."""

REFUSALS = {
    "400-from": (400, {"errors": [{"message": "does not match a verified sender", "field": "from"}]}),
    "404": (404, {"errors": [{"message": "not found"}]}),
    "429": (429, {"errors": [{"message": "too many requests"}]}, {"Retry-After": "7"}),
    "500": (500, {}),
    "html502": (502, None),
}


class SendGridStandIn(BaseHTTPRequestHandler):
    """Answers like v3/mail/send.

    Modes: ok, 400:ADDRESS (all or nothing), 400-from, 401, 404, 413 (more than two), 429, 429:SECONDS
    (as X-RateLimit-Reset), 500, 500-taken (takes, then 500), html502, garbage, redirect (to a web page),
    reset (takes, then closes without an answer), slow (notes that it saw the request, takes it after a second),
    hang (never answers), drip (an answer of one byte a second), hold (takes, answers when the mode changes).
    """

    ledger: Ledger

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        mode = self.ledger.mode()
        addresses = [to["email"] for each in body["personalizations"] for to in each["to"]]
        if self.path != "/v3/mail/send" or self.headers.get("Authorization") != "Bearer SG.test" or mode == "401":
            self._answer(401, {"errors": [{"message": "authorization required"}]})
        elif len(set(addresses)) != len(addresses) or mode.removeprefix("400:") in addresses:
            self._answer(400, {"errors": [{"message": "bad address", "field": "personalizations.0.to.0.email"}]})
        elif mode == "413" and len(addresses) > 2:
            self._answer(413, {"errors": [{"message": "too large"}]})
        elif mode in REFUSALS:
            self._answer(*REFUSALS[mode])
        elif mode.startswith("429:"):
            headers = {"X-RateLimit-Reset": str(int(time.time()) + int(mode.removeprefix("429:")))}
            self._answer(429, {"errors": [{"message": "too many requests"}]}, headers)
        elif mode == "redirect":
            self._answer(301, None, {"Location": "/page"})
        elif mode == "garbage":
            self.wfile.write(b"220 this is no web server\r\n")
        elif mode == "hang":
            time.sleep(60)
        elif mode == "drip":
            self._drip()
        else:
            self._take(body, mode)

    def do_GET(self) -> None:
        content = b"<html>Welcome</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _drip(self) -> None:
        with contextlib.suppress(OSError):
            for letter in b"HTTP/1.1 202 Accepted\r\nX-Long: " + b"x" * 60:
                self.wfile.write(bytes([letter]))
                self.wfile.flush()
                time.sleep(1)

    def _take(self, body: dict[str, object], mode: str) -> None:
        if mode == "slow":
            (self.ledger.folder / "seen").touch()
            time.sleep(1)
        for each in body["personalizations"]:  # type: ignore[attr-defined]
            self.ledger.keep(as_mail(body, each))
        while mode == "hold" and self.ledger.mode() == "hold":
            time.sleep(0.02)
        if mode == "reset":
            self.close_connection = True
        elif mode == "500-taken":
            self._answer(500, {})
        else:
            self._answer(202, None)

    def _answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        content = (
            b"<html>oops</html>"
            if body is None and status >= 400
            else b""
            if body is None
            else json.dumps(body).encode()
        )
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def as_mail(body: dict, personalization: dict) -> bytes:  # type: ignore[type-arg]
    """Return the mail SendGrid would make: substitutions replaced in text, HTML and headers."""
    mail = EmailMessage(policy=email.policy.SMTP)

    def fill(text: str) -> str:
        for mark, value in personalization.get("substitutions", {}).items():
            text = text.replace(mark, value)
        return text

    mail["From"] = body["from"]["email"]
    mail["To"] = personalization["to"][0]["email"]
    mail["Subject"] = fill(body["subject"])
    for name, value in {**body.get("headers", {}), **personalization.get("headers", {})}.items():
        mail[name] = fill(value)
    mail["X-Delivery"] = personalization["custom_args"]["sp_d"]
    for each in body["content"]:
        if each["type"] == "text/plain":
            mail.set_content(fill(each["value"]))
        else:
            mail.add_alternative(fill(each["value"]), subtype="html")
    tracking = body["tracking_settings"]
    assert not any(part["enable"] for part in tracking.values()), tracking
    return mail.as_bytes()


def main(kind: str, port: int, folder: Path) -> None:
    """Serve until killed."""
    ledger = Ledger(folder)
    if kind in SMTP_KINDS:
        smtp_controller(kind, ledger, port).start()
        (folder / "ready").touch()
        while True:
            time.sleep(60)
    SendGridStandIn.ledger = ledger
    server = ThreadingHTTPServer(("127.0.0.1", port), SendGridStandIn)
    (folder / "ready").touch()
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
