"""The incident room: what happened so far, and the form of the next public message."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime

from flask import Blueprint, current_app, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import incidents
from statuspage.actions.policies import policy_of
from statuspage.actions.promises import promises_of
from statuspage.actions.wording import overrides_of
from statuspage.db import db
from statuspage.models import Incident, InternalUpdate, MessageDraft, Page, Promise, Update
from statuspage.rules import messages
from statuspage.rules.languages import apology_in, help_in
from statuspage.rules.policy import UNOWED_NEXT_UPDATE
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import (
    IMPACT_OF,
    AccountRole,
    ComponentState,
    Conflict,
    IncidentRole,
    MessageKind,
    NotFound,
    PromiseState,
    RuleBroken,
    Severity,
)
from statuspage.settings import Settings
from statuspage.web import access
from statuspage.web.console import preview
from statuspage.web.console.clocks import FORMS, form_of
from statuspage.web.console.drills import play_of
from statuspage.web.console.incidents import grouped_components, people_options, posted_states
from statuspage.web.console.presence import deeds_in, people_in
from statuspage.web.console.told import counted_reach_of, lines_of, reach_of
from statuspage.web.console.wording import check_wording, marks_of
from statuspage.web.forms import STALE, StaleForm, form_token, posted_nonce, posted_version, typed
from statuspage.web.publishing import publish_at_once

blueprint = Blueprint("messages", __name__, url_prefix="/console/incidents")

Post = Callable[[str, incidents.Post, str, str, datetime], str]
ACTIONS: Mapping[MessageKind, Post] = {
    MessageKind.ACKNOWLEDGE: incidents.acknowledge,
    MessageKind.UPDATE: incidents.post_update,
    MessageKind.RESOLVE: incidents.resolve,
}


@blueprint.get("/<incident_id>")
@access.needs(AccountRole.VIEWER)
def room(incident_id: str) -> ResponseReturnValue:
    """Show the incident with the message it owes next already open."""
    incident = get_incident(incident_id)
    kind = MessageKind.ACKNOWLEDGE if incident.last_posted_at is None else MessageKind.UPDATE
    return _show(incident, kind, None, {})


@blueprint.get("/<incident_id>/<any(acknowledge, update, resolve):kind>")
@access.needs(AccountRole.VIEWER)
def form(incident_id: str, kind: str) -> ResponseReturnValue:
    """Show the incident with the form of this message open."""
    return _show(get_incident(incident_id), MessageKind(kind), None, {})


def post_again(incident_id: str, kind: str) -> ResponseReturnValue:
    """Show the posted form again, because its token was not taken."""
    return _show(get_incident(incident_id), MessageKind(kind), typed(), {"": STALE}), 403


@blueprint.post("/<incident_id>/<any(acknowledge, update, resolve):kind>")
@access.needs(AccountRole.COMMS)
def post(incident_id: str, kind: str) -> ResponseReturnValue:
    """Post the message; it is on the page when this returns."""
    chosen, now = MessageKind(kind), clock.now()
    try:
        draft, reason = messages.parse(chosen, typed(), now), typed().get("next_update_reason", "")
        states, overridden = _posted_states(chosen), check_wording(typed(), messages.text_fields(chosen))
        message = incidents.Post(draft, states, posted_version(), reason, overridden=overridden)
        ACTIONS[chosen](incident_id, message, posted_nonce(), current_user.id, now)
    except StaleForm:
        return post_again(incident_id, kind)
    except RuleBroken as broken:
        return _show(get_incident(incident_id), chosen, typed(), broken.errors), 422
    except Conflict as conflict:
        return _show(get_incident(incident_id), chosen, typed(), {"": str(conflict)}), 409
    publish_at_once(now)
    return redirect(url_for("messages.room", incident_id=incident_id, posted=kind), 303)


post.keep_typed = post_again  # type: ignore[attr-defined]


@blueprint.post("/<incident_id>/<any(acknowledge, update, resolve):kind>/preview")
@access.needs(AccountRole.VIEWER)
def show_preview(incident_id: str, kind: str) -> ResponseReturnValue:
    """Return how page, feed and mail would show what is typed so far; nothing is kept."""
    incident, chosen = get_incident(incident_id), MessageKind(kind)
    now = clock.now()
    return render_template(
        "console/preview.html",
        incident=incident,
        preview=_preview(incident, chosen, typed(), now),
        **_reach(incident, chosen, typed(), now),
    )


def _posted_states(kind: MessageKind) -> dict[str, ComponentState]:
    states = posted_states()
    offered = any(name.startswith("state_") for name in typed())
    if kind is MessageKind.ACKNOWLEDGE and offered and not states:
        raise RuleBroken({"components": "Please choose at least one affected component and its state."})
    return states


def get_incident(incident_id: str) -> Incident:
    """Return an incident as it stands now. Raises NotFound."""
    incident = db.session.get(Incident, incident_id, populate_existing=True)
    if incident is None:
        raise NotFound("incident")
    return incident


def _show(incident: Incident, kind: MessageKind, kept: dict[str, str] | None, errors: dict[str, str]) -> str:
    now, may_post = clock.now(), current_user.role.allows(AccountRole.COMMS)
    suggested = _suggested(incident, kind, now)
    draft = db.session.get(MessageDraft, (incident.id, kind, current_user.id)) if kept is None and may_post else None
    values = kept if kept is not None else suggested | (draft.fields if draft else {})
    states = {name.removeprefix("state_"): value for name, value in values.items() if name.startswith("state_")}
    lines, promises, play = lines_of(incident, now), _promises(incident, now), play_of(incident.id, now)
    return render_template(
        "console/room.html",
        incident=incident,
        kind=kind,
        fields=messages.FIELDS[kind],
        typed=values,
        errors=errors,
        marks=marks_of(values, messages.text_fields(kind)),
        overrides=overrides_of("update", [each.id for each in incident.updates]),
        form_token=form_token(),
        suggested=json.dumps(suggested),
        draft=draft,
        begin_at=_first_empty(kind, values),
        states=states,
        groups=grouped_components(),
        promises=promises,
        due=next(
            (each for each in promises if each.state is PromiseState.OPEN and FORMS[each.kind] == f"/{kind.value}"),
            None,
        ),
        timeline=_timeline(incident),
        form_of=form_of,
        longest=policy_of(incident.severity or Severity.SEV4).next_update,
        play=play,
        takes_messages=bool(errors) or (incident.is_open and not (play and play.drill.ended_at)),
        preview=_preview(incident, kind, values | {f"state_{each}": state for each, state in states.items()}, now),
        lines=lines,
        held=next((line for line in reversed(tuple(lines.values())) if line.leaves_at), None),
        **_reach(incident, kind, {f"state_{each}": state for each, state in states.items()}, now),
        people=people_in(incident.id, now),
        deeds=deeds_in(incident.id),
        roles=list(IncidentRole),
        names={each.role: each.account.name for each in incident.roles},
        holders={f"role_{each.role.value}": each.account_id for each in incident.roles},
        people_options=people_options(),
        may_post=may_post,
        may_help=current_user.role.allows(AccountRole.RESPONDER),
        now=now,
    )


def _suggested(incident: Incident, kind: MessageKind, now: datetime) -> dict[str, str]:
    """Return what the form opens with when nothing was typed yet, by the name of its control."""
    states = {f"state_{component_id}": state for component_id, state in _states(incident, kind).items()}
    return _opening_values(incident, kind, now) | states


def _first_empty(kind: MessageKind, values: Mapping[str, str]) -> str:
    """Return the name of the field the writer begins with: the first one that must be filled in and is not."""
    empty = (each.name for each in messages.FIELDS[kind] if each.required and not values.get(each.name, "").strip())
    return next(empty, messages.FIELDS[kind][0].name)


def _reach(incident: Incident, kind: MessageKind, values: Mapping[str, str], now: datetime) -> dict[str, object]:
    """Return whom the message tells with the components chosen now, and how long its mails wait."""
    until = policy_of(incident.severity or Severity.SEV4).undo_until(kind, now)
    return {
        "reach": reach_of(incident, _told_components(incident, values)),
        "undo_window": until - now if until else None,
    }


def _promises(incident: Incident, now: datetime) -> list[Promise]:
    """Return an incident's promises: the open ones soonest first, then what became of the others, newest first."""
    listed = promises_of(db.session(), incident.id)
    opened = sorted((each for each in listed if each.state is PromiseState.OPEN), key=lambda each: each.due_at)
    settled = sorted((each for each in listed if each not in opened), key=lambda each: each.settled_at or now)
    return [*opened, *reversed(settled)]


