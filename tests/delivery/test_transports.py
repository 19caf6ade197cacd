"""Handing over, against real servers: SMTP, a stand-in for SendGrid, and files."""

import email
import email.policy
import logging
from datetime import datetime
from pathlib import Path

import pytest

from statuspage.delivery.files import FileTransport
from statuspage.delivery.sendgrid_mail import SendGridTransport
from statuspage.delivery.smtp import SmtpTransport
from statuspage.delivery.transport import ChannelDown, Message, Outcome, Recipient
from statuspage.settings import SmtpServer
from tests import mailservers, servers
from tests.mailservers import MailServer

FROM = "Larkspur <status@example.com>"
MESSAGE = Message(
    subject="Störung ✓",
    text="Look: MARK\n" + "a long line without an end " * 60 + "\n.\nafter a dot",
    html="<p>Look: MARK</p>",
    headers={"List-Unsubscribe": "<https://status.example.com/unsubscribe/MARK>", "Precedence": "list"},
)


def people(*names: str) -> list[Recipient]:
    return [Recipient(number, f"{name}@example.com", {"MARK": f"for-{name}"}) for number, name in enumerate(names, 1)]


@pytest.fixture(params=["smtp", "sendgrid"])
def server(request: pytest.FixtureRequest, tmp_path: Path):
    with mailservers.running(request.param, tmp_path / "server") as running:
        yield running


def transport(server: MailServer) -> SmtpTransport | SendGridTransport:
    if server.url.startswith("http"):
        return SendGridTransport("SG.test", server.url, FROM)
    return SmtpTransport(smtp(server), FROM)


def smtp(server: MailServer, tls: str = "none") -> SmtpServer:
    return SmtpServer("127.0.0.1", int(server.url.rsplit(":", 1)[1]), "", "", tls)


def test_each_recipient_gets_the_mail_with_their_own_values(server: MailServer) -> None:
    receipts = transport(server).deliver(MESSAGE, people("ada", "grace"))
    assert [receipt.outcome for receipt in receipts] == [Outcome.SUBMITTED] * 2
    mails = {mail["To"]: mail for mail in server.mails()}
    assert set(mails) == {"ada@example.com", "grace@example.com"}
    mail = mails["grace@example.com"]
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail["Subject"] == "Störung ✓"
    assert "Look: for-grace" in text.get_content()
    assert text.get_content().splitlines()[-2:] == [".", "after a dot"]
    assert "Look: for-grace" in html.get_content()
    assert mail["List-Unsubscribe"] == "<https://status.example.com/unsubscribe/for-grace>"
    assert mail["Precedence"] == "list"


def test_no_line_of_a_mail_is_longer_than_the_standard_allows(tmp_path: Path) -> None:
    FileTransport(tmp_path, FROM).deliver(MESSAGE, people("ada"))
    lines = (tmp_path / "000000001.eml").read_bytes().split(b"\r\n")
    assert max(map(len, lines)) <= 998


def test_a_file_is_whole_and_a_repeat_overwrites_it(tmp_path: Path) -> None:
    for _ in range(2):
        receipts = FileTransport(tmp_path / "outbox", FROM).deliver(MESSAGE, people("ada"))
        assert [receipt.outcome for receipt in receipts] == [Outcome.SUBMITTED]
    (file,) = (tmp_path / "outbox").iterdir()
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert mail["To"] == "ada@example.com"


def test_a_folder_that_can_not_be_written_means_later(tmp_path: Path) -> None:
    (tmp_path / "000000001.new").mkdir()
    receipts = FileTransport(tmp_path, FROM).deliver(MESSAGE, people("ada", "grace"))
    assert [receipt.outcome for receipt in receipts] == [Outcome.LATER, Outcome.SUBMITTED]


