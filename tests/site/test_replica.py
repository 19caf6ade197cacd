"""The worker's lane for the copy elsewhere: nothing waits for it, and what it lacks is told."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from statuspage.replica import Replica
from statuspage.settings import Settings, load
from statuspage.site import mirror, snapshot
from statuspage.site.mirror import Copied, Mirror, MirrorFailed
from tests.conftest import NOW


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = load({"DATA_DIR": str(tmp_path / "var"), "PUBLISH_TO": f"file://{tmp_path}/copy"})
    publish(settings, 1)
    return settings


def publish(settings: Settings, revision: int) -> None:
    snapshot.write(settings.site_dir, "/", f"revision {revision}".encode())
    snapshot.write_current(settings.site_dir, snapshot.Current(revision, "r", "2026-11-21", "2026-11-21T14:00:00Z"))


def wait(replica: Replica) -> None:
    assert replica._thread is not None
    replica._thread.join(20)


def state_of(settings: Settings) -> mirror.State:
    state = mirror.read_state(settings.data_dir)
    assert state is not None
    return state


def answering(monkeypatch: pytest.MonkeyPatch, act: Callable[[Mirror], Copied]) -> None:
    monkeypatch.setattr(Mirror, "copy", act)


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_: Mirror) -> Copied:
        raise error

    answering(monkeypatch, fail)


def test_what_is_published_is_copied_and_told(settings: Settings, tmp_path: Path) -> None:
    replica = Replica(settings)
    replica.look(NOW)
    assert state_of(settings).behind_since == "2026-11-21T14:00:00Z"
    wait(replica)
    replica.look(NOW + timedelta(seconds=1))
    assert (tmp_path / "copy" / "index.html").read_bytes() == b"revision 1"
    assert state_of(settings) == mirror.State(settings.publish_to, "", "2026-11-21T14:00:01Z", "")
    assert replica._thread is None
    publish(settings, 2)
    replica.look(NOW + timedelta(seconds=2))
    wait(replica)
    assert (tmp_path / "copy" / "index.html").read_bytes() == b"revision 2"


def test_nothing_runs_without_a_target(settings: Settings) -> None:
    replica = Replica(replace(settings, publish_to=""))
    replica.look(NOW)
    assert replica._thread is None
    assert mirror.read_state(settings.data_dir) is None


def test_a_target_that_hangs_holds_up_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(_: Mirror) -> Copied:
        release.wait(20)
        return Copied(0, 0)

    answering(monkeypatch, hang)
    replica = Replica(settings)
    try:
        started = time.monotonic()
        for seconds in range(5):
            replica.look(NOW + timedelta(seconds=seconds))
        assert time.monotonic() - started < 1
        assert state_of(settings).behind_since == "2026-11-21T14:00:00Z"
    finally:
        release.set()
        wait(replica)


def test_a_failure_is_told_and_tried_again_with_growing_pauses(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, MirrorFailed("It answers 500."))
    replica, at, pauses = Replica(settings), NOW, []
    for _ in range(6):
        replica.look(at)
        wait(replica)
        replica.look(at)
        assert replica._thread is None
        assert replica._retry_at is not None
        pauses.append((replica._retry_at - at).total_seconds())
        at = replica._retry_at
    assert pauses == [5, 10, 20, 40, 60, 60]
    assert state_of(settings).last_error == "It answers 500."
    assert state_of(settings).behind_since == "2026-11-21T14:00:00Z"
    monkeypatch.undo()
    replica.look(at)
    wait(replica)
    replica.look(at)
    assert (state_of(settings).behind_since, state_of(settings).last_error) == ("", "")


def test_what_breaks_in_the_thread_is_told_like_any_failure(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, RuntimeError("unheard of"))
    replica = Replica(settings)
    replica.look(NOW)
    wait(replica)
    replica.look(NOW)
    assert state_of(settings).last_error == "RuntimeError: unheard of"


def test_a_worker_that_finds_another_at_it_looks_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, BlockingIOError())
    replica = Replica(settings)
    replica.look(NOW)
    wait(replica)
    replica.look(NOW)
    assert state_of(settings).last_error == ""
    monkeypatch.undo()
    replica.look(NOW + timedelta(seconds=10))
    wait(replica)
    replica.look(NOW + timedelta(seconds=11))
    assert state_of(settings).behind_since == ""


def test_what_is_known_of_another_target_counts_for_nothing(settings: Settings, tmp_path: Path) -> None:
    mirror.write_state(settings.data_dir, mirror.State("s3://former", "2026-11-01T00:00:00Z", "", "Broken."))
    replica = Replica(settings)
    replica.look(NOW)
    assert state_of(settings).behind_since == "2026-11-21T14:00:00Z"
    wait(replica)


def test_a_new_process_does_what_a_killed_one_left(settings: Settings, tmp_path: Path) -> None:
    first = Replica(settings)
    first.look(NOW)
    wait(first)
    # Killed: it never settled.
    again = Replica(settings)
    again.look(NOW + timedelta(hours=1))
    wait(again)
    again.look(NOW + timedelta(hours=1))
    assert state_of(settings).behind_since == ""


def test_stopping_breaks_off_a_copy_that_hangs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    # As a target that never answers: the copy waits inside its own loop.
    async def wait_for_ever(*_: object) -> None:
        await mirror.asyncio.sleep(60)

    monkeypatch.setattr(Mirror, "_put_all", wait_for_ever)
    replica = Replica(settings)
    replica.look(NOW)
    end = time.monotonic() + 20
    while replica._mirror._task is None and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.2)
    started = time.monotonic()
    replica.stop()
    assert time.monotonic() - started < 2
    assert replica._thread is not None
    assert not replica._thread.is_alive()
