"""SendGrid: real requests to a server that answers like v3/mail/send, well and badly."""

import logging
import socket
from collections.abc import Iterator

import pytest

from statuspage.delivery import sendgrid_mail
from statuspage.delivery.sendgrid_mail import SendGridTransport
from statuspage.delivery.transport import ChannelDown, Message, Outcome, Receipt, Recipient
from tests import mailservers, servers
from tests.mailservers import MailServer

FROM = "Larkspur <status@example.com>"
MESSAGE = Message(
    "Sign-in fails – Zürich",
    "Stop: http://status.example.com/unsubscribe/MARK\n",
    '<p>Grüße <a href="http://status.example.com/unsubscribe/MARK">Stop</a></p>',
    {
        "Message-ID": "<incident.1.1.MARK@status.example.com>",
        "List-Unsubscribe": "<http://status.example.com/unsubscribe/MARK>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Date": "Sat, 21 Nov 2026 14:00:00 +0000",
    },
)


def people(count: int) -> list[Recipient]:
    return [Recipient(n, f"r{n}@example.com", {"MARK": f"token{n}"}) for n in range(1, count + 1)]


def outcomes(receipts: list[Receipt]) -> dict[int, Outcome]:
    return {receipt.delivery_id: receipt.outcome for receipt in receipts}


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mailservers.running("sendgrid", tmp_path_factory.mktemp("mail") / "sendgrid") as server:
        yield server


@pytest.fixture
def server(running_server: MailServer) -> MailServer:
    """The server, well behaved and with an empty ledger."""
    running_server.behave("ok")
    for file in (running_server.folder / "taken").iterdir():
        file.unlink()
    return running_server


@pytest.fixture
def transport(server: MailServer) -> SendGridTransport:
    return SendGridTransport("SG.test", server.url, FROM)


def test_one_request_carries_a_mail_of_their_own_to_each(server: MailServer, transport: SendGridTransport) -> None:
    assert set(outcomes(transport.deliver(MESSAGE, people(3))).values()) == {Outcome.SUBMITTED}
    mails = server.mails()
    assert [mail["To"] for mail in mails] == ["r1@example.com", "r2@example.com", "r3@example.com"]
    second = mails[1]
    assert second["Subject"] == "Sign-in fails – Zürich"
    assert second["List-Unsubscribe"] == "<http://status.example.com/unsubscribe/token2>"
    assert second["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert second["Message-ID"] == "<incident.1.1.token2@status.example.com>"
    assert second["X-Delivery"] == "2"
    text, html = second.iter_parts()
    assert "unsubscribe/token2" in text.get_content()
    assert "unsubscribe/token2" in html.get_content()


def test_the_one_bad_address_is_found_and_all_others_get_their_mail_once(
    server: MailServer, transport: SendGridTransport
) -> None:
    server.behave("400:r5@example.com")
    found = outcomes(transport.deliver(MESSAGE, people(9)))
    assert found == {n: Outcome.REFUSED if n == 5 else Outcome.SUBMITTED for n in range(1, 10)}
    assert sorted(mail["To"] for mail in server.mails()) == [f"r{n}@example.com" for n in range(1, 10) if n != 5]


def test_a_request_that_is_too_large_is_halved(server: MailServer, transport: SendGridTransport) -> None:
    server.behave("413")
    assert set(outcomes(transport.deliver(MESSAGE, people(7))).values()) == {Outcome.SUBMITTED}
    assert len(server.mails()) == 7


@pytest.mark.parametrize(
    ("mode", "least", "most"),
    [("401", 300, 300), ("400-from", 300, 300), ("404", 300, 300), ("redirect", 300, 300), ("429", 7, 7), ("429:90", 88, 90)],
)  # fmt: skip
def test_what_is_no_recipients_fault_stops_the_channel(
    server: MailServer, transport: SendGridTransport, mode: str, least: float, most: float
) -> None:
    server.behave(mode)
    with pytest.raises(ChannelDown) as caught:
        transport.deliver(MESSAGE, people(3))
    assert least <= caught.value.retry_after <= most
    assert server.mails() == []


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("500", "answered 500"),
        ("500-taken", "answered 500"),
        ("html502", "answered 502: <html>oops</html>"),
        ("garbage", "220 this is no web server"),
        ("reset", "closed connection without response"),
    ],
)
def test_an_answer_that_says_nothing_certain_leaves_it_unknown(
    server: MailServer, transport: SendGridTransport, mode: str, words: str
) -> None:
    server.behave(mode)
    receipts = transport.deliver(MESSAGE, people(2))
    assert [receipt.outcome for receipt in receipts] == [Outcome.UNKNOWN] * 2
    assert words in receipts[0].error


