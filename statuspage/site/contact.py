"""Where to tell of a weakness in security (RFC 9116)."""

from datetime import UTC, datetime, time, timedelta
from email.utils import parseaddr

from statuspage.rendering import machine_instant
from statuspage.site.page import Frame

PATH = "/.well-known/security.txt"
# The RFC advises less than a year; written anew every day, so a long silence of ours is what makes it run out.
LASTS = timedelta(days=180)


def security_txt(frame: Frame, mail_from: str, now: datetime) -> bytes | None:
    """Return the file; None while nobody is known who could be told."""
    contact = _contact(frame.support_url, mail_from)
    if contact is None:
        return None
    lines = [
        f"Contact: {contact}",
        f"Expires: {machine_instant(datetime.combine(now.date(), time(), UTC) + LASTS)}",
        "Preferred-Languages: en",
    ]
    if frame.public_url.startswith("https:"):
        lines.append(f"Canonical: {frame.public_url}{PATH}")
    return "".join(f"{line}\n" for line in lines).encode()


def _contact(support_url: str, mail_from: str) -> str | None:
    """Return the page's support address, else the mails' sender; a web address only if it is https."""
    if support_url.startswith(("https:", "mailto:")):
        return support_url
    address = parseaddr(mail_from)[1]
    return f"mailto:{address}" if "." in address.rpartition("@")[2] else None
