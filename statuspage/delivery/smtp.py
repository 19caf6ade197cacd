"""Mail by SMTP (RFC 5321), with one round trip for each mail where the server allows it (RFC 2920)."""

import re
import smtplib
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any, NamedTuple

from statuspage.delivery.mime import MailTemplate
from statuspage.delivery.transport import START_WITHIN_SECONDS, ChannelDown, Message, Outcome, Receipt, Recipient
from statuspage.settings import SmtpServer

# To open a session; for what is written at once and all its answers, however slowly they drip in.
TIMEOUT_SECONDS = 30
CONNECT_SECONDS = 10
GOODBYE_SECONDS = 1
# Many servers end a session after a hundred mails or so.
MAILS_PER_CONNECTION = 100
# To open a session takes as long as several mails: for fewer than these a further one gains nothing.
MAILS_WORTH_A_CONNECTION = 10
UNREACHABLE_PAUSE = 30
REFUSED_PAUSE = 300
# The answer to EHLO is the longest there is: a line of up to 512 octets for each thing offered.
LONGEST_ANSWER = 16_384

_ANSWER_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?")
_RESET = b"RSET\r\n"
_END = b".\r\n"

_Answer = tuple[int, bytes]


class _Mail(NamedTuple):
    """A mail as it goes over the wire, with the dot at its end."""

    recipient: Recipient
    content: bytes


@dataclass
class _Batch:
    """What the sessions of one batch share. Lists and deques are safe to change from several threads."""

    template: MailTemplate
    waiting: deque[Recipient]
    start_by: float
    answer_by: float
    receipts: list[Receipt] = field(default_factory=list)

    @property
    def is_late(self) -> bool:
        return time.monotonic() >= self.start_by

    def settle(self, recipient: Recipient, outcome: Outcome, error: str = "") -> None:
        self.receipts.append(Receipt(recipient.delivery_id, outcome, error))

    def take(self) -> _Mail | None:
        """Take the next one for whom a mail can be made."""
        while self.waiting:
            try:
                recipient = self.waiting.popleft()
            except IndexError:  # Another session was faster.
                break
            try:
                content = self.template.fill(recipient)
            except ValueError as error:
                self.settle(recipient, Outcome.REFUSED, f"no mail can be made for this address: {error}")
                continue
            # No line of a mail may look like the one dot that ends it (RFC 5321, 4.5.2).
            return _Mail(recipient, content.replace(b"\r\n.", b"\r\n..") + _END)
        return None


