"""What was read once is not read again, and never shown once it is out of date."""

import itertools
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select, update

from statuspage.actions import components, corrections, maintenances
from statuspage.actions.maintenances import Message
from statuspage.db import db, transaction
from statuspage.models import Change, Incident
from statuspage.rules.vocabulary import ComponentState, MessageKind, Severity
from statuspage.settings import Settings
from statuspage.site import page, publisher
from statuspage.site.shelf import Shelf
from tests import builders

OUTAGE = ComponentState.OUTAGE


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.account(now)


@pytest.fixture
def sign_in(writer: str, now: datetime) -> str:
    return builders.component(now)


@pytest.fixture
def asked(writer: str) -> Iterator[list[str]]:
    """The statements that are run."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield statements
    event.remove(db.engine, "before_cursor_execute", note)


def renewed(shelf: Shelf) -> Shelf:
    db.session.rollback()
    shelf.renew()
    return shelf


def title(shelf: Shelf, incident_id: str) -> str:
    found = page.load_entry(incident_id, renewed(shelf))
    assert found is not None
    return found.title


def rename(incident_id: str, words: str) -> None:
    db.session.execute(update(Incident).where(Incident.id == incident_id).values(title=words))
    db.session.commit()


def test_an_incident_that_did_not_change_is_read_once(
    writer: str, sign_in: str, asked: list[str], now: datetime
) -> None:
    old = builders.acknowledged(writer, {sign_in: OUTAGE}, now)
    shelf = renewed(Shelf())
    assert [entry.id for entry in page.load_latest(50, shelf)] == [old]
    new = builders.acknowledged(writer, {sign_in: OUTAGE}, now + timedelta(minutes=1))
    asked.clear()
    # The first is not even looked at again: its title in the database is no matter.
    rename(old, "Another title")
    assert [entry.id for entry in page.load_latest(50, renewed(shelf))] == [new, old]
    assert title(shelf, old) != "Another title"
    assert len([each for each in asked if "FROM updates" in each]) == 1


def test_what_was_posted_edited_or_done_to_it_is_read_anew(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: OUTAGE}, now)
    shelf = Shelf()
    for minutes, kind in ((1, MessageKind.UPDATE), (2, MessageKind.UPDATE), (3, MessageKind.RESOLVE)):
        before = page.load_entry(incident_id, renewed(shelf))
        builders.post(kind, incident_id, {}, writer, now + timedelta(minutes=minutes))
        after = page.load_entry(incident_id, renewed(shelf))
        assert before is not None
        assert after is not None
        assert len(after.updates) == len(before.updates) + 1
    corrections.reopen(incident_id, "It is back.", builders.version(incident_id), writer, now + timedelta(minutes=9))
    reopened = page.load_entry(incident_id, renewed(shelf))
    assert reopened is not None
    assert reopened.is_open


def test_a_renamed_component_is_renamed_in_everything(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: OUTAGE}, now)
    shelf = Shelf()
    assert title(shelf, incident_id)
    components.edit_component(sign_in, "Signing in", "", "", None, writer, now)
    found = page.load_entry(incident_id, renewed(shelf))
    assert found is not None
    assert [each.name for each in found.components] == ["Signing in"]


def test_what_an_import_brings_is_listed_though_one_change_stands_for_all_of_it(
    writer: str, sign_in: str, now: datetime
) -> None:
    first = builders.acknowledged(writer, {sign_in: OUTAGE}, now)
    shelf = renewed(Shelf())
    assert [entry.id for entry in page.load_latest(50, shelf)] == [first]
    seen = db.session.scalar(select(func.max(Change.revision)))
    imported = builders.acknowledged(writer, {sign_in: OUTAGE}, now + timedelta(minutes=1))
    db.session.execute(update(Change).where(Change.revision > seen).values(subject_kind="page", subject_id="page"))
    db.session.commit()
    assert [entry.id for entry in page.load_latest(50, renewed(shelf))] == [imported, first]


def test_a_database_put_back_from_a_backup_is_read_anew(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: OUTAGE}, now)
    shelf = Shelf()
    assert title(shelf, incident_id)
    rename(incident_id, "As it was in the backup")
    # As many changes as before, the last of them at another time.
    with transaction(now) as session:
        newest = session.scalars(select(Change).order_by(Change.revision.desc()).limit(1)).one()
        newest.changed_at = now + timedelta(hours=1)
    assert title(shelf, incident_id) == "As it was in the backup"


def test_a_gap_in_the_record_of_changes_is_no_reason_to_trust(writer: str, sign_in: str, now: datetime) -> None:
    incident_id = builders.acknowledged(writer, {sign_in: OUTAGE}, now)
    shelf = Shelf()
    assert title(shelf, incident_id)
    rename(incident_id, "Changed without a word")
    with transaction(now) as session:
        for change in session.scalars(select(Change)):
            session.delete(change)
    assert title(shelf, incident_id) == "Changed without a word"


def test_one_update_takes_few_statements_whatever_the_page_has(
    writer: str, sign_in: str, settings: Settings, asked: list[str], now: datetime
) -> None:
    others = [builders.component(now, f"Part {number}") for number in range(5)]
    for number in range(5):
        builders.acknowledged(writer, {sign_in: OUTAGE, others[number]: OUTAGE}, now + timedelta(minutes=number))
    incident_id = builders.acknowledged(writer, dict.fromkeys((sign_in, *others), OUTAGE), now + timedelta(minutes=6))
    publisher.refresh(settings, now + timedelta(minutes=6))
    builders.post(MessageKind.UPDATE, incident_id, {}, writer, now + timedelta(minutes=7))
    asked.clear()
    written = publisher.refresh(settings, now + timedelta(minutes=7))
    assert f"/incidents/{incident_id}" in written
    assert len([each for each in asked if each.startswith("SELECT")]) <= 15, "\n\n".join(asked)


# When a file was written is all that may differ.
WRITTEN_AT = re.compile(rb"As of <time.*?</time>|generated-at\" content=\"[^\"]*\"|\"generated_at\": ?\"[^\"]*\"")


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): WRITTEN_AT.sub(b"", file.read_bytes())
        for file in folder.rglob("*")
        if file.is_file() and file.suffix not in (".gz", ".br")
    }


EXAMPLES = itertools.count()
STEPS = st.lists(
    st.sampled_from(["declare", "update", "resolve", "reopen", "plan", "rename", "cancel"]), min_size=1, max_size=8
)


@hypothesis_settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_whatever_happens_the_site_is_as_if_all_had_been_read_anew(
    steps: list[str], writer: str, sign_in: str, settings: Settings, now: datetime
) -> None:
    # One database for all examples: time goes on from one to the next.
    now += timedelta(minutes=10 * next(EXAMPLES))
    incident_id = builders.acknowledged(writer, {sign_in: OUTAGE}, now, severity=Severity.SEV4)
    is_open, window_id, moment = True, "", now
    for number, step in enumerate(steps):
        moment = now + timedelta(minutes=number + 1)
        if step == "declare":
            builders.acknowledged(writer, {sign_in: OUTAGE}, moment, severity=Severity.SEV4)
        elif step == "update" and is_open:
            builders.post(MessageKind.UPDATE, incident_id, {}, writer, moment)
        elif step == "resolve" and is_open:
            builders.post(MessageKind.RESOLVE, incident_id, {}, writer, moment)
            is_open = False
        elif step == "reopen" and not is_open:
            corrections.reopen(incident_id, "It is back.", builders.version(incident_id), writer, moment)
            is_open = True
        elif step == "plan":
            window_id = builders.window(moment, (sign_in,), writer)
        elif step == "rename":
            components.edit_component(sign_in, f"Signing in {number}", "", "", None, writer, moment)
        elif step == "cancel" and window_id:
            maintenances.cancel(
                window_id, Message("Not today."), builders.seen(window_id), builders.nonce(), writer, moment
            )
            window_id = ""
        publisher.refresh(settings, moment)
    kept = files(settings.site_dir)
    publisher._shelf.clear()
    publisher.publish_all(settings, moment)
    anew = files(settings.site_dir)
    assert {name for name in anew if kept.get(name) != anew[name]} == set()
    assert kept.keys() == anew.keys()
