"""A whole installation, as its owner runs it: real processes, a real port, a folder of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from tests import servers
from tests.nursery import Nursery

ADMIN, ADMIN_PASSWORD = "admin@example.com", "correct horse battery"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Installation:
    """A running service."""

    url: str
    environ: dict[str, str]
    nursery: Nursery

    def run(self, *arguments: str) -> str:
        """Run a command of the installation; return what it printed."""
        done = self.nursery.run(arguments, self.environ)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextlib.contextmanager
def running(nursery: Nursery, folder: Path, source: Path | None = None, **settings: str) -> Iterator[Installation]:
    """Run ``statuspage serve`` on a fresh database, with a page imported from ``source`` if there is one."""
    port = servers.free_port()
    url = f"http://127.0.0.1:{port}"
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    environ = kept | {
        "PYTHONPATH": str(ROOT),
        "DATA_DIR": str(folder / "var"),
        "PORT": str(port),
        "ADMIN_EMAIL": ADMIN,
        "ADMIN_PASSWORD": ADMIN_PASSWORD,
        **settings,
    }
    service = Installation(url, environ, nursery)
    service.run("init", *(["--empty"] if source else []))
    if source:
        service.run("import", "statuspage", str(source))
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "statuspage", "serve"], cwd=ROOT, env=environ, stdout=log, stderr=log
        )
        try:
            _wait_until_ready(url, process, folder / "serve.log")
            yield service
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + servers.PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        # On a busy machine the application may need longer than one question waits.
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            if requests.get(f"{url}/readyz", timeout=30).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())
