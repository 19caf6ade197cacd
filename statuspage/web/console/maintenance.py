"""Maintenance windows: the list, the form that plans one, and each window's own page."""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from statuspage import clock
from statuspage.actions import maintenances
from statuspage.actions.audiences import maintenance_reach
from statuspage.actions.maintenances import Change, Message, Plan, SeriesEnd
from statuspage.actions.wording import overrides_of
from statuspage.db import db
from statuspage.models import Maintenance
from statuspage.rules import maintenance as rules
from statuspage.rules import recurrence
from statuspage.rules.progress import reach_in_words
from statuspage.rules.vocabulary import (
    AccountRole,
    Conflict,
    MaintenanceStage,
    NotFound,
    RuleBroken,
    SubscriptionMethod,
    choose,
)
from statuspage.web import access
from statuspage.web.console.counting import counts
from statuspage.web.console.incidents import grouped_components
from statuspage.web.console.told import REACH_TIMES_AS_LONG
from statuspage.web.console.wording import check_wording, marks_of
from statuspage.web.forms import STALE, StaleForm, form_token, posted_nonce, posted_version, typed
from statuspage.web.publishing import publish_at_once

blueprint = Blueprint("maintenance", __name__, url_prefix="/console/maintenance")

PAST_SHOWN = 50
DATES_SHOWN = 3
REPEATS = (
    ("", "Never"),
    ("weekly", "Every week, on the same day"),
    ("monthly", "Every month, on the same weekday (such as the second Saturday)"),
    ("custom", "By a rule of your own"),
)


class SeriesWindows(StrEnum):
    """What becomes of the windows in the calendar when their series ends."""

    CANCEL = "cancel"
    KEEP = "keep"


LABELS = {
    "title": "Title",
    "body": "What it is about",
    "components": "Components",
    "scheduled_for": "Start",
    "scheduled_until": "End",
    "remind_minutes": "Reminder",
    "repeat": "Repeat",
    "rule": "Rule",
    "stage": "Stage",
    "windows": "Windows in the calendar",
    "why": "Why",
    "wording": "Plain language",
}
TEXTS = ("title", "body")
"""What customers read of a window."""
DEFAULTS = {"notifies": "yes", "starts_itself": "yes", "finishes_itself": "yes", "remind_minutes": "60", "repeat": ""}
_PAGE = "maintenance.show"


@dataclass(frozen=True)
class Look:
    """What a plan comes to, shown before it is kept."""

    window: str
    repeats: str
    dates: tuple[str, ...]
    reach: str
    overlaps: tuple[str, ...]


@blueprint.get("/")
@access.needs(AccountRole.VIEWER)
def index() -> ResponseReturnValue:
    """List what is planned, what runs and what is over."""
    options = (selectinload(Maintenance.components), selectinload(Maintenance.series))
    query = select(Maintenance).options(*options).execution_options(populate_existing=True)
    open_ones = db.session.scalars(query.where(Maintenance.stage.in_(rules.OPEN)).order_by(Maintenance.scheduled_for))
    past = query.where(Maintenance.stage == MaintenanceStage.COMPLETED).order_by(Maintenance.scheduled_for.desc())
    found = open_ones.unique().all()
    return render_template(
        "console/maintenance_list.html",
        running=[each for each in found if each.stage in rules.RUNNING],
        upcoming=[each for each in found if each.stage is MaintenanceStage.SCHEDULED],
        past=db.session.scalars(past.limit(PAST_SHOWN)).unique().all(),
        in_words=_in_words(),
        may_plan=_may_write(),
        now=clock.now(),
    )


@blueprint.get("/new")
@access.needs(AccountRole.COMMS)
def new() -> ResponseReturnValue:
    """Show the form that plans a window."""
    return _form(dict(DEFAULTS), (), {})


def plan_again() -> ResponseReturnValue:
    """Show the posted form again, because its token was not taken."""
    return _form(typed(), _chosen(), {"": STALE}), 403


@blueprint.post("/new")
@access.needs(AccountRole.COMMS)
def plan() -> ResponseReturnValue:
    """Plan the window; or only show what it comes to."""
    now = clock.now()
    try:
        wanted = _posted_plan()
        if request.form.get("action") == "check":
            wanted = maintenances.check(db.session(), wanted, now)
            return _form(typed(), _chosen(), {}, _look(wanted))
        wanted = replace(wanted, overridden=check_wording(typed(), TEXTS))
        maintenance_id = maintenances.schedule(wanted, posted_nonce(), current_user.id, now)
    except StaleForm:
        return plan_again()
    except Conflict as conflict:
        return _form(typed(), _chosen(), {"": str(conflict)}), 409
    except RuleBroken as broken:
        return _form(typed(), _chosen(), broken.errors), 422
    publish_at_once(now)
    return redirect(url_for(_PAGE, maintenance_id=maintenance_id, done="planned"), 303)


