"""SMTP: real sessions with real servers, and with one that breaks off where it hurts."""

import contextlib
import email
import email.policy
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from statuspage.delivery import smtp
from statuspage.delivery.smtp import SmtpTransport
from statuspage.delivery.transport import ChannelDown, Message, Outcome, Recipient
from statuspage.settings import SmtpServer
from tests import mailservers, servers
from tests.mailservers import MailServer

FROM = "Larkspur <status@example.com>"
MESSAGE = Message(
    "Sign-in fails – Zürich",
    "Bitte abmelden: http://status.example.com/unsubscribe/MARK\n" + "ü" * 2000 + "\n",
    "<p>Grüße</p>" + "<b>x</b>" * 500,
    {"List-Unsubscribe": "<http://status.example.com/unsubscribe/MARK>", "Auto-Submitted": "auto-generated"},
)


def people(*addresses: str) -> list[Recipient]:
    return [Recipient(n, address, {"MARK": f"token{n}"}) for n, address in enumerate(addresses, start=1)]


def transport(server: MailServer, tls: str = "none") -> SmtpTransport:
    port = int(server.url.rsplit(":", 1)[1])
    return SmtpTransport(SmtpServer("127.0.0.1", port, "", "", tls), FROM)


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mailservers.running("smtp", tmp_path_factory.mktemp("mail") / "smtp") as server:
        yield server


@pytest.fixture
def server(running_server: MailServer) -> MailServer:
    """The server, well behaved and with an empty ledger."""
    running_server.behave("ok")
    for file in (running_server.folder / "taken").iterdir():
        file.unlink()
    return running_server


def test_each_recipient_gets_a_mail_of_their_own(server: MailServer) -> None:
    receipts = transport(server).deliver(MESSAGE, people("ada@example.com", "bob@example.com"))
    assert [receipt.outcome for receipt in receipts] == [Outcome.SUBMITTED] * 2
    first, second = server.mails()
    assert (first["To"], second["To"]) == ("ada@example.com", "bob@example.com")
    assert (first["Subject"], first["From"]) == ("Sign-in fails – Zürich", FROM)
    assert first["List-Unsubscribe"] == "<http://status.example.com/unsubscribe/token1>"
    assert second["List-Unsubscribe"] == "<http://status.example.com/unsubscribe/token2>"


def test_a_mail_is_alternative_with_complete_text_first_and_no_long_line(server: MailServer) -> None:
    transport(server).deliver(MESSAGE, people("ada@example.com"))
    (mail,) = server.mails()
    assert mail.get_content_type() == "multipart/alternative"
    text, html = mail.iter_parts()
    assert [text.get_content_type(), html.get_content_type()] == ["text/plain", "text/html"]
    assert "unsubscribe/token1" in text.get_content()
    assert "Grüße" in html.get_content()
    (file,) = (server.folder / "taken").glob("*.eml")
    assert max(map(len, file.read_bytes().splitlines())) <= 998


@pytest.mark.parametrize(
    ("mode", "outcome", "words"),
    [
        ("refuse:bob@example.com", Outcome.REFUSED, "550 no such person"),
        ("later:bob@example.com", Outcome.LATER, "451 try again later"),
    ],
)
def test_one_refused_recipient_stops_nobody_else(server: MailServer, mode: str, outcome: Outcome, words: str) -> None:
    server.behave(mode)
    receipts = transport(server).deliver(MESSAGE, people("ada@example.com", "bob@example.com", "eve@example.com"))
    assert [receipt.outcome for receipt in receipts] == [Outcome.SUBMITTED, outcome, Outcome.SUBMITTED]
    assert receipts[1].error == words
    assert [mail["To"] for mail in server.mails()] == ["ada@example.com", "eve@example.com"]


def test_a_sender_that_is_refused_stops_the_channel_and_kills_no_delivery(server: MailServer) -> None:
    server.behave("refuse-sender")
    with pytest.raises(ChannelDown, match="550 sender unknown here"):
        transport(server).deliver(MESSAGE, people("ada@example.com"))


@pytest.mark.parametrize(
    "poison", ["ada@example.com\r\nRCPT TO:<x@example.com>", "ädä@example.com", "\udcff@example.com", "a@"]
)
def test_an_address_that_no_mail_can_go_to_stops_nobody_else(server: MailServer, poison: str) -> None:
    receipts = transport(server).deliver(MESSAGE, people("ada@example.com", poison, "eve@example.com"))
    assert [receipt.outcome for receipt in receipts] == [Outcome.SUBMITTED, Outcome.REFUSED, Outcome.SUBMITTED]
    assert [mail["To"] for mail in server.mails()] == ["ada@example.com", "eve@example.com"]


def test_a_server_that_is_not_there_is_a_channel_that_is_down() -> None:
    with pytest.raises(ChannelDown, match="can't be reached"):
        SmtpTransport(SmtpServer("127.0.0.1", servers.free_port(), "", "", "none"), FROM).deliver(
            MESSAGE, people("ada@example.com")
        )


