"""The second path: each web process watches the clock worker, and one of them raises the alarm when it is silent."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from statuspage import clock, glance
from statuspage.db import db, insert_once, transaction
from statuspage.models import Account, Alarm, Channel, Heartbeat, Page
from statuspage.rules.vocabulary import AccountRole, ChannelKind
from statuspage.settings import Settings

log = logging.getLogger(__name__)

# An alarm whose end nobody knows is tried again no later than this.
LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True)
class Call:
    """An alarm that this process may raise, and whom it goes to."""

    silent_since: datetime
    has_ever_run: bool
    page_name: str
    people: tuple[tuple[str, str], ...]
    """Names and addresses."""
    channels: tuple[tuple[str, str, ChannelKind, str], ...]
    """Ids, names, kinds and addresses."""


@dataclass
class Told:
    """What became of an alarm."""

    names: list[str] = field(default_factory=list)
    """Of the people and channels that it was handed over for."""
    is_uncertain: bool = False
    """An answer went missing: somebody may have got it."""


class Watchdog:
    """Looks whether the worker's heart beats, and tells people once for each silence.

    It counts by its own elapsed time from the moment it first saw a heartbeat:
    neither a clock that jumps nor a start after a long rest raises an alarm.
    """

    def __init__(
        self, app: Flask, silence: timedelta, look_every: timedelta, silent_for: timedelta = timedelta()
    ) -> None:
        self._app = app
        self._settings: Settings = app.config["STATUSPAGE"]
        self._silence = silence
        self._look_every = look_every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._fails = False
        self._seen: tuple[datetime, bool] | None = None
        self._seen_at = clock.elapsed()
        self._silent_for = silent_for
        """How long nobody saw a sign before this one began to look."""
        self._claimed_at: datetime | None = None
        """When this process tried the present alarm last, unless another may try it too."""
        self._told = Told()
        """What got out for the present alarm."""
        self._is_over = False
        """Whether the present alarm is raised and on record."""

    def start(self) -> None:
        """Watch from a thread of its own, until the process ends."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end, and wait for it: it may be at the database."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._look_every.total_seconds()):
            try:
                with self._app.app_context():
                    self.look(clock.elapsed(), clock.now())
                self._fails = False
            except SQLAlchemyError as error:
                # Nothing can be claimed now; once is enough to say so.
                if not self._fails:
                    log.warning("the worker can't be watched: the database does not answer (%s)", type(error).__name__)
                self._fails = True
            except Exception:
                log.exception("watching the worker failed; it goes on")

    def look(self, passed: timedelta, now: datetime) -> None:
        """Look once; ``passed`` is the elapsed time. Raises SQLAlchemyError while the database does not answer."""
        seen = _last_sign()
        if seen != self._seen:
            self._seen, self._seen_at = seen, passed - self._silent_for
            self._silent_for = timedelta()
            self._claimed_at, self._told, self._is_over = None, Told(), False
        if seen is None or self._is_over or passed - self._seen_at < self._silence:
            return
        if not self._told.names:
            call = self._claim(*seen, now)
            if call is None:
                return
            log.error("the clock worker has been silent since %s: raising the alarm", call.silent_since)
            # No transaction is open while the network is waited for.
            db.session.rollback()
            self._told = _tell(call, self._settings, now)
            if self._told.is_uncertain and not self._told.names:
                # It may have got out: the next try waits, here as in the other processes.
                self._claimed_at = None
        if self._told.names:
            self._record(seen[0], now)
        else:
            log.error("nobody could be told that the clock worker is silent; it will be tried again")

    def _claim(self, silent_since: datetime, has_ever_run: bool, now: datetime) -> Call | None:
        """Return the call if it is this process's to make: new, its own that did not get out, or an abandoned one."""
        values = {"silent_since": silent_since, "raised_at": now, "told": []}
        with transaction(now) as session:
            if not insert_once(session, Alarm.__table__, values):  # type: ignore[arg-type]
                alarm = session.get_one(Alarm, silent_since, with_for_update=True, populate_existing=True)
                self._is_over = bool(alarm.told)
                if self._is_over or not (alarm.raised_at == self._claimed_at or self._is_abandoned(alarm, now)):
                    return None
                alarm.raised_at = now
            call = _call(session, silent_since, has_ever_run)
        self._claimed_at = now
        return call

    def _is_abandoned(self, alarm: Alarm, now: datetime) -> bool:
        """Whether its process has ended or does not know what became of it.

        The longer the silence, the longer the pause: in an hour of answers
        that go missing there are a handful of tries, not hundreds.
        """
        pause = min(max(alarm.raised_at - alarm.silent_since, self._silence), LONGEST_PAUSE)
        return now - alarm.raised_at >= pause

    def _record(self, silent_since: datetime, now: datetime) -> None:
        """Write down who was told; should it fail, the next look does only this."""
        with transaction(now) as session:
            session.get_one(Alarm, silent_since, with_for_update=True).told = self._told.names
        self._is_over = True


