"""The wording of messages, by kind and language: edit it, look at it, mail it to oneself, go back to an earlier one."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy import select

from statuspage import clock, prose
from statuspage.actions.templates import (
    edit_template,
    newest_version,
    send_test_message,
    shipped_template,
    template_for,
    versions_of,
)
from statuspage.db import db
from statuspage.models import Update
from statuspage.rules.differences import Line, compare
from statuspage.rules.languages import ENGLISH, LANGUAGES
from statuspage.rules.messages import COMPUTED, FIELDS, Draft, check_template, placeholders, render, sketch
from statuspage.rules.times import parse_typed_instant
from statuspage.rules.vocabulary import LABELS, AccountRole, Conflict, MessageKind, NotFound, RuleBroken
from statuspage.web import access
from statuspage.web.forms import posted_version

blueprint = Blueprint("admin_templates", __name__, url_prefix="/admin/templates")

_WORDING = f"/<any({', '.join(LANGUAGES)}):language>/<any(acknowledge, update, resolve):kind>"
EXAMPLE_TITLE = "Signing in is slow"


@dataclass(frozen=True)
class Shown:
    """A wording with real values in place of its placeholders."""

    title: str
    draft: Draft
    body: str
    html: Markup
    is_example: bool
    """Whether no message of this kind was ever posted, so that the values are invented."""


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """List the kinds of message with their wording in one language."""
    language = request.args.get("language", ENGLISH)
    if language not in LANGUAGES:
        raise NotFound("language")
    listed = [
        (kind, template_for(kind, language), template_for(kind, language) != shipped_template(kind, language))
        for kind in MessageKind
    ]
    return render_template("admin/templates.html", listed=listed, language=language, languages=LANGUAGES)


@blueprint.get(_WORDING)
@access.needs(AccountRole.ADMIN)
def show(language: str, kind: str) -> ResponseReturnValue:
    """Show the wording of one kind in one language with its placeholders."""
    return _page(MessageKind(kind), language, template_for(MessageKind(kind), language), {})


@blueprint.post(_WORDING)
@access.needs(AccountRole.ADMIN)
def edit(language: str, kind: str) -> ResponseReturnValue:
    """Put another wording in force, or mail it to oneself first."""
    chosen, text, now = MessageKind(kind), _posted_text(), clock.now()
    try:
        if request.form.get("act") == "test":
            checked = check_template(chosen, text)
            shown = _shown(chosen, language, checked, now)
            promised, label = shown.draft.instant("next_update_by"), LABELS[shown.draft.stage]
            send_test_message(shown.title, label, shown.body, promised, current_user.id, now)
            return _page(chosen, language, text, {}, done=f"On its way to {current_user.email}. Nothing was saved.")
        edit_template(chosen, language, text, posted_version(), current_user.id, now)
    except RuleBroken as broken:
        return _page(chosen, language, text, broken.errors), 422
    except Conflict as conflict:
        return _page(chosen, language, text, {"": str(conflict)}), 409
    return redirect(url_for("admin_templates.show", language=language, kind=kind, done="saved"), 303)


@blueprint.post(f"{_WORDING}/preview")
@access.needs(AccountRole.ADMIN)
def preview(language: str, kind: str) -> ResponseReturnValue:
    """Show what is typed with real values; nothing is kept."""
    chosen, text = MessageKind(kind), _posted_text()
    try:
        check_template(chosen, text)
    except RuleBroken as broken:
        return _page(chosen, language, text, broken.errors)
    return _page(chosen, language, text, {})


@blueprint.get(f"{_WORDING}/history")
@access.needs(AccountRole.ADMIN)
def history(language: str, kind: str) -> ResponseReturnValue:
    """Show every version: who, when, and what differs from the wording in force."""
    return _history(MessageKind(kind), language, "")


@blueprint.post(f"{_WORDING}/restore")
@access.needs(AccountRole.ADMIN)
def restore(language: str, kind: str) -> ResponseReturnValue:
    """Put an earlier wording back in force, or the shipped one."""
    chosen, wanted = MessageKind(kind), request.form.get("restore", "")
    texts = {str(each.id): each.text for each in versions_of(chosen, language)} | {"shipped": None}
    if wanted not in texts:
        raise NotFound("version")
    try:
        edit_template(chosen, language, texts[wanted], posted_version(), current_user.id, clock.now())
    except RuleBroken as broken:
        return _history(chosen, language, " ".join(broken.errors.values())), 422
    except Conflict:
        return _history(chosen, language, "Somebody else changed this wording just now. Please look again."), 409
    return redirect(url_for("admin_templates.show", language=language, kind=kind, done="restored"), 303)


def _posted_text() -> str:
    return request.form.get("text", "")


def _page(kind: MessageKind, language: str, text: str, errors: dict[str, str], done: str = "") -> str:
    meanings = {field.name: field.label for field in FIELDS[kind]} | dict(COMPUTED[kind])
    known = [(name, meanings[name], required) for name, required in placeholders(kind).items()]
    newest = newest_version(db.session(), kind, language)
    return render_template(
        "admin/template.html",
        kind=kind,
        language=language,
        languages=LANGUAGES,
        text=text,
        errors=errors,
        known=known,
        version=newest.id if newest else 0,
        shown=_shown(kind, language, text, clock.now()),
        done=done,
    )


def _history(kind: MessageKind, language: str, error: str) -> str:
    present, shipped = template_for(kind, language), shipped_template(kind, language)
    versions = versions_of(kind, language)
    return render_template(
        "admin/template_history.html",
        kind=kind,
        language=language,
        languages=LANGUAGES,
        present=present,
        versions=[(each, _difference(each.text or shipped, present)) for each in versions],
        shipped=_difference(shipped, present),
        version=versions[0].id if versions else 0,
        error=error,
    )


def _difference(text: str, present: str) -> tuple[Line, ...]:
    """What changed from an earlier wording to the one in force; empty where nothing did."""
    return () if text == present else compare(text, present)


def _shown(kind: MessageKind, language: str, text: str, now: datetime) -> Shown:
    """Fill a wording in with what the newest message of its kind said, or with the examples of its fields."""
    newest = db.session.scalar(
        select(Update)
        .where(Update.kind == kind, Update.is_automatic.is_(False))
        .order_by(Update.posted_at.desc(), Update.id)
        .limit(1)
    )
    values = {field.name: field.example for field in FIELDS[kind]}
    is_example = newest is None or not newest.fields
    title, started_at = EXAMPLE_TITLE, parse_typed_instant("2026-11-21 13:55") or now
    if newest is not None and newest.fields:
        # Instants are kept with their offset, which nobody types.
        values = {name: str(value).removesuffix("+00:00") for name, value in newest.fields.items()}
        title, started_at = newest.incident.title, newest.incident.started_at
    draft = sketch(kind, values, now)
    body = render(text.replace("\r\n", "\n").strip(), draft, started_at, language)
    # Cleaned by prose.
    return Shown(title, draft, body, Markup(prose.to_html(body)), is_example)  # noqa: S704
