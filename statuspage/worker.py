"""The worker: keep the clocks, expand what was announced, deliver it, publish, show that it lives."""

import gc
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from flask import Flask
from sqlalchemy.exc import DBAPIError, OperationalError

from statuspage import clock
from statuspage.actions import (
    action_items,
    aftermath,
    audiences,
    escalation,
    expiry,
    import_jobs,
    mail_provider,
    maintenance_clock,
    personal_data,
)
from statuspage.db import db, transaction
from statuspage.delivery import announcements, chat, composition, notes, outbox, posts, providers, suppression
from statuspage.delivery.handover import Handovers
from statuspage.delivery.providers import transport_for
from statuspage.delivery.transport import ChannelDown, Message, Outcome, Receipt, Transport
from statuspage.endpoint_posts import EndpointPosts
from statuspage.issue_lane import IssueLane
from statuspage.models import Channel, Heartbeat
from statuspage.replica import Replica
from statuspage.settings import Settings
from statuspage.site import publisher

log = logging.getLogger(__name__)

Key = TypeVar("Key", str, int)

IDLE_SECONDS = 1.0
# The clocks are looked at in between, however much mail there is.
MAIL_SECONDS_A_TICK = 0.5
# A stopping worker is killed after 25 s (supervisor.py).
FINISH_SECONDS = 20.0
HEARTBEAT_EVERY = timedelta(seconds=5)
FORGET_EVERY = timedelta(hours=1)
# With the database away every tick is a failure to log: fewer and fewer of them.
LONGEST_PAUSE_SECONDS = 30.0
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
        self._handovers = Handovers(transport)
        self._latest_mail: tuple[tuple[int, bool, str], Message] | None = None
        self._mail_stopped_until: datetime | None = None
        self._uncertain_batches = 0
        # Another worker may have stopped it, and ended since.
        self._told_of_stop = True
        self._posts = posts.Posts()
        self._endpoints = EndpointPosts(settings, self._owner)
        self._issues = IssueLane(settings, self._owner)
        self._replica = Replica(settings)
        self._beat_at: datetime | None = None
        self._forgot_at: datetime | None = None
        self._reading: import_jobs.Reading | None = None
        self.failed_ticks = 0
        """How many ticks in a row the database did not answer."""
        self._database_failed = False

    def tick(self, now: datetime) -> bool:
        """Do what is due; tell whether there is more to do at once. One step's failure stops no other."""
        steps: tuple[Callable[[datetime], bool], ...] = (
            self._keep_promises,
            self._keep_windows,
            self._remind_of_action_items,
            self._expand,
            self._deliver_to_channels,
            self._deliver_to_endpoints,
            self._file_issues,
            self._clear_suppressions,
            self._deliver,
            self._take_in,
            self._publish,
            self._copy_elsewhere,
            self._forget,
            self._beat,
        )
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

    def _keep_promises(self, now: datetime) -> bool:
        due = escalation.due_promises(now)
        for promise_id in due:
            _each_by_itself(promise_id, escalation.take_step, escalation.push_back, now)
        for step_id in escalation.unproven_steps(now):
            _each_by_itself(step_id, escalation.look_again, escalation.put_off, now)
        for document_id in aftermath.due_documents(now):
            _each_by_itself(document_id, aftermath.send_due, aftermath.put_off, now)
        return len(due) == escalation.AT_ONCE

    def _keep_windows(self, now: datetime) -> bool:
        """Announce, remind of, start and finish maintenance windows; plan the next of a series."""
        for series_id in maintenance_clock.due_series(now):
            _each_by_itself(series_id, maintenance_clock.plan_next, maintenance_clock.push_back_series, now)
        due = maintenance_clock.due_windows(now)
        for maintenance_id in due:
            _each_by_itself(maintenance_id, maintenance_clock.take_step, maintenance_clock.push_back, now)
        return len(due) == maintenance_clock.AT_ONCE

    def _remind_of_action_items(self, now: datetime) -> bool:
        due = action_items.due_reminders(now)
        for item_id in due:
            _each_by_itself(item_id, action_items.remind, action_items.put_off, now)
        return len(due) == action_items.AT_ONCE

    def _expand(self, now: datetime) -> bool:
        try:
            there_was_one = announcements.expand(audiences.audience, now)
        except announcements.NotExpanded as failed:
            log.exception("announcement %s waits; the others go on", failed.announcement_id)
            announcements.put_off(failed.announcement_id, now)
            return True
        if there_was_one:
            time.sleep(announcements.EXPANSION_PAUSE_SECONDS)
        return there_was_one

    def _deliver(self, now: datetime) -> bool:
        """Keep the provider busy for a while: what is answered is settled while the next batches are on their way."""
        self._take_answers(0, now)
        more = False
        end = time.monotonic() + MAIL_SECONDS_A_TICK
        while time.monotonic() < end:
            started = self._start_batches(now)
            more |= started
            # No transaction is open while the network is waited for.
            db.session.rollback()
            left = max(0.0, end - time.monotonic())
            if not self._take_answers(left, now) and not started:
                break
        return more or self._handovers.count > 0

    def _start_batches(self, now: datetime) -> bool:
        """Claim and hand over as many batches as may be on their way; tell whether there were any."""
        started = False
        # While a provider answers nothing certain, one mail at a time asks whether it is well again.
        at_once, size = (
            (1, 1) if self._uncertain_batches else (self._transport.batches_at_once, self._transport.batch_size)
        )
        while self._handovers.count < at_once and not self._is_mail_stopped(now):
            batch = outbox.claim(self._owner, size, now)
            if batch is None:
                break
            started = True
            if batch.deliveries:
                self._hand_over(batch, now)
        return started

    def _is_mail_stopped(self, now: datetime) -> bool:
        return self._mail_stopped_until is not None and now < self._mail_stopped_until

    def _hand_over(self, batch: outbox.Batch, now: datetime) -> None:
        try:
            message = self._composed(batch)
            recipients = composition.recipients(batch, self._settings)
        except Exception as error:  # A poisoned announcement must not hold up the others.
            log.exception("announcement %s can't be written as a mail", batch.announcement.id)
            db.session.rollback()
            outbox.settle(self._owner, [_unwritten(each, "mail", error) for each in batch.deliveries], now)
            return
        self._handovers.start(batch, replace(message, batch=batch.id), recipients)

    def _composed(self, batch: outbox.Batch) -> Message:
        """Return the mail of a batch's announcement, written once for all its batches."""
        key = (batch.announcement.id, batch.is_to_customers, batch.language)
        if self._latest_mail is None or self._latest_mail[0] != key:
            message = composition.compose(batch.announcement, self._settings, batch.is_to_customers, batch.language)
            self._latest_mail = (key, message)
        return self._latest_mail[1]

    def _take_answers(self, seconds: float, now: datetime) -> bool:
        answers = self._handovers.collect(seconds)
        for answer in answers:
            if answer.down is not None:
                self._stop_mail(answer.batch, answer.down, now)
                continue
            outbox.settle(self._owner, answer.receipts, now, answer.batch)
            self._watch_provider(answer.receipts, now)
        return bool(answers)

    def _stop_mail(self, batch: outbox.Batch, down: ChannelDown, now: datetime) -> None:
        self._mail_stopped_until = now + timedelta(seconds=down.retry_after)
        log.warning("mail waits for %.0f s: %s", down.retry_after, down)
        outbox.release(self._owner, batch, self._mail_stopped_until, now)
        mail_provider.stop(str(down), down.needs_person, self._mail_stopped_until, now)
        self._told_of_stop = True

    def _watch_provider(self, receipts: Sequence[Receipt], now: datetime) -> None:
        """Leave a provider alone that tells nothing certain about any mail; ask again with a single one."""
        outcomes = {receipt.outcome for receipt in receipts} - {Outcome.UNTRIED}
        if outcomes != {Outcome.UNKNOWN}:
            self._uncertain_batches = 0
            if outcomes and self._told_of_stop:
                mail_provider.resume(now)
                self._told_of_stop = False
            return
        pause = min(FIRST_PROBE_AFTER * 2 ** min(self._uncertain_batches, 6), LONGEST_PROBE_PAUSE)
        self._uncertain_batches += 1
        self._mail_stopped_until = now + pause
        log.warning("mail waits for %.0f s: %s", pause.total_seconds(), receipts[0].error)
        mail_provider.stop(receipts[0].error, False, self._mail_stopped_until, now)
        self._told_of_stop = True

    def _deliver_to_channels(self, now: datetime) -> bool:
        """Begin to post what is due and settle what was answered; a hook that hangs is left to a later tick."""
        started = 0
        while self._posts.count() < chat.AT_ONCE:
            batch = outbox.claim_for_channel(self._owner, self._posts.busy, now)
            if batch is None:
                break
            started += 1
            for delivery in batch.deliveries:
                self._start_post(batch, delivery, now)
        # No transaction is open while the network is waited for.
        db.session.rollback()
        self._settle_posts(chat.FIRST_WAIT_SECONDS if started else 0, now)
        return started > 0

    def _start_post(self, batch: outbox.Batch, delivery: outbox.Claimed, now: datetime) -> None:
        try:
            channel = db.session.get_one(Channel, delivery.address)
            kind, url = channel.kind, channel.url
            note = notes.note(batch.announcement, self._settings)
        except Exception as error:  # A poisoned announcement must not hold up the others.
            log.exception("announcement %s can't be written as a note", batch.announcement.id)
            db.session.rollback()
            outbox.settle(self._owner, [_unwritten(delivery, "note", error)], now)
            return
        self._posts.start(delivery.id, delivery.address, partial(chat.post, kind, url, note))

    def _settle_posts(self, seconds: float, now: datetime) -> None:
        receipts = self._posts.collect(seconds)
        for receipt in receipts:
            if receipt.outcome is not Outcome.SUBMITTED:
                log.warning("delivery %s to a channel: %s", receipt.delivery_id, receipt.error)
        if receipts:
            outbox.settle(self._owner, receipts, now)

    def _deliver_to_endpoints(self, now: datetime) -> bool:
        return self._endpoints.deliver(now)

    def _file_issues(self, now: datetime) -> bool:
        return self._issues.work(now)

    def _clear_suppressions(self, now: datetime) -> bool:
        """Have the mail provider forget addresses that may be written to again: before they are, or it drops that."""
        lifted = suppression.claim_lifted(now)
        for each in lifted:
            try:
                forgotten = providers.forget(self._settings, each.address, complaint=each.complaint)
            except ChannelDown as down:
                log.warning("lifting suppressions waits for %.0f s: %s", down.retry_after, down)
                suppression.put_off_clearing(now + timedelta(seconds=down.retry_after), now)
                return False
            if forgotten:
                suppression.mark_cleared(each, now)
        return len(lifted) == suppression.CLEARED_AT_ONCE

    def finish(self, now: datetime) -> None:
        """Wait for the mails and notes that are on their way, and settle them; the worker is about to end."""
        self._guarded(self._finish_mail, now)
        self._guarded(self._finish_posts, now)
        self._guarded(self._finish_endpoints, now)
        self._guarded(self._finish_issues, now)
        self._replica.stop()

    def _finish_mail(self, now: datetime) -> bool:
        end = time.monotonic() + FINISH_SECONDS
        while self._handovers.count and time.monotonic() < end:
            self._take_answers(end - time.monotonic(), now)
        return False

    def _finish_posts(self, now: datetime) -> bool:
        self._settle_posts(posts.TOTAL_SECONDS, now)
        return False

    def _finish_endpoints(self, now: datetime) -> bool:
        self._endpoints.finish(now)
        return False

    def _finish_issues(self, now: datetime) -> bool:
        self._issues.finish(now)
        return False

    def _take_in(self, now: datetime) -> bool:
        """Take in one chunk of a file that somebody uploaded."""
        job_id = import_jobs.next_job()
        if job_id is None:
            return False
        _each_by_itself(job_id, self._take_in_chunk, import_jobs.give_up, now)
        return self._reading is not None

    def _take_in_chunk(self, job_id: str, now: datetime) -> None:
        # After a failure the file is read anew.
        reading, self._reading = self._reading, None
        secret_keys = self._settings.secret_keys
        self._reading = import_jobs.take_in_chunk(job_id, reading, secret_keys, now)

    def _publish(self, now: datetime) -> bool:
        publisher.refresh(self._settings, now)
        return False

    def _copy_elsewhere(self, now: datetime) -> bool:
        """In a thread, and whether or not publishing worked: a notice posted without the database has to get there."""
        self._replica.look(now)
        return False

    def _forget(self, now: datetime) -> bool:
        """Delete who never confirmed, and what is kept for a time only."""
        if self._forgot_at is not None and abs(now - self._forgot_at) < FORGET_EVERY:
            return False
        is_more_to_do = any([personal_data.forget_unconfirmed(now), expiry.expire(now)])
        if not is_more_to_do:
            self._forgot_at = now
        return is_more_to_do

    def _beat(self, now: datetime) -> bool:
        # Either way: after a clock that was set back is believed, the last beat lies in the future.
        if self._beat_at is None or abs(now - self._beat_at) >= HEARTBEAT_EVERY:
            with transaction(now) as session:
                # By the clock that others compare it with, whatever ours does for deadlines.
                session.merge(Heartbeat(name="worker", beat_at=clock.now()))
            self._beat_at = now
        return False


