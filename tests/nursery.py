"""Processes of the service without their start: forks of one process that has imported everything.

A start costs two seconds of a processor, a fork some milliseconds. A fork has its own environment, files, memory and
exit code; nothing of the service has run in the process it comes from.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests import servers

ROOT = Path(__file__).resolve().parents[1]
IMPORTED = ("statuspage.bare", "statuspage.cli", "statuspage.delivery.files", "statuspage.schema", "statuspage.worker")


class Forked:
    """A process: as much of ``subprocess.Popen`` as the tests need."""

    def __init__(self, pid: int, end: Path) -> None:
        self.pid = pid
        self._end = end

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs; killed by a signal it is that number below zero."""
        try:
            return int(self._end.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def wait(self, timeout: float = servers.PATIENCE) -> int:
        """Wait for its end; return the exit code."""
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class Nursery:
    """Where forks come from; they work in the folder of the repository."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._runs = 0

    def start(self, program: str, environ: Mapping[str, str]) -> Forked:
        """Run a program of Python, as ``python -c`` would."""
        return self._fork({"program": program, "environ": dict(environ)})

    def run(
        self, arguments: Sequence[str], environ: Mapping[str, str], typed: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run ``statuspage …`` to its end."""
        self._runs += 1
        files = [self._folder / f"{self._runs}.{name}" for name in ("in", "out", "err")]
        files[0].write_text(typed, encoding="utf-8")
        told = {"arguments": list(arguments), "environ": dict(environ), "files": [str(file) for file in files]}
        code = self._fork(told).wait()
        _, out, err = (file.read_text(encoding="utf-8") for file in files)
        return subprocess.CompletedProcess(list(arguments), code, out, err)

    def _fork(self, told: Mapping[str, object]) -> Forked:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        return Forked(pid, self._folder / f"{pid}.end")


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Nursery]:
    """Open a nursery that notes its children's ends in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.nursery", str(folder)],
        cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        yield Nursery(process, folder)


def main(folder: Path) -> None:
    """Fork for each line that is read; in the fork, do what the line says."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()

    def note_ends(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                written = folder / f"{ended[0]}.new"
                written.write_text(str(os.waitstatus_to_exitcode(ended[1])), encoding="ascii")
                written.rename(folder / f"{ended[0]}.end")

    signal.signal(signal.SIGCHLD, note_ends)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _live(**json.loads(line))
            return
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


def _live(
    environ: Mapping[str, str], program: str = "", arguments: Sequence[str] = (), files: Sequence[str] = ()
) -> None:
    for place, file in enumerate(files or (os.devnull, "", "")):
        if file:
            opened_file = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
            os.dup2(opened_file, place)
            os.close(opened_file)
    if not files:
        # What the program says goes where the tests' own errors go.
        os.dup2(2, 1)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  It is this process's for good.
    os.environ.clear()
    os.environ.update(environ)
    if program:
        exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
        return
    sys.argv = ["statuspage", *arguments]
    importlib.import_module("statuspage.cli").main()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
