"""Whether a feed keeps the rules of its format: RFC 4287, RSS 2.0, JSON Feed 1.1."""

import json
import re
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, fromstring

ATOM = "{http://www.w3.org/2005/Atom}"
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
RFC_822 = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}")


def check_rss(content: bytes) -> Element:
    """Check RSS 2.0 and the advice of its board; return its channel."""
    root = fromstring(content)
    assert (root.tag, root.get("version")) == ("rss", "2.0")
    (channel,) = root
    for name in ("title", "link", "description"):
        assert len(channel.findall(name)) == 1, name
        assert (channel.findtext(name) or "").strip(), name
    _absolute(channel.findtext("link"))
    _absolute(_link(channel, "self").get("href"))
    assert RFC_822.fullmatch(channel.findtext("lastBuildDate") or "")
    assert re.fullmatch("[a-z]{2}(-[a-zA-Z]+)?", channel.findtext("language") or "")
    items = channel.findall("item")
    for item in items:
        allowed = {"title", "link", "description", "guid", "pubDate", "category", "maintenanceEndDate"}
        assert {child.tag for child in item} <= allowed
        assert (item.findtext("title") or "").strip()
        guid = item.find("guid")
        assert guid is not None
        assert guid.get("isPermaLink") == "true"
        assert guid.text == item.findtext("link")
        _absolute(guid.text)
        for name in ("pubDate", "maintenanceEndDate"):
            for date in item.findall(name):
                assert RFC_822.fullmatch(date.text or ""), date.text
                # The day of the week is that of the date.
                assert parsedate_to_datetime(date.text or "").strftime("%a") == (date.text or "")[:3]
    _each_once([item.findtext("guid") for item in items])
    return channel


def check_atom(content: bytes) -> Element:
    """Check an Atom feed; return its root."""
    root = fromstring(content)
    assert root.tag == f"{ATOM}feed"
    _required(root)
    _absolute(_link(root, "self").get("href"))
    _absolute(_link(root, "alternate").get("href"))
    assert root.findtext(f"{ATOM}author/{ATOM}name")
    entries = root.findall(f"{ATOM}entry")
    for entry in entries:
        _required(entry)
        _absolute(_link(entry, "alternate").get("href"))
        contents = entry.findall(f"{ATOM}content")
        assert [each.get("type") for each in contents] == ["html"]
        assert not list(contents[0]), "markup of type html is escaped"
        published = entry.findtext(f"{ATOM}published") or ""
        assert RFC_3339.fullmatch(published)
        assert published <= (entry.findtext(f"{ATOM}updated") or "")
    _each_once([entry.findtext(f"{ATOM}id") for entry in entries])
    return root


def check_json_feed(content: bytes) -> dict[str, object]:
    """Check a JSON Feed; return it."""
    feed: dict[str, object] = json.loads(content)
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert isinstance(feed["title"], str)
    for name in ("home_page_url", "feed_url", "favicon"):
        _absolute(feed[name])
    items = feed["items"]
    assert isinstance(items, list)
    for item in items:
        assert isinstance(item["id"], str)
        assert isinstance(item["content_html"], str)
        _absolute(item["url"])
        for name in ("date_published", "date_modified"):
            assert RFC_3339.fullmatch(item[name])
        assert all(isinstance(tag, str) for tag in item["tags"])
    _each_once([item["id"] for item in items])
    return feed


def _required(element: Element) -> None:
    for name in ("id", "title", "updated"):
        found = element.findall(f"{ATOM}{name}")
        assert len(found) == 1, name
        assert (found[0].text or "").strip(), name
    _absolute(element.findtext(f"{ATOM}id"))
    assert RFC_3339.fullmatch(element.findtext(f"{ATOM}updated") or "")


def _link(element: Element, relation: str) -> Element:
    """Return the one link of a relation: more of the same type and language are forbidden."""
    (found,) = (link for link in element.findall(f"{ATOM}link") if link.get("rel", "alternate") == relation)
    return found


def _absolute(url: object) -> None:
    assert isinstance(url, str)
    parts = urlsplit(url)
    assert parts.scheme in ("http", "https", "tag"), url
    assert parts.netloc or parts.scheme == "tag", url


def _each_once(ids: Sequence[object]) -> None:
    assert None not in ids
    assert len(set(ids)) == len(ids), "an id twice"
