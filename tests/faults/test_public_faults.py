"""The public page while everything else is in trouble: real processes, a real port."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from statuspage.site import snapshot
from statuspage.site.snapshot import Current
from tests import servers

ROOT = Path(__file__).resolve().parents[2]
PAGE = b"<h1>All systems operational</h1>" * 20
FEW_FILES = 64
# Both ends of a connection have a descriptor, each in its own process.
SLOW_READERS = min(1_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="counts on /proc")


@pytest.fixture
def hung_database() -> Iterator[str]:
    """A database that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"postgresql://statuspage@127.0.0.1:{listening.getsockname()[1]}/status"


@contextlib.contextmanager
def web(folder: Path, database_url: str, files: int | None = None) -> Iterator[str]:
    """Run ``statuspage web`` over a folder published earlier; give its address as soon as it answers."""
    snapshot.write_all(folder / "site", {"/": PAGE, "/404": PAGE})
    snapshot.write_current(folder / "site", Current(1, "earlier", "2026-11-21", "2026-11-21T14:00:00Z"))
    port = servers.free_port()
    environ = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")} | {
        "PYTHONPATH": str(ROOT), "DATA_DIR": str(folder), "PORT": str(port), "DATABASE_URL": database_url,
        "SECRET_KEY": "a key for the tests that is long enough to be taken",
    }  # fmt: skip

    def limit() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "statuspage", "web"],
            cwd=ROOT, env=environ, stdout=log, stderr=log, preexec_fn=limit,  # noqa: PLW1509
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            eventually_served(url)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def eventually_served(url: str) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(requests.RequestException):
            if requests.get(url, timeout=30).content == PAGE:
                return
        time.sleep(0.05)
    raise AssertionError("the page is not served")


def test_a_page_is_served_from_the_start_while_the_database_hangs(tmp_path: Path, hung_database: str) -> None:
    with web(tmp_path, hung_database) as url:

        def ask_console() -> None:
            with contextlib.suppress(requests.RequestException):
                requests.get(f"{url}/readyz", timeout=4)

        waiting = [threading.Thread(target=ask_console) for _ in range(20)]
        for thread in waiting:
            thread.start()
        for _ in range(10):
            assert requests.get(url, timeout=8).content == PAGE
            assert requests.get(f"{url}/healthz", timeout=8).text == "ok\n"
            assert requests.get(f"{url}/incidents/none", timeout=8).status_code == 404
        for thread in waiting:
            thread.join()


def test_readers_who_send_half_a_request_hold_up_nobody(tmp_path: Path) -> None:
    with (
        web(tmp_path, f"postgresql://nobody@127.0.0.1:{servers.free_port()}/none") as url,
        contextlib.ExitStack() as stack,
    ):
        port = int(url.rpartition(":")[2])
        for _ in range(SLOW_READERS):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        for _ in range(10):
            assert requests.get(url, timeout=8).content == PAGE


@linux_only
def test_with_no_file_descriptor_left_it_recovers_by_itself(tmp_path: Path) -> None:
    with web(tmp_path, f"postgresql://nobody@127.0.0.1:{servers.free_port()}/none", FEW_FILES) as url:
        port = int(url.rpartition(":")[2])
        with contextlib.ExitStack() as stack:
            for _ in range(2 * FEW_FILES):
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        eventually_served(url)


def test_the_folder_taken_away_under_a_running_server_changes_nothing(tmp_path: Path) -> None:
    with web(tmp_path, f"postgresql://nobody@127.0.0.1:{servers.free_port()}/none") as url:
        (tmp_path / "site").rename(tmp_path / "elsewhere")
        time.sleep(0.2)
        assert requests.get(url, timeout=8).content == PAGE
