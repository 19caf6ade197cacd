"""A published folder that can't be written: what is there stays whole, it is told, and it is made good by itself."""

import contextlib
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from statuspage import clock
from statuspage.delivery.providers import transport_for
from statuspage.rules.vocabulary import ComponentState, MessageKind
from statuspage.settings import Settings
from statuspage.site import publisher, snapshot
from statuspage.site.reader import Reader
from statuspage.worker import Worker
from tests import builders

# Every page is larger, and so is the embedded database's log: on a full disk that is stuck as well.
FULL_AFTER_BYTES = 3_000
NEWS = "We move to the second cluster."
Trouble = Callable[[Path], AbstractContextManager[None]]


@contextlib.contextmanager
def unwritable(site: Path) -> Iterator[None]:
    """No folder for new files can be made; unlike permissions, this holds up root too."""
    (site / snapshot.STAGING).write_bytes(b"")
    try:
        yield
    finally:
        (site / snapshot.STAGING).unlink()


@contextlib.contextmanager
def full(_site: Path) -> Iterator[None]:
    """Every write beyond some bytes of a file fails, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_AFTER_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def now() -> datetime:
    """Long enough ago for a change that is not published to be news."""
    return clock.now() - timedelta(minutes=5)


def files(folder: Path) -> dict[str, bytes]:
    found = (file for file in folder.rglob("*") if file.is_file() and file.name != snapshot.LOCK)
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


@pytest.mark.parametrize("trouble", [unwritable, full])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_folder_that_can_not_be_written_keeps_the_old_site_whole_and_gets_the_new_one_later(
    trouble: Trouble, app: Flask, settings: Settings, now: datetime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    builders.page(now)
    writer = builders.account(now)
    states = {builders.component(now): ComponentState.OUTAGE}
    incident_id = builders.acknowledged(writer, states, now)
    worker = Worker(settings, transport_for(settings))
    worker.tick(now)
    before = files(settings.site_dir)
    reader = Reader(settings.site_dir, look_every=0)
    builders.post(MessageKind.UPDATE, incident_id, states, writer, now + timedelta(seconds=1), being_done=NEWS)
    with trouble(settings.site_dir):
        worker.tick(now + timedelta(seconds=2))
        worker.tick(now + timedelta(seconds=3))
        held = {name: body for name, body in files(settings.site_dir).items() if name != snapshot.STAGING}
    assert held == before
    page = reader.get(f"/incidents/{incident_id}")
    assert page is not None
    assert NEWS.encode() not in page.forms[""]
    assert [record.getMessage() for record in caplog.records if "publish" in record.getMessage()] == [
        "publish failed; it will be tried again"
    ] * 2
    told = app.test_client().get("/readyz")
    assert told.json is not None
    assert (told.status_code, told.json["snapshot"]) == (503, "behind")

    later = now + timedelta(seconds=4)
    worker.tick(later)

    # Nothing less than what a folder of its own would get.
    elsewhere = replace(settings, data_dir=tmp_path / "elsewhere")
    publisher.publish_all(elsewhere, later)
    incident = f"incidents/{incident_id}.html"
    touched = {incident, *map(snapshot.file_name, publisher.FRONT)}
    published, wanted = files(settings.site_dir), files(elsewhere.site_dir)
    assert NEWS.encode() in published[incident]
    assert {name: published[name] for name in touched} == {name: wanted[name] for name in touched}
    assert app.test_client().get("/readyz").json == told.json | {"snapshot": "ok", "ready": True, "worker": "ok"}
