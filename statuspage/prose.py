"""What people write, turned into clean HTML: the same for page, feed and mail."""

import re

import nh3
from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False}).disable("image")
# Lists nested deeper than this are an attack, not a message.
_MARKDOWN.options["maxNesting"] = 20
_TAGS = {"p", "br", "a", "em", "strong", "code", "pre", "ul", "ol", "li", "blockquote"}


def to_html(text: str) -> str:
    """Return Markdown as HTML of paragraphs, lists, quotes, emphasis and links.

    Raw HTML shows as it was typed; images are left out; links lead to https,
    http and mailto only.
    """
    return nh3.clean(
        _MARKDOWN.render(text),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"https", "http", "mailto"},
        link_rel="noopener noreferrer nofollow",
        url_relative="deny",
    ).strip()


# Where a mail shows no HTML: the words without the stars, and where a link leads.
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_LINK = re.compile(r"\[([^\]\n]+)\]\((https?://[^\s)]+|mailto:[^\s)]+)\)")


def to_text(text: str) -> str:
    """Return Markdown as plain text reads best: without the marks of emphasis, the addresses of links beside their words."""
    return _LINK.sub(r"\1 (\2)", _STRONG.sub(r"\2", text))
