"""Bring a page over from Atlassian Statuspage: read, plan, apply.

Every row of the plan is one transaction: a row that fails leaves the others
alone, and after a kill the same command does the rest. Ids are kept, so that
addresses go on working; what we have no column for is kept under ``imported``.
Nobody is mailed about the past, and an imported incident owes nothing.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import delete, select
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from statuspage import prose
from statuspage.actions.foreign_text import to_markdown
from statuspage.actions.ledger import audit, mark_changed
from statuspage.actions.statuspage_export import (
    Entry,
    Export,
    Record,
    Unreadable,
    identifier,
    instant,
    line,
    listed,
    read,
    text_of,
)
from statuspage.db import db, transaction
from statuspage.models import (
    AuditEntry,
    Component,
    ComponentGroup,
    ComponentStateChange,
    Incident,
    IncidentComponent,
    Maintenance,
    MaintenanceComponent,
    MaintenanceUpdate,
    Page,
    Update,
)
from statuspage.rules.vocabulary import (
    ComponentState,
    Impact,
    MaintenanceStage,
    MessageKind,
    Stage,
    Visibility,
    worst_state,
)

__all__ = ["OUTCOMES", "Row", "Step", "apply", "plan", "read"]

OUTCOMES = ("create", "update", "unchanged", "kept", "error")
"""``kept``: changed here since it was imported, so it is left as it is."""

STATES = {
    "operational": ComponentState.OPERATIONAL,
    "degraded_performance": ComponentState.DEGRADED,
    "partial_outage": ComponentState.OUTAGE,
    "major_outage": ComponentState.OUTAGE,
    # Maintenance is an overlay here, not a state.
    "under_maintenance": ComponentState.OPERATIONAL,
    # Legal in Statuspage's own specification.
    "": ComponentState.OPERATIONAL,
}
STAGES = {
    "investigating": Stage.INVESTIGATING,
    "identified": Stage.IDENTIFIED,
    "monitoring": Stage.MONITORING,
    "resolved": Stage.RESOLVED,
    "postmortem": Stage.RESOLVED,
}
IMPACTS = {"critical": Impact.HIGH, "major": Impact.HIGH, "minor": Impact.MEDIUM, "none": Impact.LOW}
MAINTENANCE_STAGES = {stage.value: stage for stage in MaintenanceStage} | {"resolved": MaintenanceStage.COMPLETED}

# What a column or another table holds; the rest of a record is kept as it came.
_HELD = {
    "id", "name", "created_at", "updated_at", "started_at", "resolved_at", "incident_updates", "components",
    "page_id", "incident_id", "group", "group_id", "position", "description", "start_date", "body", "display_at", "posted_at",
    "scheduled_for", "scheduled_until",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One thing of the source and what happens to it."""

    outcome: str
    kind: str
    id: str
    title: str
    file: str
    index: int | None
    reason: str = ""


@dataclass(frozen=True)
class Step:
    """A row and how to bring it about; ``write`` is None where nothing is to be written."""

    row: Row
    write: Callable[[Session, datetime], None] | None = None


def plan(export: Export) -> list[Step]:
    """Say for every record of the export what importing it would do. Writes nothing."""
    known = _known()
    steps = [Step(Row("error", *bad)) for bad in export.unreadable]
    steps += [_plan_page(entry) for entry in export.pages[:1]]
    steps += [_plan_entry("group", entry, known, _group) for entry in export.groups]
    steps += [_plan_entry("component", entry, known, _component) for entry in export.components]
    names = {row.id: row.name for row in db.session.execute(select(Component.id, Component.name))}
    names |= {step.row.id: step.row.title for step in steps if step.row.kind == "component" and step.write}
    steps += [_plan_entry("incident", entry, known, _incident(names)) for entry in export.incidents]
    steps += [_plan_entry("maintenance", entry, known, _maintenance(names)) for entry in export.maintenances]
    return steps


