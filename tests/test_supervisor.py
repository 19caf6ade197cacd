"""The supervisor, with children made for the purpose."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import servers

ROOT = Path(__file__).resolve().parents[1]
Supervise = Callable[..., subprocess.Popen[str]]

# Each child writes its process id into a file of its own: one line per start.
NOTE = "import os, sys, time, signal; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n');"
STAYS = NOTE + "time.sleep(600)"
FAILS = NOTE + "sys.exit(3)"
SUCCEEDS = NOTE + "sys.exit(0)"
IGNORES_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + STAYS
LEAVES_A_CHILD = NOTE + "import subprocess; subprocess.Popen([sys.executable, '-c', sys.argv[2], sys.argv[1]]).wait()"

PROGRAM = """
import sys
from statuspage import supervisor
supervisor.STOP_SECONDS, supervisor.FIRST_PAUSE_SECONDS = 2.0, 0.2
children = [
    supervisor.Child(name, [sys.executable, "-c", code, f"{sys.argv[1]}/{name}", *more], once=once, pause=0.2)
    for name, code, once, more in CHILDREN
]
sys.exit(supervisor.run(children))
"""


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    started = []

    def start(*children: tuple[str, str, bool, list[str]]) -> subprocess.Popen[str]:
        program = f"CHILDREN = {children!r}\n{PROGRAM}"
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=10)


def pids(folder: Path, name: str) -> list[int]:
    try:
        return [int(line) for line in (folder / name).read_text(encoding="ascii").splitlines()]
    except FileNotFoundError:
        return []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + servers.PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_every_child_and_exits_with_0(supervise: Supervise, tmp_path: Path, number: int) -> None:
    process = supervise(("a", STAYS, False, []), ("b", STAYS, False, []))
    eventually(lambda: pids(tmp_path, "a") and pids(tmp_path, "b"))
    process.send_signal(number)
    assert process.wait(servers.PATIENCE) == 0
    assert not any(map(alive, pids(tmp_path, "a") + pids(tmp_path, "b")))


def test_a_child_that_fails_is_started_again_and_again(supervise: Supervise, tmp_path: Path) -> None:
    supervise(("a", FAILS, False, []))
    eventually(lambda: len(pids(tmp_path, "a")) >= 3)


def test_a_child_that_is_to_succeed_once_is_tried_until_it_does(supervise: Supervise, tmp_path: Path) -> None:
    supervise(("once", SUCCEEDS, True, []), ("until", FAILS, True, []))
    eventually(lambda: len(pids(tmp_path, "until")) >= 3)
    assert len(pids(tmp_path, "once")) == 1


def test_a_child_that_does_not_stop_is_killed_and_that_is_no_clean_stop(supervise: Supervise, tmp_path: Path) -> None:
    process = supervise(("a", IGNORES_TERM, False, []))
    eventually(lambda: pids(tmp_path, "a"))
    process.terminate()
    assert process.wait(servers.PATIENCE) == 1
    assert not alive(pids(tmp_path, "a")[0])


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_what_a_killed_child_leaves_behind_goes_too(supervise: Supervise, tmp_path: Path) -> None:
    supervise(("a", LEAVES_A_CHILD, False, [STAYS]))
    eventually(lambda: len(pids(tmp_path, "a")) == 2)
    parent, left = pids(tmp_path, "a")
    os.kill(parent, signal.SIGKILL)
    eventually(lambda: not alive(left) and len(pids(tmp_path, "a")) >= 3)


@pytest.mark.skipif(sys.platform != "linux", reason="uses Linux's parent-death signal")
def test_children_stop_when_the_supervisor_is_killed(supervise: Supervise, tmp_path: Path) -> None:
    process = supervise(("a", STAYS, False, []))
    eventually(lambda: pids(tmp_path, "a"))
    process.kill()
    eventually(lambda: not alive(pids(tmp_path, "a")[0]))
