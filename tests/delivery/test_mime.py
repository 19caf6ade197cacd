"""A mail written once and filled for each recipient says what one written for that recipient would say."""

import email
import email.policy
import re
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from statuspage.delivery.mime import MailTemplate
from statuspage.delivery.transport import Message, Recipient

FROM = "Lärkspur <status@example.com>"
TOKEN, PERSON = "mark0123456789abcdeftoken", "mark0123456789abcdefrecipient"
MARKS = (TOKEN, PERSON)
# Anything but what UTF-8 has no bytes for: with marks in between, long lines, and what mail finds special.
LETTERS = st.characters(exclude_categories=["Cs"])
HEADER_LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")
PARTS = st.one_of(
    st.sampled_from(
        [*MARKS, *MARKS, "\n", "\r\n", "\n.", "\n..\n", "\nFrom ", "  \n", "\t", "=", "=3D", "=\n", "--=_"]
    ),
    st.text(LETTERS, max_size=90),
    st.integers(60, 1200).map(lambda length: "x" * length),
    st.integers(20, 80).map(lambda length: "ü–" * length),
)
TEXTS = st.lists(PARTS, max_size=12).map("".join)
VALUES = st.from_regex(r"[A-Za-z0-9._~:/@+=%-]{1,200}", fullmatch=True)
# Python's own line ends in headers, and others that have to be written as encoded words.
HEADER_PARTS = st.sampled_from([*MARKS, *MARKS, " ", "=?utf-8?q?a?=", "ü"]) | st.text(HEADER_LETTERS, max_size=30)
HEADER_VALUES = st.lists(HEADER_PARTS, max_size=8).map("".join)
PLAIN_VALUES = st.lists(st.sampled_from([*MARKS, "<https://a.example/", ">", " ", "word", "x" * 300]), max_size=8).map(
    lambda parts: " ".join("".join(parts).split())
)


def filled(message: Message, token: str = "tok", person: str = "p1", address: str = "ada@example.com") -> bytes:
    return MailTemplate(message, FROM).fill(Recipient(1, address, {TOKEN: token, PERSON: person}))


def parsed(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=email.policy.default)


def written_plainly(message: Message, recipient: Recipient) -> EmailMessage:
    """The mail as the standard library would make it for one recipient, sent and read again."""
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"] = FROM
    mail["To"] = recipient.address
    mail.set_content(recipient.fill(message.text), cte="quoted-printable")
    mail.add_alternative(recipient.fill(message.html), subtype="html", cte="quoted-printable")
    return parsed(mail.as_bytes())


def bodies(mail: EmailMessage) -> list[tuple[str, str]]:
    return [(part.get_content_type(), part.get_content()) for part in mail.iter_parts()]


@settings(deadline=None)
@given(TEXTS, TEXTS, VALUES, VALUES)
@example("a" * 75 + TOKEN + " \n", TOKEN, "." * 76, "=" * 200)
@example("", f"{TOKEN}{PERSON}", ".", "From")
def test_the_bodies_are_those_of_a_mail_written_for_one_recipient(
    text: str, html: str, token: str, person: str
) -> None:
    message, recipient = Message("s", text, html, {}), Recipient(1, "ada@example.com", {TOKEN: token, PERSON: person})
    content = filled(message, token, person)
    mail, plain = parsed(content), written_plainly(message, recipient)
    assert bodies(mail) == bodies(plain)
    assert (mail["From"], mail["To"]) == (plain["From"], plain["To"])
    assert [type_ for type_, _ in bodies(mail)] == ["text/plain", "text/html"]
    assert [part.defects for part in mail.walk()] == [[], [], []]
    lines = content.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert not any(b"\r" in line or b"\n" in line for line in lines)


@settings(deadline=None)
@given(HEADER_VALUES, HEADER_VALUES | PLAIN_VALUES, VALUES)
def test_a_header_reads_as_it_was_written(subject: str, value: str, token: str) -> None:
    recipient = Recipient(1, "ada@example.com", {TOKEN: token, PERSON: "p1"})
    content = filled(Message(subject, "t", "h", {"X-Something": value}), token)
    mail = parsed(content)
    assert mail["Subject"] == subject
    assert mail["X-Something"] == recipient.fill(value)
    assert set(mail.keys()) == {"From", "To", "Subject", "X-Something", "MIME-Version", "Content-Type"}
    assert max(map(len, content.split(b"\r\n"))) <= 998