def apply(steps: list[Step], now: datetime) -> Iterator[Row]:
    """Bring the plan about, row by row; give each row with what became of it.

    Readers see the result at once at the end, not page by page.
    """
    interrupted = _interrupted()
    if not interrupted and not any(step.write for step in steps):
        yield from (step.row for step in steps)
        return
    _note("import_begin", now)
    for step in steps:
        yield _apply_step(step, now)
    with transaction(now) as session:
        mark_changed(session, "page", session.execute(select(Page.id)).scalar_one(), now)
        audit(session, None, "import_end", "import", "statuspage", now)


def _apply_step(step: Step, now: datetime) -> Row:
    if step.write is None:
        return step.row
    try:
        with transaction(now) as session:
            step.write(session, now)
    except (DataError, IntegrityError) as error:
        # What the plan could not see, such as an update's id that another incident has.
        return replace(step.row, outcome="error", reason=f"The database refused it: {error.orig}".partition("\n")[0])
    return step.row


def _note(action: str, now: datetime) -> None:
    with transaction(now) as session:
        audit(session, None, action, "import", "statuspage", now)


def _interrupted() -> bool:
    """Tell whether the last import was killed before it could tell the publishers."""
    last = select(AuditEntry.action).where(AuditEntry.object_kind == "import").order_by(AuditEntry.id.desc()).limit(1)
    return db.session.scalar(last) == "import_begin"


@dataclass(frozen=True)
class _Present:
    """What is here under an id already."""

    digest: str
    touched: bool
    """Changed here since it was imported, or made here."""


def _known() -> dict[str, dict[str, _Present]]:
    groups = db.session.execute(
        select(ComponentGroup.id, ComponentGroup.name, ComponentGroup.description, ComponentGroup.position)
    )
    return {
        "group": {row.id: _Present(_digest(list(row[1:])), touched=False) for row in groups},
        "component": _present(Component),
        "incident": _present(Incident),
        "maintenance": _present(Maintenance),
    }


def _present(table: type[Component] | type[Incident] | type[Maintenance]) -> dict[str, _Present]:
    found = {}
    for row in db.session.execute(select(table.id, table.imported, table.updated_at)):
        imported = row.imported or {}
        touched = imported.get("updated_at") != row.updated_at.isoformat()
        found[row.id] = _Present(str(imported.get("digest", "")), touched)
    return found


@dataclass(frozen=True)
class _Made:
    """A checked record: how to recognise it again and how to write it."""

    digest: str
    write: Callable[[Session, datetime], None]


def _plan_entry(
    kind: str, entry: Entry, known: dict[str, dict[str, _Present]], make: Callable[[Record], _Made]
) -> Step:
    row = Row(
        "create", kind, str(entry.record.get("id", "")), str(entry.record.get("name", "")), entry.file, entry.index
    )
    try:
        row = replace(row, id=identifier(entry.record), title=line(entry.record, "name", 255))
        made = make(entry.record)
    except (Unreadable, ValueError, OverflowError) as error:
        return Step(replace(row, outcome="error", reason=str(error)))
    present = known[kind].get(row.id)
    if present is None:
        return Step(row, made.write)
    if present.digest == made.digest:
        return Step(replace(row, outcome="unchanged"))
    if present.touched:
        return Step(replace(row, outcome="kept", reason="It was changed here, so it is left as it is."))
    return Step(replace(row, outcome="update"), made.write)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _imported(record: Record, digest: str, updated_at: datetime, **more: object) -> dict[str, Any]:
    """Return what to keep of a record beside its columns."""
    kept = {"source": "statuspage", "digest": digest, "updated_at": updated_at.isoformat(), "record": _rest(record)}
    return kept | {key: value for key, value in more.items() if value}


def _rest(record: Record) -> Record:
    return {key: value for key, value in record.items() if key not in _HELD and value is not None}


