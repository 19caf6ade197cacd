"""The published folder: finished files, written so that a reader sees the old one or the new one.

Nothing here can reach the database: readers are served when it is gone.

The folder holds one file for each public path, beside it the same compressed
(``index.html``, ``index.html.gz``, ``index.html.br``), and ``current.json``,
which is written last and says up to which change the folder is published.
"""

import contextlib
import ctypes
import fcntl
import gzip
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

import brotli

CURRENT = "current.json"
LOCK = ".lock"
# Files on their way into place. One folder for all, so that what a killed publisher left is found without a search.
STAGING = ".new"
GZIP, BROTLI = ".gz", ".br"

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".rss": "application/rss+xml; charset=utf-8",
    ".atom": "application/atom+xml; charset=utf-8",
    ".ics": "text/calendar; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
    ".png": "image/png",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
}
# What publishing can afford: the highest of Brotli takes 150 times as long for a tenth less (docs/decisions/0012).
GZIP_LEVEL, BROTLI_QUALITY = 6, 5


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


def file_name(path: str) -> str:
    """Return the file that holds a public path, relative to the folder."""
    if path.endswith("/"):
        # The front page, and that of each other language.
        return f"{path.lstrip('/')}index.html"
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
    """Put one finished file in place, beside it the same compressed."""
    write_all(folder, {path: body})


def write_all(folder: Path, files: Mapping[str, bytes], *, even_unchanged: bool = True) -> None:
    """Put finished files in place: readers see the old one or the new one of each, never half of one.

    All are written and flushed before the first is moved: a full disk changes
    nothing. A file whose bytes are there already keeps its place, if asked.
    """
    moves: list[tuple[str, str]] = []
    staging = folder / STAGING
    _clear(staging)
    try:
        for path, body in files.items():
            target = str(folder / file_name(path))
            if even_unchanged or not _holds(target, body):
                # The gzip form comes last: it is the one that readers go by.
                forms = ((BROTLI, _brotli(body)), ("", body), (GZIP, gzip.compress(body, GZIP_LEVEL, mtime=0)))
                moves += [(_stage(staging, len(moves) + n, form[1]), target + form[0]) for n, form in enumerate(forms)]
        _move(staging, moves)
    finally:
        _leave(staging)


def _brotli(body: bytes) -> bytes:
    return bytes(brotli.compress(body, quality=BROTLI_QUALITY))


def _clear(staging: Path) -> None:
    try:
        staging.mkdir(parents=True)
    except FileExistsError:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()


def _leave(staging: Path) -> None:
    try:
        # Nothing is in it when all went well.
        staging.rmdir()
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)


def _stage(staging: Path, number: int, content: bytes) -> str:
    name = f"{staging}/{number}"
    # Without Path and a file object: a third of the time, for a hundred files.
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        if os.write(descriptor, content) != len(content):
            raise OSError(f"{name} could not be written whole: the disk is full")
    finally:
        os.close(descriptor)
    return name


def _move(staging: Path, moves: Iterable[tuple[str, str]]) -> None:
    moves = list(moves)
    if moves:
        _flush(staging, [temporary for temporary, _ in moves])
    for folder in {os.path.dirname(target) for _, target in moves}:  # noqa: PTH120  (as above)
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    for temporary, target in moves:
        os.replace(temporary, target)  # noqa: PTH105


def _flush(staging: Path, names: Iterable[str]) -> None:
    """Have the disk hold what was written before it is moved into place: a power cut must not leave empty pages."""
    if sys.platform == "linux":
        # One call for all: a flush for each of a hundred files takes as long as a hundred turns of the disk.
        descriptor = os.open(staging, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(staging))
        finally:
            os.close(descriptor)
        return
    for name in names:
        descriptor = os.open(name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _holds(target: str, body: bytes) -> bool:
    """Tell whether a file holds these bytes already, and has its compressed forms."""
    try:
        if os.stat(target).st_size != len(body):  # noqa: PTH116
            return False
        with open(target, "rb") as handle:  # noqa: PTH123
            return handle.read() == body and os.path.exists(target + GZIP) and os.path.exists(target + BROTLI)  # noqa: PTH110
    except OSError:
        return False


def replace(file: Path, content: bytes) -> None:
    """Put a file in place that is ours alone, with no compressed forms beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + STAGING)
    with temporary.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(file)


def remove(folder: Path, path: str) -> None:
    """Take a file away, if it is there."""
    name = folder / file_name(path)
    for suffix in ("", GZIP, BROTLI):
        name.with_name(name.name + suffix).unlink(missing_ok=True)


def exists(folder: Path, path: str) -> bool:
    """Tell whether the folder has a file for a public path."""
    return (folder / file_name(path)).exists()


def names(folder: Path, below: str) -> frozenset[str]:
    """Return the names of the files in one of its folders; none if there is no such folder."""
    try:
        return frozenset(os.listdir(folder / below))  # noqa: PTH208  (names alone)
    except FileNotFoundError:
        return frozenset()


def remove_others(folder: Path, paths: Iterable[str]) -> None:
    """Take away every page but these; styles stay, since pages in caches still name old ones."""
    names = {str(folder / file_name(path)) for path in paths}
    kept = names | {str(folder / CURRENT), str(folder / LOCK)}
    for place, _, found in os.walk(folder):
        if place == str(folder / "assets"):
            continue
        for each in found:
            name = f"{place}/{each}"
            if name not in kept and name.removesuffix(GZIP).removesuffix(BROTLI) not in names:
                os.unlink(name)  # noqa: PTH108


def write_current(folder: Path, current: Current) -> None:
    """Say where the folder stands; readers look again at what they hold."""
    staging = folder / STAGING
    _clear(staging)
    try:
        content = json.dumps(asdict(current), indent=1).encode()
        _move(staging, [(_stage(staging, 0, content), str(folder / CURRENT))])
    finally:
        _leave(staging)


def read_current(folder: Path) -> Current | None:
    """Return where the folder stands; None if that is missing or damaged."""
    try:
        current = Current(**json.loads((folder / CURRENT).read_bytes()))
        date.fromisoformat(current.local_day)
        datetime.fromisoformat(current.generated_at)
    except (OSError, ValueError, TypeError):
        return None
    return current if isinstance(current.revision, int) else None


Signature = tuple[int, int, int]


def signature(stat: os.stat_result) -> Signature:
    """Return what tells one file from another that took its place."""
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def signature_of_current(folder: Path) -> Signature | None:
    """Return what changes with every publication; None before the first."""
    try:
        return signature((folder / CURRENT).stat())
    except OSError:
        return None
