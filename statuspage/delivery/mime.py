"""A message, written once as the bytes of a mail into which each recipient's own values are put."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.quoprimime import body_encode
from threading import Lock

from statuspage.delivery.transport import Message, Recipient

# A dot-atom on both sides of the @ (RFC 5322, 3.4.1). Of other things the standard library makes an
# IndexError, an AttributeError or a second recipient; so it does of what looks like the beginning of an
# encoded word (RFC 2047).
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN_ADDRESS = re.compile(rf"(?!.*=\?){_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
# What fits into the 256 octets of a path with its brackets (RFC 5321, 4.5.3.1.3).
_LONGEST_ADDRESS = 254
# What stands for a mark goes into headers, text and HTML alike: tokens, ids, addresses of pages.
_LONGEST_VALUE = 200
_SAFE_VALUE = re.compile(rf"[A-Za-z0-9._~:/@+=%-]{{1,{_LONGEST_VALUE}}}")

# Longest lines without their ends: of a header that can be folded, of anything (RFC 5322, 2.1.1), and of a body
# without the "=" of a soft line break (RFC 2045, 6.7).
_HEADER_LINE, _LONGEST_LINE, _BODY_LINE = 78, 998, 75
# Makes encoded words of 60 letters, which leave room for the header's name in a line of 76 (RFC 2047, 2).
_WORD_BYTES = 36
_SOFT_BREAK = b"=\r\n"
# Can't occur in a body: there an "=" is followed by two digits or the end of the line (RFC 2045, 6.7).
_BOUNDARY = "=_alternative"
_HEADER_NAME = re.compile(r"[!-9;-~]+")
# What looks like the beginning of an encoded word would be taken for one.
_PLAIN_HEADER = re.compile(r"(?! )(?!.*=\?)[ -~]*(?<! )")

_Slot = tuple[str, Callable[[str], bytes]]
"""A place for a recipient's value: its mark, and how the value is written there."""
_ADDRESS = ""
"""The mark of the recipient's address: no mark of a text is empty."""


class MailTemplate:
    """A mail to many: multipart/alternative, plain text first (RFC 2046, 5.1.4)."""

    def __init__(self, message: Message, mail_from: str) -> None:
        self._message = message
        self._mail_from = mail_from
        # By the marks of those it was written for: all recipients of a batch have the same ones.
        self._written: dict[tuple[str, ...], _Written] = {}
        self._writing = Lock()

    def fill(self, recipient: Recipient) -> bytes:
        """Return the recipient's mail as bytes with CRLF.

        Raises ValueError if no mail can be made for this recipient.
        """
        address, values = recipient.address, recipient.substitutions
        if len(address) > _LONGEST_ADDRESS or not _PLAIN_ADDRESS.fullmatch(address):
            raise ValueError("it is not one plain address")
        if not all(map(_SAFE_VALUE.fullmatch, values.values())):
            raise ValueError("one of its own values can't stand in a mail")
        marks = tuple(values)
        with self._writing:
            written = self._written.get(marks)
            if written is None:
                written = self._written[marks] = _Written(_mail(self._message, self._mail_from, marks))
        return written.fill({_ADDRESS: address, **values})


class _Written:
    """Bytes, and slots between them."""

    def __init__(self, pieces: Iterable[bytes | _Slot]) -> None:
        self._pieces = [b""]
        self._slots: list[_Slot] = []
        for piece in pieces:
            if isinstance(piece, bytes):
                self._pieces[-1] += piece
            else:
                self._slots.append(piece)
                self._pieces += [b"", b""]
        self._different = set(self._slots)

    def fill(self, values: Mapping[str, str]) -> bytes:
        encoded = {slot: slot[1](values[slot[0]]) for slot in self._different}
        pieces = self._pieces.copy()
        pieces[1::2] = [encoded[slot] for slot in self._slots]
        return b"".join(pieces)