def _plan_page(entry: Entry) -> Step:
    """Take the source's name and zone while the page here is missing or has no components yet."""
    record = entry.record
    row = Row("update", "page", str(record.get("id", "")), str(record.get("name", "")), entry.file, None)
    try:
        name = line(record, "name", 100)
    except Unreadable as error:
        return Step(replace(row, outcome="error", reason=str(error)))
    zone, reason = str(record.get("time_zone") or "Etc/UTC"), ""
    if zone not in available_timezones():
        zone, reason = "Etc/UTC", f"Its time zone “{zone}” is unknown: Etc/UTC is used."
    present = db.session.execute(select(Page.name, Page.time_zone)).first()
    if present is not None and (present.name, present.time_zone) == (name, zone):
        return Step(replace(row, outcome="unchanged"))
    if present is not None and db.session.scalar(select(Component.id).limit(1)) is not None:
        return Step(replace(row, outcome="kept", reason="The page here has components, so its name and zone stay."))

    def write(session: Session, now: datetime) -> None:
        page = session.scalar(select(Page)) or Page(created_at=now)
        page.name, page.time_zone, page.updated_at = name, zone, now
        session.add(page)
        session.flush()
        audit(session, None, "import_page", "page", page.id, now, source=record)

    return Step(replace(row, outcome="update" if present else "create", reason=reason), write)


def _group(record: Record) -> _Made:
    columns = {
        "name": line(record, "name", 100),
        "description": text_of(record, "description")[:500],
        "position": int(record.get("position") or 0),
        "created_at": instant(record, "created_at"),
        "updated_at": instant(record, "updated_at", "created_at"),
    }

    def write(session: Session, _now: datetime) -> None:
        session.merge(ComponentGroup(id=record["id"], **columns))

    return _Made(_digest([columns["name"], columns["description"], columns["position"]]), write)


def _state(word: object) -> ComponentState:
    if not isinstance(word, str) or word not in STATES:
        raise Unreadable(f"The component state “{word}” is unknown.")
    return STATES[word]


def _component(record: Record) -> _Made:
    state = _state(record.get("status"))
    created_at, updated_at = instant(record, "created_at"), instant(record, "updated_at", "created_at")
    start = record.get("start_date")
    start_date = datetime.fromisoformat(start).date() if isinstance(start, str) else None
    group_id = record.get("group_id") or None
    description = text_of(record, "description")
    columns = {
        "name": line(record, "name", 100),
        "description": description[:500],
        "position": int(record.get("position") or 0),
        "start_date": start_date,
        "created_at": created_at,
        "updated_at": updated_at,
    }
    digest = _digest(record)
    imported = _imported(record, digest, updated_at, full_description=description if len(description) > 500 else "")

    def write(session: Session, now: datetime) -> None:
        component = session.get(Component, record["id"])
        fresh = component is None
        component = component or Component(id=record["id"], state=ComponentState.OPERATIONAL)
        for name, value in columns.items():
            setattr(component, name, value)
        component.imported = imported
        if group_id and session.get(ComponentGroup, group_id) is None:
            component.imported = imported | {"group_id": group_id}
        else:
            component.group_id = group_id
        component.archived_at = now if record.get("archived") else None
        session.add(component)
        session.flush()
        if fresh:
            session.add(_change(component.id, ComponentState.OPERATIONAL, created_at))
        if component.state is not state:
            component.state = state
            session.add(_change(component.id, state, max(updated_at, created_at)))

    return _Made(digest, write)


def _change(component_id: str, state: ComponentState, at: datetime, incident_id: str | None = None) -> Any:
    return ComponentStateChange(component_id=component_id, state=state, changed_at=at, incident_id=incident_id)