@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_a_server_that_does_not_come_to_an_end_is_left_at_the_deadline(
    server: MailServer, transport: SendGridTransport, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sendgrid_mail, "TOTAL_DEADLINE_SECONDS", 1.5)
    server.behave(mode)
    (receipt,) = transport.deliver(MESSAGE, people(1))
    assert (receipt.outcome, receipt.error) == (Outcome.UNKNOWN, "no answer within the deadline")


def test_a_provider_that_is_not_there_is_a_channel_that_is_down() -> None:
    transport = SendGridTransport("SG.test", f"http://127.0.0.1:{servers.free_port()}", FROM)
    with pytest.raises(ChannelDown, match="can't be reached"):
        transport.deliver(MESSAGE, people(1))


def test_a_provider_that_can_t_be_trusted_is_a_channel_that_is_down(server: MailServer) -> None:
    transport = SendGridTransport("SG.test", server.url.replace("http:", "https:"), FROM)
    with pytest.raises(ChannelDown, match="can't be reached"):
        transport.deliver(MESSAGE, people(1))


def test_a_connection_that_never_opens_is_a_channel_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sendgrid_mail, "CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        # The kernel's queue is full with these: a further connection gets no answer at all.
        waiting = []
        for _ in range(4):
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
            waiting.append(each)
        try:
            with pytest.raises(ChannelDown, match="timed out"):
                SendGridTransport("SG.test", f"http://127.0.0.1:{port}", FROM).deliver(MESSAGE, people(1))
        finally:
            for each in waiting:
                each.close()


def test_a_channel_that_goes_down_on_the_way_leaves_the_rest_untried(
    server: MailServer, transport: SendGridTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sendgrid_mail, "RECIPIENTS_PER_REQUEST", 2)
    posted = transport._post

    def post_then_revoke(body: dict[str, object]) -> Receipt:
        answer = posted(body)
        server.behave("401")
        return answer

    monkeypatch.setattr(transport, "_post", post_then_revoke)
    found = outcomes(transport.deliver(MESSAGE, people(6)))
    assert found == {n: Outcome.SUBMITTED if n < 3 else Outcome.UNTRIED for n in range(1, 7)}


def test_no_request_begins_late(
    server: MailServer, transport: SendGridTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sendgrid_mail, "RECIPIENTS_PER_REQUEST", 2)
    monkeypatch.setattr(sendgrid_mail, "START_WITHIN_SECONDS", 0)
    found = outcomes(transport.deliver(MESSAGE, people(4)))
    assert found == {1: Outcome.SUBMITTED, 2: Outcome.SUBMITTED, 3: Outcome.UNTRIED, 4: Outcome.UNTRIED}


def test_the_key_is_never_logged(
    server: MailServer, transport: SendGridTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    transport.deliver(MESSAGE, people(1))
    server.behave("500")
    transport.deliver(MESSAGE, people(1))
    server.behave("401")
    with pytest.raises(ChannelDown) as caught:
        transport.deliver(MESSAGE, people(1))
    assert "SG.test" not in f"{caplog.text}{caught.value}"
    assert "r1@example.com" not in caplog.text
