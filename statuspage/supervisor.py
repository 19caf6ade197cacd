"""Keep child processes running: restart what dies, stop all together, leave nobody behind."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# A child that ran this long was well: its next failure counts as the first.
WELL_AFTER_SECONDS = 60.0
# Platforms wait 30 s before they kill (faults.md F35): 25 s for the children, the rest for us.
STOP_SECONDS = 25.0

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass
class Child:
    """A process to keep running."""

    name: str
    command: Sequence[str]
    once: bool = False
    """Run until it succeeds, instead of for ever."""
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = field(default=FIRST_PAUSE_SECONDS)
    done: bool = False


def run(children: Sequence[Child]) -> int:
    """Run the children until SIGTERM or SIGINT. Return the exit code: 0 after a clean stop.

    A child that dies is started again after a pause that doubles each time.
    """
    stopping: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopping.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while not stopping:
        for child in children:
            _tend(child)
        time.sleep(POLL_SECONDS)
    return 0 if _stop(children) else 1


def start(child: Child) -> None:
    """Start a child before the others; ``run`` looks after it from then on."""
    child.process, child.started_at = spawn(child.command), time.monotonic()


def _tend(child: Child) -> None:
    if child.done:
        return
    if child.process is None:
        if time.monotonic() >= child.start_at:
            start(child)
        return
    code = child.process.poll()
    if code is None:
        return
    _kill_group(child.process.pid)
    child.process = None
    if child.once and code == 0:
        child.done = True
        return
    if time.monotonic() - child.started_at > WELL_AFTER_SECONDS:
        child.pause = FIRST_PAUSE_SECONDS
    log.warning("%s ended with %s and starts again in %.0f s", child.name, code, child.pause)
    child.start_at = time.monotonic() + child.pause
    child.pause = min(child.pause * 2, LONGEST_PAUSE_SECONDS)


def spawn(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own; on Linux it is told to stop when this one dies."""
    parent = os.getpid()

    def tie_to_parent() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

    # A group of its own: Ctrl-C reaches this process only, and what a killed child leaves behind can be found.
    return subprocess.Popen(command, start_new_session=True, preexec_fn=tie_to_parent)  # noqa: PLW1509


def _stop(children: Sequence[Child]) -> bool:
    """Ask every child to stop, then kill what is left; tell whether all stopped when asked."""
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    deadline, clean = time.monotonic() + STOP_SECONDS, True
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            clean = False
        _kill_group(process.pid)
        process.wait()
    return clean


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody is left (macOS says it the second way)
        return
