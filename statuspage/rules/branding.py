"""What makes a status page look like its owner's: links, logo, colours, own CSS; all of it checked."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from statuspage.rules.colours import Shade, Shades, shades
from statuspage.rules.languages import ENGLISH
from statuspage.rules.messages import check_line
from statuspage.rules.vocabulary import RuleBroken

MOST_LINKS = 8
LABEL_LIMIT, ADDRESS_LIMIT = 40, 500
LOGO_LIMIT = 100_000
LONGEST_SIDE = 4_000
# As high as the line it stands in, and no wider than a phone has room for.
LOGO_HEIGHT, LOGO_WIDTH = 36, 200
# Those of static/base.css.
OWN_SHADES = Shades(Shade("#2f4cc2", "#ffffff"), Shade("#9db1ff", "#10142a"))
_ADDRESS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")


@dataclass(frozen=True)
class Link:
    """A link of the page's header or footer."""

    label: str
    address: str


@dataclass(frozen=True)
class Picture:
    """What a picture's first bytes tell."""

    suffix: str
    """Of its kind: ``png``, ``jpeg`` or ``webp``."""
    width: int
    height: int


@dataclass(frozen=True)
class Logo:
    """The page's logo as it is published."""

    path: str
    width: int
    height: int

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height at which it is shown."""
        share = min(LOGO_HEIGHT / self.height, LOGO_WIDTH / self.width, 1)
        return max(1, round(self.width * share)), max(1, round(self.height * share))


@dataclass(frozen=True)
class Brand:
    """How a page looks and speaks."""

    accent: str = ""
    """As wished for; what is used of it are the shades."""
    logo: Logo | None = None
    header_links: tuple[Link, ...] = ()
    footer_links: tuple[Link, ...] = ()
    custom_css: str = ""
    language: str = ENGLISH
    languages: tuple[str, ...] = ()
    """The others that readers may choose."""

    @cached_property
    def shades(self) -> Shades | None:
        """The accent as it is used; None for the product's own."""
        return shades(self.accent) if self.accent else None

    @property
    def used(self) -> Shades:
        """The accent as it is used, be it the product's own."""
        return self.shades or OWN_SHADES

    @property
    def stylesheet(self) -> str:
        """What comes after the product's own styles: its colours, then its own CSS."""
        return "\n".join(part for part in (_variables(self.shades), self.custom_css) if part)


def _variables(used: Shades | None) -> str:
    if used is None:
        return ""
    light, dark = (
        f"--accent: {shade.accent}; --on-accent: {shade.on_accent}; --focus: {shade.accent};"
        for shade in (used.light, used.dark)
    )
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"


def check_links(field: str, lines: Iterable[tuple[str, str]]) -> tuple[Link, ...]:
    """Return the links of those lines that are not empty. Raises RuleBroken on ``field`` and the number of a line."""
    found, errors = [], {}
    for number, (label, address) in enumerate(lines):
        if not label.strip() and not address.strip():
            continue
        try:
            found.append(Link(_check_label(label), check_address(address)))
        except RuleBroken as broken:
            errors[f"{field}_{number}"] = broken.errors[""]
    if len(found) > MOST_LINKS:
        errors[f"{field}_0"] = f"There may be {MOST_LINKS} links at most."
    if errors:
        raise RuleBroken(errors)
    return tuple(found)


def _check_label(text: str) -> str:
    try:
        return check_line("", text, LABEL_LIMIT)
    except RuleBroken:
        raise RuleBroken({"": f"Please give the link a name of {LABEL_LIMIT} characters at most."}) from None


def check_address(text: str) -> str:
    """Return an https address. Raises RuleBroken on the empty name for anything else."""
    plain = text.strip()
    broken = RuleBroken({"": "Please give an address that begins with https://."})
    if not plain.lower().startswith("https://") or len(plain) > ADDRESS_LIMIT or not _ADDRESS.fullmatch(plain):
        raise broken
    try:
        parts = urlsplit(plain)
        is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        raise broken from None
    if not is_whole:
        raise broken
    if "@" in parts.netloc:
        raise RuleBroken({"": "Please leave user name and password out of the address."})
    return plain


def check_logo(content: bytes) -> Picture:
    """Return what a file is, by its bytes and not by its name. Raises RuleBroken on ``logo``."""
    if len(content) > LOGO_LIMIT:
        raise RuleBroken({"logo": f"This file is too large: {LOGO_LIMIT // 1000} kB at most."})
    found = _png(content) or _jpeg(content) or _webp(content)
    if found is None:
        raise RuleBroken({"logo": "Please choose a PNG, JPEG or WebP picture."})
    if not (0 < found.width <= LONGEST_SIDE and 0 < found.height <= LONGEST_SIDE):
        raise RuleBroken({"logo": f"Please choose a picture of {LONGEST_SIDE} pixels a side at most."})
    return found


def _png(content: bytes) -> Picture | None:
    if not content.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR") or len(content) < 33 or b"IEND" not in content[-16:]:
        return None
    return Picture("png", int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big"))


def _jpeg(content: bytes) -> Picture | None:
    if not content.startswith(b"\xff\xd8\xff") or b"\xff\xd9" not in content[-64:]:
        return None
    position = 2
    while position + 9 <= len(content) and content[position] == 0xFF:
        marker, length = content[position + 1], int.from_bytes(content[position + 2 : position + 4], "big")
        # Start of frame, in any of its ways; C4, C8 and CC are other things (ITU T.81, table B.1).
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = content[position + 5 : position + 7], content[position + 7 : position + 9]
            return Picture("jpeg", int.from_bytes(width, "big"), int.from_bytes(height, "big"))
        position += 2 + length
    return None


def _webp(content: bytes) -> Picture | None:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP" or len(content) < 30:
        return None
    if int.from_bytes(content[4:8], "little") + 8 > len(content):
        return None
    kind, data = content[12:16], content[20:30]
    if kind == b"VP8X":
        return Picture("webp", int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1)
    if kind == b"VP8L" and data[0] == 0x2F:
        bits = int.from_bytes(data[1:5], "little")
        return Picture("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return Picture("webp", width, height)
    return None
