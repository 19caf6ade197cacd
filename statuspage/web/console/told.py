"""Who will be told of a message, and how far it has come to those who are."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from statuspage.actions import deliveries
from statuspage.actions.audiences import reach_by_method
from statuspage.db import db
from statuspage.delivery.announcements import ENDPOINT_LANE, INCIDENT_LANE
from statuspage.models import Account, Announcement, Delivery, Incident
from statuspage.rules.progress import Progress, progress, reach_in_words
from statuspage.rules.vocabulary import SubscriptionMethod, Visibility
from statuspage.web.console.counting import counts

WAYS = ((INCIDENT_LANE, "E-mail"), (ENDPOINT_LANE, "Webhooks and chat rooms"))
# More are counted only where somebody waits for the answer: the incident room opens at once.
COUNTED_AT_ONCE = 50_000
KINDS = ("incident_update", "document", "post_mortem")
# A million subscribers are counted in a second; the preview asks again whenever a writer pauses.
REACH_TIMES_AS_LONG = 60


@dataclass(frozen=True)
class Line:
    """How far the deliveries of one message have come."""

    announcement_id: int
    leaves_at: datetime | None
    """Until when it can be taken back; None for what does not wait."""
    taken_back_at: datetime | None
    taken_back_by: str
    is_finding: bool
    """Whether its recipients are still being looked up."""
    ways: tuple[tuple[str, Progress], ...] | None
    """None while counting would keep the page waiting."""
    failed: int
    """Given up, and certain not to have arrived."""
    uncertain: int
    """Given up, and may have arrived."""
    is_newest: bool
    """Whether no newer update tells its readers more."""

    @property
    def is_running(self) -> bool:
        """Whether a look in two seconds may show something else."""
        waiting = self.ways is None or any(way.waiting for _, way in self.ways)
        return self.taken_back_at is None and (self.is_finding or waiting)


def reach_of(incident: Incident, component_ids: Collection[str]) -> str:
    """Return in words who is told of an update to an incident with these components; empty for nobody."""
    return reach_in_words(counted_reach_of(incident, component_ids))


def counted_reach_of(incident: Incident, component_ids: Collection[str]) -> Mapping[SubscriptionMethod, int]:
    """Return how many are told of an update to an incident with these components, by which method."""
    if incident.visibility is not Visibility.PUBLIC:
        return {}
    key = ("reach", incident.id, frozenset(component_ids))
    kept = counts()
    reach: Mapping[SubscriptionMethod, int] | None = kept.get(key)
    if reach is None:
        reach = kept.ask(lambda: {key: reach_by_method(component_ids, incident.id)}, REACH_TIMES_AS_LONG)[key]
    return reach


def lines_of(incident: Incident, now: datetime, *, is_patient: bool = False) -> Mapping[str, Line]:
    """Return how far each message of an incident has come, by the id of the update or document.

    Somebody who is not patient gets no figures that take long, unless they are known already.
    """
    query = (
        select(Announcement, Account.name)
        .outerjoin(Account, Announcement.cancelled_by_id == Account.id)
        .where(
            Announcement.incident_id == incident.id,
            Announcement.kind.in_(KINDS),
            Announcement.audience.in_(deliveries.TO_MANY),
        )
        .order_by(Announcement.id)
        .execution_options(populate_existing=True)
    )
    # Of a message that was taken back and sent after all, the newest announcement counts.
    newest = {announcement.subject_id: (announcement, name or "") for announcement, name in db.session.execute(query)}
    updates = [each.id for each, _ in newest.values() if each.kind == "incident_update" and each.cancelled_at is None]
    tallies = _tallies([announcement.id for announcement, _ in newest.values()], is_patient)
    return {
        subject_id: _line(announcement, name, tallies.get(announcement.id), max(updates, default=0), now)
        for subject_id, (announcement, name) in newest.items()
    }


def _tallies(ids: Collection[int], is_patient: bool) -> Mapping[int, deliveries.Tally]:
    kept = counts()
    known = {each: kept.get(("tally", each)) for each in ids}
    missing = [each for each, tally in known.items() if tally is None]
    # Who comes while another counts gets what was counted before.
    known |= {each: kept.latest(("tally", each)) for each in missing}
    is_counted = missing and (is_patient or deliveries.are_few(missing, COUNTED_AT_ONCE))
    if is_counted and kept.turn.acquire(blocking=False):
        try:
            found = kept.ask(lambda: {("tally", each): tally for each, tally in deliveries.tally(missing).items()})
        finally:
            kept.turn.release()
        known |= {each: found["tally", each] for each in missing}
    return {each: tally for each, tally in known.items() if tally is not None}


def _line(announcement: Announcement, name: str, tally: deliveries.Tally | None, newest_id: int, now: datetime) -> Line:
    not_before, is_begun = announcement.not_before, announcement.expanded_at or announcement.expanded_to
    dead = Counter[bool]()
    for (_, state, was_unknown), count in (tally or {}).items():
        if state == Delivery.DEAD:
            dead[was_unknown] += count
    return Line(
        announcement_id=announcement.id,
        leaves_at=not_before if not_before and not is_begun and not_before > now else None,
        taken_back_at=announcement.cancelled_at,
        taken_back_by=name,
        is_finding=announcement.expanded_at is None,
        ways=None if tally is None else _ways(tally, announcement, now),
        failed=dead[False],
        uncertain=dead[True],
        is_newest=announcement.kind != "incident_update" or announcement.id >= newest_id,
    )


def _ways(tally: deliveries.Tally, announcement: Announcement, now: datetime) -> tuple[tuple[str, Progress], ...]:
    ways = []
    for lane, label in WAYS:
        states = Counter[str]()
        for (in_lane, state, _), count in tally.items():
            if in_lane == lane:
                states[state] += count
        if states:
            ways.append((label, progress(states, now - announcement.created_at)))
    return tuple(ways)
