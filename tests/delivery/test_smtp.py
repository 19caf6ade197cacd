"""SMTP: real sessions with real servers, and with one that breaks off where it hurts."""

import email
import email.policy
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from statuspage.delivery import smtp
from statuspage.delivery.mime import MailTemplate
from statuspage.delivery.smtp import SmtpTransport
from statuspage.delivery.transport import ChannelDown, Message, Outcome, Receipt, Recipient
from statuspage.settings import SmtpServer
from tests import certificates, mailservers, scriptedsmtp, servers
from tests.mailservers import MailServer
from tests.scriptedsmtp import GOOD, Action, Script, ScriptedServer, close, dripped, hang, reset

FROM = "Larkspur <status@example.com>"
MESSAGE = Message(
    "Sign-in fails – Zürich",
    "Bitte abmelden: http://status.example.com/unsubscribe/MARK\n" + "ü" * 2000 + "\n",
    "<p>Grüße</p>" + "<b>x</b>" * 500,
    {"List-Unsubscribe": "<http://status.example.com/unsubscribe/MARK>", "Auto-Submitted": "auto-generated"},
)


def people(*addresses: str) -> list[Recipient]:
    return [Recipient(n, address, {"MARK": f"token{n}"}) for n, address in enumerate(addresses, start=1)]


def receipts_of(transport: SmtpTransport, recipients: Sequence[Recipient]) -> list[Receipt]:
    """The receipts in the order of the recipients."""
    receipts = {receipt.delivery_id: receipt for receipt in transport.deliver(MESSAGE, recipients)}
    return [receipts[each.delivery_id] for each in recipients]


def outcomes(transport: SmtpTransport, recipients: Sequence[Recipient]) -> list[Outcome]:
    return [receipt.outcome for receipt in receipts_of(transport, recipients)]


def transport(server: MailServer, tls: str = "none") -> SmtpTransport:
    port = int(server.url.rsplit(":", 1)[1])
    return SmtpTransport(SmtpServer("127.0.0.1", port, "", "", tls), FROM)


@pytest.fixture(scope="module", params=["smtp", "smtp-pipelining"])
def running_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mailservers.running(request.param, tmp_path_factory.mktemp("mail") / request.param) as server:
        yield server


@pytest.fixture
def server(running_server: MailServer) -> MailServer:
    """The server, well behaved and with an empty ledger."""
    running_server.behave("ok")
    for file in (running_server.folder / "taken").iterdir():
        file.unlink()
    return running_server


def test_each_recipient_gets_a_mail_of_their_own(server: MailServer) -> None:
    receipts = receipts_of(transport(server), people("ada@example.com", "bob@example.com"))
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
    receipts = receipts_of(transport(server), people("ada@example.com", "bob@example.com", "eve@example.com"))
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
    receipts = receipts_of(transport(server), people("ada@example.com", poison, "eve@example.com"))
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
    receipts = receipts_of(transport(server), people(*(f"r{n}@example.com" for n in range(5))))
    assert [receipt.outcome for receipt in receipts] == [Outcome.SUBMITTED] * 5
    assert len(server.mails()) == 5


def test_a_slow_server_is_left_in_time_and_the_rest_counts_as_untried(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "START_WITHIN_SECONDS", 0)
    receipts = receipts_of(transport(server), people("ada@example.com", "bob@example.com", "eve@example.com"))
    assert [receipt.outcome for receipt in receipts] == [Outcome.SUBMITTED, Outcome.UNTRIED, Outcome.UNTRIED]
    assert len(server.mails()) == 1


# --- a server that follows a script -----------------------------------------

SUBMITTED, REFUSED, LATER = Outcome.SUBMITTED, Outcome.REFUSED, Outcome.LATER
UNKNOWN, UNTRIED = Outcome.UNKNOWN, Outcome.UNTRIED
ADDRESSES = ("ada@example.com", "bob@example.com", "eve@example.com")


def scripted_transport(server: ScriptedServer, connections: int = 1) -> SmtpTransport:
    return SmtpTransport(SmtpServer("127.0.0.1", server.port, "", "", "none", connections), FROM)


def delivered(server: ScriptedServer, addresses: Sequence[str] = ADDRESSES) -> list[Outcome]:
    return outcomes(scripted_transport(server), people(*addresses))


