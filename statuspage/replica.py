"""The worker's lane for the copy elsewhere: in a thread of its own, so that a target that hangs delays nothing."""

import logging
import threading
from dataclasses import replace
from datetime import datetime, timedelta

from statuspage.rendering import machine_instant
from statuspage.settings import Settings
from statuspage.site import mirror, snapshot
from statuspage.site.mirror import Copied, Mirror, MirrorFailed, State

log = logging.getLogger(__name__)

FIRST_RETRY_AFTER, LONGEST_RETRY = timedelta(seconds=5), timedelta(minutes=1)
# Another worker of this machine is at it: look again whether it has done it.
LOOK_AGAIN_AFTER = timedelta(seconds=10)
STOP_SECONDS = 2.0


class Replica:
    """What this worker copies to PUBLISH_TO."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mirror = Mirror(settings.site_dir, settings.data_dir, settings.publish_to)
        self._thread: threading.Thread | None = None
        self._answer: Copied | MirrorFailed | BlockingIOError | None = None
        self._copying: tuple[int, int, int] | None = None
        """Which form of the folder is on its way."""
        self._copied: tuple[int, int, int] | None = None
        self._failures = 0
        self._retry_at: datetime | None = None

    def look(self, now: datetime) -> None:
        """Settle a copy that has ended; begin one if something was published since."""
        if not self._settings.publish_to:
            return
        if self._thread is not None:
            if self._thread.is_alive():
                return
            self._settle(now)
        if self._retry_at is not None and now < self._retry_at:
            return
        published = snapshot.signature_of_current(self._settings.site_dir)
        if published is not None and published != self._copied:
            self._begin(published, now)

    def stop(self) -> None:
        """Break off what is on its way: the next worker does the rest."""
        if self._thread is not None:
            self._mirror.stop()
            self._thread.join(STOP_SECONDS)

    def _begin(self, published: tuple[int, int, int], now: datetime) -> None:
        state = self._state()
        if not state.behind_since:
            # Before the copy: should this worker end in the middle, it is told all the same.
            mirror.write_state(self._settings.data_dir, replace(state, behind_since=machine_instant(now)))
        self._copying, self._answer = published, None
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answer = self._mirror.copy()
        except (MirrorFailed, BlockingIOError) as failure:
            self._answer = failure
        except Exception as error:  # A thread's failure would only be printed; this one is tried again.
            log.exception("copying the published site failed")
            self._answer = MirrorFailed(f"{type(error).__name__}: {error}")

    def _settle(self, now: datetime) -> None:
        self._thread = None
        if isinstance(self._answer, Copied):
            self._copied, self._failures, self._retry_at = self._copying, 0, None
            state = State(self._settings.publish_to, "", machine_instant(now), "")
        elif isinstance(self._answer, BlockingIOError):
            self._retry_at = now + LOOK_AGAIN_AFTER
            return
        else:
            pause = min(FIRST_RETRY_AFTER * 2 ** min(self._failures, 6), LONGEST_RETRY)
            self._failures += 1
            self._retry_at = now + pause
            log.warning("the copy of the site waits for %.0f s: %s", pause.total_seconds(), self._answer)
            state = replace(self._state(), last_error=str(self._answer))
            state = replace(state, behind_since=state.behind_since or machine_instant(now))
        mirror.write_state(self._settings.data_dir, state)

    def _state(self) -> State:
        """Return what is known; of another target that is nothing."""
        state = mirror.read_state(self._settings.data_dir)
        target = self._settings.publish_to
        return state if state is not None and state.target == target else State(target)
