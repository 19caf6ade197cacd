"""Turn the database into finished files: only what changed, the record of it last."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select

from statuspage.db import db
from statuspage.languages import CATALOGS, translated
from statuspage.models import Change
from statuspage.rendering import TEMPLATES, environment, machine_instant
from statuspage.rules.languages import LANGUAGES, prefix
from statuspage.rules.times import next_month, require_utc
from statuspage.rules.vocabulary import LABELS, ComponentState
from statuspage.settings import Settings
from statuspage.site import (
    badge,
    banner,
    branding,
    calendar,
    cards,
    contact,
    feeds,
    headline,
    notices,
    page,
    snapshot,
    statuspage_v2,
    uptime,
)
from statuspage.site.cards import Card
from statuspage.site.page import Frame
from statuspage.site.records import Records, load_records
from statuspage.site.roster import Roster, load_roster
from statuspage.site.shelf import Shelf

STATIC = TEMPLATES.parent / "static"
PACKAGE = TEMPLATES.parent / "statuspage"
PATIENCE_SECONDS = 2.0
# Readers are told that nobody is at it when the page is two minutes old (static/public.js).
FRONT_AGE = timedelta(minutes=1)
# The files of one change go into place together; a whole site in parts, since each part is on the disk twice.
FILES_AT_ONCE = 200
FEEDS = ("/history.rss", "/history.atom", "/feed.json")
CALENDAR = "/history.ics"
# What a change of one incident can touch besides its own pages.
FRONT = ("/", "/history", "/favicon.svg", "/favicon.ico", "/badge.svg", *FEEDS, *statuspage_v2.PATHS)
# Written every few minutes, so that "as of" says that all is well just now, not when something last changed.
RENEWED = ("/", "/api/v2/summary.json", "/api/v2/status.json")


@dataclass(frozen=True)
class Site:
    """What every renderer is given."""

    frame: Frame
    now: datetime
    mail_from: str = ""
    shelf: Shelf = field(default_factory=Shelf, compare=False)
    _feeds: dict[str, feeds.Feed | None] = field(default_factory=dict, compare=False)

    @cached_property
    def roster(self) -> Roster:
        """The components and their groups, read once."""
        return load_roster()

    @cached_property
    def pasts(self) -> uptime.Pasts:
        """The days and months of every component, read once."""
        return uptime.load_pasts(self.frame, self.roster, self.shelf, self.now)

    @cached_property
    def front(self) -> page.Front:
        """What front page and badge show, read once."""
        return page.load_front(self.frame, self.roster, self.shelf, self.now)

    @cached_property
    def feed(self) -> feeds.Feed:
        """What the page's feeds of each format hold, read once."""
        latest = page.load_latest(feeds.ITEMS, self.shelf)
        return feeds.Feed(self.frame, latest, _feed_stylesheet(self.frame.brand.language))

    def feed_of(self, component_id: str) -> feeds.Feed | None:
        """Return what a component's feeds hold, read once; None if it is not on the page."""
        if component_id not in self._feeds:
            component = self.roster.listed.get(component_id)
            stylesheet = _feed_stylesheet(self.frame.brand.language)
            self._feeds[component_id] = (
                feeds.Feed(
                    self.frame,
                    page.load_latest(feeds.COMPONENT_ITEMS, self.shelf, component_id),
                    stylesheet,
                    component_id,
                    component.name,
                )
                if component is not None
                else None
            )
        return self._feeds[component_id]

    @cached_property
    def records(self) -> Records:
        """What every document for programs holds, read once."""
        return load_records(self.frame.public_url, statuspage_v2.NEWEST, self.roster, self.shelf)

    @cached_property
    def months(self) -> list[date]:
        """The months with a history page, the newest first, read once."""
        return page.load_months(self.frame, self.shelf, self.now)

    def entries_of(self, month: date, most: int | None = None) -> tuple[page.Entry, ...]:
        """Return what began in a month, the newest first, and so many at most."""
        return page.entries_between(self.frame.begin(month), self.frame.begin(next_month(month)), self.shelf, most)


def refresh(settings: Settings, now: datetime) -> list[str]:
    """Write what changed since the folder was written last. Return the paths written.

    Cheap when nothing changed: one query, one small file. Safe to be killed
    at any moment: the next call does the rest.
    """
    require_utc(now)
    with snapshot.lock(settings.site_dir):
        site = _site(settings, now)
        if site is None:
            return []
        paths = _stale_paths(site, snapshot.read_current(settings.site_dir), settings)
        return _write_all(settings, site) if paths is None else _write(settings, site, paths)


