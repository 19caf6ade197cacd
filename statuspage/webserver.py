"""The web server's own process: Granian, with what this product needs of it."""

import socket
import sys
from pathlib import Path

from statuspage.settings import Settings
from statuspage.supervisor import Child

ROOT = Path(__file__).resolve().parents[1]
# Of a web process: more than these only compete for the interpreter, and a public page takes microseconds.
WEB_THREADS = 12
# Of those, how many may be at work in the application, and wait for it; the rest are kept for readers.
APPLICATION_THREADS, WAITING_THREADS = 4, 6


class PortTaken(Exception):
    """Nobody can listen where the settings say; the message is one sentence."""


def child(settings: Settings) -> Child:
    """Return how to start the web server."""
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--working-dir", str(ROOT)]
    command += ["--host", settings.host, "--port", str(settings.port), "--workers", str(settings.web_workers)]
    command += ["--blocking-threads", str(WEB_THREADS), "--runtime-mode", "st"]
    command += ["--backlog", "2048", "--no-ws", "--http", "1"]
    # Who sends a byte a minute holds a connection, not a thread; this ends it.
    command += ["--http1-header-read-timeout", "10000"]
    # What a request may say before its body: by itself the server would keep 400 kB for anybody.
    command += ["--http1-buffer-size", "65536"]
    # Its warnings are advice about the number of threads; a worker that dies is an error.
    command += ["--log-level", "error"]
    # Without the first a killed worker ends the service; with the second a stuck one does not hold up a stop.
    command += ["--respawn-failed-workers", "--workers-kill-timeout", "10"]
    return Child("web server", [*command, "wsgi:app"])


def check_port(settings: Settings) -> None:
    """Say at once that a port is taken, instead of starting the web server again and again."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        place, reason = f"{settings.host}, port {settings.port}", str(error.strerror).partition(" (while")[0]
        raise PortTaken(f"Can't listen on {place} ({reason}): please set PORT or HOST.") from None