# What the server does, and what becomes of three mails.
SCRIPTS: dict[str, tuple[Script, list[Outcome]]] = {
    "all is well": ({}, [SUBMITTED, SUBMITTED, SUBMITTED]),
    "answers of many lines": (
        {"MAIL 2": b"250-very\r\n250-\r\n250 fine", "END 1": b"250-a\r\n250 b", "DATA 1": b"354-a\r\n354 b"},
        [SUBMITTED] * 3,
    ),
    "answers without words": ({"MAIL 1": b"250", "RCPT 1": b"251 ", "END 1": b"250"}, [SUBMITTED] * 3),
    "a recipient refused for good": ({"RCPT 2": b"550 nobody"}, [SUBMITTED, REFUSED, SUBMITTED]),
    "a recipient refused for now": ({"RCPT 1": b"450 greylisted"}, [LATER, SUBMITTED, SUBMITTED]),
    "the last recipient refused": ({"RCPT 3": b"550 nobody"}, [SUBMITTED, SUBMITTED, REFUSED]),
    "a recipient refused, and so the mail": (
        {"RCPT 2": b"550 nobody", "DATA 2": b"503 to whom?"},
        [SUBMITTED, REFUSED, SUBMITTED],
    ),
    "a recipient refused, and the empty mail as well": (
        {"RCPT 2": b"550 nobody", "END 2": b"554 to nobody"},
        [SUBMITTED, REFUSED, SUBMITTED],
    ),
    "every recipient refused": ({"RCPT": b"550 nobody"}, [REFUSED] * 3),
    "a mail refused before it is heard": ({"DATA 2": b"554 not that"}, [SUBMITTED, REFUSED, SUBMITTED]),
    "a mail put off before it is heard": ({"DATA 2": b"451 not now"}, [SUBMITTED, LATER, SUBMITTED]),
    "a mail refused": ({"END 2": b"554 spam"}, [SUBMITTED, REFUSED, SUBMITTED]),
    "a mail put off": ({"END 1": b"452 full"}, [LATER, SUBMITTED, SUBMITTED]),
    "the sender refused in the middle": ({"MAIL 2": b"550 enough of you"}, [SUBMITTED, UNTRIED, UNTRIED]),
    # 421 ends the session wherever it comes.
    "421 to MAIL": ({"MAIL 2": b"421 too many mails"}, [SUBMITTED, UNTRIED, UNTRIED]),
    "421 to RCPT": ({"RCPT 2": b"421 too many mails"}, [SUBMITTED, LATER, UNTRIED]),
    "421 to DATA": ({"DATA 2": b"421 too many mails"}, [SUBMITTED, LATER, UNTRIED]),
    "421 to a mail": ({"END 2": b"421 going down"}, [SUBMITTED, LATER, UNTRIED]),
    "421 to a RSET": ({"DATA 1": b"554 not that", "RSET 1": b"421 bye"}, [REFUSED, UNTRIED, UNTRIED]),
    # Before the mail is written, nothing can have been taken.
    "gone at the first MAIL": ({"MAIL 1": close}, [LATER, UNTRIED, UNTRIED]),
    "gone at the second MAIL": ({"MAIL 2": close}, [SUBMITTED, LATER, UNTRIED]),
    "gone at RCPT": ({"RCPT 2": close}, [SUBMITTED, LATER, UNTRIED]),
    "gone at DATA": ({"DATA 2": close}, [SUBMITTED, LATER, UNTRIED]),
    "gone after a refusal": (
        {"RCPT 2": b"550 nobody", "DATA 2": close, "RSET 1": close},
        [SUBMITTED, REFUSED, UNTRIED],
    ),
    # The last dot was written, its answer never came: taken or not, who knows. The next one's turn did not come.
    "gone at the end": ({"END 2": close}, [SUBMITTED, UNKNOWN, UNTRIED]),
    "broken off at the end": ({"END 2": reset}, [SUBMITTED, UNKNOWN, UNTRIED]),
    "gone at the end of the last": ({"END 3": close}, [SUBMITTED, SUBMITTED, UNKNOWN]),
    # What is no answer says nothing.
    "nonsense to MAIL": ({"MAIL 2": b"hello"}, [SUBMITTED, LATER, UNTRIED]),
    "nonsense to a mail": ({"END 2": b"\xff\xfe\0"}, [SUBMITTED, UNKNOWN, UNTRIED]),
    "a number that is no answer": ({"END 2": b"999 taken"}, [SUBMITTED, UNKNOWN, UNTRIED]),
    "an empty line": ({"END 2": b""}, [SUBMITTED, UNKNOWN, UNTRIED]),
    "go on, at the end of a mail": ({"END 2": b"354 go on"}, [SUBMITTED, UNKNOWN, UNTRIED]),
    "fine, before the mail": ({"DATA 2": b"250 fine"}, [SUBMITTED, LATER, UNTRIED]),
    "go on, before DATA": ({"RCPT 2": b"354 go on"}, [SUBMITTED, LATER, UNTRIED]),
    "a line without an end": ({"END 2": b"250 " + b"x" * 70_000}, [SUBMITTED, UNKNOWN, UNTRIED]),
    "lines without an end": ({"END 2": b"250-x\r\n" * 20_000 + b"250 x"}, [SUBMITTED, UNKNOWN, UNTRIED]),
    "empty lines without an end": ({"END 2": b"250-\r\n" * 20_000 + b"250 "}, [SUBMITTED, UNKNOWN, UNTRIED]),
    "answers in pieces": (
        {f"{moment} {n}": dripped(answer + b"\r\n", 0.001) for moment, answer in GOOD.items() for n in (1, 2)},
        [SUBMITTED] * 3,
    ),
}


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_server_does_decides_what_becomes_of_each_mail(name: str, pipelining: bool) -> None:
    script, expected = SCRIPTS[name]
    with scriptedsmtp.running(script, pipelining=pipelining) as server:
        assert delivered(server) == expected
    assert server.faults == []
    certain = {address for address, outcome in zip(ADDRESSES, expected, strict=True) if outcome is SUBMITTED}
    uncertain = {address for address, outcome in zip(ADDRESSES, expected, strict=True) if outcome is UNKNOWN}
    # A mail to nobody, which ends what a server invited after it refused the recipient, is nobody's.
    taken = [address for address, _ in server.taken if address]
    assert certain <= set(taken) <= certain | uncertain
    assert len(taken) == len(set(taken))
    assert all(content == b"" for address, content in server.taken if not address)


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ({"GREETING": b"554 go away"}, "can't be reached.*go away"),
        ({"GREETING": b"421 too many connections"}, "can't be reached.*too many"),
        ({"GREETING": close}, "can't be reached"),
        ({"GREETING": b"hello"}, "does not speak SMTP"),
        ({"EHLO": close}, "refused the session"),
        ({"MAIL 1": b"550 not you"}, "refused the sender: 550 not you"),
        ({"MAIL 1": b"451 not now"}, "refused the sender: 451 not now"),
        ({"MAIL 1": b"421 not now"}, "refused the sender: 421 not now"),
        # What a server with pipelining may still say after that does not matter.
        ({"MAIL 1": b"550 not you", "RCPT 1": b"503 no", "DATA 1": b"354 go on"}, "refused the sender"),
    ],
)
def test_a_server_that_takes_nothing_is_a_channel_that_is_down(script: Script, words: str, pipelining: bool) -> None:
    with scriptedsmtp.running(script, pipelining=pipelining) as server, pytest.raises(ChannelDown, match=words):
        delivered(server)
    assert server.taken == []