def _incident(names: dict[str, str]) -> Callable[[Record], _Made]:
    """Return how to check an incident's record, given the components there are: id to name."""

    def make(record: Record) -> _Made:
        stage = _choose(STAGES, record.get("status"), "stage")
        updates = _sorted_updates(record)
        said = [update for update in updates if update["status"] != "postmortem"]
        post_mortems = [update for update in updates if update["status"] == "postmortem"]
        digest = _digest({**record, "components": [part.get("id") for part in listed(record, "components")]})
        created_at, updated_at = instant(record, "created_at"), instant(record, "updated_at", "created_at")
        columns = {
            "title": line(record, "name", 255),
            "visibility": Visibility.PUBLIC,
            "stage": stage,
            "impact": IMPACTS.get(str(record.get("impact"))),
            "started_at": instant(record, "started_at", "created_at"),
            "declared_at": created_at,
            "resolved_at": _resolved_at(record, said, updated_at) if stage is Stage.RESOLVED else None,
            "last_posted_at": said[-1]["posted_at"] if said else created_at,
            "post_mortem": "\n\n".join(text_of(update, "body").strip() for update in post_mortems),
            "post_mortem_published_at": post_mortems[-1]["posted_at"] if post_mortems else None,
            "imported": _imported(
                record,
                digest,
                updated_at,
                post_mortems=[{"id": update["id"]} | _rest(update) for update in post_mortems],
            ),
            "created_at": created_at,
            "updated_at": updated_at,
        }
        rows = [_update(record, number, update, names) for number, update in enumerate(said, start=1)]
        affected = _affected(record, rows, names)

        def write(session: Session, _now: datetime) -> None:
            _write_incident(session, record["id"], columns, rows, affected)

        return _Made(digest, write)

    return make


def _resolved_at(record: Record, said: list[Record], otherwise: datetime) -> datetime:
    if record.get("resolved_at"):
        return instant(record, "resolved_at")
    ends = [update["posted_at"] for update in said if update["status"] == "resolved"]
    return ends[-1] if ends else otherwise


def _choose(words: dict[str, Any], word: object, what: str) -> Any:
    if not isinstance(word, str) or word not in words:
        raise Unreadable(f"The {what} “{word}” is unknown.")
    return words[word]


def _sorted_updates(record: Record) -> list[Record]:
    """Return copies of the updates, oldest first, with ``posted_at`` as an instant."""
    # They come newest first: reversed, those of one moment keep their order.
    updates = [
        {**update, "posted_at": instant(update, "display_at", "created_at"), "id": identifier(update)}
        for update in reversed(list(listed(record, "incident_updates")))
    ]
    return sorted(updates, key=lambda update: update["posted_at"])


def _update(record: Record, number: int, update: Record, names: dict[str, str]) -> dict[str, Any]:
    stage = _choose(STAGES, update.get("status"), "stage of an update")
    kind = MessageKind.ACKNOWLEDGE if number == 1 else MessageKind.UPDATE
    affected = list(listed(update, "affected_components"))
    return {
        **_message(update, number),
        "incident_id": record["id"],
        "kind": MessageKind.RESOLVE if stage is Stage.RESOLVED else kind,
        "stage": stage,
        "component_states": [
            {
                "component_id": str(part.get("code", "")),
                "name": names.get(str(part.get("code")), ""),
                "old_state": _state(part.get("old_status")).value,
                "new_state": _state(part.get("new_status")).value,
            }
            for part in affected
        ],
    }


def _message(update: Record, number: int) -> dict[str, Any]:
    """Return the columns that updates of incidents and of maintenances share."""
    body = to_markdown(text_of(update, "body"))
    # Statuspage's five component states do not fit our three: the originals stay beside them.
    return {
        "id": update["id"],
        "sequence": number,
        "body": body,
        "body_html": prose.to_html(body),
        "posted_at": update["posted_at"],
        "created_at": instant(update, "created_at", "display_at"),
        "imported": _rest(update),
    }


@dataclass
class _Affected:
    """A component of an incident: its state at the end and its worst."""

    state: ComponentState = ComponentState.OPERATIONAL
    worst: ComponentState = ComponentState.OPERATIONAL


def _affected(record: Record, rows: list[dict[str, Any]], names: dict[str, str]) -> dict[str, _Affected]:
    found = {component_id: _Affected() for component_id in _overlaid(record, names)}
    for row in rows:
        for part in row["component_states"]:
            affected = found[part["component_id"]]
            affected.state = ComponentState(part["new_state"])
            affected.worst = worst_state([affected.worst, affected.state, ComponentState(part["old_state"])])
    return found


def _overlaid(record: Record, names: dict[str, str]) -> list[str]:
    """Return the ids of every component a record names, each once."""
    named = [part.get("id") for part in listed(record, "components")]
    for update in listed(record, "incident_updates"):
        named += [part.get("code") for part in listed(update, "affected_components")]
    unknown = [part for part in named if part not in names]
    if unknown:
        raise Unreadable(f"The component {unknown[0]!r} is neither in the source nor here.")
    return list(dict.fromkeys(str(part) for part in named))


