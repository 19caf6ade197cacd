"""Handing over, against real servers: SMTP, a stand-in for SendGrid, and files."""

import email
import email.policy
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from statuspage.delivery.files import FileTransport
from statuspage.delivery.providers import transport_for
from statuspage.delivery.sendgrid_mail import SendGridTransport
from statuspage.delivery.smtp import SmtpTransport
from statuspage.delivery.transport import Message, Outcome, Recipient
from statuspage.settings import Settings, SmtpServer
from tests import mailservers
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
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MailServer]:
    with mailservers.running(request.param, tmp_path / "server") as running:
        yield running


def transport(server: MailServer) -> SmtpTransport | SendGridTransport:
    if server.url.startswith("http"):
        return SendGridTransport("SG.test", server.url, FROM)
    return SmtpTransport(SmtpServer("127.0.0.1", int(server.url.rsplit(":", 1)[1]), "", "", "none"), FROM)


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


def test_a_provider_is_chosen_by_the_settings(settings: Settings) -> None:
    assert isinstance(transport_for(settings), FileTransport)
    assert isinstance(transport_for(replace(settings, smtp=SmtpServer("h", 25, "", "", "none"))), SmtpTransport)
    assert isinstance(transport_for(replace(settings, sendgrid_api_key="SG.test")), SendGridTransport)


# The standard library: ValueError, IndexError, AttributeError, TypeError, and a mail to two people.
@pytest.mark.parametrize("address", ["a\r\nBcc: x@example.com", "a@", "a@[", " .>)", "a@example.com, b@example.com"])
def test_an_address_no_mail_can_be_made_for_stops_nobody_else(address: str, tmp_path: Path) -> None:
    good, bad = people("ada", "grace")
    receipts = FileTransport(tmp_path, FROM).deliver(MESSAGE, [bad._replace(address=address), good])
    assert [receipt.outcome for receipt in receipts] == [Outcome.REFUSED, Outcome.SUBMITTED]
    assert [file.name for file in tmp_path.iterdir()] == ["000000001.eml"]


def test_the_date_of_a_mail_is_that_of_its_announcement(tmp_path: Path, now: datetime) -> None:
    message = Message("s", "t", "<p>t</p>", {"Date": "Sat, 21 Nov 2026 14:00:00 +0000"})
    FileTransport(tmp_path, FROM).deliver(message, people("ada"))
    mail = email.message_from_bytes((tmp_path / "000000001.eml").read_bytes(), policy=email.policy.default)
    assert mail["Date"].datetime == now
