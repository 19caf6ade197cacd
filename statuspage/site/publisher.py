"""Turn the database into finished files: only what changed, the record of it last."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property, lru_cache
from pathlib import Path

from sqlalchemy import Select, select

from statuspage.db import db
from statuspage.models import Change, Incident, IncidentComponent, Maintenance, MaintenanceComponent
from statuspage.rendering import TEMPLATES, environment, machine_instant
from statuspage.rules.times import next_month, require_utc
from statuspage.rules.vocabulary import LABELS, PAGE_STATE_WORDS
from statuspage.settings import Settings
from statuspage.site import feeds, page, snapshot
from statuspage.site.page import Frame

STATIC = TEMPLATES.parent / "static"
PATIENCE_SECONDS = 2.0
FRONT_AGE = timedelta(minutes=5)
# The files of one change go into place together; a whole site in parts, since each part is on the disk twice.
FILES_AT_ONCE = 200
FEEDS = ("/history.rss", "/history.atom")
# What a change of one incident can touch besides its own pages.
FRONT = ("/", "/history", "/favicon.svg", *FEEDS)


@dataclass(frozen=True)
class Site:
    """What every renderer is given."""

    frame: Frame
    now: datetime

    @cached_property
    def latest(self) -> tuple[page.Entry, ...]:
        """What both feeds hold, read once."""
        return page.load_latest(feeds.ITEMS)

    @cached_property
    def months(self) -> list[date]:
        """The months with a history page, the newest first, read once."""
        return page.load_months(self.frame, self.now)

    def entries_of(self, month: date, most: int | None = None) -> tuple[page.Entry, ...]:
        """Return what began in a month, the newest first, and so many at most."""
        return page.entries_between(self.frame.begin(month), self.frame.begin(next_month(month)), most)


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
    return {"frame": frame, "stylesheet": _asset_path("css"), "script": _asset_path("js")}


def _site(settings: Settings, now: datetime) -> Site | None:
    # A transaction of an earlier query would hide what was committed since.
    db.session.rollback()
    frame = page.load_frame(settings.public_url)
    return Site(frame, now) if frame is not None else None


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
        # "As of" on the front page says that all is well just now, not when something last changed.
        paths.add("/")
    return sorted(paths | _paths_of_new_day(site, date.fromisoformat(current.local_day)))


def _all_paths(site: Site) -> list[str]:
    return [
        *_assets(),
        *(f"/incidents/{entry_id}" for entry_id in page.load_entry_ids()),
        *(f"/components/{component_id}" for component_id in page.load_component_ids()),
        *(f"/history/{month:%Y-%m}" for month in site.months),
        "/404",
        "/robots.txt",
        *FRONT,
    ]


def _paths_of(kind: str, subject_id: str, site: Site) -> set[str]:
    """Return the paths that a change of this subject makes stale."""
    if kind == "component":
        entries = _ids(select(IncidentComponent.incident_id).where(IncidentComponent.component_id == subject_id))
        entries |= _ids(
            select(MaintenanceComponent.maintenance_id).where(MaintenanceComponent.component_id == subject_id)
        )
        return {*FRONT, f"/components/{subject_id}"} | {f"/incidents/{entry_id}" for entry_id in entries}
    if kind == "maintenance":
        started_at = db.session.scalar(select(Maintenance.scheduled_for).where(Maintenance.id == subject_id))
        components = _ids(
            select(MaintenanceComponent.component_id).where(MaintenanceComponent.maintenance_id == subject_id)
        )
    else:
        started_at = db.session.scalar(select(Incident.started_at).where(Incident.id == subject_id))
        components = _ids(select(IncidentComponent.component_id).where(IncidentComponent.incident_id == subject_id))
    month = {f"/history/{site.frame.day(started_at):%Y-%m}"} if started_at else set()
    return {*FRONT, f"/incidents/{subject_id}"} | month | {f"/components/{each}" for each in components}


def _paths_of_new_day(site: Site, written: date) -> set[str]:
    """A new day moves the front page's list on; a new month has a page, and links to it."""
    today = site.frame.day(site.now)
    if today == written:
        return set()
    months = [month for month in site.months if month >= written.replace(day=1)]
    return {"/", "/history", *(f"/history/{month:%Y-%m}" for month in months)}


def _paths_of_missing_months(site: Site, settings: Settings) -> set[str]:
    """Months before the first one so far, when something backdated is published; and their neighbours' links."""
    months = site.months
    missing = {month for month in months if not snapshot.exists(settings.site_dir, f"/history/{month:%Y-%m}")}
    touched = {next_month(month, step) for month in missing for step in (-1, 0, 1)} & set(months)
    return {f"/history/{month:%Y-%m}" for month in touched}


