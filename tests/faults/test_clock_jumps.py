"""A real worker whose machine's clock is set, or comes to an odd hour: nobody is told early, late or twice."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import policies
from statuspage.db import db
from statuspage.models import EscalationStep, Heartbeat
from statuspage.rules.vocabulary import ComponentState, IncidentRole, Severity
from tests import builders, servers
from tests.conftest import unavailable

ROOT = Path(__file__).resolve().parents[2]
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
NOTHING_ELSE = {"internal_update": None, "direct_email": None, "reminders": []}
StartWorker = Callable[..., subprocess.Popen[str]]
# `statuspage worker`, which has started and says so, but waits for a word before it looks at the clock.
WAITING = """
import sys
from pathlib import Path
from statuspage import worker
from statuspage.bare import create_bare_app
app = create_bare_app()
Path(sys.argv[1]).touch()
sys.stdin.readline()
worker.run(app)
"""


@pytest.fixture
def start_worker(app: object, environ: dict[str, str]) -> Iterator[StartWorker]:
    """Start `statuspage worker`, its clock set by what stands in a file. Its elapsed time stays real."""
    library = servers.faketime_library()
    if library is None:
        unavailable("libfaketime is not installed: install Debian's package libfaketime")
    started: list[subprocess.Popen[str]] = []

    def start(setting: Path, *program: str, **more: str) -> subprocess.Popen[str]:
        faked = {"LD_PRELOAD": str(library), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
        given = {**os.environ, "PYTHONPATH": str(ROOT), **environ, **faked, "FAKETIME_TIMESTAMP_FILE": str(setting)}
        command, given = [sys.executable, *program], {**given, **more}
        started.append(subprocess.Popen(command, env=given, cwd=ROOT, text=True, stdin=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def write(setting: Path, text: str) -> None:
    """Whole at once: the worker reads the file all the time."""
    new = setting.with_suffix(".new")
    new.write_text(text)
    new.replace(setting)


def until(true: Callable[[], bool], seconds: float = servers.PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def beats_near(instant: Callable[[], datetime]) -> Callable[[], bool]:
    """Whether the worker's last heartbeat is of about this time, by its machine's clock."""

    def look() -> bool:
        db.session.rollback()
        beat_at = db.session.scalar(select(Heartbeat.beat_at))
        db.session.rollback()
        return beat_at is not None and abs(beat_at - instant()) < HOUR / 2

    return look


def steps() -> list[EscalationStep]:
    db.session.rollback()
    db.session.expire_all()
    found = list(db.session.scalars(select(EscalationStep).order_by(EscalationStep.step)))
    db.session.rollback()
    return found


def declare(policy: dict[str, object], now: datetime) -> None:
    builders.page(now)
    lead = {IncidentRole.COMMS_LEAD: builders.account(now)}
    policies.edit_policy(Severity.SEV1, NOTHING_ELSE | policy, None, None, now)
    builders.declared(None, {builders.component(now): ComponentState.DEGRADED}, now, roles=lead)


def test_a_clock_set_back_two_hours_or_ahead_three_days_makes_nothing_due(
    start_worker: StartWorker, tmp_path: Path
) -> None:
    declare({"first_update": "PT20M"}, clock.now())
    setting = tmp_path / "clock"
    write(setting, "+0")
    start_worker(setting, "-m", "statuspage", "worker")
    until(beats_near(clock.now))
    for written, jump in (("-2h", -2 * HOUR), ("+3d", 72 * HOUR)):
        write(setting, written)
        # The heartbeat is the machine's own time: it shows that the worker lives, and in which hour.
        until(beats_near(lambda jump=jump: clock.now() + jump))  # type: ignore[misc]
        time.sleep(3)
        assert steps() == []


ODD_HOURS = [
    pytest.param(datetime(2026, 3, 29, 0, 59, 55, tzinfo=UTC), id="summer time begins"),
    pytest.param(datetime(2028, 2, 28, 23, 59, 55, tzinfo=UTC), id="a leap day begins"),
    pytest.param(datetime(2026, 12, 31, 23, 59, 55, tzinfo=UTC), id="a year ends"),
]


# The clock is the same on both databases.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("begun", ODD_HOURS)
def test_steps_of_seconds_are_told_on_elapsed_time_once_each(
    begun: datetime, start_worker: StartWorker, tmp_path: Path
) -> None:
    nudges = [{"at": f"PT{seconds}S", "to": "comms_lead"} for seconds in (0, 4, 8)]
    # Time enough for the first look around on a busy machine.
    declare({"first_update": "PT12S", "nudges": nudges}, begun)
    setting = tmp_path / "clock"
    write(setting, "+0")
    # At all three moments London's clocks show UTC.
    process = start_worker(setting, "-c", WAITING, str(tmp_path / "ready"), TZ="Europe/London")
    until((tmp_path / "ready").exists)
    write(setting, f"{(begun - clock.now()).total_seconds():+.3f}")
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    until(lambda: len(steps()) == 3)
    time.sleep(2)
    found = steps()
    assert [(row.step, row.outcome, row.fell_due_at - begun) for row in found] == [
        (number, "nudged", (12 + 4 * number) * SECOND) for number in range(3)
    ]
    assert all(timedelta(0) <= row.taken_at - row.fell_due_at < 4 * SECOND for row in found)