class SmtpTransport:
    """Hands mails over in several sessions at a time, of up to a hundred mails each."""

    batch_size = 400
    batches_at_once = 1

    def __init__(self, server: SmtpServer, mail_from: str) -> None:
        self._server = server
        self._mail_from = mail_from
        self._envelope_from = parseaddr(mail_from)[1]
        # Once: reading the certificates to trust takes as long as fifty mails.
        self._tls = None if server.tls == "none" else ssl.create_default_context()
        # How sessions introduce this machine. The first finds out, which may take a while where names are served badly.
        self._own_name: str | None = None

    def deliver(self, message: Message, recipients: Sequence[Recipient]) -> list[Receipt]:
        """Hand the message over. Raises ChannelDown if the server takes nothing from us."""
        began = time.monotonic()
        batch = _Batch(
            MailTemplate(message, self._mail_from),
            deque(recipients),
            start_by=began + START_WITHIN_SECONDS,
            answer_by=began + START_WITHIN_SECONDS + TIMEOUT_SECONDS,
        )
        sessions = min(self._server.connections, 1 + len(recipients) // MAILS_WORTH_A_CONNECTION)
        with ThreadPoolExecutor(sessions, "smtp") as threads:
            # One mail is begun however long it took to get that far: a slow server is given some.
            ends = list(threads.map(lambda number: self._work(batch, may_be_late=number == 0), range(sessions)))
        down = next((end for end in ends if end is not None), None)
        if down is not None and not batch.receipts:
            raise down
        return batch.receipts + [Receipt(each.delivery_id, Outcome.UNTRIED) for each in batch.waiting]

    def _work(self, batch: _Batch, *, may_be_late: bool) -> ChannelDown | None:
        """Hand over what waits, in one session after the other; return why the server takes nothing, if so."""
        while batch.waiting and (may_be_late or not batch.is_late):
            try:
                connection = connect(self._server, self._tls, self._own_name)
            except ChannelDown as down:
                return down
            self._own_name = connection.local_hostname
            try:
                _Conversation(connection, batch, self._envelope_from).hand_over(may_be_late)
            except ChannelDown as down:
                return down
            except OSError:  # What became of its mails is settled.
                break
            else:
                connection.say_goodbye()
            finally:
                connection.close()
            may_be_late = False
        return None


class _Conversation:
    """The mails of one session: the end of one is written together with the beginning of the next (RFC 2920, 3.1)."""

    def __init__(self, connection: "_Session", batch: _Batch, envelope_from: str) -> None:
        self._connection = connection
        self._batch = batch
        # A sender who is not plain ASCII is for the server to refuse.
        self._mail_from = f"MAIL FROM:<{envelope_from}>\r\n".encode()
        self._pipelining = connection.has_extn("pipelining")
        self._next: _Mail | None = None

    def hand_over(self, may_be_late: bool) -> None:
        """Hand over what waits, up to what fits into a session.

        Raises OSError when the session is over before its time, ChannelDown if
        the sender is refused.
        """
        ending, ending_for = b"", None
        try:
            self._make_next()
            for number in range(MAILS_PER_CONNECTION + 1):
                may_begin = number < MAILS_PER_CONNECTION and (may_be_late or not self._batch.is_late)
                mail = self._next if may_begin else None
                if mail:
                    self._next, may_be_late = None, False
                answers = self._exchange(ending, mail)
                if ending:
                    self._end(answers, ending_for, mail)
                if mail is None:
                    break
                ending, ending_for = self._begin(answers, mail)
        finally:
            self._give_back(self._next)

    def _exchange(self, ending: bytes, mail: _Mail | None) -> Iterator[_Answer]:
        """Write commands and yield their answers: all at once where the server allows it, else one by one."""
        commands = [ending] if ending else []
        if mail:
            commands += [self._mail_from, f"RCPT TO:<{mail.recipient.address}>\r\n".encode(), b"DATA\r\n"]
        connection = self._connection
        connection.answer_by = min(time.monotonic() + TIMEOUT_SECONDS, self._batch.answer_by)
        if self._pipelining:
            connection.write(b"".join(commands))
        for command in commands:
            if not self._pipelining:
                connection.write(command)
            # While the server is busy.
            self._make_next()
            yield connection.getreply()

    def _end(self, answers: Iterator[_Answer], recipient: Recipient | None, following: _Mail | None) -> None:
        """Settle the mail that was just ended, if there was one: else nobody was to get anything."""
        try:
            code, words = next(answers)
            if code < 400 and code // 100 != 2:
                raise smtplib.SMTPServerDisconnected(f"The mail was answered with {code} {_text(words)}")
        except OSError as error:
            # The server may have taken the mail, and only its answer went missing.
            if recipient:
                self._batch.settle(recipient, Outcome.UNKNOWN, str(error))
            self._give_back(following)
            raise
        if recipient and code // 100 == 2:
            self._batch.settle(recipient, Outcome.SUBMITTED)
        elif recipient:
            self._refuse(recipient, code, words)
        if code == 421:
            self._give_back(following)
            raise smtplib.SMTPServerDisconnected(_text(words))

    def _begin(self, answers: Iterator[_Answer], mail: _Mail) -> tuple[bytes, Recipient | None]:
        """Return what is to be written next, and whose mail ends with it."""
        refused = False
        try:
            code, words = next(answers)
            if code // 100 != 2:
                # The sender is the installation's own: no recipient is to blame.
                self._give_back(mail)
                pause = REFUSED_PAUSE if code >= 500 else UNREACHABLE_PAUSE
                raise ChannelDown(
                    f"The mail server refused the sender: {code} {_text(words)}",
                    pause,
                    needs_person=pause >= REFUSED_PAUSE,
                )
            for good in (2, 3):
                code, words = next(answers)
                if refused:
                    # No mail is sent to nobody: one that was invited all the same ends before it begins.
                    return (_END if code == 354 else _RESET), None
                if code // 100 != good:
                    self._refuse(mail.recipient, code, words)
                    refused = True
                    if code == 421 or code < 400:
                        raise smtplib.SMTPServerDisconnected(_text(words))
                    if not self._pipelining:
                        break
        except OSError as error:
            if not refused:
                self._batch.settle(mail.recipient, Outcome.LATER, str(error))
            raise
        return (_RESET, None) if refused else (mail.content, mail.recipient)

    def _refuse(self, recipient: Recipient, code: int, words: bytes) -> None:
        """Tell a lasting refusal (5xx) from a passing one (RFC 5321, 4.2.1)."""
        outcome = Outcome.REFUSED if code >= 500 else Outcome.LATER
        self._batch.settle(recipient, outcome, f"{code} {_text(words)}")

    def _make_next(self) -> None:
        if self._next is None:
            self._next = self._batch.take()

    def _give_back(self, mail: _Mail | None) -> None:
        if mail:
            self._batch.waiting.appendleft(mail.recipient)


class _Session(smtplib.SMTP):
    """A session of the standard library's whose answers have to be there by a time: its own begins anew with each byte."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.answer_by = time.monotonic() + TIMEOUT_SECONDS
        self._unread = b""
        super().__init__(*arguments, **options)

    def getreply(self) -> _Answer:
        """Return the next answer, of one or many lines. Raises SMTPServerDisconnected."""
        words = b""
        try:
            while True:
                line = self._line()
                parts = _ANSWER_LINE.fullmatch(line)
                if parts is None or len(words) > LONGEST_ANSWER:
                    raise smtplib.SMTPServerDisconnected(f"The server does not speak SMTP: {_text(line[:80])}")
                words += parts[3] or b""
                if parts[2] != b"-":
                    return int(parts[1]), words
                words += b"\n"
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected(str(error)) from error

    def write(self, commands: bytes) -> None:
        """Write all of it, or raise OSError."""
        self._wait_no_longer().sendall(commands)

    def forget_unread(self) -> None:
        """Drop what came with the answer to STARTTLS: anyone may have put it there (CVE-2011-0411)."""
        self._unread = b""

    def say_goodbye(self) -> None:
        """End the session as one should; whether the server hears it does not matter."""
        self.answer_by = time.monotonic() + GOODBYE_SECONDS
        try:
            self.write(b"QUIT\r\n")
            self.getreply()
        except OSError:
            pass

    def _line(self) -> bytes:
        while True:
            line, end, rest = self._unread.partition(b"\n")
            if end:
                self._unread = rest
                return line.rstrip(b"\r")
            if len(self._unread) > LONGEST_ANSWER:
                raise smtplib.SMTPServerDisconnected("The server's answer does not end")
            received = self._wait_no_longer().recv(65_536)
            if not received:
                raise smtplib.SMTPServerDisconnected("The server closed the connection")
            self._unread += received

    def _wait_no_longer(self) -> socket.socket:
        remaining = self.answer_by - time.monotonic()
        if self.sock is None or remaining <= 0:
            raise TimeoutError("The server did not answer in time")
        self.sock.settimeout(remaining)
        return self.sock


class _EncryptedSession(_Session, smtplib.SMTP_SSL):
    """The same over TLS from the first byte."""


def connect(server: SmtpServer, tls: ssl.SSLContext | None, own_name: str | None = None) -> _Session:
    """Open a session as the settings demand: TLS and sign-in included. Raises ChannelDown."""
    place = (server.host, server.port, own_name)
    try:
        if server.tls == "implicit":
            connection: _Session = _EncryptedSession(*place, timeout=CONNECT_SECONDS, context=tls)
        else:
            connection = _Session(*place, timeout=CONNECT_SECONDS)
    except OSError as error:
        raise ChannelDown(f"The mail server can't be reached: {error}", UNREACHABLE_PAUSE) from error
    try:
        connection.ehlo_or_helo_if_needed()
        if server.tls == "required":
            connection.starttls(context=tls)
            connection.forget_unread()
            connection.ehlo()
        if server.user:
            connection.login(server.user, server.password)
        # The last part of a mail is not held back until the parts before it are confirmed.
        if connection.sock is not None:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, UnicodeError) as error:
        connection.close()
        raise ChannelDown(f"The mail server refused the session: {error}", REFUSED_PAUSE, needs_person=True) from error
    return connection


def _text(words: bytes) -> str:
    return words.decode("utf-8", "replace")
