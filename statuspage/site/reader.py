"""The published folder in memory: what is held is whole, and stays until something newer is whole.

Nothing here can reach the database, and nothing here writes.
"""

import gzip
import hashlib
import logging
import os
import threading
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import brotli

from statuspage.site.snapshot import BROTLI, CONTENT_TYPES, CURRENT, GZIP, Signature, file_name, read_current
from statuspage.site.snapshot import signature as file_signature

log = logging.getLogger(__name__)

# How often the folder is asked whether it changed: readers see an update this much later at most.
LOOK_EVERY_SECONDS = 0.05
# A page is about 60 kB with its compressed forms; a reader of all of 30,000 old incidents must not fill the memory.
BYTES_IN_MEMORY = 12_000_000
# What a file costs besides its bytes.
FILE_OVERHEAD = 3_000


class Damaged(Exception):
    """The folder has this file, but not one intact copy of it."""


@dataclass(slots=True)
class File:
    """A finished file in memory."""

    forms: dict[str, bytes]
    """Its bytes by content coding: ``""`` (as it is), ``gzip``, ``br``; one that saves nothing is left out."""
    etag: str
    """Of its bytes, without quotes."""
    content_type: str
    signature: Signature | None
    """Of the file that was read; None if a form was missing, so that it is read again."""
    generation: int
    answers: dict[Any, Any] = field(default_factory=dict)
    """What the web layer made of it: kept as long as the file is."""

    @property
    def size(self) -> int:
        """How much memory it takes."""
        return FILE_OVERHEAD + sum(len(form) for form in self.forms.values())


class Reader:
    """The folder's files in memory, looked at again only when ``current.json`` has changed."""

    def __init__(self, folder: Path, look_every: float = LOOK_EVERY_SECONDS, memory: int = BYTES_IN_MEMORY) -> None:
        self._folder = folder
        self._current = folder / CURRENT
        self._look_every = look_every
        self._look_at = 0.0
        self._seen: Signature | None = None
        self._generation = 0
        # Two halves instead of an order of use: what is asked for moves to the new one, what nobody asks for goes
        # with the old one.
        self._new: dict[str, File] = {}
        self._old: dict[str, File] = {}
        self._room = self._half = memory // 2
        self._complained: set[str] = set()
        self._lock = threading.Lock()

    @property
    def published(self) -> bool:
        """Whether there ever was a whole snapshot."""
        self._notice()
        return self._generation > 0

    def get(self, path: str) -> File | None:
        """Return the file of a public path; None if the site has none.

        Raises Damaged if the folder has it, but no intact copy, and none is held.
        """
        if time.monotonic() >= self._look_at:
            self._notice()
        held = self._new.get(path)
        if held is not None and held.generation == self._generation:
            return held
        if not self._generation:
            return None
        # While one thread reads a file the others go on with what is held.
        if not self._lock.acquire(blocking=held is None):
            return held
        try:
            return self._renewed(path)
        finally:
            self._lock.release()

    def _notice(self) -> None:
        """Notice a new snapshot. A missing or damaged one changes nothing: what is held goes on."""
        self._look_at = time.monotonic() + self._look_every
        try:
            signature = file_signature(self._current.stat())
        except OSError:
            return
        if signature == self._seen:
            return
        with self._lock:
            if signature != self._seen and read_current(self._folder) is not None:
                self._generation += 1
                self._seen = signature
                self._complained.clear()

    def _renewed(self, path: str) -> File | None:
        generation = self._generation
        held = self._new.get(path) or self._old.get(path)
        if held is not None and held.generation == generation:
            file: File | None = held
        else:
            file = self._read(path, held, generation)
        if file is None:
            self._new.pop(path, None)
            self._old.pop(path, None)
        elif self._new.get(path) is not file:
            self._keep(path, file)
        return file

    def _keep(self, path: str, file: File) -> None:
        self._room -= file.size
        if self._room < 0:
            self._old, self._new = self._new, {}
            self._room = self._half - file.size
        self._new[path] = file

    def _read(self, path: str, held: File | None, generation: int) -> File | None:
        name = self._folder / file_name(path)
        try:
            file = _load(name, held, generation)
        except FileNotFoundError:
            # Taken away while the snapshot stands: gone. Taken away with all the rest: keep what is held.
            return None if self._current.exists() else held
        except (OSError, Damaged) as error:
            # Too many open files, a failing disk, half a file: what is held is better than nothing.
            if held is not None:
                return held
            if path not in self._complained:
                self._complained.add(path)
                log.error("%s can't be served: %s", path, error)  # noqa: TRY400  (no trace: it is the disk)
            raise Damaged(path) from None
        return file


def _load(name: Path, held: File | None, generation: int) -> File:
    """Read a file and its compressed forms; raises Damaged unless one of them proves the bytes whole."""
    try:
        with name.open("rb") as handle:
            signature = file_signature(os.fstat(handle.fileno()))
            if held is not None and held.signature == signature:
                held.generation = generation
                return held
            plain: bytes | None = handle.read()
    except FileNotFoundError:
        plain = None
    zipped, small = _bytes_of(name, GZIP), _bytes_of(name, BROTLI)
    if plain is None and zipped is None:
        raise FileNotFoundError(name)
    unzipped = _unzipped(zipped) if zipped is not None else None
    unpacked = _unpacked(small) if small is not None else None
    body = _whole(plain, unzipped, unpacked, is_alone=zipped is None and small is None)
    forms = {
        "br": small if small is not None and unpacked == body else None,
        "gzip": zipped if zipped is not None and unzipped == body else gzip.compress(body, 6, mtime=0),
        "": body,
    }
    return File(
        # A form that saves nothing is of no use.
        forms={
            coding: form for coding, form in forms.items() if form is not None and (len(form) < len(body) or not coding)
        },
        etag=hashlib.sha256(body).hexdigest()[:32],
        content_type=CONTENT_TYPES[name.suffix],
        signature=signature if body == plain == unzipped == unpacked else None,
        generation=generation,
    )


def _whole(plain: bytes | None, unzipped: bytes | None, unpacked: bytes | None, *, is_alone: bool) -> bytes:
    """Return the bytes that are proved whole: by gzip's checksum, or by two forms that agree."""
    if unzipped is not None:
        return unzipped
    # Written by hand or by another program, without compressed forms: nothing says that it is damaged.
    if plain and (unpacked == plain or is_alone):
        return plain
    raise Damaged("no copy of it is intact")


def _bytes_of(name: Path, suffix: str) -> bytes | None:
    try:
        return name.with_name(name.name + suffix).read_bytes()
    except FileNotFoundError:
        return None


def _unzipped(zipped: bytes) -> bytes | None:
    try:
        # Nothing at all would do for no files in gzip's format.
        return gzip.decompress(zipped) if zipped else None
    except (OSError, EOFError, zlib.error):
        return None


def _unpacked(small: bytes) -> bytes | None:
    try:
        return bytes(brotli.decompress(small))
    except brotli.error:
        return None
