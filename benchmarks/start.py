"""Start with the database unreachable: from the command to `/` being served, with a site published earlier.

Twice: a PostgreSQL address that takes connections and says nothing, and an embedded database whose folder is missing.
Prints the best and the median of some rounds beside a bare start, Python importing the web server and nothing of ours,
in the same rounds. The limit is for the best: other work on the machine can only add to it. Exit status 1 above the limit.
"""

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks import serving
from statuspage.settings import load
from statuspage.site import snapshot
from tests.servers import free_port

ROUNDS, LIMIT = 5, 2.0
PAGE = b"<h1>All systems operational</h1>" * 200
PATIENCE = 60.0


def bare() -> float:
    """Seconds until Python has imported the web server."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import granian.cli, granian.server"], check=True)
    return time.perf_counter() - began


def start(folder: Path, database_url: str) -> float:
    """Seconds until the front page is served by a web server of its own."""
    port = free_port()
    _, command, _, _ = serving.ours(load({"DATA_DIR": str(folder)}), port)
    environ = {"DATA_DIR": str(folder), "DATABASE_URL": database_url, "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    environ["SECRET_KEY"] = "a key for the benchmark that is long enough"
    began = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | environ, stderr=subprocess.DEVNULL)
    try:
        while time.perf_counter() - began < PATIENCE:
            # Refused until it listens.
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer,
            ):
                if answer.read() == PAGE:
                    return time.perf_counter() - began
            time.sleep(0.01)
    finally:
        process.terminate()
        process.wait(30)
    raise SystemExit(f"nothing was served within {PATIENCE:.0f} s")


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """Give the address of a database that never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"postgresql://statuspage@127.0.0.1:{listening.getsockname()[1]}/status"


def main() -> int:
    with tempfile.TemporaryDirectory() as name, silent_server() as silent:
        folder = Path(name)
        snapshot.write_all(folder / "site", {"/": PAGE, "/404": PAGE})
        snapshot.write_current(folder / "site", snapshot.Current(1, "earlier", "2026-11-21", "2026-11-21T14:00:00Z"))
        addresses = {
            "PostgreSQL that never answers": silent,
            "folder of the database missing": f"sqlite:///{folder}/missing/statuspage.db",
        }
        taken: dict[str, list[float]] = {"bare start": [], **{words: [] for words in addresses}}
        for _ in range(ROUNDS):
            taken["bare start"].append(bare())
            for words, url in addresses.items():
                taken[words].append(start(folder, url))
    for words, times in taken.items():
        limit = f"   limit {LIMIT:.0f} s" if words in addresses else ""
        print(f"{words:>32}: {min(times):.2f} s best, {statistics.median(times):.2f} s median of {ROUNDS}{limit}")
    return 0 if all(min(taken[words]) < LIMIT for words in addresses) else 1


if __name__ == "__main__":
    sys.exit(main())