@settings(deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"[!-~]{0,12}@[!-~]{0,12}", fullmatch=True) | st.emails())
@example("ada@example.com\r\nBcc: x@example.com")
@example("ada@example.com\n")
@example("a" * 300 + "@example.com")
def test_a_mail_is_made_for_exactly_the_address_that_was_given_or_refused(address: str) -> None:
    try:
        content = filled(Message("s", "t", "h", {}), address=address)
    except ValueError:
        return
    (to,) = parsed(content)["To"].addresses
    assert to.addr_spec == address


@pytest.mark.parametrize(
    "value", ["", "a b", "a\r\nBcc: x@example.com", "ä", "<b>", '"', "&", "=?utf-8?q?a?=", "a" * 201]
)
def test_a_value_that_could_break_a_mail_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="own values"):
        filled(Message("s", TOKEN, TOKEN, {}), token=value)


@pytest.mark.parametrize(
    "message",
    [
        Message("s\nBcc: x@example.com", "t", "h", {}),
        Message("s", "t", "h", {"X": "a\r\n\r\nb"}),
        Message("s", "t", "h", {"X: a\r\nY": "b"}),
    ],
)
def test_a_line_end_in_a_header_is_refused(message: Message) -> None:
    with pytest.raises(ValueError, match="line end"):
        filled(message)


def test_an_encoded_word_that_was_typed_stays_one() -> None:
    """CVE-2024-6923: the standard library would decode it and write its line end."""
    typed = "=?utf-8?q?a=0d=0aBcc:_x@example.com?="
    mail = parsed(filled(Message(typed, "t", "h", {})))
    assert (mail["Subject"], mail["Bcc"]) == (typed, None)


def test_an_address_in_a_header_is_never_an_encoded_word() -> None:
    """Mail programs look for the address itself behind List-Unsubscribe (RFC 2369, 2; RFC 8058)."""
    token = "IjAxOTM0NWE2Yjc4OTAxMjM0NTY3ODkwMSI.cLmVxHzF1cSxUkhFQy2EJp9kQzU"
    url = f"<https://status.example.com/unsubscribe/{TOKEN}>"
    references = f"<incident.1.1.{PERSON}@status.example.com> <incident.1.2.{PERSON}@status.example.com>"
    content = filled(Message("s", "t", "h", {"List-Unsubscribe": url, "References": references}), token, "p" * 36)
    assert f"List-Unsubscribe: {url}\r\n".replace(TOKEN, token).encode() in content
    assert re.search(rb"References: <incident\.1\.1\.p+@status.example.com>\r\n <incident\.1\.2\.p+@", content)


def test_a_subject_is_folded_and_shown_whole() -> None:
    subject = "Anmeldung gestört – " + "いろは" * 30
    content = filled(Message(subject, "t", "h", {}))
    assert max(map(len, content.split(b"\r\n"))) <= 76
    assert parsed(content)["Subject"] == subject


def test_recipients_with_different_marks_can_share_a_message() -> None:
    template = MailTemplate(Message("s", f"{TOKEN} {PERSON}", "h", {}), FROM)
    both = parsed(template.fill(Recipient(1, "a@example.com", {TOKEN: "t", PERSON: "p"})))
    one = parsed(template.fill(Recipient(2, "b@example.com", {PERSON: "p"})))
    assert bodies(both)[0][1] == "t p\r\n"
    assert bodies(one)[0][1] == f"{TOKEN} p\r\n"


def test_a_value_is_never_searched_for_marks() -> None:
    template = MailTemplate(Message("s", "AB A", "h", {}), FROM)
    mail = parsed(template.fill(Recipient(1, "a@example.com", {"A": "AB", "AB": "A"})))
    assert bodies(mail)[0][1] == "A AB\r\n"