def start(app: Flask, silent_for: timedelta) -> None:
    """Begin to watch in this process, where somebody has seen no sign for so long."""
    Watchdog(app, glance.SILENCE, glance.LOOK_EVERY, silent_for).start()


def _last_sign() -> tuple[datetime, bool] | None:
    """Return the worker's last heartbeat, and True; if it never ran, when the page was made, and False."""
    db.session.rollback()
    beat_at = db.session.scalar(select(Heartbeat.beat_at).where(Heartbeat.name == "worker"))
    if beat_at is not None:
        return beat_at, True
    made_at = db.session.scalar(select(Page.created_at))
    return None if made_at is None else (made_at, False)


def _call(session: Session, silent_since: datetime, has_ever_run: bool) -> Call:
    able = select(Account.name, Account.email).where(Account.disabled_at.is_(None), Account.role != AccountRole.VIEWER)
    team = select(Channel.id, Channel.name, Channel.kind, Channel.url).where(
        Channel.removed_at.is_(None), Channel.account_id.is_(None)
    )
    return Call(
        silent_since,
        has_ever_run,
        session.scalar(select(Page.name)) or "",
        tuple((name, email) for name, email in session.execute(able.order_by(Account.email))),
        tuple((each.id, each.name, each.kind, each.url) for each in session.execute(team.order_by(Channel.name))),
    )


def _tell(call: Call, settings: Settings, now: datetime) -> Told:
    """Tell everybody by mail and chat at once; one way's failure does not hold up the other."""
    told = Told()
    ways: Sequence[Callable[[Call, Settings, Told, datetime], None]] = (_tell_people, _tell_channels)
    for way in ways:
        try:
            way(call, settings, told, now)
        except Exception as error:
            log.exception("the alarm could not be raised by one way: %s", type(error).__name__)
    return told


def _tell_people(call: Call, settings: Settings, told: Told, now: datetime) -> None:
    # The delivery libraries are heavy: only a process that raises the alarm pays for them.
    from statuspage.delivery.composition import compose_alarm
    from statuspage.delivery.providers import transport_for
    from statuspage.delivery.transport import Outcome, Recipient

    # No delivery has these numbers: in the ledger there is none for an alarm.
    first = int(call.silent_since.timestamp()) * 1000
    names = {-(first + n): name for n, (name, _) in enumerate(call.people)}
    recipients = [Recipient(number, address, {}) for number, (_, address) in zip(names, call.people, strict=True)]
    if not recipients:
        return
    message = compose_alarm(call.page_name, call.silent_since, call.has_ever_run, settings, now)
    for receipt in transport_for(settings).deliver(message, recipients):
        if receipt.outcome is Outcome.SUBMITTED:
            told.names.append(names[receipt.delivery_id])
        else:
            told.is_uncertain |= receipt.outcome is Outcome.UNKNOWN
            log.error("%s could not be told by mail: %s", names[receipt.delivery_id], receipt.error)


def _tell_channels(call: Call, settings: Settings, told: Told, _now: datetime) -> None:
    # As above: only a process that raises the alarm pays for it.
    from statuspage.delivery import chat
    from statuspage.delivery.notes import alarm_note
    from statuspage.delivery.posts import TOTAL_SECONDS, Posts
    from statuspage.delivery.transport import Outcome

    note, posts = alarm_note(call.silent_since, call.has_ever_run, settings), Posts()
    for number, (channel_id, _, kind, url) in enumerate(call.channels):
        posts.start(number, channel_id, partial(chat.post, kind, url, note))
    receipts = posts.collect(TOTAL_SECONDS)
    for receipt in receipts:
        name = call.channels[receipt.delivery_id][1]
        if receipt.outcome is Outcome.SUBMITTED:
            told.names.append(name)
        else:
            told.is_uncertain |= receipt.outcome is Outcome.UNKNOWN
            log.error("the channel %s could not be told: %s", name, receipt.error)
