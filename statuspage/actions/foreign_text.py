"""Texts of other products as our Markdown: plain text stays, their HTML is taken down to words and links."""

import re
from html.parser import HTMLParser

_TAGS = "a|b|br|div|em|i|li|ol|p|span|strong|u|ul"
_HTML = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>", re.IGNORECASE)
# Not already inside <…>, (…) or […]: those are links in Markdown.
_BARE_ADDRESS = re.compile(r"(?<![<(\[\"'=\w/])https?://[^\s<>()\[\]\"']*[^\s<>()\[\]\"'.,;:!?]")
_MARKS = {"b": "**", "strong": "**", "em": "*", "i": "*"}


def to_markdown(text: str) -> str:
    """Return a message's text as Markdown: line breaks, links and lists are kept, other tags are left out."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    if _HTML.search(plain):
        reader = _Reader()
        reader.feed(plain)
        reader.close()
        plain = "".join(reader.parts)
    # Four spaces at the start of a line would make it program code.
    lines = [line.strip() for line in plain.split("\n")]
    return _BARE_ADDRESS.sub(r"<\g<0>>", re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip())


class _Reader(HTMLParser):
    """Collects the words of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._links: list[tuple[str, int]] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line, a list item, a link or an emphasis."""
        if tag in ("script", "style"):
            self._silent += 1
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in ("p", "div", "ul", "ol"):
            self.parts.append("\n\n")
        elif tag == "a":
            self._links.append((dict(attrs).get("href") or "", len(self.parts)))
        else:
            self.parts.append(_MARKS.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        """End what the start tag began."""
        if tag in ("script", "style"):
            self._silent = max(0, self._silent - 1)
        elif tag == "a" and self._links:
            self._end_link(*self._links.pop())
        elif tag in ("p", "div", "ul", "ol"):
            self.parts.append("\n\n")
        else:
            self.parts.append(_MARKS.get(tag, ""))

    def handle_data(self, data: str) -> None:
        """Keep the words."""
        if not self._silent:
            self.parts.append(data)

    def _end_link(self, href: str, start: int) -> None:
        words = "".join(self.parts[start:]).strip()
        del self.parts[start:]
        if not href.startswith(("https://", "http://", "mailto:")) or re.search(r"[\s<>()]", href):
            self.parts.append(words)
        elif words in ("", href):
            self.parts.append(f"<{href}>")
        else:
            self.parts.append(f"[{words}]({href})")
