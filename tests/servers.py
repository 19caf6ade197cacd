"""Real servers for the tests: PostgreSQL from the system's own programs."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Seconds to wait for what should come soon; where others work on the machine too, a start takes many.
PATIENCE = 120


def free_port() -> int:
    """Return a TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgresql_programs() -> Path | None:
    """Return the folder of initdb and pg_ctl: on PATH or where Debian puts them."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), default=None)


def chromium_program() -> str | None:
    """Return the path of a Chromium or Chrome on PATH."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for path in map(shutil.which, names) if path), None)


def faketime_library() -> Path | None:
    """Return libfaketime, which shows a process another time: where Debian and others put it."""
    folders = [*Path("/usr/lib").glob("*/faketime"), Path("/usr/lib/faketime"), Path("/usr/local/lib/faketime")]
    return next((file for folder in folders if (file := folder / "libfaketime.so.1").exists()), None)


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: then it runs as the first of these that exists."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


@contextlib.contextmanager
def postgresql(programs: Path) -> Iterator[str]:
    """Run a PostgreSQL server of its own; give the address of its empty database."""
    user = _unprivileged_user()
    # A short path: the socket's name must fit into 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="sp-pg-"))
    data, port = folder / "data", free_port()
    if user:
        shutil.chown(folder, user)

    def run(*command: str) -> None:
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, timeout=60)

    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off"
    try:
        run(
            str(programs / "initdb"), "-D", str(data), "-U", "statuspage",
            "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        control = str(programs / "pg_ctl")
        run(control, "start", "-D", str(data), "-l", str(folder / "log"), "-w", "-o", options)
        try:
            yield f"postgresql://statuspage@127.0.0.1:{port}/postgres"
        finally:
            run(control, "stop", "-D", str(data), "-m", "immediate", "-w")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
