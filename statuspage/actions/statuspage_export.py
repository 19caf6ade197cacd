"""Read what Atlassian Statuspage's public API (v2) gives: a folder, a file or a page's address."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from statuspage.rules.vocabulary import RuleBroken

Record = dict[str, Any]

# The largest page known to us answers with 1.5 MB.
SIZE_LIMIT = 32 * 1024 * 1024
TIMEOUT_SECONDS = (5, 30)
# In the order of their worth: where two hold the same record, the first is taken.
NAMES = ("components", "incidents", "scheduled-maintenances", "summary")
_COLLECTIONS = ("components", "incidents", "scheduled_maintenances")
_ID = re.compile("[0-9a-z]{1,12}")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")


class Unreadable(Exception):
    """A record that can't be imported; the message says why."""


@dataclass(frozen=True)
class Entry:
    """A record and where it stood."""

    record: Record
    file: str
    index: int | None = None


@dataclass
class Export:
    """Everything a source holds, each thing once."""

    pages: list[Entry] = field(default_factory=list)
    groups: list[Entry] = field(default_factory=list)
    components: list[Entry] = field(default_factory=list)
    incidents: list[Entry] = field(default_factory=list)
    maintenances: list[Entry] = field(default_factory=list)
    unreadable: list[tuple[str, str, str, str, int | None, str]] = field(default_factory=list)
    """Kind, id, title, file, index and reason of what is no record at all."""


def read(source: str) -> Export:
    """Read a source. Raises RuleBroken on ``source`` if there is nothing to read."""
    export = Export()
    documents = _fetched(source) if source.startswith(("http://", "https://")) else _files(Path(source))
    for name, text in documents:
        _take(export, name, text)
    export.components += _missing_components(export)
    return export


def _files(path: Path) -> list[tuple[str, bytes]]:
    if path.is_dir():
        # Summary last: it holds the same components and only the open incidents.
        files = sorted(path.glob("*.json"), key=lambda file: (file.name == "summary.json", file.name))
    else:
        files = [path]
    try:
        documents = [(file.name, file.read_bytes()) for file in files]
    except OSError as error:
        raise RuleBroken({"source": f"{path} can't be read: {error.strerror}."}) from None
    if not documents:
        raise RuleBroken({"source": f"There is no .json file in {path}."})
    return documents


def _fetched(address: str) -> list[tuple[str, bytes]]:
    found, problem = [], ""
    for name in NAMES:
        url = f"{address.rstrip('/')}/api/v2/{name}.json"
        try:
            found.append((f"{name}.json", _get(url)))
        except requests.RequestException as error:
            problem = f"{url} can't be fetched: {error}."
    if not found:
        raise RuleBroken({"source": problem})
    return found


def _get(url: str) -> bytes:
    with requests.get(url, timeout=TIMEOUT_SECONDS, stream=True, headers={"Accept": "application/json"}) as answer:
        answer.raise_for_status()
        content = b""
        for chunk in answer.iter_content(64 * 1024):
            content += chunk
            if len(content) > SIZE_LIMIT:
                raise RuleBroken({"source": f"{url} is larger than {SIZE_LIMIT // 2**20} MB."})
    return content


def _take(export: Export, name: str, text: bytes) -> None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        export.unreadable.append(("file", "", "", name, None, f"This is no JSON: {error}."))
        return
    if not isinstance(document, dict):
        export.unreadable.append(("file", "", "", name, None, "This is no answer of Statuspage's API."))
        return
    if isinstance(document.get("page"), dict):
        export.pages.append(Entry(document["page"], name))
    for collection in _COLLECTIONS:
        rows = document.get(collection, [])
        if not isinstance(rows, list):
            export.unreadable.append(("file", "", "", name, None, f"“{collection}” is no list."))
            continue
        for index, record in enumerate(rows):
            _file(export, collection, Entry(record, name, index))


def _file(export: Export, collection: str, entry: Entry) -> None:
    if not isinstance(entry.record, dict):
        kind = collection.removeprefix("scheduled_").removesuffix("s")
        export.unreadable.append((kind, "", "", entry.file, entry.index, "This is no record."))
        return
    if collection == "components":
        target = export.groups if entry.record.get("group") else export.components
    else:
        # The management API lists maintenances among the incidents; only they have a window.
        planned = collection == "scheduled_maintenances" or bool(entry.record.get("scheduled_for"))
        target = export.maintenances if planned else export.incidents
    if entry.record.get("id") not in {known.record.get("id") for known in target if known.file != entry.file}:
        target.append(entry)


def _missing_components(export: Export) -> Iterator[Entry]:
    """Give components that incidents name and no list holds: where there is a list, they were deleted there."""
    listed_ids = {entry.record.get("id") for entry in export.components}
    mark = {"archived": True} if export.components else {}
    for entry in (*export.incidents, *export.maintenances):
        for record in _named_components(entry.record):
            if isinstance(record.get("id"), str) and record["id"] not in listed_ids and not record.get("group"):
                listed_ids.add(record["id"])
                yield Entry(record | mark, entry.file, entry.index)


def _named_components(record: Record) -> Iterator[Record]:
    yield from listed(record, "components")
    for update in listed(record, "incident_updates"):
        for affected in listed(update, "affected_components"):
            yield {
                "id": affected.get("code"),
                # “Group - Component” is how these are named.
                "name": str(affected.get("name", "")).rpartition(" - ")[2],
                "status": "operational",
                "created_at": record.get("created_at"),
            }


def listed(record: Record, key: str) -> Iterable[Record]:
    """Return the records in a list of records; what is none is left out."""
    rows = record.get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def identifier(record: Record) -> str:
    """Return a record's id. Raises Unreadable if it can't be one of ours."""
    found = record.get("id")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise Unreadable(f"The id {found!r} is not 1 to 12 of a–z and 0–9.")
    return found


def line(record: Record, key: str, limit: int) -> str:
    """Return a text as one line, cut at the limit. Raises Unreadable if there is none."""
    plain = " ".join(text_of(record, key).split())
    if not plain:
        raise Unreadable(f"“{key}” is missing.")
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


def text_of(record: Record, key: str) -> str:
    """Return a text without control characters; empty when there is none."""
    found = record.get(key)
    return _CONTROLS.sub("", found) if isinstance(found, str) else ""


def instant(record: Record, *keys: str) -> datetime:
    """Return the first of these instants that is given. Raises Unreadable if none is, or it is no instant."""
    for key in keys:
        found = record.get(key)
        if found is None:
            continue
        try:
            read_instant = datetime.fromisoformat(found)
            if read_instant.tzinfo is not None:
                return read_instant.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            pass
        raise Unreadable(f"“{key}” is no instant: {found!r}.")
    raise Unreadable(f"“{keys[0]}” is missing.")