def _write_incident(
    session: Session,
    incident_id: str,
    columns: dict[str, Any],
    rows: list[dict[str, Any]],
    affected: dict[str, _Affected],
) -> None:
    for table in (Update, IncidentComponent):
        session.execute(delete(table).where(table.incident_id == incident_id))
    incident = session.get(Incident, incident_id) or Incident(id=incident_id)
    for name, value in columns.items():
        setattr(incident, name, value)
    session.add(incident)
    session.flush()
    session.add_all(Update(**row) for row in rows)
    session.add_all(
        IncidentComponent(
            incident_id=incident_id,
            component_id=component_id,
            state=part.state,
            worst_state=part.worst,
            position=position,
        )
        for position, (component_id, part) in enumerate(affected.items())
    )
    _record_states(session, incident_id, rows, columns["resolved_at"])


def _record_states(
    session: Session, incident_id: str, rows: list[dict[str, Any]], resolved_at: datetime | None
) -> None:
    """Add what the ledger of component states does not hold yet: it only grows."""
    table = ComponentStateChange
    held = session.execute(
        select(table.component_id, table.state, table.changed_at).where(table.incident_id == incident_id)
    )
    said = [
        (part["component_id"], ComponentState(part["new_state"]), row["posted_at"])
        for row in rows
        for part in row["component_states"]
        if part["old_state"] != part["new_state"]
    ]
    if resolved_at is not None:
        # Statuspage lets a component be set right by hand, of which an export says nothing: the end ends it too.
        last = {component_id: (state, at) for component_id, state, at in said}
        said += [
            (component_id, ComponentState.OPERATIONAL, max(at, resolved_at))
            for component_id, (state, at) in last.items()
            if state is not ComponentState.OPERATIONAL
        ]
    known = {tuple(row) for row in held}
    session.add_all(_change(*change, incident_id) for change in said if change not in known)


def _maintenance(names: dict[str, str]) -> Callable[[Record], _Made]:
    """Return how to check a maintenance's record, given the components there are: id to name."""

    def make(record: Record) -> _Made:
        stage = _choose(MAINTENANCE_STAGES, record.get("status"), "stage")
        updates = _sorted_updates(record)
        digest = _digest({**record, "components": [part.get("id") for part in listed(record, "components")]})
        created_at, updated_at = instant(record, "created_at"), instant(record, "updated_at", "created_at")
        completed_at = instant(record, "resolved_at", "updated_at") if stage is MaintenanceStage.COMPLETED else None
        columns = {
            "title": line(record, "name", 255),
            "stage": stage,
            "scheduled_for": instant(record, "scheduled_for"),
            "scheduled_until": max(
                instant(record, "scheduled_until", "scheduled_for"), instant(record, "scheduled_for")
            ),
            "completed_at": completed_at,
            "last_posted_at": updates[-1]["posted_at"] if updates else created_at,
            "imported": _imported(record, digest, updated_at),
            "created_at": created_at,
            "updated_at": updated_at,
        }
        rows = [
            _message(update, number)
            | {
                "maintenance_id": record["id"],
                "stage": _choose(MAINTENANCE_STAGES, update.get("status"), "stage of an update"),
            }
            for number, update in enumerate(updates, start=1)
        ]
        affected = _overlaid(record, names)

        def write(session: Session, _now: datetime) -> None:
            for table in (MaintenanceUpdate, MaintenanceComponent):
                session.execute(delete(table).where(table.maintenance_id == record["id"]))
            maintenance = session.get(Maintenance, record["id"]) or Maintenance(id=record["id"])
            for name, value in columns.items():
                setattr(maintenance, name, value)
            session.add(maintenance)
            session.flush()
            session.add_all(MaintenanceUpdate(**row) for row in rows)
            session.add_all(MaintenanceComponent(maintenance_id=record["id"], component_id=part) for part in affected)

        return _Made(digest, write)

    return make
