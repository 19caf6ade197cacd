"""How an incident weighed on its components over time: from what each of its messages said of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from statuspage.rules.vocabulary import ComponentState

Said = tuple[datetime, Iterable[Mapping[str, str]]]
"""When a message was posted, and the components in it: ``component_id``, ``name``, ``new_state``."""


@dataclass(frozen=True)
class Stretch:
    """A time in which a component was in one state."""

    state: ComponentState
    begin: datetime
    end: datetime | None
    """None while it goes on."""

    @property
    def lasted(self) -> timedelta | None:
        """How long it was; None while it goes on."""
        return self.end - self.begin if self.end else None


@dataclass(frozen=True)
class Course:
    """What an incident did to one component."""

    component_id: str
    name: str
    has_page: bool
    """Whether the component is on the page still."""
    stretches: tuple[Stretch, ...]
    """Oldest first."""

    def parts(self) -> list[tuple[str, float, float]]:
        """Return state, begin and width of each stretch in percent of the whole; nothing while it goes on."""
        first, last = self.stretches[0].begin, self.stretches[-1].end
        if last is None:
            return []
        whole = last - first
        return [
            (each.state.value, round((each.begin - first) / whole * 100, 2), round(each.lasted / whole * 100, 2))
            for each in self.stretches
            if each.lasted is not None
        ]


def courses(
    said: Iterable[Said], started_at: datetime, resolved_at: datetime | None, listed: Mapping[str, str]
) -> tuple[Course, ...]:
    """Return the course of each component that the messages name, in the order in which they came to be named.

    ``said`` begins with the oldest. What the first message says held since the incident began; what
    holds when it is resolved is over then. ``listed``: what the components on the page are called now, by id.
    """
    found: dict[str, list[Stretch]] = {}
    names: dict[str, str] = {}
    for number, (posted_at, states) in enumerate(said):
        begin = max(started_at, posted_at) if number else started_at
        for each in states:
            component_id = each["component_id"]
            names[component_id] = each["name"]
            _go_on(found.setdefault(component_id, []), ComponentState(each["new_state"]), begin)
    return tuple(
        Course(component_id, listed.get(component_id, names[component_id]), component_id in listed, ended)
        for component_id, stretches in found.items()
        if (ended := _ended(stretches, resolved_at))
    )


def _go_on(stretches: list[Stretch], state: ComponentState, at: datetime) -> None:
    if stretches:
        if stretches[-1].state is state:
            return
        stretches[-1] = replace(stretches[-1], end=at)
    elif state is ComponentState.OPERATIONAL:
        # Not affected until now.
        return
    stretches.append(Stretch(state, at, None))


def _ended(stretches: Iterable[Stretch], resolved_at: datetime | None) -> tuple[Stretch, ...]:
    """What was over before it began is left out: a resolution may be posted late."""
    if resolved_at is None:
        return tuple(each for each in stretches if each.end is None or each.end > each.begin)
    clipped = (replace(each, end=min(each.end or resolved_at, resolved_at)) for each in stretches)
    return tuple(each for each in clipped if each.end is not None and each.end > each.begin)
