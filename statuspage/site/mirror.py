"""The published folder, copied elsewhere: an object store or another folder, only what changed, the front page last.

Nothing here can reach the database: while that is gone, a notice still gets to the copy.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from statuspage.site import snapshot

if TYPE_CHECKING:
    from obstore.store import ObjectStore

FOLDER = "mirror"
STATE = "state.json"
# Readers of the copy are told what readers here are told (web/public.py).
CACHE_PAGE = "public, max-age=10, stale-while-revalidate=20, stale-if-error=3600"
CACHE_ASSET = "public, max-age=31536000, immutable"
# Of one run; what was copied until then stays copied, and the next run does the rest.
TOTAL_SECONDS = 120.0
AT_ONCE = 8
LET_GO_SECONDS = 0.5
# The record of what the target has is written this often, so that a killed run does little again.
RECORD_EVERY = 200
# Compressed forms are of use to a web server that reads the folder; an object store would serve them as they are.
COMPRESSED = (".gz", ".br")
# What links to other pages comes after them, and what says that all is there comes last.
_LISTS = frozenset({"history.html", "history.rss", "history.atom", "feed.json", "history.ics"})
_LAST = (snapshot.file_name("/"), snapshot.CURRENT)
# Without a record, only here does anything unknown belong to us and is taken away.
_OURS = ("incidents/", "components/", "history/")
# Nobody asks for these by an address of their own: web servers name them in their settings.
_NAMED = frozenset({"index.html", "404.html"})


class MirrorFailed(Exception):
    """The target took not everything; the message is one sentence."""


@dataclass(frozen=True)
class Copied:
    """What one run did."""

    written: int
    removed: int


@dataclass(frozen=True)
class State:
    """How the copy stands, for the console and /readyz; instants as in ``current.json``."""

    target: str
    behind_since: str = ""
    """Empty while everything published is there."""
    last_success: str = ""
    last_error: str = ""


def read_state(data_dir: Path) -> State | None:
    """Return how the copy stands; None if that is unknown."""
    try:
        return State(**json.loads((data_dir / FOLDER / STATE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def write_state(data_dir: Path, state: State) -> None:
    """Keep how the copy stands."""
    snapshot.replace(data_dir / FOLDER / STATE, json.dumps(asdict(state), indent=1).encode())


class Mirror:
    """The copy of one published folder at one target, with a record of what is there."""

    def __init__(self, site_dir: Path, data_dir: Path, url: str, seconds: float = TOTAL_SECONDS) -> None:
        self._site = site_dir
        self._url = url
        self._seconds = seconds
        self._is_folder = url.startswith("file:")
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        self._record_file = data_dir / FOLDER / f"{name}.json"
        self._hashes: dict[str, tuple[tuple[int, int, int], str]] = {}
        self._task: asyncio.Task[Copied] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def copy(self) -> Copied:
        """Bring the target up to date.

        Raises MirrorFailed when the target does not take everything, and
        BlockingIOError while another process copies to it.
        """
        with self._alone():
            try:
                return asyncio.run(self._within_time())
            except asyncio.CancelledError:
                raise MirrorFailed("It was stopped before it was done.") from None
            finally:
                self._loop = self._task = None

    def stop(self) -> None:
        """Have a run in another thread end at once."""
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            # The loop may end at this very moment.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self._record_file.parent.mkdir(parents=True, exist_ok=True)
        with self._record_file.with_suffix(".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    async def _within_time(self) -> Copied:
        # Rust and its HTTP client take 20 MB: only installations that have a copy pay for them.
        from obstore.exceptions import BaseError

        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            async with _patience_with_threads(), asyncio.timeout(self._seconds):
                return await self._bring_up_to_date()
        except TimeoutError:
            raise MirrorFailed(f"It was not done within {self._seconds:.0f} s; the rest follows.") from None
        # What an unusable address or unusable credentials raise depends on the store.
        except (BaseError, OSError, ValueError) as error:
            raise MirrorFailed(_in_words(error)) from error

    async def _bring_up_to_date(self) -> Copied:
        # Read first: what they link to is then at least as new as they are.
        last = {name: body for name in _LAST if (body := _read(self._site / name)) is not None}
        if snapshot.CURRENT not in last:
            raise MirrorFailed("Nothing has been published yet.")
        found = {name: self._hash_of(name) for name in self._names()}
        found |= {name: _hash(body) for name, body in last.items()}
        store = open_store(self._url)
        record = self._read_record()
        gone = (record.keys() if record is not None else await self._listed(store)) - found.keys()
        record = dict(record or {})
        changed = [name for name in found if record.get(name) != found[name]]
        # From here on nobody knows which form of these the target has.
        for name in changed:
            record.pop(name, None)
        if changed:
            self._write_record(record)
        try:
            for wave in _waves(changed):
                await self._put_all(store, wave, last, record)
            removed = await self._remove(store, gone, last, record)
        finally:
            if changed or gone:
                self._write_record(record)
        return Copied(len(changed), removed)

    def _names(self) -> Iterator[str]:
        """List the finished files by their names in the folder."""
        for folder, _, names in os.walk(self._site):
            inside = os.path.relpath(folder, self._site)
            for name in names:
                is_unfinished = inside == snapshot.STAGING or name.startswith(".")
                if is_unfinished or (name.endswith(COMPRESSED) and not self._is_folder):
                    continue
                yield name if inside == "." else f"{inside}/{name}"

    def _hash_of(self, name: str) -> str:
        signature = snapshot.signature((self._site / name).stat())
        known = self._hashes.get(name)
        if known is None or known[0] != signature:
            self._hashes[name] = known = signature, _hash((self._site / name).read_bytes())
        return known[1]

    async def _put_all(
        self, store: "ObjectStore", names: list[str], last: Mapping[str, bytes], record: dict[str, str]
    ) -> None:
        """Copy files, some at a time; the first that fails ends it."""
        # As in _within_time.
        from obstore import put_async

        places = asyncio.Semaphore(AT_ONCE)

        async def put(name: str) -> None:
            async with places:
                # A file that vanished is a newer publication: this run fails, the next begins with that.
                body = last[name] if name in last else (self._site / name).read_bytes()
                await put_async(store, self._key(name), body, attributes=self._attributes(name))
                record[name] = _hash(body)

        for start in range(0, len(names), RECORD_EVERY):
            try:
                async with asyncio.TaskGroup() as group:
                    for name in names[start : start + RECORD_EVERY]:
                        group.create_task(put(name))
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from None
            self._write_record(record)

    async def _remove(
        self, store: "ObjectStore", gone: Iterable[str], last: Mapping[str, bytes], record: dict[str, str]
    ) -> int:
        """Take away what readers may not see any more, unless a publisher is at work just now."""
        # As in _within_time.
        from obstore import delete_async

        gone = sorted(gone)
        if not gone or not self._stands_still(last[snapshot.CURRENT]):
            return 0
        for name in gone:
            # Not there is what was wanted.
            with contextlib.suppress(FileNotFoundError):
                await delete_async(store, self._key(name))
            record.pop(name, None)
        return len(gone)

    def _stands_still(self, current: bytes) -> bool:
        try:
            with snapshot.lock(self._site, 0):
                return _read(self._site / snapshot.CURRENT) == current
        except BlockingIOError:
            return False

    async def _listed(self, store: "ObjectStore") -> set[str]:
        """Without a record: the names of what is in our folders there."""
        # As in _within_time.
        from obstore import list as list_objects

        names: set[str] = set()
        for folder in _OURS:
            async for objects in list_objects(store, prefix=folder):
                keys = [found["path"] for found in objects]
                names |= set(keys) if self._is_folder else {_name_of(key) for key in keys}
        return names

    def _key(self, name: str) -> str:
        """Return the place of a file there: in an object store, the very address that readers ask for."""
        if self._is_folder or name in _NAMED:
            return name
        return name.removesuffix(".html")

    def _attributes(self, name: str) -> dict[str, str] | None:
        if self._is_folder:
            return None
        return {
            "Content-Type": snapshot.CONTENT_TYPES[Path(name).suffix],
            "Cache-Control": CACHE_ASSET if name.startswith("assets/") else CACHE_PAGE,
        }

    def _read_record(self) -> dict[str, str] | None:
        """Return what the target has, as file names and hashes; None if nobody knows."""
        try:
            record = json.loads(self._record_file.read_bytes())
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) else None

    def _write_record(self, record: Mapping[str, str]) -> None:
        snapshot.replace(self._record_file, json.dumps(record).encode())


@contextlib.asynccontextmanager
async def _patience_with_threads() -> AsyncIterator[None]:
    """Let the HTTP client's own threads drop what they hold: while the interpreter ends that would abort it."""
    try:
        yield
    finally:
        await asyncio.sleep(LET_GO_SECONDS)


