"""Posts on their way, each in a thread of its own: a place that hangs holds up nothing but itself."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from statuspage.delivery.transport import Outcome, Receipt

# However slowly an answer drips in: nobody waits longer than this for it.
TOTAL_SECONDS = 15


@dataclass(frozen=True)
class Posted:
    """What became of one post."""

    outcome: Outcome
    error: str = ""
    retry_after: float = 0
    """Seconds that the other side asked for before the next try."""


class Posts:
    """What is on its way, and to whom."""

    def __init__(self) -> None:
        self._finished: queue.SimpleQueue[Receipt] = queue.SimpleQueue()
        self._begun: dict[int, float] = {}
        self._keys: dict[int, str] = {}

    @property
    def busy(self) -> frozenset[str]:
        """To whom something is on its way."""
        return frozenset(self._keys.values())

    def count(self, younger_than: float | None = None) -> int:
        """Return how many are on their way: all, or those that began less than so many seconds ago."""
        if younger_than is None:
            return len(self._begun)
        since = time.monotonic() - younger_than
        return sum(begun > since for begun in self._begun.values())

    def start(self, delivery_id: int, key: str, send: Callable[[], Posted]) -> None:
        """Begin to send; ``key`` names the place it goes to."""
        self._begun[delivery_id] = time.monotonic()
        self._keys[delivery_id] = key
        # A daemon: a stopping worker leaves behind what still hangs.
        threading.Thread(target=self._run, args=(delivery_id, send), daemon=True).start()

    def _run(self, delivery_id: int, send: Callable[[], Posted]) -> None:
        try:
            posted = send()
        except Exception as error:  # noqa: BLE001  A library's mistake is this post's alone.
            # The type alone: the words may hold the address.
            posted = Posted(Outcome.UNKNOWN, f"It could not be handed over: {type(error).__name__}.")
        self._finished.put(Receipt(delivery_id, posted.outcome, posted.error, posted.retry_after))

    def collect(self, seconds: float = 0, enough: int | None = None) -> list[Receipt]:
        """Return what became of posts since the last time; wait this long for ``enough`` of those on their way, or all.

        A post without an answer in time is unknown. If the answer comes after
        all, its receipt comes too.
        """
        receipts: list[Receipt] = []
        # No longer than to the last deadline.
        end = min(time.monotonic() + seconds, max(self._begun.values(), default=-TOTAL_SECONDS) + TOTAL_SECONDS)
        while True:
            wanted = bool(self._begun) and (enough is None or len(receipts) < enough)
            left = end - time.monotonic() if wanted else 0
            try:
                receipt = self._finished.get(timeout=left) if left > 0 else self._finished.get_nowait()
            except queue.Empty:
                break
            self._forget(receipt.delivery_id)
            receipts.append(receipt)
        overdue = [each for each, begun in self._begun.items() if begun + TOTAL_SECONDS <= time.monotonic()]
        for delivery_id in overdue:
            self._forget(delivery_id)
            receipts.append(Receipt(delivery_id, Outcome.UNKNOWN, f"There was no answer within {TOTAL_SECONDS} s."))
        return receipts

    def _forget(self, delivery_id: int) -> None:
        self._begun.pop(delivery_id, None)
        self._keys.pop(delivery_id, None)
