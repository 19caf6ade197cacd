"""Where incidents and maintenance windows stand in time, in memory: lists of them take no question to the database.

With 30,000 of them that is 26 MB in a process that publishes, and none in one that only serves.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple


class Place(NamedTuple):
    """Where one of them stands."""

    id: str
    title: str
    began_at: datetime
    """Of a maintenance, when its window begins."""
    ended_at: datetime | None
    """None while an incident goes on; of a maintenance, when its window ends."""
    posted_at: datetime | None
    """Its newest message; None for a window that was planned without a word."""
    is_open: bool
    next_update_by: datetime | None
    component_ids: frozenset[str]


_NEVER = datetime.min.replace(tzinfo=UTC)
# By when it began or was last spoken of, then by id.
_Order = list[tuple[datetime, str]]


class Listing:
    """The incidents, or the maintenance windows, that readers may see."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._places: dict[str, Place] = {}
        self._open: dict[str, Place] = {}
        self._by_begin: _Order = []
        self._by_message: _Order = []
        self._of_components: dict[str, _Order] = {}
        for place in places:
            self._keep(place)
            for order, instant in self._orders(place):
                order.append((instant, place.id))
        for order in (self._by_begin, self._by_message, *self._of_components.values()):
            order.sort()

    def put(self, place: Place) -> None:
        """Put one in its place, which may be another than before."""
        self.remove(place.id)
        self._keep(place)
        for order, instant in self._orders(place):
            insort(order, (instant, place.id))

    def remove(self, event_id: str) -> None:
        """Take one away, if it is there."""
        place = self._places.pop(event_id, None)
        self._open.pop(event_id, None)
        if place is None:
            return
        for order, instant in self._orders(place):
            del order[bisect_left(order, (instant, event_id))]

    def _keep(self, place: Place) -> None:
        self._places[place.id] = place
        if place.is_open:
            self._open[place.id] = place

    def _orders(self, place: Place) -> Iterable[tuple[_Order, datetime]]:
        yield self._by_begin, place.began_at
        if place.posted_at is not None:
            yield self._by_message, place.posted_at
        for component_id in place.component_ids:
            yield self._of_components.setdefault(component_id, []), place.began_at

    def ids(self) -> list[str]:
        """Return the id of each."""
        return list(self._places)

    def still_open(self) -> list[Place]:
        """Return those that go on or are still to come: the one that was spoken of last first."""
        return sorted(self._open.values(), key=lambda place: (place.posted_at or _NEVER, place.id), reverse=True)

    def ends(self) -> tuple[datetime, ...]:
        """Return when the first and the last of them began; nothing if there are none."""
        return (self._by_begin[0][0], self._by_begin[-1][0]) if self._by_begin else ()

    def between(self, first: datetime, end: datetime, most: int | None = None) -> list[str]:
        """Return what began from ``first`` up to, not including, ``end``: the newest first, and so many at most."""
        low, high = (bisect_left(self._by_begin, (instant, "")) for instant in (first, end))
        return [event_id for _, event_id in reversed(self._by_begin[_least(low, high, most) : high])]

    def newest(self, most: int | None, component_id: str = "") -> list[str]:
        """Return what began last, of all or of one component: the newest first, and so many at most."""
        order = self._of_components.get(component_id, []) if component_id else self._by_begin
        return [event_id for _, event_id in reversed(order[_least(0, len(order), most) :])]

    def of_component(self, component_id: str, since: datetime) -> list[Place]:
        """Return where those of one component stand that began at this moment or later, the newest first."""
        order = self._of_components.get(component_id, [])
        return [self._places[event_id] for _, event_id in reversed(order[bisect_left(order, (since, "")) :])]

    def last_said(self, most: int, component_id: str = "") -> list[str]:
        """Return what was spoken of last, of all or of one component, the newest first."""
        if not component_id:
            return [event_id for _, event_id in reversed(self._by_message[_least(0, len(self._by_message), most) :])]
        own = (self._places[event_id] for _, event_id in self._of_components.get(component_id, ()))
        said = ((place.posted_at, place.id) for place in own if place.posted_at is not None)
        return [event_id for _, event_id in heapq.nlargest(most, said)]

    def unsaid(self) -> list[str]:
        """Return those of which nothing has been said."""
        return sorted((place.id for place in self._places.values() if place.posted_at is None), reverse=True)


def _least(low: int, high: int, most: int | None) -> int:
    return low if most is None else max(low, high - most)
