"""The audit log as people read it: who did what to which thing, filtered, a page at a time, and as CSV."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask.ctx import AppContext
from sqlalchemy import ColumnElement, Select, select

from statuspage.actions import csv_rows
from statuspage.db import db
from statuspage.models import (
    Account,
    ApiToken,
    AuditEntry,
    Channel,
    Component,
    ComponentGroup,
    Incident,
    Maintenance,
)
from statuspage.rendering import machine_instant
from statuspage.rules.vocabulary import RuleBroken

ON_PAGE = 100
PROGRAMS, NOBODY = "programs", "nobody"
COLUMNS = ("id", "at", "who", "who_id", "action", "object", "object_id", "detail")

# What is called by name, and where it is to be seen. Of subscribers and customers the id alone: an address may have
# to be erased, and this list can't be.
_NAMES: Mapping[str, tuple[type[Any], str, str]] = {
    "incident": (Incident, "title", "/console/incidents/{}"),
    "maintenance": (Maintenance, "title", "/console/maintenance/{}"),
    "component": (Component, "name", "/admin/components/#component-{}"),
    "component_group": (ComponentGroup, "name", "/admin/components/"),
    "account": (Account, "name", "/admin/people/"),
    "api_token": (ApiToken, "name", "/admin/tokens/"),
    "channel": (Channel, "name", "/admin/channels/"),
}
_PLACES: Mapping[str, str] = {
    "subscriber": "/admin/subscribers/{}",
    "import": "/admin/imports/{}",
    "policy": "/admin/policies/{}",
    "template": "/admin/templates/{}",
    "page": "/admin/page/",
}
KINDS: Mapping[str, str] = {
    "incident": "Incident",
    "update": "Update",
    "promise": "Promise",
    "document": "Post-incident document",
    "announcement": "Sending",
    "maintenance": "Maintenance",
    "maintenance_series": "Maintenance series",
    "component": "Component",
    "component_group": "Group of components",
    "page": "Page",
    "policy": "Policy",
    "template": "Wording",
    "account": "Person",
    "api_token": "API key",
    "channel": "Channel",
    "integration": "Integration",
    "subscriber": "Subscriber",
    "customer": "Customer",
    "suppression": "Suppression",
    "import": "Import",
}


@dataclass(frozen=True)
class Filter:
    """Which entries are asked for; empty is all."""

    who: str = ""
    """An account's id, or one of ``programs`` and ``nobody``."""
    kind: str = ""
    object_id: str = ""
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True)
class Line:
    """One entry in words."""

    id: int
    acted_at: datetime
    who: str
    who_id: str
    action: str
    kind: str
    object_id: str
    name: str
    """What the object is called today; empty if it has no name, or is gone."""
    path: str
    detail: Mapping[str, Any]


def check_filter(asked: Mapping[str, str]) -> Filter:
    """Return what a search asks for. Raises RuleBroken on ``first`` or ``last`` for what is no day."""
    days: dict[str, date | None] = {}
    errors = {}
    for name in ("first", "last"):
        text = asked.get(name, "").strip()
        try:
            days[name] = date.fromisoformat(text) if text else None
        except ValueError:
            errors[name] = "Please give a day, such as 2026-11-21."
    if errors:
        raise RuleBroken(errors)
    return Filter(asked.get("who", ""), asked.get("kind", ""), asked.get("object", ""), days["first"], days["last"])


def read(chosen: Filter, before: int | None) -> tuple[list[Line], int | None]:
    """Return a page of entries, newest first, and the key to go on from; None behind the last one."""
    found = db.session.scalars(_query(chosen, before).limit(ON_PAGE + 1)).all()
    shown = found[:ON_PAGE]
    return _lines(shown), shown[-1].id if len(found) > ON_PAGE else None


def export(chosen: Filter, app_context: Callable[[], AppContext]) -> Iterator[str]:
    """Give the CSV's lines, a thousand entries at a time: neither transaction nor context stays open between."""
    yield _csv([COLUMNS])
    before: int | None = None
    while True:
        with app_context():
            found = db.session.scalars(_query(chosen, before).limit(csv_rows.BATCH)).all()
            rows = [_row(line) for line in _lines(found)]
        if not rows:
            return
        before = int(rows[-1][0])
        yield _csv(rows)


def _query(chosen: Filter, before: int | None) -> Select[AuditEntry]:
    conditions: list[ColumnElement[bool]] = []
    if chosen.who == PROGRAMS:
        conditions.append(AuditEntry.token_id.is_not(None))
    elif chosen.who == NOBODY:
        conditions += [AuditEntry.account_id.is_(None), AuditEntry.token_id.is_(None)]
    elif chosen.who:
        conditions.append(AuditEntry.account_id == chosen.who)
    if chosen.kind:
        conditions.append(AuditEntry.object_kind == chosen.kind)
    if chosen.object_id:
        conditions.append(AuditEntry.object_id == chosen.object_id)
    if chosen.first:
        conditions.append(AuditEntry.acted_at >= _midnight(chosen.first))
    if chosen.last and chosen.last < date.max:
        conditions.append(AuditEntry.acted_at < _midnight(chosen.last + timedelta(days=1)))
    if before is not None:
        conditions.append(AuditEntry.id < before)
    return select(AuditEntry).where(*conditions).order_by(AuditEntry.id.desc())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _lines(entries: Sequence[AuditEntry]) -> list[Line]:
    people = _names(Account, "name", (each.account_id for each in entries))
    tokens = _names(ApiToken, "name", (each.token_id for each in entries))
    names = {
        kind: _names(table, column, (each.object_id for each in entries if each.object_kind == kind))
        for kind, (table, column, _) in _NAMES.items()
    }
    lines = []
    for each in entries:
        kind, who = each.object_kind, "The service"
        if each.account_id:
            who = people.get(each.account_id, "Somebody")
        elif each.token_id:
            who = f"Program “{tokens.get(each.token_id, '?')}”"
        name = names.get(kind, {}).get(each.object_id, "")
        place = _NAMES[kind][2] if name else _PLACES.get(kind, "")
        lines.append(
            Line(
                id=each.id,
                acted_at=each.acted_at,
                who=who,
                who_id=each.account_id or each.token_id or "",
                action=each.action.replace("_", " "),
                kind=kind,
                object_id=each.object_id,
                name=name,
                path=place.format(each.object_id),
                detail=each.detail,
            )
        )
    return lines


def _names(table: type[Any], column: str, ids: Iterable[str | None]) -> dict[str, str]:
    wanted = {each for each in ids if each}
    if not wanted:
        return {}
    found = db.session.execute(select(table.id, getattr(table, column)).where(table.id.in_(wanted)))
    return {row.id: str(row[1]) for row in found}


def _row(line: Line) -> tuple[str, ...]:
    detail = json.dumps(line.detail, ensure_ascii=False, sort_keys=True) if line.detail else ""
    at = machine_instant(line.acted_at)
    return (str(line.id), at, line.who, line.who_id, line.action, line.kind, line.object_id, detail)


def _csv(rows: Sequence[tuple[str, ...]]) -> str:
    written = io.StringIO(newline="")
    csv.writer(written).writerows([csv_rows.quoted(cell) for cell in row] for row in rows)
    return written.getvalue()
