"""The published folder: finished files, written atomically, read from memory.

Nothing here can reach the database: readers are served when it is gone.

The folder holds one file for each public path and ``current.json``, which is
written last and says up to which change the folder is published.
"""

import contextlib
import fcntl
import gzip
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

CURRENT = "current.json"
LOCK = ".lock"
TEMPORARY = ".new"

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".rss": "application/rss+xml; charset=utf-8",
    ".atom": "application/atom+xml; charset=utf-8",
    ".ics": "text/calendar; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
}
# A page is about 45 kB with its compressed form: this many stay under 25 MB.
FILES_IN_MEMORY = 512


@dataclass(frozen=True)
class Current:
    """Where a folder stands."""

    revision: int
    """The last public change that is in it."""
    renderer: str
    """Fingerprint of the templates and code that wrote it."""
    local_day: str
    """The page's own calendar day when it was written: ``2026-11-21``."""
    generated_at: str
    """When it was written: ``2026-11-21T14:30:00Z``."""


@dataclass(frozen=True)
class File:
    """A finished file in memory."""

    body: bytes
    gzipped: bytes
    etag: str
    """Without quotes."""
    content_type: str
    signature: tuple[int, int, int]
    generation: int


def file_name(path: str) -> str:
    """Return the file that holds a public path, relative to the folder."""
    if path == "/":
        return "index.html"
    name = path.lstrip("/")
    return name if Path(name).suffix in CONTENT_TYPES else f"{name}.html"


@contextlib.contextmanager
def lock(folder: Path, patience: float | None = None) -> Iterator[None]:
    """Keep other publishers out of this folder until the block ends.

    Raises BlockingIOError if another is still at it after ``patience`` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as handle:
        if patience is None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        else:
            _lock_within(handle.fileno(), patience)
        yield


def _lock_within(descriptor: int, patience: float) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.02)
        else:
            return


def write(folder: Path, path: str, body: bytes) -> None:
    """Put a finished file in place: readers see the old one or the new one, never half of one."""
    file = folder / file_name(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + TEMPORARY)
    with temporary.open("wb") as handle:
        handle.write(body)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(file)


def remove(folder: Path, path: str) -> None:
    """Take a file away, if it is there."""
    (folder / file_name(path)).unlink(missing_ok=True)


def exists(folder: Path, path: str) -> bool:
    """Tell whether the folder has a file for a public path."""
    return (folder / file_name(path)).exists()


def remove_others(folder: Path, paths: Iterable[str]) -> None:
    """Take away every page but these; styles stay, since pages in caches still name old ones."""
    kept = {folder / file_name(path) for path in paths} | {folder / CURRENT, folder / LOCK}
    for file in folder.rglob("*"):
        if file.is_file() and file not in kept and file.parent.name != "assets":
            file.unlink()


def write_current(folder: Path, current: Current) -> None:
    """Say where the folder stands; readers look again at what they hold."""
    write(folder, f"/{CURRENT}", json.dumps(asdict(current), indent=1).encode())


def read_current(folder: Path) -> Current | None:
    """Return where the folder stands; None if that is missing or damaged."""
    try:
        current = Current(**json.loads((folder / CURRENT).read_bytes()))
        date.fromisoformat(current.local_day)
        datetime.fromisoformat(current.generated_at)
    except (OSError, ValueError, TypeError):
        return None
    return current if isinstance(current.revision, int) else None


def signature_of_current(folder: Path) -> tuple[int, int, int] | None:
    """Return what changes with every publication; None before the first."""
    try:
        return _signature((folder / CURRENT).stat())
    except OSError:
        return None


class Reader:
    """The folder's files in memory, looked at again only when ``current.json`` has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._current = folder / CURRENT
        self._seen: tuple[int, int, int] | None = None
        self._generation = 0
        self._files: dict[str, File] = {}
        self._lock = threading.Lock()

    @property
    def published(self) -> bool:
        """Whether there ever was a whole snapshot."""
        self._notice()
        return self._generation > 0

    def get(self, path: str) -> File | None:
        """Return the file of a public path; None if the site has none."""
        self._notice()
        held = self._files.get(path)
        if held is not None and held.generation == self._generation:
            return held
        return self._load(path, held) if self._generation else None

    def _notice(self) -> None:
        """Notice a new snapshot. A missing or damaged one changes nothing: what is held goes on."""
        try:
            signature = _signature(self._current.stat())
        except OSError:
            return
        if signature == self._seen:
            return
        with self._lock:
            if signature != self._seen and read_current(self._folder) is not None:
                self._generation += 1
                self._seen = signature

    def _load(self, path: str, held: File | None) -> File | None:
        generation = self._generation
        name = file_name(path)
        try:
            with (self._folder / name).open("rb") as handle:
                signature = _signature(os.fstat(handle.fileno()))
                if held is not None and held.signature == signature:
                    body, gzipped, etag = held.body, held.gzipped, held.etag
                else:
                    body = handle.read()
                    gzipped, etag = gzip.compress(body, 6, mtime=0), hashlib.sha256(body).hexdigest()[:32]
        except FileNotFoundError:
            # Taken away while the snapshot stands: gone. Taken away with all the rest: keep what is held.
            return None if self._current.exists() else held
        except OSError:
            # Too many open files, a failing disk: what is held is better than a page that says "not here".
            return held
        loaded = File(body, gzipped, etag, CONTENT_TYPES[Path(name).suffix], signature, generation)
        if len(self._files) >= FILES_IN_MEMORY:
            self._files = {}
        self._files[path] = loaded
        return loaded


def _signature(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