@pytest.mark.parametrize(("answer", "outcome"), [("refuse", Outcome.REFUSED), ("later", Outcome.LATER)])
def test_smtp_refuses_one_recipient_and_takes_the_others(
    answer: str, outcome: Outcome, smtp_server: MailServer
) -> None:
    smtp_server.behave(f"{answer}:grace@example.com")
    receipts = transport(smtp_server).deliver(MESSAGE, people("ada", "grace", "linus"))
    assert [receipt.outcome for receipt in receipts] == [Outcome.SUBMITTED, outcome, Outcome.SUBMITTED]
    assert len(smtp_server.mails()) == 2


def test_smtp_refuses_a_mail_for_good(smtp_server: MailServer) -> None:
    smtp_server.behave("refuse-data")
    (receipt,) = transport(smtp_server).deliver(MESSAGE, people("ada"))
    assert (receipt.outcome, receipt.error) == (Outcome.REFUSED, "554 not this")


def test_smtp_without_the_demanded_starttls_sends_nothing(smtp_server: MailServer) -> None:
    with pytest.raises(ChannelDown, match="refused the session"):
        SmtpTransport(smtp(smtp_server, "required"), FROM).deliver(MESSAGE, people("ada"))
    assert smtp_server.mails() == []


def test_a_server_that_is_not_there_takes_the_channel_down() -> None:
    port = servers.free_port()
    for down in (
        SmtpTransport(SmtpServer("127.0.0.1", port, "", "", "none"), FROM),
        SendGridTransport("SG.test", f"http://127.0.0.1:{port}", FROM),
    ):
        with pytest.raises(ChannelDown, match="can't be reached"):
            down.deliver(MESSAGE, people("ada"))


def test_sendgrid_refuses_all_for_one_so_the_one_is_found(sendgrid_server: MailServer) -> None:
    sendgrid_server.behave("400:p5@example.com")
    names = [f"p{number}" for number in range(9)]
    receipts = transport(sendgrid_server).deliver(MESSAGE, people(*names))
    refused = [receipt.delivery_id for receipt in receipts if receipt.outcome is Outcome.REFUSED]
    assert refused == [6]
    assert sorted(receipt.delivery_id for receipt in receipts) == list(range(1, 10))
    assert sorted(mail["To"] for mail in sendgrid_server.mails()) == [f"{n}@example.com" for n in names if n != "p5"]


@pytest.mark.parametrize(("mode", "pause"), [("401", 300), ("429", 7)])
def test_sendgrid_that_takes_nothing_takes_the_channel_down(
    mode: str, pause: float, sendgrid_server: MailServer
) -> None:
    sendgrid_server.behave(mode)
    with pytest.raises(ChannelDown) as down:
        transport(sendgrid_server).deliver(MESSAGE, people("ada"))
    assert down.value.retry_after == pause


@pytest.mark.parametrize(("mode", "taken"), [("500", 0), ("html502", 0), ("500-taken", 1), ("reset", 1)])
def test_sendgrid_whose_answer_tells_nothing_leaves_it_unknown(
    mode: str, taken: int, sendgrid_server: MailServer
) -> None:
    sendgrid_server.behave(mode)
    (receipt,) = transport(sendgrid_server).deliver(MESSAGE, people("ada"))
    assert receipt.outcome is Outcome.UNKNOWN
    assert len(sendgrid_server.mails()) == taken


def test_the_key_of_sendgrid_is_never_logged(sendgrid_server: MailServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        transport(sendgrid_server).deliver(MESSAGE, people("ada"))
    assert "SG.test" not in caplog.text


def test_the_date_of_a_mail_is_that_of_its_announcement(tmp_path: Path, now: datetime) -> None:
    message = Message("s", "t", "<p>t</p>", {"Date": "Sat, 21 Nov 2026 14:00:00 +0000"})
    FileTransport(tmp_path, FROM).deliver(message, people("ada"))
    mail = email.message_from_bytes((tmp_path / "000000001.eml").read_bytes(), policy=email.policy.default)
    assert mail["Date"].datetime == now