def test_a_passing_refusal_of_the_sender_asks_for_a_shorter_pause() -> None:
    pauses = []
    for answer in (b"451 not now", b"550 not you"):
        with scriptedsmtp.running({"MAIL": answer}) as server, pytest.raises(ChannelDown) as down:
            delivered(server)
        pauses.append(down.value.retry_after)
    assert pauses == [smtp.UNREACHABLE_PAUSE, smtp.REFUSED_PAUSE]


def test_with_pipelining_a_mail_takes_one_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = smtp._Session.write
    monkeypatch.setattr(smtp._Session, "write", lambda session, data: (written.append(data), write(session, data)))
    with scriptedsmtp.running({}) as server:
        assert delivered(server, ADDRESSES[:2]) == [SUBMITTED] * 2
    first, second, third, goodbye = written
    assert first == b"MAIL FROM:<status@example.com>\r\nRCPT TO:<ada@example.com>\r\nDATA\r\n"
    assert second.endswith(b"\r\n.\r\nMAIL FROM:<status@example.com>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n")
    assert third.endswith(b"\r\n.\r\n")
    assert goodbye == b"QUIT\r\n"


def test_the_lines_of_a_mail_arrive_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    message = Message("s", ".\n..\n.MARK\nMARK\n", "MARK\n.", {})
    recipient = Recipient(1, "ada@example.com", {"MARK": "..token"})
    with scriptedsmtp.running({}) as server:
        scripted_transport(server).deliver(message, [recipient])
    (_, content), *_ = server.taken
    assert content == MailTemplate(message, FROM).fill(recipient)
    assert b"\r\n..token" in content