def run(app: Flask) -> None:
    """Tick until SIGTERM or SIGINT; what is in hand is finished first."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    spare_collections()
    settings: Settings = app.config["STATUSPAGE"]
    worker = Worker(settings, transport_for(settings))
    steady, pause = clock.SteadyClock(), 0.0
    while not stopping.wait(pause):
        with app.app_context():
            pause = 0.0 if worker.tick(steady.now()) else IDLE_SECONDS * 2 ** min(worker.failed_ticks, 5)
        pause = min(pause, LONGEST_PAUSE_SECONDS)
    with app.app_context():
        worker.finish(clock.now())


def spare_collections() -> None:
    """Have Python look for garbage in circles less often: a batch of mails is thousands of objects, none in a circle.

    With the usual threshold of 700 a sixth of the worker's time goes there.
    """
    gc.set_threshold(100_000, 20, 20)


def _each_by_itself(
    key: Key, act: Callable[[Key, datetime], object], put_off: Callable[[Key, datetime], None], now: datetime
) -> None:
    """Do something for one row; if that fails, put the row off, so that it holds up no other."""
    try:
        act(key, now)
    except OperationalError:
        raise
    except Exception:
        log.exception("%s of %s failed; the others go on", act.__name__, key)
        db.session.rollback()
        put_off(key, now)


def _unwritten(delivery: outbox.Claimed, what: str, error: Exception) -> Receipt:
    outcome = Outcome.REFUSED if delivery.attempts >= COMPOSITION_TRIES else Outcome.LATER
    return Receipt(delivery.id, outcome, f"This {what} can't be written: {error}")