def open_store(url: str) -> "ObjectStore":
    """Open the target; credentials come from the usual environment variables of its kind."""
    # As in Mirror._within_time.
    from obstore.store import LocalStore, from_url

    if url.startswith("file:"):
        return LocalStore(unquote(urlsplit(url).path), mkdir=True)
    retries = {"max_retries": 2, "retry_timeout": timedelta(seconds=15)}
    options = {"timeout": "10s", "connect_timeout": "4s", "allow_http": True}
    return from_url(url, client_options=options, retry_config=retries)  # type: ignore[call-overload, no-any-return]


def _waves(names: Iterable[str]) -> list[list[str]]:
    """Sort files into waves: what links to others comes after them."""
    waves: list[list[str]] = [[], [], *([] for _ in _LAST)]
    for name in sorted(names):
        plain = name.removesuffix(".gz").removesuffix(".br")
        waves[_LAST.index(plain) + 2 if plain in _LAST else int(plain in _LISTS)].append(name)
    return [wave for wave in waves if wave]


def _name_of(key: str) -> str:
    """Return the file that an object in one of our folders was copied from."""
    return key if Path(key).suffix in snapshot.CONTENT_TYPES else f"{key}.html"


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _in_words(error: BaseException) -> str:
    """Put a failure of the target into one sentence."""
    first = str(error).strip().partition("\n")[0][:240].rstrip(". ")
    return f"{first or type(error).__name__}."