plan.keep_typed = plan_again  # type: ignore[attr-defined]


@blueprint.get("/<maintenance_id>")
@access.needs(AccountRole.VIEWER)
def show(maintenance_id: str) -> ResponseReturnValue:
    """Show a window: what was said, who hears of it, and what can be done with it."""
    return _show(_get(maintenance_id), {}, {})


@blueprint.get("/<maintenance_id>/edit")
@access.needs(AccountRole.COMMS)
def edit_form(maintenance_id: str) -> ResponseReturnValue:
    """Show the form that changes, moves or extends a window."""
    window = _get(maintenance_id)
    return _edit(window, _present(window), {each.component_id for each in window.components}, {})


def edit_again(maintenance_id: str) -> ResponseReturnValue:
    """Show the posted form again, because its token was not taken."""
    return _edit(_get(maintenance_id), typed(), _chosen(), {"": STALE}), 403


@blueprint.post("/<maintenance_id>/edit")
@access.needs(AccountRole.COMMS)
def edit(maintenance_id: str) -> ResponseReturnValue:
    """Change a window; a move is told to everybody who was told of it."""
    now = clock.now()
    try:
        window = _get(maintenance_id)
        # A title that stays was decided on before.
        names = ["body"] if typed().get("title") == window.title else TEXTS
        wanted = replace(_posted_change(window), overridden=check_wording(typed(), names))
        maintenances.change(maintenance_id, wanted, posted_version(), posted_nonce(), current_user.id, now)
    except StaleForm:
        return edit_again(maintenance_id)
    except RuleBroken as broken:
        return _edit(_get(maintenance_id), typed(), _chosen(), broken.errors), 422
    except Conflict as conflict:
        return _edit(_get(maintenance_id), typed(), _chosen(), {"": str(conflict)}), 409
    publish_at_once(now)
    return redirect(url_for(_PAGE, maintenance_id=maintenance_id, done="changed"), 303)


edit.keep_typed = edit_again  # type: ignore[attr-defined]


def act_again(maintenance_id: str, what: str) -> ResponseReturnValue:  # noqa: ARG001  (as the view is called)
    """Show the posted form again, because its token was not taken."""
    return _show(_get(maintenance_id), typed(), {"": STALE}), 403


@blueprint.post("/<maintenance_id>/<any(update, start, finish, cancel):what>")
@access.needs(AccountRole.COMMS)
def act(maintenance_id: str, what: str) -> ResponseReturnValue:
    """Say something about a window, start it, finish it, call it off."""
    now, by = clock.now(), current_user.id
    try:
        overridden = check_wording(typed(), ["body"])
        message = Message(request.form.get("body", ""), request.form.get("tell") == "yes", overridden)
        version, nonce = posted_version(), posted_nonce()
        if what == "update":
            stage = choose(MaintenanceStage, request.form.get("stage", ""), "stage", "Please choose a stage.")
            maintenances.post_update(maintenance_id, stage, message, version, nonce, by, now)
        else:
            _ACTIONS[what](maintenance_id, message, version, nonce, by, now)
    except StaleForm:
        return act_again(maintenance_id, what)
    except RuleBroken as broken:
        return _show(_get(maintenance_id), typed(), broken.errors, what), 422
    except Conflict as conflict:
        return _show(_get(maintenance_id), typed(), {"": str(conflict)}, what), 409
    publish_at_once(now)
    return redirect(url_for(_PAGE, maintenance_id=maintenance_id, done=what), 303)


act.keep_typed = act_again  # type: ignore[attr-defined]

_Act = Callable[[str, Message, int, str, str, datetime], str]
_ACTIONS: dict[str, _Act] = {
    "start": maintenances.start,
    "finish": maintenances.finish,
    "cancel": maintenances.cancel,
}


def end_series_again(maintenance_id: str) -> ResponseReturnValue:
    """Show the posted form again, because its token was not taken."""
    return _show(_get(maintenance_id), typed(), {"": STALE}), 403


@blueprint.post("/<maintenance_id>/end-series")
@access.needs(AccountRole.COMMS)
def end_series(maintenance_id: str) -> ResponseReturnValue:
    """Plan no further windows of a window's series; call off or keep those in the calendar."""
    window, now = _get(maintenance_id), clock.now()
    if window.series_id is None:
        raise NotFound("series")
    try:
        wanted = choose(
            SeriesWindows, request.form.get("windows", ""), "windows", "Please choose what becomes of them."
        )
        end = SeriesEnd(wanted is SeriesWindows.KEEP, request.form.get("why", ""))
        maintenances.end_series(window.series_id, end, posted_nonce(), current_user.id, now)
    except StaleForm:
        return end_series_again(maintenance_id)
    except RuleBroken as broken:
        # The page has another field of that name.
        errors = {"why" if name == "body" else name: sentence for name, sentence in broken.errors.items()}
        return _show(_get(maintenance_id), typed(), errors), 422
    except Conflict as conflict:
        return _show(_get(maintenance_id), typed(), {"": str(conflict)}), 409
    publish_at_once(now)
    return redirect(url_for(_PAGE, maintenance_id=maintenance_id, done=f"ended_{wanted.value}"), 303)


