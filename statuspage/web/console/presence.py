"""Two people in one incident room: who else is there, and what they did since one last looked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import ScalarSelect, Select, and_, func, literal, select, union_all

from statuspage import clock
from statuspage.actions import drafts
from statuspage.db import db
from statuspage.models import Account, AuditEntry, Incident, InternalUpdate, MessageDraft, Presence, Promise, Update
from statuspage.rules.vocabulary import AccountRole, MessageKind, NotFound
from statuspage.web import access

blueprint = Blueprint("presence", __name__, url_prefix="/console/incidents")

# A room asks every 5 seconds and is noted every 10: who was not seen for so long has left.
HERE_FOR = timedelta(seconds=30)
# Whoever has a draft but has not typed for so long is reading.
WRITING_FOR = timedelta(minutes=5)
MOST_NEWS = 20

WRITTEN: Mapping[MessageKind, str] = {
    MessageKind.ACKNOWLEDGE: "the first message",
    MessageKind.UPDATE: "an update",
    MessageKind.RESOLVE: "the resolve message",
}

# What others did, by the name under which it is on record.
DEEDS: Mapping[str, str] = {
    "acknowledge": "posted the first message",
    "update": "posted an update",
    "resolve": "resolved the incident",
    "holding_update": "posted the holding update",
    "internal_update": "told the team",
    "regrade": "changed the severity",
    "correct_declaration": "corrected the declaration",
    "assign_roles": "changed who does what",
    "reopen": "re-opened the incident",
    "close": "closed the incident",
    "end_drill": "ended the drill",
    "take_back": "took a message back before it was mailed",
    "correct_update": "corrected a message",
    "send_unchanged": "sent a message that was taken back",
    "snooze": "is on it: reminders wait",
    "ask_waiver": "asked for a waiver",
    "grant_waiver": "granted a waiver",
    "refuse_waiver": "refused a waiver",
}


@dataclass(frozen=True)
class Person:
    """Somebody else in the room."""

    name: str
    writes: str
    """In words; empty for who only reads."""
    since: datetime | None


@dataclass(frozen=True)
class News:
    """One thing that was done since one last looked."""

    who: str
    did: str
    at: datetime
    html: str
    """Of the public message it is about, if it is about one."""
    text: str
    """Of the internal update it is about."""
    is_first_message: bool
    """Whether nobody can post the first message any more."""


@blueprint.post("/<incident_id>/presence")
@access.needs(AccountRole.VIEWER)
def look(incident_id: str) -> ResponseReturnValue:
    """Note that one is here; return who else is, and what they did since."""
    now = clock.now()
    drafts.be_present(incident_id, current_user.id, now)
    found = db.session.execute(
        select(Incident.version, _deeds(incident_id).label("deeds")).where(Incident.id == incident_id)
    ).one_or_none()
    if found is None:
        raise NotFound("incident")
    seen = request.form.get("seen", "")
    since = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 10 else found.deeds
    return render_template(
        "console/presence.html",
        people=people_in(incident_id, now),
        news=_news(incident_id, since) if found.deeds > since else [],
        room=url_for("messages.room", incident_id=incident_id),
        deeds=found.deeds,
        version=found.version,
        now=now,
    )


def people_in(incident_id: str, now: datetime) -> list[Person]:
    """Return who else is in the room, by name."""
    rows = db.session.execute(
        select(Account.id, Account.name, MessageDraft.kind, MessageDraft.begun_at)
        .select_from(Presence)
        .join(Account, Presence.account_id == Account.id)
        .outerjoin(
            MessageDraft,
            and_(
                MessageDraft.incident_id == Presence.incident_id,
                MessageDraft.account_id == Presence.account_id,
                MessageDraft.saved_at > now - WRITING_FOR,
            ),
        )
        .where(
            Presence.incident_id == incident_id,
            Presence.account_id != current_user.id,
            Presence.seen_at > now - HERE_FOR,
        )
        .order_by(Account.name, Account.id, MessageDraft.saved_at)
    )
    # Of several drafts the one typed last is what somebody writes.
    people = {row.id: Person(row.name, WRITTEN[row.kind] if row.kind else "", row.begun_at) for row in rows}
    return list(people.values())


def deeds_in(incident_id: str) -> int:
    """Return how many things were done to an incident so far: whoever has seen its page has seen these."""
    return db.session.execute(select(_deeds(incident_id))).scalar_one()


def _deeds(incident_id: str) -> ScalarSelect[int]:
    # Counted, not the highest number: of two that commit at once the lower number may come later.
    count = select(func.count()).select_from(AuditEntry).where(AuditEntry.object_id.in_(_subjects(incident_id)))
    return count.scalar_subquery()


def _subjects(incident_id: str) -> Select[tuple[str]]:
    """The incident, its public messages and its promises."""
    ids = union_all(
        select(literal(incident_id).label("id")),
        select(Update.id).where(Update.incident_id == incident_id),
        select(Promise.id).where(Promise.incident_id == incident_id),
    ).subquery()
    return select(ids.c.id)


def _news(incident_id: str, since: int) -> list[News]:
    """Return what was done after the first ``since`` things, with the words of the messages among it."""
    entries = db.session.execute(
        select(AuditEntry, Account.name)
        .outerjoin(Account, AuditEntry.account_id == Account.id)
        .where(AuditEntry.object_id.in_(_subjects(incident_id)))
        .order_by(AuditEntry.id)
        .offset(since)
        .limit(MOST_NEWS)
    ).all()
    about = {str(entry.detail.get("update_id", entry.object_id)) for entry, _ in entries}
    public = db.session.execute(select(Update.id, Update.body_html).where(Update.id.in_(about)))
    internal = db.session.execute(select(InternalUpdate.id, InternalUpdate.body).where(InternalUpdate.id.in_(about)))
    html = {row.id: row.body_html for row in public}
    text = {row.id: row.body for row in internal}
    found = []
    for entry, name in entries:
        subject = str(entry.detail.get("update_id", entry.object_id))
        did = DEEDS.get(entry.action, "changed something")
        first = entry.action == "acknowledge"
        found.append(News(_who(entry, name), did, entry.acted_at, html.get(subject, ""), text.get(subject, ""), first))
    return found


def _who(entry: AuditEntry, name: str | None) -> str:
    if entry.account_id == current_user.id:
        return "You"
    return name or ("The clock" if entry.action == "holding_update" else "A program")
