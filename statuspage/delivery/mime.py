"""A message and a recipient, made into the bytes of a mail."""

import email.policy
from email.message import EmailMessage

from statuspage.delivery.transport import Message, Recipient


def build(message: Message, recipient: Recipient, mail_from: str) -> bytes:
    """Return the mail as bytes with CRLF: multipart/alternative, plain text first (RFC 2046, 5.1.4)."""
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
