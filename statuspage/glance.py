"""A look at the worker's heartbeat by the database's own driver.

A web process that only shows finished pages needs no application, which takes
twice the memory. It must not be blind for that: once the heartbeat is silent
for long, the application is made, and its watchdog takes over.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from statuspage import clock
from statuspage.settings import Settings

log = logging.getLogger(__name__)

SILENCE = timedelta(minutes=2)
LOOK_EVERY = timedelta(seconds=20)
CONNECT_SECONDS = 5
# The worker's last sign of life; before its first one, since when there has been a page.
_SIGN = """
SELECT coalesce((SELECT beat_at FROM heartbeats WHERE name = 'worker'), (SELECT min(created_at) FROM pages))
"""


class Glance:
    """Looks until the heartbeat is silent for long, or until somebody else does the looking."""

    def __init__(self, settings: Settings, wake: Callable[[], object]) -> None:
        self._settings = settings
        self._wake = wake
        self._stopping = threading.Event()
        self._seen: str | None = None
        self._seen_at = clock.elapsed()

    def start(self) -> None:
        """Look from a thread of its own."""
        threading.Thread(target=self._run, name="glance", daemon=True).start()

    def stop(self) -> timedelta:
        """Leave the looking to another; return for how long there has been no new sign."""
        self._stopping.set()
        return clock.elapsed() - self._seen_at if self._seen is not None else timedelta()

    def look(self, passed: timedelta) -> bool:
        """Look once, at this elapsed time; tell whether it is silent for so long that the alarm is near."""
        try:
            seen = last_sign(self._settings)
        except Exception as error:  # noqa: BLE001  Whatever the driver says: nothing was seen, and nothing is known.
            log.warning("the worker can't be watched: the database does not answer (%s)", type(error).__name__)
            return False
        if seen != self._seen:
            self._seen, self._seen_at = seen, passed
        # The application takes some seconds to make.
        return seen is not None and passed - self._seen_at >= SILENCE - LOOK_EVERY

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY.total_seconds()):
            if self.look(clock.elapsed()):
                self._wake()
                return


def last_sign(settings: Settings) -> str | None:
    """Return what changes with every beat of the worker; None while there is no page. Raises the driver's errors."""
    if settings.embedded:
        path = Path(settings.database_url.removeprefix("sqlite:///")).absolute()
        # Opened, never made: a file that is missing for a moment must not come back empty.
        found = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=CONNECT_SECONDS)
        try:
            row = found.execute(_SIGN).fetchone()
        finally:
            found.close()
    else:
        # Only this kind of database needs its driver.
        from statuspage import driver

        url = settings.database_url.replace("postgresql+psycopg:", "postgresql:", 1)
        with driver.Connection.connect(url, connect_timeout=driver.CONNECT_SECONDS) as connection:
            row = connection.execute(_SIGN).fetchone()
    return str(row[0]) if row and row[0] is not None else None