def _timeline(incident: Incident) -> list[Update | InternalUpdate]:
    """Return what was said, in public and among the team, newest first."""
    query = select(InternalUpdate).where(InternalUpdate.incident_id == incident.id)
    said: list[Update | InternalUpdate] = [*incident.updates, *db.session.scalars(query)]
    return sorted(said, key=lambda each: each.posted_at, reverse=True)


def _preview(incident: Incident, kind: MessageKind, values: Mapping[str, str], now: datetime) -> preview.Preview:
    settings: Settings = current_app.config["STATUSPAGE"]
    reach = counted_reach_of(incident, _told_components(incident, values))
    return preview.of_message(incident, kind, values, reach, settings, now)


def _told_components(incident: Incident, values: Mapping[str, str]) -> set[str]:
    chosen = {name.removeprefix("state_") for name, value in values.items() if name.startswith("state_") and value}
    if incident.last_posted_at is not None or not chosen:
        # Only the first message may leave a component out.
        chosen |= {each.component_id for each in incident.components}
    return chosen


def _opening_values(incident: Incident, kind: MessageKind, now: datetime) -> dict[str, str]:
    """Fill the form from what is known, so that little is left to type."""
    severity = incident.severity or Severity.SEV3
    next_update = policy_of(severity).next_update or UNOWED_NEXT_UPDATE
    return messages.defaults(kind, _known(incident, kind, severity), next_update, incident.stage, now)


def _known(incident: Incident, kind: MessageKind, severity: Severity) -> dict[str, str]:
    acknowledged = next((each.fields or {} for each in reversed(incident.updates)), {})
    latest = next((each.fields or {} for each in incident.updates if each.kind is MessageKind.UPDATE), {})
    page = db.session.scalar(select(Page))
    names = ", ".join(affected.component.name for affected in incident.components)
    opening = incident.opening or {}
    return {
        "symptoms": opening.get("symptoms", ""),
        "affected": latest.get("affected") or acknowledged.get("symptoms", "")
        if kind is MessageKind.UPDATE
        else acknowledged.get("affected") or opening.get("affected", names),
        "experienced": acknowledged.get("symptoms", ""),
        "impact": IMPACT_OF[severity].value,
        "started_at": typed_instant(incident.started_at),
        "apology": apology_in(incident.language),
        "help": help_in(incident.language, page.support_url) if page and page.support_url else "",
    }


def _states(incident: Incident, kind: MessageKind) -> dict[str, str]:
    """The state each component's control opens with; resolving offers operational."""
    resolving = kind is MessageKind.RESOLVE
    return {
        each.component_id: ComponentState.OPERATIONAL.value if resolving else each.state.value
        for each in incident.components
    }
