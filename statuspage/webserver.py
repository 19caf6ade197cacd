"""How the web server is run: one command, whoever starts it."""

import sys
from pathlib import Path

from statuspage.settings import Settings
from statuspage.supervisor import Child

ROOT = Path(__file__).resolve().parents[1]
# Of a web process: more than these only compete for the interpreter, and a public page takes microseconds.
WEB_THREADS = 8
# Of those, how many the application may hold; the rest are kept for readers.
APPLICATION_THREADS = 5


def web_server(settings: Settings) -> Child:
    """Return the web server as a child to keep running."""
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--working-dir", str(ROOT)]
    command += ["--host", settings.host, "--port", str(settings.port), "--workers", str(settings.web_workers)]
    command += ["--blocking-threads", str(WEB_THREADS), "--runtime-mode", "st"]
    command += ["--backlog", "2048", "--no-ws", "--http", "1"]
    # Who sends a byte a minute holds a connection, not a thread; this ends it.
    command += ["--http1-header-read-timeout", "10000"]
    # Its warnings are advice about the number of threads; a worker that dies is an error.
    command += ["--log-level", "error"]
    # Without the first a killed worker ends the service; with the second a stuck one does not hold up a stop.
    command += ["--respawn-failed-workers", "--workers-kill-timeout", "10"]
    return Child("web server", [*command, "wsgi:app"])