# --- several sessions ---------------------------------------------------------


def many(count: int) -> list[Recipient]:
    return people(*(f"r{n}@example.com" for n in range(count)))


@pytest.mark.parametrize(("count", "sessions"), [(1, 1), (9, 1), (10, 2), (25, 3), (100, 4)])
def test_a_batch_is_divided_over_as_many_sessions_as_it_is_worth(count: int, sessions: int) -> None:
    # A slow first answer: so that no session is done before the others have begun.
    script = {f"GREETING {n}": dripped(b"220 here\r\n", 0.01) for n in range(1, 5)}
    with scriptedsmtp.running(script) as server:
        assert outcomes(scripted_transport(server, 4), many(count)) == [SUBMITTED] * count
    assert server.seen["GREETING"] == sessions
    assert sorted(address for address, _ in server.taken) == sorted(each.address for each in many(count))
    assert server.faults == []


def test_a_session_has_up_to_a_hundred_mails() -> None:
    with scriptedsmtp.running({}) as server:
        assert outcomes(scripted_transport(server), many(201)) == [SUBMITTED] * 201
    assert server.seen["GREETING"] == 3
    assert server.said.count("QUIT") == 3


def test_a_session_that_the_server_refuses_leaves_the_mails_to_the_others() -> None:
    script: dict[str, Action] = {f"GREETING {n}": b"421 too many connections" for n in (2, 3, 4)}
    with scriptedsmtp.running(script) as server:
        assert outcomes(scripted_transport(server, 4), many(40)) == [SUBMITTED] * 40


def test_when_no_session_is_taken_the_channel_is_down() -> None:
    with (
        scriptedsmtp.running({"GREETING": b"421 no"}) as server,
        pytest.raises(ChannelDown, match="421"),
    ):
        scripted_transport(server, 4).deliver(MESSAGE, many(40))


def test_a_session_that_breaks_leaves_the_rest_to_the_others() -> None:
    with scriptedsmtp.running({"END 7": close, "RCPT 20": b"421 enough"}) as server:
        receipts = scripted_transport(server, 4).deliver(MESSAGE, many(40))
    found = Counter(receipt.outcome for receipt in receipts)
    assert found == {SUBMITTED: 38, UNKNOWN: 1, LATER: 1}
    assert len({receipt.delivery_id for receipt in receipts}) == 40


# --- time -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({"END 2": hang}, [SUBMITTED, UNKNOWN, UNTRIED]),
        ({"RCPT 2": hang}, [SUBMITTED, LATER, UNTRIED]),
        # Each byte comes in time, the answer does not.
        ({"END 2": dripped(b"250-" + b"x" * 60 + b"\r\n", 0.1)}, [SUBMITTED, UNKNOWN, UNTRIED]),
        ({"END 2": dripped(b"250-x\r\n" * 60, 0.02)}, [SUBMITTED, UNKNOWN, UNTRIED]),
        ({"DATA 2": dripped(b"354 " + b"x" * 60 + b"\r\n", 0.1)}, [SUBMITTED, LATER, UNTRIED]),
    ],
)
@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])
def test_an_answer_has_to_be_there_in_time_however_slowly_it_comes(
    script: Script, expected: list[Outcome], pipelining: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 1)
    with scriptedsmtp.running(script, pipelining=pipelining) as server:
        began = time.monotonic()
        assert delivered(server) == expected
        assert time.monotonic() - began < 3


