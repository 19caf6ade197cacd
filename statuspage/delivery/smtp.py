"""Mail by SMTP (RFC 5321)."""

import smtplib
import ssl
from collections.abc import Sequence
from email.utils import parseaddr

from statuspage.delivery import mime
from statuspage.delivery.transport import ChannelDown, Message, Outcome, Receipt, Recipient
from statuspage.settings import SmtpServer

TIMEOUT_SECONDS = 30
# Many servers end a session after a hundred mails or so.
MAILS_PER_CONNECTION = 100
UNREACHABLE_PAUSE = 30
REFUSED_PAUSE = 300


class SmtpTransport:
    """Hands mails over one by one in sessions of up to a hundred."""

    batch_size = 50

    def __init__(self, server: SmtpServer, mail_from: str) -> None:
        self._server = server
        self._mail_from = mail_from
        self._envelope_from = parseaddr(mail_from)[1]

    def deliver(self, message: Message, recipients: Sequence[Recipient]) -> list[Receipt]:
        """Hand the message over. Raises ChannelDown if the server can't be used at all."""
        receipts: list[Receipt] = []
        for start in range(0, len(recipients), MAILS_PER_CONNECTION):
            part = recipients[start : start + MAILS_PER_CONNECTION]
            try:
                receipts += self._session(message, part)
            except ChannelDown as down:
                if not receipts:
                    raise
                receipts += [Receipt(each.delivery_id, Outcome.LATER, str(down)) for each in recipients[start:]]
                break
        return receipts

    def _session(self, message: Message, recipients: Sequence[Recipient]) -> list[Receipt]:
        receipts: list[Receipt] = []
        connection = connect(self._server)
        try:
            for recipient in recipients:
                receipt = self._send(connection, message, recipient)
                receipts.append(receipt)
                if connection.sock is None:
                    lost = "the connection was lost before this one"
                    rest = recipients[len(receipts) :]
                    return receipts + [Receipt(each.delivery_id, Outcome.LATER, lost) for each in rest]
        finally:
            _leave(connection)
        return receipts

    def _send(self, connection: smtplib.SMTP, message: Message, recipient: Recipient) -> Receipt:
        body = mime.build(message, recipient, self._mail_from)
        try:
            for verb, argument in ((connection.mail, self._envelope_from), (connection.rcpt, recipient.address)):
                code, answer = verb(argument)
                if code not in (250, 251):
                    connection.rset()
                    return _refusal(recipient, code, answer)
        except (smtplib.SMTPException, OSError) as error:
            connection.close()
            return Receipt(recipient.delivery_id, Outcome.LATER, str(error))
        try:
            code, answer = connection.data(body)
        except smtplib.SMTPDataError as error:
            connection.rset()
            return _refusal(recipient, error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            # The server may have taken the mail and only its answer went missing.
            connection.close()
            return Receipt(recipient.delivery_id, Outcome.UNKNOWN, str(error))
        if code == 250:
            return Receipt(recipient.delivery_id, Outcome.SUBMITTED)
        return _refusal(recipient, code, answer)


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


def _refusal(recipient: Recipient, code: int, answer: bytes | str) -> Receipt:
    """Tell a lasting refusal (5xx) from a passing one (RFC 5321, 4.2.1)."""
    words = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    outcome = Outcome.REFUSED if 500 <= code < 600 else Outcome.LATER
    return Receipt(recipient.delivery_id, outcome, f"{code} {words}")
