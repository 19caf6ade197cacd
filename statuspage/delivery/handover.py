"""Batches on their way to the mail provider, while the worker goes on with its other work."""

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from statuspage.delivery.outbox import Batch
from statuspage.delivery.transport import ChannelDown, Message, Outcome, Receipt, Recipient, Transport

# Longer than any transport's own deadlines, and shorter than a lease (outbox.py).
LONGEST_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What became of one batch: receipts, or the provider takes nothing."""

    batch: Batch
    receipts: tuple[Receipt, ...] = ()
    down: ChannelDown | None = None


class Handovers:
    """Hands batches over, each in a thread of its own, so that the next is claimed meanwhile."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._under_way: dict[str, tuple[Batch, float]] = {}

    @property
    def count(self) -> int:
        """How many batches are on their way."""
        return len(self._under_way)

    def start(self, batch: Batch, message: Message, recipients: Sequence[Recipient]) -> None:
        """Begin to hand a batch over."""
        self._under_way[batch.id] = (batch, time.monotonic() + LONGEST_SECONDS)
        # A daemon: a stopping worker leaves behind what still hangs.
        threading.Thread(target=self._run, args=(batch, message, recipients), daemon=True).start()

    def _run(self, batch: Batch, message: Message, recipients: Sequence[Recipient]) -> None:
        try:
            answer = Answer(batch, tuple(self._transport.deliver(message, recipients)))
        except ChannelDown as down:
            answer = Answer(batch, down=down)
        except Exception as error:  # noqa: BLE001  A library's mistake is this batch's alone.
            answer = Answer(batch, _unknown(batch, f"It could not be handed over: {error}"))
        self._answers.put(answer)

    def collect(self, seconds: float = 0) -> list[Answer]:
        """Return what was answered since the last time; wait up to this long for the first of it.

        A batch without an answer in time is unknown. If its answer comes after
        all, that is returned too.
        """
        answers: list[Answer] = []
        wait = seconds if self._under_way else 0
        while True:
            try:
                answer = self._answers.get(timeout=wait) if wait and not answers else self._answers.get_nowait()
            except queue.Empty:
                break
            self._under_way.pop(answer.batch.id, None)
            answers.append(answer)
        overdue = [batch for batch, deadline in self._under_way.values() if deadline <= time.monotonic()]
        for batch in overdue:
            del self._under_way[batch.id]
            answers.append(Answer(batch, _unknown(batch, f"There was no answer within {LONGEST_SECONDS:.0f} s.")))
        return answers


def _unknown(batch: Batch, words: str) -> tuple[Receipt, ...]:
    return tuple(Receipt(each.id, Outcome.UNKNOWN, words) for each in batch.deliveries)
