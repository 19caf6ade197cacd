"""What Atlassian Statuspage's formats have in common: its words for ours, its way to write times."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from statuspage.db import db
from statuspage.models import Component, ComponentGroup, Incident, Maintenance, MaintenanceComponent, Page, Update
from statuspage.rules.vocabulary import ComponentState, Impact, MaintenanceStage, Stage, worst_state

OUTWARD_STATES = {
    ComponentState.OPERATIONAL: "operational",
    ComponentState.DEGRADED: "degraded_performance",
    ComponentState.OUTAGE: "major_outage",
}
UNDER_MAINTENANCE = "under_maintenance"
# Our three states and Statuspage's alike.
INWARD_STATES = {
    **{state.value: state for state in ComponentState},
    **{word: state for state, word in OUTWARD_STATES.items()},
    "partial_outage": ComponentState.OUTAGE,
}
OUTWARD_IMPACTS = {None: "none", Impact.LOW: "minor", Impact.MEDIUM: "major", Impact.HIGH: "critical"}
INWARD_IMPACTS = {"none": Impact.LOW, "minor": Impact.LOW, "major": Impact.MEDIUM, "critical": Impact.HIGH}
# Clients of Statuspage expect Z of a page in UTC, and an offset of every other.
UTC_ZONES = ("Etc/UTC", "UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Universal", "Zulu")


@dataclass(frozen=True)
class Frame:
    """What every shape needs to know of the page."""

    page: Page
    public_url: str
    overlaid: frozenset[str]
    """Ids of the components that a running maintenance window covers."""
    headings: Mapping[str, str]
    """Names of groups, by the ids of the components in them."""

    def instant(self, instant: datetime | None) -> str | None:
        """Write an instant as Statuspage does: in the page's zone, to the millisecond."""
        if instant is None:
            return None
        if self.page.time_zone in UTC_ZONES:
            return utc(instant)
        return instant.astimezone(ZoneInfo(self.page.time_zone)).isoformat(timespec="milliseconds")

    def status(self, component: Component) -> str:
        """Return a component's status; maintenance never hides that something is wrong."""
        covered = component.id in self.overlaid and component.state is ComponentState.OPERATIONAL
        return UNDER_MAINTENANCE if covered else OUTWARD_STATES[component.state]

    def full_name(self, component_id: str, name: str) -> str:
        """Return what an update calls a component: ``Group - Component``."""
        heading = self.headings.get(component_id)
        return f"{heading} - {name}" if heading else name


def make_frame(page: Page, public_url: str) -> Frame:
    """Return the frame of a page."""
    running = (MaintenanceStage.IN_PROGRESS, MaintenanceStage.VERIFYING)
    covered = select(MaintenanceComponent.component_id).join(Maintenance).where(Maintenance.stage.in_(running))
    grouped = select(Component.id, ComponentGroup.name).join(ComponentGroup, Component.group_id == ComponentGroup.id)
    headings = {row.id: row.name for row in db.session.execute(grouped)}
    return Frame(page, public_url, frozenset(db.session.scalars(covered)), headings)


def utc(instant: datetime | None) -> str | None:
    """Write an instant as our own keys do: ``2026-11-21T14:30:00.000Z``."""
    if instant is None:
        return None
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def outward_impact(shown: Incident) -> str:
    """What a source of an import said stands; else what our own word comes nearest to."""
    imported = (shown.imported or {}).get("record", {}).get("impact")
    return imported if imported in INWARD_IMPACTS else OUTWARD_IMPACTS[shown.impact]


def said_at(shown: Incident, stage: Stage) -> datetime | None:
    """When the newest message of this stage was posted."""
    return next((each.posted_at for each in shown.updates if each.stage is stage), None)


def component(frame: Frame, shown: Component) -> dict[str, Any]:
    """Return a component with Statuspage's keys in their order."""
    return {
        "id": shown.id,
        "name": shown.name,
        "status": frame.status(shown),
        "created_at": frame.instant(shown.created_at),
        "updated_at": frame.instant(shown.updated_at),
        "position": shown.position,
        "description": shown.description or None,
        "showcase": (shown.imported or {}).get("record", {}).get("showcase") is not False,
        "start_date": shown.start_date.isoformat() if shown.start_date else None,
        "group_id": shown.group_id,
        "page_id": frame.page.id,
        "group": False,
        "only_show_if_degraded": False,
    }