def _mail(message: Message, mail_from: str, marks: tuple[str, ...]) -> Iterator[bytes | _Slot]:
    # Longest first: one may be the beginning of another. Without any, what is found nowhere.
    found = "|".join(map(re.escape, sorted(marks, key=len, reverse=True))) or "(?!)"
    # Gives text and marks in turn.
    split = re.compile(f"({found})").split
    sender = EmailMessage(policy=SMTP)
    sender["From"] = mail_from
    yield SMTP.fold("From", sender["From"]).encode("ascii")
    yield from (b"To: ", (_ADDRESS, _as_it_is), b"\r\n")
    yield from _header("Subject", message.subject, lambda subject: [subject])
    for name, value in message.headers.items():
        yield from _header(name, value, split)
    yield f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="{_BOUNDARY}"\r\n\r\n'.encode()
    for subtype, text in (("plain", message.text), ("html", message.html)):
        yield f'--{_BOUNDARY}\r\nContent-Type: text/{subtype}; charset="utf-8"\r\n'.encode()
        yield b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        yield from _body(text, split)
        yield b"\r\n"
    yield f"--{_BOUNDARY}--\r\n".encode()


def _header(name: str, value: str, split: Callable[[str], list[str]]) -> Iterator[bytes | _Slot]:
    """Write one header.

    The standard library would write a long word, such as the address in
    List-Unsubscribe, as encoded words, which mail programs don't understand
    there, and decode an encoded word that somebody typed, a line end in it
    included (CVE-2024-6923).
    """
    if not _HEADER_NAME.fullmatch(name) or "\r" in value or "\n" in value:
        raise ValueError("a header can't hold a line end, nor its name a space or a colon")
    lines = [split(line) for line in _folded(f"{name}: {value}")]
    longest = max(sum(map(len, line[::2])) + len(line[1::2]) * _LONGEST_VALUE for line in lines)
    if _PLAIN_HEADER.fullmatch(value) and longest <= _LONGEST_LINE:
        for line in lines:
            yield from ((part, _as_it_is) if position % 2 else part.encode() for position, part in enumerate(line))
            yield b"\r\n"
        return
    yield f"{name}:".encode()
    before = b" "
    for position, part in enumerate(split(value)):
        if part:
            yield before
            yield (part, _encoded_words) if position % 2 else _encoded_words(part)
            before = b"\r\n "
    yield b"\r\n"


def _folded(header: str) -> Iterator[str]:
    """Fold before a word that would make a line too long; marks are parts of words."""
    name, first, *words = header.split(" ")
    line = f"{name} {first}"
    for word in words:
        if word and len(line) + 1 + len(word) > _HEADER_LINE:
            yield line
            line = ""
        line += f" {word}"
    yield line


def _body(text: str, split: Callable[[str], list[str]]) -> Iterator[bytes | _Slot]:
    """Write quoted-printable in which each mark has a line of its own, between soft line breaks."""
    lines = re.sub(r"\r\n?", "\n", text)
    for position, part in enumerate(parts := split(lines if lines.endswith("\n") else f"{lines}\n")):
        if position % 2:
            yield part, _quoted_value
            continue
        if position and not part.startswith("\n"):
            yield _SOFT_BREAK
        yield body_encode(part.encode().decode("latin-1"), _BODY_LINE, "\r\n").encode("ascii")
        if part and not part.endswith("\n") and position < len(parts) - 1:
            yield _SOFT_BREAK


def _as_it_is(value: str) -> bytes:
    return value.encode("ascii")


def _quoted_value(value: str) -> bytes:
    if len(value) <= _BODY_LINE and "=" not in value:
        return value.encode("ascii")
    return body_encode(value, _BODY_LINE, "\r\n").encode("ascii")


def _encoded_words(text: str) -> bytes:
    words = [b""]
    for letter in map(str.encode, text):
        if len(words[-1]) + len(letter) > _WORD_BYTES:
            words.append(b"")
        words[-1] += letter
    return b"\r\n ".join(b"=?utf-8?b?" + b64encode(word) + b"?=" for word in words)
