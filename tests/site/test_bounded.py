"""However long the past is, one update touches the same few files."""

from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from benchmarks import publish
from benchmarks.publish import NOW
from statuspage.rules.vocabulary import MessageKind
from statuspage.settings import Settings
from statuspage.site import publisher, snapshot

AFFECTED = 2
# The front page, the history, the month, the incident; three feeds, eight documents, badge and icons: of the page.
# A page and two feeds of each component that it affects.
ADDRESSES = 18 + 3 * AFFECTED
FORMS = ("", snapshot.GZIP, snapshot.BROTLI)


def marks(folder: Path) -> dict[str, snapshot.Signature]:
    return {
        str(file.relative_to(folder)): snapshot.signature(file.stat())
        for file in folder.rglob("[!.]*")
        if file.is_file()
    }


@pytest.mark.parametrize("past", [30, 300])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_update_writes_a_bounded_number_of_files(past: int, app: Flask, settings: Settings) -> None:
    by, ids = publish.build(past)
    publisher.publish_all(settings, NOW - timedelta(hours=2))
    ids = ids[:AFFECTED]
    incident_id = publish.declare(by, ids)
    publish.say(incident_id, MessageKind.ACKNOWLEDGE, ids, by, NOW)
    publisher.refresh(settings, NOW)
    before = marks(settings.site_dir)
    later = NOW + timedelta(minutes=1)
    publish.say(incident_id, MessageKind.UPDATE, ids, by, later)

    addresses = publisher.refresh(settings, later)

    assert len(addresses) <= ADDRESSES
    after = marks(settings.site_dir)
    touched = {name for name, _ in after.items() - before.items()}
    assert before.keys() == after.keys()
    assert touched - {snapshot.CURRENT} <= {snapshot.file_name(path) + form for path in addresses for form in FORMS}
    assert len(touched) <= len(FORMS) * len(addresses) + 1
    assert f"incidents/{incident_id}.html.br" in touched