def refresh_at_once(settings: Settings, now: datetime) -> list[str]:
    """Do what refresh does, as long as it is quick: for somebody who waits for an answer.

    A full rewrite is left to the worker. Raises BlockingIOError if another
    publisher of this folder takes longer than PATIENCE_SECONDS.
    """
    require_utc(now)
    with snapshot.lock(settings.site_dir, PATIENCE_SECONDS):
        site = _site(settings, now)
        if site is None:
            return []
        return _write(settings, site, _stale_paths(site, snapshot.read_current(settings.site_dir), settings) or [])


def publish_all(settings: Settings, now: datetime) -> list[str]:
    """Write every file anew. Return the paths written."""
    require_utc(now)
    with snapshot.lock(settings.site_dir):
        site = _site(settings, now)
        return [] if site is None else _write_all(settings, site)


def layout_values(settings: Settings) -> dict[str, object]:
    """Return what ``public/layout.html`` needs, for the dynamic public pages too."""
    frame = page.load_frame(settings.public_url)
    brand_stylesheet = branding.stylesheet_path(frame.brand) if frame else ""
    return {
        "frame": frame,
        "card": Card("unknown"),
        **_asset_values(),
        "brand_stylesheet": brand_stylesheet,
        "alternates": (),
    }


# Of this process; whoever publishes holds the folder's lock.
_shelf = Shelf()


def draw_entry(settings: Settings, entry: page.Entry, now: datetime) -> bytes:
    """Return the page of an entry that is still being written, as it would be published.

    Raises LookupError while there is no status page.
    """
    frame = page.load_frame(settings.public_url)
    if frame is None:
        raise LookupError("there is no page yet")
    site = Site(frame, now, settings.mail_from)
    return _html(_shown_entry(entry), site, frame.brand.language, entry.path)


def _site(settings: Settings, now: datetime) -> Site | None:
    # A transaction of an earlier query would hide what was committed since.
    db.session.rollback()
    frame = page.load_frame(settings.public_url)
    if frame is None:
        return None
    _shelf.renew()
    return Site(frame, now, settings.mail_from, _shelf)


def _stale_paths(site: Site, current: snapshot.Current | None, settings: Settings) -> list[str] | None:
    """Return what is to be written anew; None for everything."""
    frame = site.frame
    if current is None or current.renderer != _fingerprint(settings.public_url) or current.revision > frame.revision:
        return None
    changes = db.session.scalars(
        select(Change).where(Change.revision > current.revision, Change.revision <= frame.revision)
    ).all()
    if len(changes) != frame.revision - current.revision or any(change.subject_kind == "page" for change in changes):
        return None
    paths: set[str] = set()
    for change in changes:
        paths |= _paths_of(change.subject_kind, change.subject_id, site)
    if changes:
        paths |= _paths_of_missing_months(site, settings)
    written_at = datetime.fromisoformat(current.generated_at).astimezone(UTC)
    paths |= _paths_of_broken_promises(site, written_at)
    if site.now - written_at >= FRONT_AGE:
        paths |= {*RENEWED, *_paths_of_components_in_trouble(site)}
    return _in_every_language(site, sorted(paths | _paths_of_new_day(site, date.fromisoformat(current.local_day))))


def _in_every_language(site: Site, paths: list[str]) -> list[str]:
    """Return the paths, and those of the same pages in the other languages that the page offers."""
    pages = [path for path in paths if _found(PAGES, path)]
    return [*paths, *(f"/{language}{path}" for language in site.frame.brand.languages for path in pages)]


def _all_paths(site: Site) -> list[str]:
    paths = [
        *_assets(),
        *branding.assets(site.frame.brand),
        *(f"/incidents/{entry_id}" for entry_id in page.load_entry_ids(site.shelf)),
        *(path for component_id in site.roster.listed for path in _component_paths(component_id)),
        *(f"/history/{month:%Y-%m}" for month in site.months),
        "/404",
        "/robots.txt",
        "/embed.js",
        contact.PATH,
        CALENDAR,
        *FRONT,
    ]
    return _in_every_language(site, paths)


