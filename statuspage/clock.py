"""The only place that reads the clock. Everything below takes ``now``."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

log = logging.getLogger(__name__)

# What time servers correct in one step, and more: followed at once.
SMALL_STEP = timedelta(seconds=5)
# A larger step is believed once the clock has stood by it this long.
BELIEVED_AFTER = timedelta(minutes=10)


def now() -> datetime:
    """Return the present instant as an aware UTC datetime."""
    return datetime.now(UTC)


def elapsed() -> timedelta:
    """Return the time since some fixed moment, sleep of the machine included; setting the clock changes nothing."""
    # CLOCK_BOOTTIME is Linux's; elsewhere the monotonic clock is the next best.
    source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return timedelta(seconds=time.clock_gettime(source))


class SteadyClock:
    """A clock for deadlines: when somebody sets the machine's clock, it goes on as before.

    A jump of hours would make every promise overdue at once, or none for
    hours. The clock's new time is taken over when it has lasted.
    """

    def __init__(self, read: Callable[[], datetime] = now, since: Callable[[], timedelta] = elapsed) -> None:
        self._read = read
        self._since = since
        self._anchor, self._anchored = read(), since()
        self._jump: tuple[timedelta, timedelta] | None = None
        """When a jump was noticed, in elapsed time, and by how much."""

    def now(self) -> datetime:
        """Return the present instant as an aware UTC datetime."""
        shown, passed = self._read(), self._since()
        expected = self._anchor + (passed - self._anchored)
        if abs(shown - expected) <= SMALL_STEP:
            return self._take_over(shown, passed)
        if self._jump is None or abs(shown - expected - self._jump[1]) > SMALL_STEP:
            # A further jump: the clock has not stood by the earlier one.
            self._jump = passed, shown - expected
            log.warning("the clock jumped by %.0f s; deadlines go on by the time before", self._jump[1].total_seconds())
        if passed - self._jump[0] >= BELIEVED_AFTER:
            log.warning("the clock has stood by its new time: deadlines follow it now")
            return self._take_over(shown, passed)
        return expected

    def _take_over(self, shown: datetime, passed: timedelta) -> datetime:
        self._anchor, self._anchored, self._jump = shown, passed, None
        return shown