def test_without_the_demanded_encryption_nothing_is_sent(server: MailServer) -> None:
    with pytest.raises(ChannelDown, match="refused the session"):
        transport(server, "required").deliver(MESSAGE, people("ada@example.com"))
    assert server.mails() == []


def test_a_password_is_never_sent_to_a_server_that_offers_no_sign_in(server: MailServer) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    with pytest.raises(ChannelDown, match="refused the session"):
        SmtpTransport(SmtpServer("127.0.0.1", port, "user", "word", "none"), FROM).deliver(
            MESSAGE, people("ada@example.com")
        )


def test_more_mails_than_fit_into_one_session_take_several(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "MAILS_PER_CONNECTION", 2)
    receipts = transport(server).deliver(MESSAGE, people(*(f"r{n}@example.com" for n in range(5))))
    assert [receipt.outcome for receipt in receipts] == [Outcome.SUBMITTED] * 5
    assert len(server.mails()) == 5


def test_a_slow_server_is_left_in_time_and_the_rest_counts_as_untried(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "START_WITHIN_SECONDS", 0)
    receipts = transport(server).deliver(MESSAGE, people("ada@example.com", "bob@example.com", "eve@example.com"))
    assert [receipt.outcome for receipt in receipts] == [Outcome.SUBMITTED, Outcome.UNTRIED, Outcome.UNTRIED]
    assert len(server.mails()) == 1


# --- a server that follows a script: answers in turn, then breaks off ------

TO_DATA = [b"220 hi", b"250 hi", b"250 sender", b"250 recipient"]


@contextlib.contextmanager
def scripted(*sessions: Sequence[bytes]) -> Iterator[int]:
    """Serve each session's answers, one to a line (a mail's body counts as one), then close it; give the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answers in sessions:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                for position, answer in enumerate(answers):
                    if position and answers[position - 1].startswith(b"354"):
                        while lines.readline() not in (b".\r\n", b""):
                            pass
                    elif position:
                        lines.readline()
                    connection.sendall(answer + b"\r\n")
                if answers[-1].startswith(b"354"):
                    while lines.readline() not in (b".\r\n", b""):
                        pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(5)


def deliver_to(port: int) -> list[Outcome]:
    made = SmtpTransport(SmtpServer("127.0.0.1", port, "", "", "none"), FROM)
    return [receipt.outcome for receipt in made.deliver(MESSAGE, people("ada@example.com", "bob@example.com"))]


@pytest.mark.parametrize(
    ("answers", "outcomes"),
    [
        # The mail's last dot was sent, its answer never came: taken or not, who knows.
        ([*TO_DATA, b"354 go on"], [Outcome.UNKNOWN, Outcome.UNTRIED]),
        (TO_DATA, [Outcome.UNKNOWN, Outcome.UNTRIED]),
        # Before DATA nothing can have been taken.
        (TO_DATA[:3], [Outcome.LATER, Outcome.UNTRIED]),
        (TO_DATA[:2], [Outcome.LATER, Outcome.UNTRIED]),
        # Refuses to hear the mail and leaves, as servers do that limit their clients.
        ([*TO_DATA, b"421 too many mails"], [Outcome.LATER, Outcome.UNTRIED]),
        ([*TO_DATA, b"554 no more"], [Outcome.REFUSED, Outcome.UNTRIED]),
        ([*TO_DATA[:3], b"554 not to them"], [Outcome.REFUSED, Outcome.UNTRIED]),
        ([*TO_DATA, b"354 go on", b"554 spam"], [Outcome.REFUSED, Outcome.LATER]),
        ([*TO_DATA, b"354 go on", b"250 taken"], [Outcome.SUBMITTED, Outcome.LATER]),
    ],
)
def test_a_session_that_breaks_off_says_what_is_known_of_each(answers: list[bytes], outcomes: list[Outcome]) -> None:
    with scripted(answers) as port:
        assert deliver_to(port) == outcomes


def test_a_server_that_refuses_its_greeting_is_a_channel_that_is_down() -> None:
    with scripted([b"554 go away"]) as port, pytest.raises(ChannelDown, match="go away"):
        deliver_to(port)


def test_the_bytes_of_a_mail_survive_every_line_a_writer_may_type(server: MailServer) -> None:
    text = ".\n..\nFrom here\n\n" + "long " * 400 + "\n日本語\n"
    transport(server).deliver(Message("s", text, f"<pre>{text}</pre>", {}), people("ada@example.com"))
    (mail,) = server.mails()
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == text


def test_the_kept_mail_parses_without_defects(server: MailServer, tmp_path: Path) -> None:
    transport(server).deliver(MESSAGE, people("ada@example.com"))
    (file,) = (server.folder / "taken").glob("*.eml")
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.strict)
    assert [part.defects for part in mail.walk()] == [[], [], []]