end_series.keep_typed = end_series_again  # type: ignore[attr-defined]


def _get(maintenance_id: str) -> Maintenance:
    db.session.rollback()
    found = db.session.get(Maintenance, maintenance_id, populate_existing=True)
    if found is None:
        raise NotFound("maintenance")
    return found


def _zone() -> ZoneInfo:
    return maintenances.page_zone(db.session())


def _in_words() -> Callable[[Maintenance], str]:
    zone = _zone()
    return lambda window: rules.window_in_words(window.scheduled_for, window.scheduled_until, zone)


def _may_write() -> bool:
    return bool(current_user.role.allows(AccountRole.COMMS))


def _chosen() -> set[str]:
    return set(request.form.getlist("component"))


def _instants(errors: dict[str, str]) -> tuple[datetime, datetime]:
    """Return the posted start and end; put a sentence into ``errors`` for what is no time."""
    found, zone = [], _zone()
    for name in ("scheduled_for", "scheduled_until"):
        try:
            found.append(rules.parse_local(name, request.form.get(name, ""), zone))
        except RuleBroken as broken:
            errors |= broken.errors
            found.append(clock.now())
    return found[0], found[1]


def _reminder(errors: dict[str, str]) -> int | None:
    """Return how many minutes before the start; None for no reminder."""
    text = request.form.get("remind_minutes", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        errors["remind_minutes"] = "Please give a number of minutes, or nothing for no reminder."
        return None
    return int(text)


def _posted_plan() -> Plan:
    """Check the whole form at once, so that every mistake is told at once."""
    errors: dict[str, str] = {}
    begins, ends = _instants(errors)
    minutes = _reminder(errors)
    wanted = Plan(
        title=request.form.get("title", ""),
        body=request.form.get("body", ""),
        component_ids=tuple(sorted(_chosen())),
        scheduled_for=begins,
        scheduled_until=ends,
        starts_itself=request.form.get("starts_itself") == "yes",
        finishes_itself=request.form.get("finishes_itself") == "yes",
        notifies=request.form.get("notifies") == "yes",
        remind_minutes=minutes,
        rule=_rule(begins, errors),
    )
    if errors:
        # What stands on times that are none is not worth a sentence.
        checked = replace(wanted, rule="") if "scheduled_for" in errors else wanted
        try:
            maintenances.check(db.session(), checked, clock.now())
        except RuleBroken as broken:
            errors = broken.errors | errors
        raise RuleBroken(errors)
    return wanted


def _rule(begins: datetime, errors: dict[str, str]) -> str:
    first = begins.astimezone(_zone()).date()
    match request.form.get("repeat", ""):
        case "":
            return ""
        case "weekly":
            return recurrence.weekly(first)
        case "monthly":
            return recurrence.monthly(first)
        case "custom" if request.form.get("rule", "").strip():
            return request.form["rule"]
        case "custom":
            errors["rule"] = "Please give a repetition rule like FREQ=WEEKLY;BYDAY=SU."
        case _:
            errors["repeat"] = "Please choose one of the options."
    return ""


def _posted_change(window: Maintenance) -> Change:
    errors: dict[str, str] = {}
    begins, ends = _instants(errors)
    minutes = _reminder(errors)
    if errors:
        raise RuleBroken(errors)
    zone = _zone()
    # The form knows minutes; what was planned to the second is not moved by opening it.
    kept = {
        name: getattr(window, name)
        for name, posted in (("scheduled_for", begins), ("scheduled_until", ends))
        if rules.typed_local(getattr(window, name), zone) == rules.typed_local(posted, zone)
    }
    return Change(
        title=request.form.get("title", ""),
        component_ids=tuple(sorted(_chosen())),
        scheduled_for=kept.get("scheduled_for", begins),
        scheduled_until=kept.get("scheduled_until", ends),
        starts_itself=request.form.get("starts_itself") == "yes",
        finishes_itself=request.form.get("finishes_itself") == "yes",
        notifies=request.form.get("notifies") == "yes",
        remind_minutes=minutes or 0,
        body=request.form.get("body", ""),
        tell=request.form.get("notifies") == "yes",
    )


def _present(window: Maintenance) -> dict[str, str]:
    zone = _zone()
    flags = {name: "yes" for name in ("notifies", "starts_itself", "finishes_itself") if getattr(window, name)}
    return flags | {
        "title": window.title,
        "scheduled_for": rules.typed_local(window.scheduled_for, zone),
        "scheduled_until": rules.typed_local(window.scheduled_until, zone),
        "remind_minutes": str(window.remind_minutes or ""),
    }


def _look(wanted: Plan) -> Look:
    zone = _zone()
    dates: Sequence[tuple[datetime, datetime]] = ()
    repeats = ""
    if wanted.rule:
        rule = recurrence.parse(wanted.rule)
        repeats = recurrence.in_words(rule)
        before = wanted.scheduled_for - timedelta(microseconds=1)
        coming = recurrence.occurrences(rule, wanted.scheduled_for, wanted.scheduled_until, zone, before)
        dates = list(itertools.islice(coming, DATES_SHOWN))
    return Look(
        rules.window_in_words(wanted.scheduled_for, wanted.scheduled_until, zone),
        repeats,
        tuple(rules.window_in_words(*each, zone) for each in dates),
        _reach(wanted.component_ids) if wanted.notifies else "",
        _overlaps(wanted.scheduled_for, wanted.scheduled_until, wanted.component_ids),
    )


def _reach(component_ids: Collection[str], maintenance_id: str | None = None) -> str:
    """Return in words who hears of a window."""
    return reach_in_words(counted_reach(component_ids, maintenance_id))


def counted_reach(component_ids: Collection[str], maintenance_id: str | None) -> Mapping[SubscriptionMethod, int]:
    """Return how many hear of a window by which method; counting takes a second with a million subscribers."""
    key = ("maintenance_reach", maintenance_id, frozenset(component_ids))
    kept = counts()
    reach: Mapping[SubscriptionMethod, int] | None = kept.get(key)
    if reach is None:
        reach = kept.ask(lambda: {key: maintenance_reach(component_ids, maintenance_id)}, REACH_TIMES_AS_LONG)[key]
    return reach


def _overlaps(begins: datetime, ends: datetime, component_ids: Collection[str], besides: str = "") -> tuple[str, ...]:
    """Return the titles of open windows at the same time that share a component."""
    query = select(Maintenance).where(
        Maintenance.stage.in_(rules.OPEN),
        Maintenance.id != besides,
        Maintenance.scheduled_for < ends,
        Maintenance.scheduled_until > begins,
    )
    found = db.session.scalars(query.order_by(Maintenance.scheduled_for)).unique()
    wanted = set(component_ids)
    return tuple(each.title for each in found if wanted & {part.component_id for part in each.components})


def _form(values: dict[str, str], chosen: Collection[str], errors: dict[str, str], look: Look | None = None) -> str:
    return render_template("console/maintenance_form.html", window=None, look=look, **_fields(values, chosen, errors))


def _edit(window: Maintenance, values: dict[str, str], chosen: Collection[str], errors: dict[str, str]) -> str:
    return render_template("console/maintenance_form.html", window=window, look=None, **_fields(values, chosen, errors))


def _fields(values: dict[str, str], chosen: Collection[str], errors: dict[str, str]) -> dict[str, object]:
    zone, now = _zone(), clock.now()
    return {
        "typed": values,
        "chosen": chosen,
        "errors": errors,
        "marks": marks_of(values, TEXTS),
        "labels": LABELS,
        "groups": grouped_components(),
        "repeats": REPEATS,
        "zone_name": zone.key,
        "is_utc": now.astimezone(zone).utcoffset() == timedelta(0) and zone.key.startswith(("Etc/", "UTC")),
        "now_there": rules.local_in_words(now.astimezone(UTC), zone),
        "form_token": form_token(),
    }


def _show(window: Maintenance, values: dict[str, str], errors: dict[str, str], tried: str = "") -> str:
    components = [each.component_id for each in window.components]
    is_open = window.stage in rules.OPEN
    series = window.series
    return render_template(
        "console/maintenance.html",
        window=window,
        when=_in_words()(window),
        reach=_reach(components, window.id) if is_open else "",
        was_told=maintenances.was_told(window),
        overlaps=_overlaps(window.scheduled_for, window.scheduled_until, components, window.id) if is_open else (),
        planned=[_in_words()(each) for each in maintenances.planned_windows(db.session(), series.id)] if series else (),
        repeats=recurrence.in_words(recurrence.parse(series.rule)) if series else "",
        stages=[each for each in rules.OPEN if rules.may_turn(window.stage, each)],
        is_open=is_open,
        is_running=window.stage in rules.RUNNING,
        may_write=_may_write(),
        typed=values,
        errors=errors,
        tried=tried,
        marks=marks_of(values, ["body"]),
        overrides=overrides_of("maintenance", [window.id]),
        labels=LABELS,
        form_token=form_token(),
        done=request.args.get("done", ""),
        now=clock.now(),
    )
