"""A message and a recipient, made into the bytes of a mail."""

import email.policy
import re
from email.message import EmailMessage

from statuspage.delivery.transport import Message, Recipient

# A dot-atom on both sides of the @ (RFC 5322, 3.4.1). Of other things the standard library makes an
# IndexError, an AttributeError or a second recipient; so it does of what looks like the beginning of an
# encoded word (RFC 2047).
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN_ADDRESS = re.compile(rf"(?!.*=\?){_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


def build(message: Message, recipient: Recipient, mail_from: str) -> bytes:
    """Return the mail as bytes with CRLF: multipart/alternative, plain text first (RFC 2046, 5.1.4).

    Raises ValueError if no mail can be made for this recipient.
    """
    if not _PLAIN_ADDRESS.fullmatch(recipient.address):
        raise ValueError("it is not one plain address")
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"] = mail_from
    mail["To"] = recipient.address
    mail["Subject"] = message.subject
    for name, value in message.headers.items():
        mail[name] = recipient.fill(value)
    # Quoted-printable keeps lines under the 998 octets of RFC 5322, 2.1.1, whatever was typed.
    mail.set_content(recipient.fill(message.text), cte="quoted-printable")
    mail.add_alternative(recipient.fill(message.html), subtype="html", cte="quoted-printable")
    return mail.as_bytes()
