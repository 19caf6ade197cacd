"""The worker: expand what was announced, deliver it, publish what changed, show that it lives."""

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy.exc import DBAPIError

from statuspage import clock
from statuspage.actions import subscriptions
from statuspage.db import db, transaction
from statuspage.delivery import composition, outbox
from statuspage.delivery.providers import transport_for
from statuspage.delivery.transport import ChannelDown, Outcome, Receipt, Transport
from statuspage.models import Heartbeat
from statuspage.settings import Settings
from statuspage.site import publisher

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
HEARTBEAT_EVERY = timedelta(seconds=5)
# With the database away every tick is a failure to log: fewer and fewer of them.
LONGEST_PAUSE_SECONDS = 30.0
# While a provider answers nothing certain, one mail at a time asks whether it is well again.
FIRST_PROBE_AFTER = timedelta(seconds=10)
LONGEST_PROBE_PAUSE = timedelta(minutes=10)
# A mail that can't be written fails the same way each time: three tries tell.
COMPOSITION_TRIES = 3


class Worker:
    """One worker process: its name, its way of sending, and what it must wait for."""

    def __init__(self, settings: Settings, transport: Transport) -> None:
        self._settings = settings
        self._transport = transport
        self._owner = f"{socket.gethostname()[:20]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._channel_down_until: datetime | None = None
        self._uncertain_batches = 0
        self._beat_at: datetime | None = None
        self.failed_ticks = 0
        """How many ticks in a row the database did not answer."""
        self._database_failed = False

    def tick(self, now: datetime) -> bool:
        """Do what is due; tell whether there is more to do at once. One step's failure stops no other."""
        steps: tuple[Callable[[datetime], bool], ...] = (self._expand, self._deliver, self._publish, self._beat)
        self._database_failed = False
        more = [self._guarded(step, now) for step in steps]
        self.failed_ticks = self.failed_ticks + 1 if self._database_failed else 0
        return any(more) and not self._database_failed

    def _guarded(self, step: Callable[[datetime], bool], now: datetime) -> bool:
        try:
            return step(now)
        except Exception as error:  # Whatever is wrong with one step, the promises of the others go on.
            log.exception("%s failed; it will be tried again", step.__name__.strip("_"))
            self._database_failed |= isinstance(error, DBAPIError)
            db.session.rollback()
            return False

    def _expand(self, now: datetime) -> bool:
        return outbox.expand(subscriptions.audience, now)

    def _deliver(self, now: datetime) -> bool:
        if self._channel_down_until is not None and now < self._channel_down_until:
            return False
        batch = outbox.claim(self._owner, 1 if self._uncertain_batches else self._transport.batch_size, now)
        if batch is None:
            return False
        if batch.deliveries:
            self._hand_over(batch, now)
        return True

    def _hand_over(self, batch: outbox.Batch, now: datetime) -> None:
        try:
            message = composition.compose(batch.announcement, self._settings, batch.is_to_customers)
            recipients = [composition.recipient(batch.announcement, each, self._settings) for each in batch.deliveries]
        except Exception as error:  # A poisoned announcement must not hold up the others.
            log.exception("announcement %s can't be written as a mail", batch.announcement.id)
            db.session.rollback()
            outbox.settle(self._owner, [_unwritten(each, error) for each in batch.deliveries], now)
            return
        # No transaction is open while the network is waited for.
        db.session.rollback()
        try:
            receipts = self._transport.deliver(message, recipients)
        except ChannelDown as down:
            self._channel_down_until = now + timedelta(seconds=down.retry_after)
            log.warning("mail waits for %.0f s: %s", down.retry_after, down)
            outbox.release(self._owner, batch, self._channel_down_until, now)
            return
        outbox.settle(self._owner, receipts, now)
        self._watch_provider(receipts, now)

    def _watch_provider(self, receipts: Sequence[Receipt], now: datetime) -> None:
        """Leave a provider alone that tells nothing certain about any mail; ask again with a single one."""
        outcomes = {receipt.outcome for receipt in receipts} - {Outcome.UNTRIED}
        if outcomes != {Outcome.UNKNOWN}:
            self._uncertain_batches = 0
            return
        pause = min(FIRST_PROBE_AFTER * 2 ** min(self._uncertain_batches, 6), LONGEST_PROBE_PAUSE)
        self._uncertain_batches += 1
        self._channel_down_until = now + pause
        log.warning("mail waits for %.0f s: %s", pause.total_seconds(), receipts[0].error)

    def _publish(self, now: datetime) -> bool:
        publisher.refresh(self._settings, now)
        return False

    def _beat(self, now: datetime) -> bool:
        if self._beat_at is None or now - self._beat_at >= HEARTBEAT_EVERY:
            with transaction(now) as session:
                session.merge(Heartbeat(name="worker", beat_at=now))
            self._beat_at = now
        return False


def run(app: Flask) -> None:
    """Tick until SIGTERM or SIGINT; the batch in hand is finished first."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    settings: Settings = app.config["STATUSPAGE"]
    worker = Worker(settings, transport_for(settings))
    pause = 0.0
    while not stopping.wait(pause):
        with app.app_context():
            pause = 0.0 if worker.tick(clock.now()) else IDLE_SECONDS * 2 ** min(worker.failed_ticks, 5)
        pause = min(pause, LONGEST_PAUSE_SECONDS)


def _unwritten(delivery: outbox.Claimed, error: Exception) -> Receipt:
    outcome = Outcome.REFUSED if delivery.attempts >= COMPOSITION_TRIES else Outcome.LATER
    return Receipt(delivery.id, outcome, f"This mail can't be written: {error}")
