"""What Atlassian Statuspage's formats have in common: its words for ours, its way to write times."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from statuspage.db import db
from statuspage.models import Component, Incident, Maintenance, MaintenanceComponent, Page, Update
from statuspage.rules.vocabulary import ComponentState, Impact, MaintenanceStage, Stage

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


def make_frame(page: Page, public_url: str) -> Frame:
    """Return the frame of a page."""
    running = (MaintenanceStage.IN_PROGRESS, MaintenanceStage.VERIFYING)
    covered = select(MaintenanceComponent.component_id).join(Maintenance).where(Maintenance.stage.in_(running))
    return Frame(page, public_url, frozenset(db.session.scalars(covered)))


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


def affected_components(shown: Update) -> list[dict[str, Any]]:
    """Return what an update says of its components."""
    return [
        {
            "code": each["component_id"],
            "name": each["name"],
            "old_status": OUTWARD_STATES[ComponentState(each["old_state"])],
            "new_status": OUTWARD_STATES[ComponentState(each["new_state"])],
        }
        for each in shown.component_states
    ]


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
