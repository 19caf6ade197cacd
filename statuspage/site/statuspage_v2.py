"""The public JSON: Atlassian Statuspage's API v2, key for key, with our own keys at the end.

The words for states, impacts and stages, and the way to write times, are those
of `shapes`: the management API and the webhooks say the same.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from statuspage import shapes
from statuspage.models.columns import ID_LENGTH
from statuspage.rendering import json_text
from statuspage.rules.vocabulary import MaintenanceStage, Stage
from statuspage.shapes import UNDER_MAINTENANCE
from statuspage.site.records import Records
from statuspage.site.shelf import Event

# As many as Statuspage gives; those still open are always in the documents of their own.
NEWEST = 50

Document = dict[str, Any]

# Statuspage's words for how far planned work has come are ours; a stage that is not here is not told of.
OUTWARD_STAGES: Mapping[MaintenanceStage, str] = {
    MaintenanceStage.SCHEDULED: "scheduled",
    MaintenanceStage.IN_PROGRESS: "in_progress",
    MaintenanceStage.VERIFYING: "verifying",
    MaintenanceStage.COMPLETED: "completed",
}
UPCOMING = (MaintenanceStage.SCHEDULED,)
ACTIVE = (MaintenanceStage.IN_PROGRESS, MaintenanceStage.VERIFYING)

# What an open incident makes of a page that has no components.
_STATUS_OF_IMPACT = {
    "none": ("none", "All Systems Operational"),
    "minor": ("minor", "Minor Service Outage"),
    "major": ("major", "Partial System Outage"),
    "critical": ("critical", "Major System Outage"),
}


def document(name: str, records: Records, now: datetime) -> bytes | None:
    """Return the finished bytes of ``/api/v2/NAME.json``; None if there is no such document."""
    make = DOCUMENTS.get(name)
    if make is None:
        return None
    return json_text({"page": _page(records, now), **make(records)})


def _page(records: Records, now: datetime) -> Document:
    frame = records.frame
    return {
        "id": frame.page.id,
        "name": frame.page.name,
        "url": frame.public_url,
        "time_zone": frame.page.time_zone,
        "updated_at": frame.instant(frame.page.updated_at),
        "generated_at": shapes.utc(now),
    }


def _summary(records: Records) -> Document:
    return {
        **_components(records),
        "incidents": [_incident(records, each) for each in records.open_incidents],
        "scheduled_maintenances": [_maintenance(records, each) for each in _told(records.open_maintenances)],
        **_status(records),
    }


def _status(records: Records) -> Document:
    leaves = records.leaves
    indicator, description = shapes.page_status([records.frame.status(each) for each in leaves])
    if not leaves:
        ranks = list(_STATUS_OF_IMPACT)
        impacts = (shapes.outward_impact(each.row) for each in records.open_incidents)
        indicator, description = _STATUS_OF_IMPACT[max(impacts, key=ranks.index, default="none")]
    return {"status": {"indicator": indicator, "description": description}}


def _components(records: Records) -> Document:
    """List components and groups together, by position; a group that nothing is in is not on the page either."""
    frame, leaves = records.frame, records.leaves
    children = {group.id: [each for each in leaves if each.group_id == group.id] for group in records.groups}
    listed = [*records.outward.values()]
    listed += [shapes.group(frame, each, children[each.id]) for each in records.groups if children[each.id]]
    return {"components": sorted(listed, key=lambda each: int(each["position"]))}


def _incidents(records: Records) -> Document:
    return {"incidents": [_incident(records, each) for each in records.incidents]}


def _unresolved(records: Records) -> Document:
    return {"incidents": [_incident(records, each) for each in records.open_incidents]}


def _maintenances(records: Records) -> Document:
    return {"scheduled_maintenances": [_maintenance(records, each) for each in _told(records.maintenances)]}


def _of_stages(stages: Sequence[MaintenanceStage]) -> Callable[[Records], Document]:
    def make(records: Records) -> Document:
        found = [each for each in records.open_maintenances if each.row.stage in stages]
        return {"scheduled_maintenances": [_maintenance(records, each) for each in found]}

    return make


def _told(events: Sequence[Event]) -> list[Event]:
    return [each for each in events if each.row.stage in OUTWARD_STAGES]


def _incident(records: Records, shown: Event) -> Document:
    if "v2" not in shown.made:
        shown.made["v2"] = _incident_itself(records, shown)
    # Its components are said to be as they are now, however long ago it ended.
    return {**shown.made["v2"], "components": _affected(records, shown)}


def _incident_itself(records: Records, shown: Event) -> Document:
    frame, row = records.frame, shown.row
    updates = [shapes.incident_update(frame, each) for each in shown.updates]
    if row.post_mortem_published_at is not None:
        updates.insert(0, _post_mortem(records, row))
    return {
        "id": row.id,
        "name": row.title,
        "status": "postmortem" if row.post_mortem_published_at and row.stage is Stage.RESOLVED else row.stage.value,
        "created_at": frame.instant(row.created_at),
        "updated_at": frame.instant(row.updated_at),
        "monitoring_at": frame.instant(_said_at(shown, Stage.MONITORING)),
        "resolved_at": frame.instant(row.resolved_at),
        "impact": shapes.outward_impact(row),
        "shortlink": f"{frame.public_url}/incidents/{row.id}",
        "started_at": frame.instant(row.started_at),
        "page_id": frame.page.id,
        "incident_updates": updates,
        "components": [],
        "reminder_intervals": None,
        "next_update_by": shapes.utc(row.next_update_by if row.stage is not Stage.RESOLVED else None),
    }


def _post_mortem(records: Records, row: Any) -> Document:
    """Return what Statuspage lists as one more update: the published post-mortem."""
    imported = [each["id"] for each in (row.imported or {}).get("post_mortems", ()) if "id" in each]
    made = hashlib.sha256(f"post-mortem {row.id}".encode()).hexdigest()[:ID_LENGTH]
    published_at = records.frame.instant(row.post_mortem_published_at)
    return {
        "id": imported[0] if imported else made,
        "status": "postmortem",
        "body": row.post_mortem,
        "incident_id": row.id,
        "created_at": published_at,
        "updated_at": published_at,
        "display_at": None,
        "affected_components": None,
        "deliver_notifications": True,
        "custom_tweet": None,
        "tweet_id": None,
    }


def _maintenance(records: Records, shown: Event) -> Document:
    frame, row = records.frame, shown.row
    return {
        "id": row.id,
        "name": row.title,
        "status": OUTWARD_STAGES[row.stage],
        "created_at": frame.instant(row.created_at),
        "updated_at": frame.instant(row.updated_at),
        "monitoring_at": frame.instant(_said_at(shown, MaintenanceStage.VERIFYING)),
        "resolved_at": frame.instant(row.completed_at),
        "impact": "maintenance",
        "shortlink": f"{frame.public_url}/incidents/{row.id}",
        "started_at": frame.instant(row.created_at),
        "page_id": frame.page.id,
        "incident_updates": _maintenance_updates(records, shown),
        "components": _affected(records, shown),
        "scheduled_for": frame.instant(row.scheduled_for),
        "scheduled_until": frame.instant(row.scheduled_until),
    }


def _maintenance_updates(records: Records, shown: Event) -> list[Document]:
    frame, made, before = records.frame, [], "operational"
    component_ids = [each.id for each in _components_of(records, shown)]
    for update in reversed(shown.updates):
        after = UNDER_MAINTENANCE if update.stage in ACTIVE else "operational"
        # The plan names what it will touch; what is said before it begins, such as a reminder, touches nothing.
        ids = [] if update.stage in UPCOMING and update.sequence > 1 else component_ids
        made.append(
            {
                "id": update.id,
                "status": OUTWARD_STAGES.get(update.stage, OUTWARD_STAGES[MaintenanceStage.COMPLETED]),
                "body": update.body,
                "incident_id": shown.row.id,
                "created_at": frame.instant(update.created_at),
                "updated_at": frame.instant(update.posted_at),
                "display_at": frame.instant(update.posted_at),
                "affected_components": [_overlay(records, each, before, after) for each in ids] or None,
                "deliver_notifications": update.is_told
                if update.imported is None
                else shapes.was_delivered(update.imported),
                "custom_tweet": None,
                "tweet_id": None,
            }
        )
        before = after
    return made[::-1]


def _overlay(records: Records, component_id: str, before: str, after: str) -> Document:
    """Say what a window does to a component: its stages decide, not what else is wrong with it."""
    name = records.frame.full_name(component_id, records.components[component_id].name)
    return {"code": component_id, "name": name, "old_status": before, "new_status": after}


def _affected(records: Records, shown: Event) -> list[Document]:
    """Return the components as they are now: all well after a resolution.

    What is gone from the page is gone from here too: clients look it up in the list of components.
    """
    found = _components_of(records, shown)
    return [records.outward[each.id] for each in found if each.id in records.outward]


def _components_of(records: Records, shown: Event) -> list[Any]:
    places = {group.id: group.position for group in records.groups}
    named = [records.components[each.id] for each in shown.components]
    return sorted(named, key=lambda each: (each.position, places.get(each.group_id or "", 0)))


def _said_at(shown: Event, stage: Stage | MaintenanceStage) -> datetime | None:
    """When the newest message of this stage was posted."""
    return next((each.posted_at for each in shown.updates if each.stage is stage), None)


DOCUMENTS: Mapping[str, Callable[[Records], Document]] = {
    "summary": _summary,
    "status": _status,
    "components": _components,
    "incidents": _incidents,
    "incidents/unresolved": _unresolved,
    "scheduled-maintenances": _maintenances,
    "scheduled-maintenances/upcoming": _of_stages(UPCOMING),
    "scheduled-maintenances/active": _of_stages(ACTIVE),
}
PATHS = tuple(f"/api/v2/{name}.json" for name in DOCUMENTS)
