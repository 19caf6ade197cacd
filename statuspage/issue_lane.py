"""The worker's lane for the issue tracker: one question at a time, in a thread, so that it holds up no promise."""

import logging
import queue
import threading
import time
from datetime import datetime

from statuspage.actions import issue_exports
from statuspage.actions.issue_exports import Job
from statuspage.delivery import github
from statuspage.rules.action_items import Answer, Outcome
from statuspage.settings import GitHub, Settings

log = logging.getLogger(__name__)

# A stopping worker waits no longer for an answer: what is then unknown is looked for before it is filed again.
FINISH_SECONDS = 5.0


class IssueLane:
    """What this worker is asking the issue tracker."""

    def __init__(self, settings: Settings, owner: str) -> None:
        self._github = settings.github
        self._public_url = settings.public_url
        self._owner = owner
        self._answers: queue.SimpleQueue[tuple[Job, Answer]] = queue.SimpleQueue()
        self._asked_at: float | None = None

    def work(self, now: datetime) -> bool:
        """Settle what was answered and ask the next; tell whether anything moved. Never waits for the network."""
        if self._github is None:
            return False
        moved = self._take_answer(0, now)
        # Longer than any question may take: the thread has died, and its lease lapses.
        if self._asked_at is not None and time.monotonic() < self._asked_at + github.TOTAL_SECONDS * 2:
            return moved
        job = issue_exports.claim(self._owner, self._public_url, now)
        if job is None:
            return moved
        self._asked_at = time.monotonic()
        threading.Thread(target=self._ask, args=(self._github, job, now), daemon=True).start()
        return True

    def finish(self, now: datetime, seconds: float = FINISH_SECONDS) -> None:
        """Wait for the answer that is on its way, and settle it."""
        if self._asked_at is not None:
            self._take_answer(seconds, now)

    def _ask(self, to: GitHub, job: Job, now: datetime) -> None:
        try:
            if job.number is None:
                answer = github.file_issue(to, job.issue, job.asked_at, is_repeat=job.is_repeat, now=now)
            else:
                answer = github.look(to, job.repository, job.number, job.etag, now)
        except Exception as error:  # noqa: BLE001  A library's mistake is this item's alone.
            # The type alone: the words may hold the address.
            answer = Answer(Outcome.LATER, f"It could not be handed over: {type(error).__name__}.")
        self._answers.put((job, answer))

    def _take_answer(self, seconds: float, now: datetime) -> bool:
        try:
            job, answer = self._answers.get(timeout=seconds) if seconds else self._answers.get_nowait()
        except queue.Empty:
            return False
        self._asked_at = None
        if answer.words:
            log.warning("action item %s: %s", job.issue.item_id, answer.words)
        issue_exports.settle(self._owner, job, self._github.repository if self._github else "", answer, now)
        return True
