"""Mail by SMTP (RFC 5321)."""

import smtplib
import ssl
import time
from collections.abc import Sequence
from email.utils import parseaddr

from statuspage.delivery import mime
from statuspage.delivery.transport import START_WITHIN_SECONDS, ChannelDown, Message, Outcome, Receipt, Recipient
from statuspage.settings import SmtpServer

TIMEOUT_SECONDS = 30
# Many servers end a session after a hundred mails or so.
MAILS_PER_CONNECTION = 100
UNREACHABLE_PAUSE = 30
REFUSED_PAUSE = 300


class SmtpTransport:
    """Hands mails over one by one in sessions of up to a hundred."""

    batch_size = 50
    batches_at_once = 1

    def __init__(self, server: SmtpServer, mail_from: str) -> None:
        self._server = server
        self._mail_from = mail_from
        self._envelope_from = parseaddr(mail_from)[1]

    def deliver(self, message: Message, recipients: Sequence[Recipient]) -> list[Receipt]:
        """Hand the message over. Raises ChannelDown if the server takes nothing from us."""
        deadline = time.monotonic() + START_WITHIN_SECONDS
        receipts: list[Receipt] = []
        while len(receipts) < len(recipients) and (not receipts or time.monotonic() < deadline):
            part = recipients[len(receipts) : len(receipts) + MAILS_PER_CONNECTION]
            tried, down = self._session(message, part, deadline)
            receipts += tried
            if down is not None and not receipts:
                raise down
            if len(tried) < len(part):
                break
        return receipts + [Receipt(each.delivery_id, Outcome.UNTRIED) for each in recipients[len(receipts) :]]

    def _session(
        self, message: Message, recipients: Sequence[Recipient], deadline: float
    ) -> tuple[list[Receipt], ChannelDown | None]:
        """Return the receipts of those tried in one session, and what ended it early."""
        receipts: list[Receipt] = []
        try:
            connection = connect(self._server)
        except ChannelDown as down:
            return receipts, down
        try:
            for recipient in recipients:
                receipts.append(self._send(connection, message, recipient))
                if connection.sock is None or time.monotonic() >= deadline:
                    break
        except ChannelDown as down:
            return receipts, down
        finally:
            _leave(connection)
        return receipts, None

    def _send(self, connection: smtplib.SMTP, message: Message, recipient: Recipient) -> Receipt:
        try:
            body = mime.build(message, recipient, self._mail_from)
        except ValueError as error:
            return Receipt(recipient.delivery_id, Outcome.REFUSED, f"no mail can be made for this address: {error}")
        try:
            code, answer = connection.mail(self._envelope_from)
            if code != 250:
                # The sender is the installation's own: no recipient is to blame.
                raise ChannelDown(f"The mail server refused the sender: {code} {_words(answer)}", REFUSED_PAUSE)
            code, answer = connection.rcpt(recipient.address)
        except (smtplib.SMTPException, OSError) as error:
            connection.close()
            return Receipt(recipient.delivery_id, Outcome.LATER, str(error))
        if code not in (250, 251):
            return _refused(connection, recipient, code, answer)
        try:
            code, answer = connection.data(body)
        except smtplib.SMTPDataError as error:
            return _refused(connection, recipient, error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            # The server may have taken the mail and only its answer went missing.
            connection.close()
            return Receipt(recipient.delivery_id, Outcome.UNKNOWN, str(error))
        return Receipt(recipient.delivery_id, Outcome.SUBMITTED) if code == 250 else _judge(recipient, code, answer)


def connect(server: SmtpServer) -> smtplib.SMTP:
    """Open a session as the settings demand: TLS and sign-in included. Raises ChannelDown."""
    context = ssl.create_default_context()
    try:
        if server.tls == "implicit":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
    except (smtplib.SMTPException, OSError) as error:
        raise ChannelDown(f"The mail server can't be reached: {error}", UNREACHABLE_PAUSE) from error
    try:
        connection.ehlo_or_helo_if_needed()
        if server.tls == "required":
            connection.starttls(context=context)
            connection.ehlo()
        if server.user:
            connection.login(server.user, server.password)
    except (smtplib.SMTPException, OSError) as error:
        connection.close()
        raise ChannelDown(f"The mail server refused the session: {error}", REFUSED_PAUSE) from error
    return connection


def _leave(connection: smtplib.SMTP) -> None:
    try:
        connection.quit()
    except (smtplib.SMTPException, OSError):
        connection.close()


def _refused(connection: smtplib.SMTP, recipient: Recipient, code: int, answer: bytes | str) -> Receipt:
    """Make the session ready for the next mail; a server that has left is noticed here."""
    try:
        connection.rset()
    except (smtplib.SMTPException, OSError):
        connection.close()
    return _judge(recipient, code, answer)


def _judge(recipient: Recipient, code: int, answer: bytes | str) -> Receipt:
    """Tell a lasting refusal (5xx) from a passing one (RFC 5321, 4.2.1)."""
    outcome = Outcome.REFUSED if 500 <= code < 600 else Outcome.LATER
    return Receipt(recipient.delivery_id, outcome, f"{code} {_words(answer)}")


def _words(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
