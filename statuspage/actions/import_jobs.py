"""Files uploaded in the console: kept, then taken in by the worker chunk by chunk.

Each chunk and the count of rows it did are one transaction, so that a worker
that is killed leaves nothing half done and the next one goes on behind it.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer

from statuspage.actions import csv_rows
from statuspage.actions.csv_rows import Result, Source
from statuspage.actions.import_kinds import KINDS
from statuspage.actions.ledger import audit
from statuspage.db import db, transaction
from statuspage.models import ImportJob, new_id
from statuspage.rules.vocabulary import RuleBroken

# More are counted, not kept: whoever has more mends the file first.
MOST_REPORTED = 1_000
IGNORED = "ignored"


@dataclass
class Reading:
    """How far a worker has read a file, so that it is not read anew for each chunk."""

    job_id: str
    rows: Iterator[Any]
    done: int = 0


def upload(kind: str, filename: str, content: bytes, is_dry_run: bool, by: str, now: datetime) -> str:
    """Keep a file for the worker to take in. Return the job's id.

    Raises RuleBroken on ``kind`` or ``file``.
    """
    if kind not in KINDS:
        raise RuleBroken({"kind": "Please say whom the file holds."})
    text = _decode(content)
    table = csv_rows.read_table(io.StringIO(text, newline=""), KINDS[kind].columns)
    total = sum(1 for _ in table.lines)
    if not total:
        raise RuleBroken({"file": "There is no row below the names of the columns."})
    ignored = f"These columns are not read: {', '.join(table.ignored)}."[:500]
    job = ImportJob(
        id=new_id(),
        kind=kind,
        filename=csv_rows.printable(filename),
        content=text,
        is_dry_run=is_dry_run,
        account_id=by,
        created_at=now,
        rows_total=total,
        counts={},
        report=[_entry(Result(1, "", IGNORED, ignored))] if table.ignored else [],
    )
    with transaction(now) as session:
        session.add(job)
        audit(session, by, "upload", "import", job.id, now, kind=kind, filename=job.filename, rows=total)
        return job.id


def _decode(content: bytes) -> str:
    if not content:
        raise RuleBroken({"file": "Please choose a file."})
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RuleBroken({"file": "This is UTF-16: please save the file as “CSV UTF-8”."})
    # A NUL can't be kept, and is no UTF-8 that anybody meant.
    return content.decode("utf-8", "replace").replace("\0", "\ufffd")


def next_job() -> str | None:
    """Return the id of the import that waited longest; None if none waits."""
    session = db.session()
    session.rollback()
    waiting = select(ImportJob.id).where(ImportJob.finished_at.is_(None))
    return session.scalar(waiting.order_by(ImportJob.created_at, ImportJob.id).limit(1))


def take_in_chunk(job_id: str, reading: Reading | None, secret_keys: tuple[str, ...], now: datetime) -> Reading | None:
    """Take in the next thousand rows of a file. Return the place to go on from, None behind the last row.

    None too while another worker is at it.
    """
    try:
        return _take_in_chunk(job_id, reading, secret_keys, now)
    except IntegrityError:
        # Somebody signed up between the look and the write: the second look sees them.
        return _take_in_chunk(job_id, None, secret_keys, now)


def _take_in_chunk(job_id: str, reading: Reading | None, secret_keys: tuple[str, ...], now: datetime) -> Reading | None:
    with transaction(now) as session:
        job = session.scalar(
            select(ImportJob)
            .where(ImportJob.id == job_id, ImportJob.finished_at.is_(None))
            .options(defer(ImportJob.content))
            .execution_options(populate_existing=True)
            .with_for_update(skip_locked=True)
        )
        if job is None:
            return None
        if reading is None or reading.job_id != job_id or reading.done > job.rows_done:
            reading = Reading(job_id, KINDS[job.kind].parse(io.StringIO(job.content, newline="")).rows)
        # What this worker read, or another took in, before.
        behind = job.rows_done - reading.done
        rows = list(islice(reading.rows, behind, behind + csv_rows.BATCH))
        source = Source(f"imported from {job.filename}", job.account_id, secret_keys)
        _note(job, _results(session, job, rows, source, now))
        reading.done = job.rows_done
        if len(rows) == csv_rows.BATCH:
            return reading
        job.finished_at, job.content = now, ""
        return None


def _results(session: Session, job: ImportJob, rows: Sequence[Any], source: Source, now: datetime) -> list[Result]:
    kind = KINDS[job.kind]
    if job.is_dry_run:
        return kind.compare(session, rows, source)
    return kind.take_in(session, rows, source, now)


def _note(job: ImportJob, results: Sequence[Result]) -> None:
    counts = dict(job.counts)
    for result in results:
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
    worth_a_look = [_entry(result) for result in results if result.reason]
    job.counts = counts
    job.report = [*job.report, *worth_a_look][:MOST_REPORTED]
    job.rows_done += len(results)


def _entry(result: Result) -> dict[str, Any]:
    return {"line": result.line, "email": result.email, "outcome": result.outcome, "reason": result.reason}


def give_up(job_id: str, now: datetime) -> None:
    """End an import that can't go on: what was taken in stays."""
    with transaction(now) as session:
        job = session.get_one(ImportJob, job_id, with_for_update=True)
        if job.finished_at is None:
            job.finished_at, job.content = now, ""
            job.error = (
                f"Something broke on our side behind row {job.rows_done:,}. The rows before it were taken in: "
                "please tell whoever runs this page, and upload the file again."
            )