def _paths_of(kind: str, subject_id: str, site: Site) -> set[str]:
    """Return the paths that a change of this subject makes stale."""
    if kind == "month":
        # A window was moved out of it.
        return {f"/history/{subject_id}"}
    if kind == "component":
        entries = [
            each for order in (site.shelf.incidents, site.shelf.maintenances) for each in order.newest(None, subject_id)
        ]
        own = {*FRONT, CALENDAR, *_component_paths(subject_id)}
        return own | {f"/incidents/{entry_id}" for entry_id in entries}
    own = {*FRONT, f"/incidents/{subject_id}"} | ({CALENDAR} if kind == "maintenance" else set())
    event = site.shelf.find(subject_id)
    if event is None:
        return own
    month = f"/history/{site.frame.day(event.began_at):%Y-%m}"
    return own | {month} | {path for each in event.components for path in _component_paths(each.id)}


def _component_paths(component_id: str) -> tuple[str, ...]:
    """A component's page and its feeds."""
    return tuple(f"/components/{component_id}{suffix}" for suffix in ("", ".rss", ".atom"))


def _paths_of_new_day(site: Site, written: date) -> set[str]:
    """A new day moves the front page's list, an expiry and every component's bars on; a new month has a page, and links to it."""
    today = site.frame.day(site.now)
    if today == written:
        return set()
    months = [month for month in site.months if month >= written.replace(day=1)]
    components = [f"/components/{component_id}" for component_id in site.roster.listed]
    return {"/", "/history", contact.PATH, "/badge.svg", *components, *(f"/history/{month:%Y-%m}" for month in months)}


def _paths_of_components_in_trouble(site: Site) -> set[str]:
    """Their downtime grows while nobody says anything."""
    in_trouble = (each for each in site.roster.listed.values() if each.state is not ComponentState.OPERATIONAL)
    return {f"/components/{each.id}" for each in in_trouble}


def _paths_of_missing_months(site: Site, settings: Settings) -> set[str]:
    """Months before the first one so far, when something backdated is published; and their neighbours' links."""
    months = site.months
    there = snapshot.names(settings.site_dir, "history")
    missing = {month for month in months if f"{month.isoformat()[:7]}.html" not in there}
    touched = {next_month(month, step) for month in missing for step in (-1, 0, 1)} & set(months)
    return {f"/history/{month:%Y-%m}" for month in touched}


def _paths_of_broken_promises(site: Site, since: datetime) -> set[str]:
    """Once a promise has passed readers get an honest line, script or not."""
    late = page.broken_promises(since, site.shelf, site.now)
    return {f"/incidents/{entry_id}" for entry_id in late} | ({"/", "/badge.svg"} if late else set())


def _write_all(settings: Settings, site: Site) -> list[str]:
    """Write everything; what belongs to nothing any more is taken away before the folder is said to be whole."""
    uptime.forget()
    site.shelf.clear()
    paths = _all_paths(site)
    snapshot.remove_others(settings.site_dir, paths)
    return _write(settings, site, paths, even_unchanged=True)


def _write(settings: Settings, site: Site, paths: list[str], *, even_unchanged: bool = False) -> list[str]:
    folder, frame = settings.site_dir, site.frame
    gone: list[str] = []
    # What the front page links to is there before the link, and goes after it.
    ordered = sorted(paths, key=lambda path: _spoken(path, site)[1] in FRONT)
    for start in range(0, len(ordered), FILES_AT_ONCE):
        bodies = {path: _render(path, site) for path in ordered[start : start + FILES_AT_ONCE]}
        written = {path: body for path, body in bodies.items() if body is not None}
        # Asked for just before: somebody may post one while this publisher waits for the database.
        notice = notices.read(settings.data_dir)
        if notice is not None:
            written = {path: notices.onto(path, body, notice, frame.public_url) for path, body in written.items()}
        snapshot.write_all(folder, written, even_unchanged=even_unchanged)
        gone += bodies.keys() - written.keys()
    for path in gone:
        snapshot.remove(folder, path)
    if paths:
        snapshot.write_current(
            folder,
            snapshot.Current(
                revision=frame.revision,
                renderer=_fingerprint(settings.public_url),
                local_day=frame.day(site.now).isoformat(),
                generated_at=machine_instant(site.now),
            ),
        )
    return paths


def _render(path: str, site: Site) -> bytes | None:
    """Return a path's finished bytes; None if readers may not see it any more."""
    language, plain = _spoken(path, site)
    if (found := _found(PAGES, plain)) is not None:
        shown = found[0](site, *found[1])
        return _html(shown, site, language, plain) if shown is not None else None
    if (other := _found(RENDERERS, path)) is not None:
        return other[0](site, *other[1])
    return _assets().get(path) or branding.asset(path, site.frame.brand)