@pytest.mark.parametrize("moment", ["GREETING", "EHLO"])
@pytest.mark.parametrize("action", [hang, dripped(b"220-x\r\n" * 60, 0.1)], ids=["hang", "drip"])
def test_a_session_has_to_be_open_in_time(moment: str, action: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(smtp, "CONNECT_SECONDS", 1)
    with scriptedsmtp.running({moment: action}) as server:
        began = time.monotonic()
        with pytest.raises(ChannelDown, match=r"can't be reached|refused the session"):
            delivered(server)
        assert time.monotonic() - began < 3


def test_a_goodbye_that_is_not_heard_costs_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "GOODBYE_SECONDS", 0.1)
    with scriptedsmtp.running({"QUIT": hang}) as server:
        assert delivered(server) == [SUBMITTED] * 3


@pytest.mark.parametrize("connections", [1, 4])
def test_no_mail_but_the_first_begins_late(connections: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "START_WITHIN_SECONDS", 0)
    with scriptedsmtp.running({}) as server:
        receipts = scripted_transport(server, connections).deliver(MESSAGE, many(40))
    assert Counter(receipt.outcome for receipt in receipts) == {SUBMITTED: 1, UNTRIED: 39}
    assert len(server.taken) == 1


def test_a_batch_ends_in_time_however_slow_each_answer_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "START_WITHIN_SECONDS", 0.5)
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 1)
    script = {"RCPT": dripped(b"250 fine\r\n", 0.05), "END": dripped(b"250 taken\r\n", 0.05)}
    with scriptedsmtp.running(script) as server:
        began = time.monotonic()
        receipts = scripted_transport(server).deliver(MESSAGE, many(9))
        assert time.monotonic() - began < 3
    found = Counter(receipt.outcome for receipt in receipts)
    assert set(found) == {SUBMITTED, UNTRIED}
    assert found[SUBMITTED] == len(server.taken)


# --- encryption -----------------------------------------------------------------


@pytest.fixture(scope="module", params=["smtp-starttls", "smtps"])
def encrypted_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mailservers.running(request.param, tmp_path_factory.mktemp("mail") / request.param) as server:
        yield server


def encrypted_transport(server: MailServer, password: str = "lovelace") -> SmtpTransport:
    port = int(server.url.rsplit(":", 1)[1])
    if server.folder.name == "smtps":
        return SmtpTransport(SmtpServer("127.0.0.1", port, "", "", "implicit"), FROM)
    return SmtpTransport(SmtpServer("127.0.0.1", port, "ada", password, "required"), FROM)


def test_mails_go_over_an_encrypted_connection(encrypted_server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(encrypted_server.folder / "certificate.pem"))
    before = len(encrypted_server.mails())
    assert outcomes(encrypted_transport(encrypted_server), many(25)) == [SUBMITTED] * 25
    assert len(encrypted_server.mails()) == before + 25


def test_a_server_that_nobody_vouches_for_gets_nothing(encrypted_server: MailServer) -> None:
    before = len(encrypted_server.mails())
    with pytest.raises(ChannelDown, match="CERTIFICATE_VERIFY_FAILED"):
        encrypted_transport(encrypted_server).deliver(MESSAGE, many(1))
    assert len(encrypted_server.mails()) == before


@pytest.mark.parametrize("password", ["wrong", "wörd"])
def test_a_wrong_password_is_a_channel_that_is_down(
    password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mailservers.running("smtp-starttls", tmp_path / "server") as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.folder / "certificate.pem"))
        with pytest.raises(ChannelDown, match="refused the session"):
            encrypted_transport(server, password).deliver(MESSAGE, many(1))


def test_words_put_behind_the_answer_to_starttls_are_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2011-0411: whoever sits between could offer what the server does not, and be believed."""
    context = certificates.server_context(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        plain, _ = listener.accept()
        plain.sendall(b"220 here\r\n")
        plain.recv(1000)
        plain.sendall(b"250-here\r\n250 STARTTLS\r\n")
        plain.recv(1000)
        plain.sendall(b"220 go on\r\n250-here\r\n250-INJECTED\r\n250 PIPELINING\r\n")
        with context.wrap_socket(plain, server_side=True) as connection:
            heard.append(connection.recv(1000))
            connection.sendall(b"250-here\r\n250 SIZE\r\n")
            heard.append(connection.recv(1000))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    connection = smtp.connect(
        SmtpServer("127.0.0.1", listener.getsockname()[1], "", "", "required"), ssl.create_default_context()
    )
    assert not connection.has_extn("injected")
    assert not connection.has_extn("pipelining")
    assert connection.has_extn("size")
    connection.close()
    thread.join(5)
    listener.close()


# --- real mails to a real server ------------------------------------------------


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