def _paths_of_broken_promises(site: Site, since: datetime) -> set[str]:
    """Once a promise has passed readers get an honest line, script or not."""
    late = page.load_broken_promises(since, site.now)
    return {f"/incidents/{entry_id}" for entry_id in late} | ({"/"} if late else set())


def _ids(query: Select[str]) -> set[str]:
    return set(db.session.scalars(query))


def _write_all(settings: Settings, site: Site) -> list[str]:
    """Write everything; what belongs to nothing any more is taken away before the folder is said to be whole."""
    paths = _all_paths(site)
    snapshot.remove_others(settings.site_dir, paths)
    return _write(settings, site, paths, even_unchanged=True)


def _write(settings: Settings, site: Site, paths: list[str], *, even_unchanged: bool = False) -> list[str]:
    folder, frame = settings.site_dir, site.frame
    gone: list[str] = []
    # What the front page links to is there before the link, and goes after it.
    ordered = sorted(paths, key=FRONT.__contains__)
    for start in range(0, len(ordered), FILES_AT_ONCE):
        bodies = {path: _render(path, site) for path in ordered[start : start + FILES_AT_ONCE]}
        written = {path: body for path, body in bodies.items() if body is not None}
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
    for pattern, renderer in RENDERERS.items():
        match = re.fullmatch(pattern, path)
        if match is not None:
            return renderer(site, *match.groups())
    return _assets().get(path)


def _html(template: str, site: Site, **values: object) -> bytes:
    return (
        environment()
        .get_template(f"public/{template}.html")
        .render(
            frame=site.frame,
            now=site.now,
            stylesheet=_asset_path("css"),
            script=_asset_path("js"),
            labels=LABELS,
            **values,
        )
        .encode()
    )


def _front(site: Site) -> bytes:
    front = page.load_front(site.frame, site.now)
    return _html("front", site, front=front, words=PAGE_STATE_WORDS[front.state])


def _entry(site: Site, entry_id: str) -> bytes | None:
    entry = page.load_entry(entry_id)
    return _html("entry", site, entry=entry) if entry is not None else None


def _component(site: Site, component_id: str) -> bytes | None:
    found = page.load_component(component_id)
    return _html("component", site, component=found[0], entries=found[1]) if found is not None else None


def _history(site: Site) -> bytes:
    months = site.months
    most = page.ENTRIES_OF_MONTH_ON_HISTORY
    found = [(month, site.entries_of(month, most + 1)) for month in months[: page.MONTHS_ON_HISTORY]]
    shown = [(month, entries[:most], len(entries) > most) for month, entries in found]
    return _html("history", site, shown=shown, months=months)


def _month(site: Site, text: str) -> bytes | None:
    month, months = date.fromisoformat(f"{text}-01"), site.months
    if month not in months:
        return None
    return _html(
        "month",
        site,
        month=month,
        entries=site.entries_of(month),
        earlier=next_month(month, -1) if month > months[-1] else None,
        later=next_month(month) if month < months[0] else None,
    )


def _rss(site: Site) -> bytes:
    return feeds.rss(site.frame, site.latest)


def _atom(site: Site) -> bytes:
    return feeds.atom(site.frame, site.latest)


def _missing(site: Site) -> bytes:
    return _html("missing", site)


def _robots(_site: Site) -> bytes:
    return (
        b"User-agent: *\nDisallow: /console/\nDisallow: /admin/\nDisallow: /subscriptions/\nDisallow: /unsubscribe/\n"
    )


def _favicon(_site: Site) -> bytes:
    return environment().get_template("public/favicon.svg").render(state=page.load_state().value).encode()


RENDERERS: Mapping[str, Callable[..., bytes | None]] = {
    "/": _front,
    "/history": _history,
    r"/history/(\d{4}-\d{2})": _month,
    "/incidents/([^/]+)": _entry,
    "/components/([^/]+)": _component,
    r"/history\.rss": _rss,
    r"/history\.atom": _atom,
    "/404": _missing,
    r"/robots\.txt": _robots,
    r"/favicon\.svg": _favicon,
}


@cache
def _assets() -> Mapping[str, bytes]:
    """Styles and script under names that change with their content: cached for ever, never stale."""
    styles = b"".join((STATIC / name).read_bytes() for name in ("base.css", "public.css"))
    script = (STATIC / "public.js").read_bytes()
    return {_named("css", styles): styles, _named("js", script): script}


def _named(suffix: str, body: bytes) -> str:
    return f"/assets/page.{hashlib.sha256(body).hexdigest()[:16]}.{suffix}"


def _asset_path(suffix: str) -> str:
    return next(path for path in _assets() if path.endswith(f".{suffix}"))


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
    yield from (STATIC / name for name in ("base.css", "public.css", "public.js"))
    yield from sorted(Path(__file__).parent.glob("*.py"))
    yield TEMPLATES.parent / "statuspage" / "prose.py"