Renderer = TypeVar("Renderer")


def _found(table: Mapping[str, Renderer], path: str) -> tuple[Renderer, tuple[str, ...]] | None:
    """Return what makes a path, and the parts of the path that it is given."""
    for pattern, renderer in table.items():
        match = re.fullmatch(pattern, path)
        if match is not None:
            return renderer, match.groups()
    return None


def _spoken(path: str, site: Site) -> tuple[str, str]:
    """Return the language of a path, and the path of the same page in the page's own."""
    brand = site.frame.brand
    language, _, rest = path.removeprefix("/").partition("/")
    return (language, f"/{rest}") if language in brand.languages else (brand.language, path)


Shown = tuple[str, Mapping[str, object]]
"""A page's template and what it shows, in whatever language."""


def _html(shown: Shown, site: Site, language: str, path: str) -> bytes:
    template, values = shown
    brand = site.frame.brand
    made = environment(language, prefix(language, brand.language)).get_template(f"public/{template}.html")
    # Of a page that is not there, the way to the front page in each language.
    alternates = branding.alternates(brand, "/" if template == "missing" else path)
    return made.render(
        frame=site.frame,
        now=site.now,
        **_asset_values(),
        brand_stylesheet=branding.stylesheet_path(brand),
        labels=LABELS,
        alternates=alternates,
        **values,
    ).encode()


def _front(site: Site) -> Shown:
    front, first = site.front, headline.of(site.front, site.now)
    newest = cards.said_last(front.open_incidents[0]) if front.open_incidents else ""
    return "front", {
        "card": Card(first.mark, "/", newest),
        "front": front,
        "headline": first,
        "uptimes": site.pasts.in_brief(),
        "today": site.frame.day(site.now),
    }


def _entry(site: Site, entry_id: str) -> Shown | None:
    entry = page.load_entry(entry_id, site.shelf)
    return _shown_entry(entry) if entry is not None else None


def _shown_entry(entry: page.Entry) -> Shown:
    return "entry", {"card": cards.of_entry(entry), "entry": entry}


def _component(site: Site, component_id: str) -> Shown | None:
    found = page.load_component(component_id, site.roster, site.shelf)
    if found is None:
        return None
    return "component", {
        "card": cards.of_component(found[0]),
        "component": found[0],
        "entries": found[1],
        "past": site.pasts.in_full(component_id),
        "today": site.frame.day(site.now),
    }


def _history(site: Site) -> Shown:
    months = site.months
    most = page.ENTRIES_OF_MONTH_ON_HISTORY
    found = [(month, site.entries_of(month, most + 1)) for month in months[: page.MONTHS_ON_HISTORY]]
    shown = [(month, entries[:most], len(entries) > most) for month, entries in found]
    return "history", {"card": Card("unknown", "/history"), "shown": shown, "months": months}


def _month(site: Site, text: str) -> Shown | None:
    month, months = date.fromisoformat(f"{text}-01"), site.months
    if month not in months:
        return None
    return "month", {
        "card": Card("unknown", f"/history/{text}"),
        "month": month,
        "entries": site.entries_of(month),
        "earlier": next_month(month, -1) if month > months[-1] else None,
        "later": next_month(month) if month < months[0] else None,
    }


def _missing(_site: Site) -> Shown:
    return "missing", {"card": Card("unknown")}


def _rss(site: Site, component_id: str = "") -> bytes | None:
    feed = site.feed_of(component_id) if component_id else site.feed
    return feeds.rss(feed) if feed is not None else None


def _atom(site: Site, component_id: str = "") -> bytes | None:
    feed = site.feed_of(component_id) if component_id else site.feed
    return feeds.atom(feed) if feed is not None else None


def _json_feed(site: Site) -> bytes:
    return feeds.json_feed(site.feed, site.now)


def _calendar(site: Site) -> bytes:
    return calendar.calendar(site.frame, page.load_windows(calendar.WINDOWS, site.shelf))


def _badge(site: Site) -> bytes:
    return badge.badge(site.frame, site.front, site.now)


def _embed(site: Site) -> bytes:
    return banner.banner(site.frame.brand)


def _security(site: Site) -> bytes | None:
    return contact.security_txt(site.frame, site.mail_from, site.now)