def group(frame: Frame, shown: ComponentGroup, children: Sequence[Component]) -> dict[str, Any]:
    """Return a group as Statuspage lists it among the components: as bad as the worst in it."""
    worst = worst_state(each.state for each in children)
    covered = worst is ComponentState.OPERATIONAL and any(each.id in frame.overlaid for each in children)
    return {
        "id": shown.id,
        "name": shown.name,
        "status": UNDER_MAINTENANCE if covered else OUTWARD_STATES[worst],
        "created_at": frame.instant(shown.created_at),
        "updated_at": frame.instant(shown.updated_at),
        "position": shown.position,
        "description": shown.description or None,
        "showcase": False,
        "start_date": None,
        "group_id": None,
        "page_id": frame.page.id,
        "group": True,
        "only_show_if_degraded": False,
        "components": [each.id for each in children],
    }


def incident_update(frame: Frame, shown: Update) -> dict[str, Any]:
    """Return an update of an incident with Statuspage's keys in their order."""
    return {
        "id": shown.id,
        "status": shown.stage.value,
        "body": shown.body,
        "incident_id": shown.incident_id,
        "created_at": frame.instant(shown.created_at),
        "updated_at": frame.instant(shown.edited_at or shown.posted_at),
        "display_at": frame.instant(shown.posted_at),
        "affected_components": affected_components(frame, shown) or None,
        "deliver_notifications": was_delivered(shown.imported),
        "custom_tweet": None,
        "tweet_id": None,
    }


def was_delivered(imported: Mapping[str, Any] | None) -> bool:
    """Whether subscribers were told of an update, as far as its source said."""
    return (imported or {}).get("deliver_notifications") is not False


def affected_components(frame: Frame, shown: Update) -> list[dict[str, Any]]:
    """Return what an update says of its components; of an imported one in the words its source used."""
    originals = _originals(shown)
    return [
        {
            "code": each["component_id"],
            "name": frame.full_name(each["component_id"], each["name"]),
            "old_status": _status_then(each["old_state"], originals.get(each["component_id"], {}).get("old_status")),
            "new_status": _status_then(each["new_state"], originals.get(each["component_id"], {}).get("new_status")),
        }
        for each in shown.component_states
    ]


def _originals(shown: Update) -> dict[str, dict[str, Any]]:
    """Return what the source of an import said of each component; it was kept as it came."""
    parts = (shown.imported or {}).get("affected_components")
    return {str(part.get("code")): part for part in parts if isinstance(part, dict)} if isinstance(parts, list) else {}


def _status_then(state: str, original: object) -> str:
    """The original where it says what we say, only finer: our three states are five there."""
    ours = ComponentState(state)
    says_the_same = isinstance(original, str) and _FINER_STATES.get(original) is ours
    return str(original) if says_the_same else OUTWARD_STATES[ours]


_FINER_STATES = {"partial_outage": ComponentState.OUTAGE, UNDER_MAINTENANCE: ComponentState.OPERATIONAL}


def page_status(statuses: Collection[str]) -> tuple[str, str]:
    """Return the indicator and the description of a page whose components have these statuses."""
    found = set(statuses)
    for status, (indicator, description), (all_indicator, all_description) in _PAGE_STATUSES:
        if status in found:
            return (all_indicator, all_description) if found == {status} else (indicator, description)
    return "none", "All Systems Operational"


# From the worst: what some components make of the page, and what all of them do.
_PAGE_STATUSES = (
    ("major_outage", ("major", "Partial System Outage"), ("critical", "Major System Outage")),
    ("degraded_performance", ("minor", "Partially Degraded Service"), ("minor", "Degraded System Service")),
    (UNDER_MAINTENANCE, ("maintenance", "Service Under Maintenance"), ("maintenance", "Service Under Maintenance")),
)
