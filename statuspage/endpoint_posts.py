"""The worker's lane for subscribers' endpoints: many posts at once, and whoever hangs delays nobody else."""

import logging
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import select

from statuspage.actions import endpoints as states
from statuspage.db import db
from statuspage.delivery import endpoints, outbox, posts
from statuspage.delivery.transport import Outcome, Receipt
from statuspage.models import Delivery, Subscriber
from statuspage.settings import Settings

log = logging.getLogger(__name__)

# How many are posted to at once. One that has not answered for a while gives its place to the next:
# at most five times as many threads wait for somebody.
AT_ONCE, HANGS_AFTER_SECONDS = 32, 3.0
# And how many of those that took nothing lately: a hundred that hang don't hold up the others.
FAILING_AT_ONCE = 4
# How long a tick waits for answers before mail and promises have their turn.
WAIT_SECONDS = 0.1
# A post that can't be written fails the same way each time: three tries tell.
COMPOSITION_TRIES = 3


class EndpointPosts:
    """What is on its way from this worker to subscribers' endpoints."""

    def __init__(self, settings: Settings, owner: str) -> None:
        self._settings = settings
        self._owner = owner
        self._well, self._failing = posts.Posts(), posts.Posts()

    def deliver(self, now: datetime) -> bool:
        """Begin to post what is due and settle what was answered; tell whether anything moved."""
        end, moved = time.monotonic() + WAIT_SECONDS, False
        while True:
            started = self._fill(self._failing, FAILING_AT_ONCE - self._failing.count(), now)
            started |= self._fill(self._well, AT_ONCE - self._well.count(HANGS_AFTER_SECONDS), now)
            # No transaction is open while the network is waited for.
            db.session.rollback()
            full = self._well.count(HANGS_AFTER_SECONDS) >= AT_ONCE
            left = end - time.monotonic() if started or full else 0
            receipts = self._failing.collect() + self._well.collect(left, enough=1)
            self._settle(receipts, now)
            moved |= started or bool(receipts)
            if not (started or receipts) or time.monotonic() >= end:
                return moved or full

    def finish(self, now: datetime) -> None:
        """Wait for the posts that are on their way, and settle them; the worker is about to end."""
        db.session.rollback()
        self._settle(self._failing.collect(posts.TOTAL_SECONDS) + self._well.collect(posts.TOTAL_SECONDS), now)

    def _fill(self, lane: posts.Posts, places: int, now: datetime) -> bool:
        started = False
        while places > 0:
            busy = self._well.busy | self._failing.busy
            batch = outbox.claim_for_endpoint(self._owner, busy, places, now, failing=lane is self._failing)
            if batch is None:
                break
            # A batch whose endpoints are all gone takes no place.
            places -= len(batch.deliveries)
            self._start(lane, batch, now)
            started = True
        return started

    def _start(self, lane: posts.Posts, batch: outbox.Batch, now: datetime) -> None:
        ids = [each.subscriber_id for each in batch.deliveries]
        unwritten: list[Receipt] = []
        written: endpoints.Written | None = None
        to = {each.id: each for each in db.session.scalars(select(Subscriber).where(Subscriber.id.in_(ids)))}
        for delivery in batch.deliveries:
            try:
                written = written or endpoints.write(batch.announcement, self._settings, now)
                post = endpoints.address(written, delivery.id, to[delivery.address], self._settings, now)
            except Exception as error:  # A poisoned announcement must not hold up the others.
                # The type alone: the words may hold a secret.
                log.exception("announcement %s can't be posted to an endpoint", batch.announcement.id)
                outcome = Outcome.REFUSED if delivery.attempts >= COMPOSITION_TRIES else Outcome.LATER
                unwritten.append(Receipt(delivery.id, outcome, f"It can't be written: {type(error).__name__}."))
                continue
            send = partial(endpoints.send, post, self._settings.guard_allow, now)
            lane.start(delivery.id, delivery.address, send)
        if unwritten:
            outbox.settle(self._owner, unwritten, now)

    def _settle(self, receipts: Sequence[Receipt], now: datetime) -> None:
        """Write down what was answered, and whose endpoint takes nothing."""
        if not receipts:
            return
        found = db.session.execute(
            select(Delivery.id, Delivery.address, Subscriber.failing_since)
            .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
            .where(Delivery.id.in_([receipt.delivery_id for receipt in receipts]))
        )
        endpoint_of = {delivery_id: (subscriber_id, since) for delivery_id, subscriber_id, since in found}
        well: set[str] = set()
        failed: set[str] = set()
        gone: set[str] = set()
        for receipt in receipts:
            subscriber_id, failing_since = endpoint_of.get(receipt.delivery_id, ("", None))
            if receipt.outcome is not Outcome.SUBMITTED:
                log.warning("delivery %s to an endpoint: %s", receipt.delivery_id, receipt.error)
                (gone if receipt.outcome is Outcome.REFUSED else failed).add(subscriber_id)
            elif failing_since is not None:
                well.add(subscriber_id)
        # Most endpoints are well and stay so: nothing is written for them.
        if well or failed or gone:
            states.note_answers(well, failed, gone, now)
        outbox.settle(self._owner, receipts, now)
