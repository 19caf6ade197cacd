"""Break-glass: a notice that a person puts onto the published files when neither database nor console is there.

Nothing here can reach the database. The notice is kept beside the folder, so
that what the publisher writes later carries it too, until a person withdraws it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import Any

from statuspage import prose
from statuspage.languages import filters, translated
from statuspage.rendering import json_text, machine_instant
from statuspage.rules.languages import ENGLISH, LANGUAGES
from statuspage.rules.times import instant_in_words, require_utc
from statuspage.rules.vocabulary import RuleBroken
from statuspage.site import snapshot

FILE = "notice.json"
LIMIT = 5_000
# A publisher that waits for a database that hangs must not hold up an emergency.
PATIENCE_SECONDS = 5.0
# Said in the language of each page.
NOTICE = "Notice"
POSTED = (
    "Posted %(instant)s. Our usual way of updating this page may be out of order, so what is below may be out of date."
)
APART = "Apart from the notice of %(instant)s:"
WORDS = (NOTICE, POSTED, APART)

_NOTICE = re.compile(r"<!--notice-->.*?<!--/notice-->", re.DOTALL)
_BEFORE = re.compile(r"<!--before-->.*?<!--/before-->", re.DOTALL)
_LANGUAGE = re.compile(r'<html lang="(\w+)"')
_LINK = re.compile(r'href="(/[^"#?]*)"')


class NoSnapshot(Exception):
    """There is nothing to put a notice on; the message is one sentence."""


@dataclass(frozen=True)
class Notice:
    """What readers are told."""

    text: str
    """Markdown."""
    posted_at: str
    """``2026-11-21T14:30:00Z``"""

    @property
    def instant(self) -> datetime:
        """When it was posted."""
        return datetime.fromisoformat(self.posted_at)


def read(data_dir: Path) -> Notice | None:
    """Return the notice that is on the page; None if there is none."""
    try:
        notice = Notice(**json.loads((data_dir / FILE).read_bytes()))
        require_utc(notice.instant)
    except (OSError, ValueError, TypeError):
        return None
    return notice


def post(data_dir: Path, site_dir: Path, public_url: str, text: str, now: datetime) -> list[str]:
    """Put a notice onto the published files, in place of an earlier one; return the paths written.

    Raises RuleBroken if the text can't be shown, NoSnapshot if nothing was published.
    """
    require_utc(now)
    text = text.strip()
    if not text:
        raise RuleBroken({"notice": "Please say what readers should know, or take a notice away with --withdraw."})
    if len(text) > LIMIT:
        raise RuleBroken({"notice": f"Please keep it under {LIMIT:,} characters."})
    _check(site_dir)
    notice = Notice(text, machine_instant(now))
    # First: what a publisher writes from here on has it.
    snapshot.replace(data_dir / FILE, json.dumps(asdict(notice), indent=1).encode())
    return _write(site_dir, list(_paths_for(site_dir)), notice, public_url)


def withdraw(data_dir: Path, site_dir: Path, public_url: str) -> list[str]:
    """Take the notice off every published file; return the paths written. Raises NoSnapshot as post does."""
    _check(site_dir)
    (data_dir / FILE).unlink(missing_ok=True)
    return _write(site_dir, [*_pages(site_dir), *_ONTO], None, public_url)


def onto(path: str, body: bytes, notice: Notice | None, public_url: str) -> bytes:
    """Return a finished file with this notice, or with none; a file that can show none stays as it is."""
    put = _ONTO.get(path, _onto_page if Path(snapshot.file_name(path)).suffix == ".html" else None)
    if put is None:
        return body
    try:
        return put(body.decode(), notice, public_url).encode()
    except (ValueError, LookupError, TypeError, AttributeError):
        # A file that is not what it should be is no reason to leave the others without.
        return body


def _onto_page(page: str, notice: Notice | None, _public_url: str) -> str:
    found = _LANGUAGE.search(page)
    language = found[1] if found and found[1] in LANGUAGES else ENGLISH
    title = f"<title>{translated(NOTICE, language)}: "
    block = "<!--notice-->" + (_block(notice, language) if notice else "") + "<!--/notice-->"
    if _NOTICE.search(page):
        page = _NOTICE.sub(lambda _: block, page, count=1)
    else:
        # Written by a version that did not know of notices.
        page = page.replace('<main id="main">', '<main id="main">' + block, 1)
    page = _BEFORE.sub("", page).replace(title, "<title>", 1)
    if notice is None:
        return page
    apart = translated(APART, language) % {"instant": filters(language)["instant"](notice.instant)}
    before = f'<!--before--><span class="before">{apart}</span> <!--/before-->'
    page = page.replace("<title>", title, 1)
    return page.replace('id="page-state">', f'id="page-state">{before}', 1)


def _block(notice: Notice, language: str) -> str:
    words = filters(language)["instant"](notice.instant)
    posted = translated(POSTED, language) % {"instant": f'<time datetime="{notice.posted_at}">{words}</time>'}
    return (
        f'<section class="notice" aria-labelledby="notice-title"><h2 id="notice-title">{translated(NOTICE, language)}</h2>'
        f'<p class="notice-facts">{posted}</p>'
        f'<div class="prose">{prose.to_html(notice.text)}</div></section>'
    )


def _words(notice: Notice) -> str:
    return instant_in_words(notice.instant)


def _onto_status(text: str, notice: Notice | None, _public_url: str) -> str:
    """Never green while a person says that something is wrong, and never worse than what is known."""
    document: dict[str, Any] = json.loads(text)
    earlier = document.pop("notice", None)
    if earlier is None and notice is None:
        return text
    if earlier is not None:
        document["status"] = earlier["status_before"]
    if notice is not None:
        before: Mapping[str, str] = document["status"]
        indicator = "minor" if before["indicator"] == "none" else before["indicator"]
        document["status"] = {**before, "indicator": indicator, "description": f"Notice of {_words(notice)}"}
        document["notice"] = {"body": notice.text, "posted_at": notice.posted_at, "status_before": before}
    return json_text(document).decode()


def _onto_json_feed(text: str, notice: Notice | None, public_url: str) -> str:
    document: dict[str, Any] = json.loads(text)
    items = [item for item in document["items"] if "#notice-" not in item["id"]]
    if notice is not None:
        item = {
            "id": _address(notice, public_url),
            "url": f"{public_url}/",
            "title": "Notice",
            "content_html": prose.to_html(notice.text),
            "date_published": notice.posted_at,
        }
        items.insert(0, item)
    if items == document["items"]:
        return text
    return json_text({**document, "items": items}).decode()


def _onto_rss(text: str, notice: Notice | None, public_url: str) -> str:
    return _filled(text, "<item>", "</channel>", _rss_item(notice, public_url) if notice else "")


def _onto_atom(text: str, notice: Notice | None, public_url: str) -> str:
    return _filled(text, "<entry>", "</feed>", _atom_entry(notice, public_url) if notice else "")


def _filled(feed: str, first: str, end: str, item: str) -> str:
    """Put an item before the others, in place of an earlier notice."""
    feed = _NOTICE.sub("", feed)
    if not item:
        return feed
    place = feed.find(first)
    place = feed.find(end) if place < 0 else place
    return f"{feed[:place]}<!--notice-->{item}<!--/notice-->{feed[place:]}" if place >= 0 else feed


def _rss_item(notice: Notice, public_url: str) -> str:
    return (
        f'<item><title>Notice</title><link>{public_url}/</link><guid isPermaLink="false">'
        f"{_address(notice, public_url)}</guid><description>{escape(prose.to_html(notice.text))}</description>"
        f"<pubDate>{format_datetime(notice.instant)}</pubDate></item>"
    )


def _atom_entry(notice: Notice, public_url: str) -> str:
    return (
        f'<entry><id>{_address(notice, public_url)}</id><title>Notice</title><link href="{public_url}/"/>'
        f'<content type="html">{escape(prose.to_html(notice.text))}</content>'
        f"<updated>{notice.posted_at}</updated></entry>"
    )


_ONTO: Mapping[str, Callable[[str, Notice | None, str], str]] = {
    "/history.rss": _onto_rss,
    "/history.atom": _onto_atom,
    "/feed.json": _onto_json_feed,
    "/api/v2/status.json": _onto_status,
    "/api/v2/summary.json": _onto_status,
}


def _address(notice: Notice, public_url: str) -> str:
    return f"{public_url}/#notice-{re.sub('[^0-9]', '', notice.posted_at)}"


def _check(site_dir: Path) -> None:
    if snapshot.read_current(site_dir) is None or not snapshot.exists(site_dir, "/"):
        raise NoSnapshot(f"{site_dir} holds no published page, or its {snapshot.CURRENT} is damaged.")
    if '<main id="main">' not in (site_dir / snapshot.file_name("/")).read_text(encoding="utf-8", errors="replace"):
        raise NoSnapshot(f"{site_dir / snapshot.file_name('/')} is damaged.")


def _paths_for(site_dir: Path) -> Iterator[str]:
    """Each language's front page, what it links to, what is shown for wrong addresses, and what programs read."""
    fronts = ("/", *(f"/{language}/" for language in LANGUAGES))
    pages = set()
    for front in fronts:
        file = site_dir / snapshot.file_name(front)
        if file.is_file():
            linked = {path for path in _LINK.findall(file.read_text(encoding="utf-8")) if path not in fronts}
            pages |= {front, f"{front}404", *(path for path in linked if snapshot.file_name(path).endswith(".html"))}
    yield from ("/", *sorted(pages - {"/"}), *_ONTO)