def _statuspage_v2(site: Site, name: str) -> bytes | None:
    return statuspage_v2.document(name, site.records, site.now)


def _robots(_site: Site) -> bytes:
    return (
        b"User-agent: *\nDisallow: /console/\nDisallow: /admin/\nDisallow: /subscriptions/\nDisallow: /unsubscribe/\n"
    )


def _favicon(site: Site) -> bytes:
    values = {"state": site.front.state.value, "brand": site.frame.brand, "letter": site.frame.name[:1].upper()}
    return environment().get_template("public/favicon.svg").render(values).encode()


def _favicon_ico(site: Site) -> bytes:
    return badge.favicon_ico(site.front.state)


# For people: there is one for each language.
PAGES: Mapping[str, Callable[..., Shown | None]] = {
    "/": _front,
    "/history": _history,
    r"/history/(\d{4}-\d{2})": _month,
    "/incidents/([^/]+)": _entry,
    r"/components/([^/.]+)": _component,
    "/404": _missing,
}
RENDERERS: Mapping[str, Callable[..., bytes | None]] = {
    r"/components/([^/.]+)\.rss": _rss,
    r"/components/([^/.]+)\.atom": _atom,
    r"/history\.rss": _rss,
    r"/history\.atom": _atom,
    r"/feed\.json": _json_feed,
    re.escape(CALENDAR): _calendar,
    r"/api/v2/([a-z/-]+)\.json": _statuspage_v2,
    r"/robots\.txt": _robots,
    r"/favicon\.svg": _favicon,
    r"/favicon\.ico": _favicon_ico,
    r"/badge\.svg": _badge,
    r"/embed\.js": _embed,
    re.escape(contact.PATH): _security,
}


@cache
def _assets() -> Mapping[str, bytes]:
    """Styles, scripts and pictures under names that change with their content: cached for ever, never stale."""
    styles, feed_styles = (
        b"".join((STATIC / name).read_bytes() for name in ("base.css", own)) for own in ("public.css", "feed.css")
    )
    scripts = [("page", "public.js"), ("days", "days.js")]
    named = [("page", "css", _lean(styles))]
    for language in LANGUAGES:
        # What a browser shows above a feed stands in its styles.
        about = translated(feeds.ABOUT, language)
        named.append((f"feed-{language}", "css", _lean(feed_styles.replace(b"ABOUT", about.encode()))))
    named += [(name, "js", _lean((STATIC / file).read_bytes())) for name, file in scripts]
    named += [(name, "png", (STATIC / f"og/{name}.png").read_bytes()) for name in cards.PICTURES]
    return {f"/assets/{name}.{hashlib.sha256(body).hexdigest()[:16]}.{suffix}": body for name, suffix, body in named}


def _lean(source: bytes) -> bytes:
    """Leave out what readers' browsers have no use for: indentation and comments that have lines to themselves."""
    return re.sub(rb"(?m)^\s*(?://.*|/\*[^*]*\*/)\n|^\s+", b"", source)


@cache
def _asset_path(suffix: str, name: str = "page") -> str:
    return next(path for path in _assets() if path.startswith(f"/assets/{name}.") and path.endswith(f".{suffix}"))


def _feed_stylesheet(language: str) -> str:
    return _asset_path("css", f"feed-{language}")


@cache
def _asset_values() -> Mapping[str, object]:
    """Where the layout finds styles, scripts and pictures."""
    return {
        "stylesheet": _asset_path("css"),
        "script": _asset_path("js"),
        "days_script": _asset_path("js", "days"),
        "pictures": {name: (_asset_path("png", name), words) for name, words in cards.PICTURES.items()},
    }


@lru_cache
def _fingerprint(public_url: str) -> str:
    """Of everything but the data that decides how a page looks."""
    digest = hashlib.sha256(public_url.encode())
    for file in _sources():
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


def _sources() -> Iterable[Path]:
    yield from sorted((TEMPLATES / "public").iterdir())
    yield from sorted((TEMPLATES / "components").iterdir())
    yield from (STATIC / name for name in ("base.css", "public.css", "feed.css", "public.js", "days.js", "embed.js"))
    yield from (STATIC / f"og/{name}.png" for name in cards.PICTURES)
    yield from sorted(Path(__file__).parent.glob("*.py"))
    yield from (
        PACKAGE / name for name in ("prose.py", "shapes.py", "languages.py", "rules/uptime.py", "rules/colours.py")
    )
    yield from sorted(CATALOGS.rglob("*.mo"))