def _pages(site_dir: Path) -> Iterator[str]:
    """Every published page with a notice, the front page first."""
    yield "/"
    for file in sorted(site_dir.rglob("*.html")):
        name = str(file.relative_to(site_dir)).removesuffix(".html")
        if name != "index" and b'class="notice"' in file.read_bytes():
            yield f"/{name}"


def _write(site_dir: Path, paths: list[str], notice: Notice | None, public_url: str) -> list[str]:
    try:
        with snapshot.lock(site_dir, PATIENCE_SECONDS):
            return _write_now(site_dir, paths, notice, public_url)
    except BlockingIOError:
        # It waits for the database, most likely. Each file is replaced as a whole, so at worst the notice is
        # missing from a file until the publisher writes it again.
        return _write_now(site_dir, paths, notice, public_url)


def _write_now(site_dir: Path, paths: list[str], notice: Notice | None, public_url: str) -> list[str]:
    written = []
    for path in paths:
        file = site_dir / snapshot.file_name(path)
        if not file.is_file():
            continue
        body = onto(path, file.read_bytes(), notice, public_url)
        snapshot.write(site_dir, path, body)
        written.append(path)
    current = snapshot.read_current(site_dir)
    if current is not None:
        # With the time of the data as it was: a notice makes nothing below it newer.
        snapshot.write_current(site_dir, current)
    return written
