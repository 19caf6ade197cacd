"""The communication policy of each severity: what is owed, who is reminded, what is said in between."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from statuspage import clock
from statuspage.actions.policies import edit_policy, policy_of, version_of
from statuspage.db import db
from statuspage.models import Account
from statuspage.rules.policy import CUSTOMERS, EVERYONE, SPANS, SUBSCRIBERS, WAYS, Nudge, Policy
from statuspage.rules.times import parse_typed_span, span_in_iso, typed_span
from statuspage.rules.vocabulary import (
    LABELS,
    SEVERITY_MEANINGS,
    AccountRole,
    Conflict,
    IncidentRole,
    RuleBroken,
    Severity,
)
from statuspage.web import access
from statuspage.web.forms import posted_version, typed

blueprint = Blueprint("admin_policies", __name__, url_prefix="/admin/policies")

_SEVERITY = "<any(SEV1, SEV2, SEV3, SEV4):severity>"

SPAN_LABELS: Mapping[str, tuple[str, str]] = {
    "first_update": ("First public update", "From the moment customer impact is confirmed."),
    "next_update": ("Every further public update", "Until it is resolved, even if it only says “still investigating”."),
    "direct_email": ("Direct e-mail to affected customers", "From the declaration."),
    "direct_email_if_lasting": ("… only once the impact has lasted", "Empty: in any case."),
    "internal_update": ("Internal update to the team", "Every so often, until it is resolved."),
    "post_incident_email": ("Post-incident e-mail", "From the resolution; reviewed by a second person."),
    "post_mortem": ("Internal post-mortem", "From the resolution; reviewed by one more engineer."),
    "public_post_mortem_if_down": ("Public post-mortem when customers were down", "For this long or longer."),
}
WAY_LABELS = {"": "every way", "email": "by e-mail", "chat": "by chat", "pager": "by pager"}
AUDIENCE_OPTIONS = (
    (f"{CUSTOMERS} {SUBSCRIBERS}", "Customers who use an affected component, and subscribers"),
    (CUSTOMERS, "Customers who use an affected component"),
    (SUBSCRIBERS, "Subscribers"),
)
# Rows that a form offers beyond those filled in.
SPARE_ROWS = 2


@blueprint.get("/")
@access.needs(AccountRole.ADMIN)
def index() -> ResponseReturnValue:
    """List the policies, as a table of promises."""
    policies = {severity: policy_of(severity) for severity in Severity}
    return render_template(
        "admin/policies.html",
        policies=policies,
        meanings=SEVERITY_MEANINGS,
        spans=SPAN_LABELS,
        typed_span=typed_span,
    )


@blueprint.get(f"/{_SEVERITY}")
@access.needs(AccountRole.ADMIN)
def show(severity: str) -> ResponseReturnValue:
    """Show one severity's policy as a form."""
    return _page(Severity(severity), _written(policy_of(Severity(severity))), {})


@blueprint.post(f"/{_SEVERITY}")
@access.needs(AccountRole.ADMIN)
def edit(severity: str) -> ResponseReturnValue:
    """Put another policy in force for promises opened from now on."""
    chosen = Severity(severity)
    try:
        edit_policy(chosen, _posted(), posted_version(), current_user.id, clock.now())
    except RuleBroken as broken:
        return _page(chosen, typed(), broken.errors), 422
    except Conflict as conflict:
        return _page(chosen, typed(), {"": str(conflict)}), 409
    return redirect(url_for("admin_policies.index", saved=severity), 303)


def _posted() -> dict[str, Any]:
    """Return the form in the API's shape. Raises RuleBroken beside every time that can't be read."""
    form, errors = request.form, dict[str, str]()
    body: dict[str, Any] = {name: _span(name, form.get(name, ""), errors) for name in SPANS}
    body["audience"] = form.get("audience", "").split()
    for name in ("nudges", "reminders"):
        body[name] = _posted_steps(name, errors)
    body["holding_update"] = {
        "enabled": form.get("holding_enabled") == "yes",
        "at": _span("holding_update", form.get("holding_at", ""), errors) or "PT0S",
        "text": form.get("holding_text", ""),
        "max_in_a_row": _number(form.get("holding_max", "")),
    }
    body["undo_window"] = _span("undo_window", form.get("undo_window", ""), errors)
    if errors:
        raise RuleBroken(errors)
    return body


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0


def _posted_steps(name: str, errors: dict[str, str]) -> list[dict[str, str]]:
    steps, form = [], request.form
    for row in sorted(key.removeprefix(f"{name}_at_") for key in form if key.startswith(f"{name}_at_")):
        at = form.get(f"{name}_at_{row}", "")
        if not at.strip():
            continue
        span = _span(name, at, errors) or "PT0S"
        sign = "-" if form.get(f"{name}_when_{row}") == "before" and span != "PT0S" else ""
        step = {"at": sign + span, "to": form.get(f"{name}_to_{row}", "")}
        by = form.get(f"{name}_by_{row}", "")
        steps.append(step | {"by": by} if by else step)
    return steps


def _span(name: str, text: str, errors: dict[str, str]) -> str | None:
    if not text.strip():
        return None
    span = parse_typed_span(text)
    if span is None:
        errors[name] = f"“{text.strip()[:30]}” is no time: please write it like 15 min, 1 h 30 min or 90 s."
        return None
    return span_in_iso(span)


def _written(policy: Policy) -> dict[str, str]:
    """Return the policy as it would be typed."""
    values = {name: typed_span(span) if (span := getattr(policy, name)) else "" for name in SPANS}
    for name, steps in (("nudges", policy.nudges), ("reminders", policy.reminders)):
        for row, nudge in enumerate(steps):
            values |= _written_step(f"{name}", f"{row:02}", nudge)
    holding = policy.holding_update
    return values | {
        "audience": " ".join(policy.audience),
        "undo_window": typed_span(policy.undo_window) if policy.undo_window else "",
        "holding_enabled": "yes" if holding.enabled else "",
        "holding_at": typed_span(holding.at),
        "holding_text": holding.text,
        "holding_max": str(holding.max_in_a_row),
    }


def _written_step(name: str, row: str, nudge: Nudge) -> dict[str, str]:
    return {
        f"{name}_at_{row}": typed_span(nudge.at),
        f"{name}_when_{row}": "before" if nudge.at < timedelta(0) else "after",
        f"{name}_to_{row}": nudge.to,
        f"{name}_by_{row}": nudge.by,
    }


def _rows(name: str, values: Mapping[str, str]) -> list[str]:
    """The rows of a list of steps that are filled in, and some to fill in."""
    used = sorted(key.removeprefix(f"{name}_at_") for key, at in values.items() if key.startswith(f"{name}_at_") and at)
    spare = (f"{number:02}" for number in range(100))
    return [*used, *[row for row in spare if row not in used][:SPARE_ROWS]]


def _page(severity: Severity, values: Mapping[str, str], errors: Mapping[str, str]) -> str:
    people = db.session.scalars(select(Account).where(Account.disabled_at.is_(None)).order_by(Account.name)).all()
    to = [(role.value, LABELS[role]) for role in IncidentRole] + [(EVERYONE, "Everyone who can help")]
    return render_template(
        "admin/policy.html",
        severity=severity,
        meaning=SEVERITY_MEANINGS[severity],
        typed=values,
        errors=errors,
        version=version_of(severity),
        spans=SPAN_LABELS,
        audiences=AUDIENCE_OPTIONS,
        rows={name: _rows(name, values) for name in ("nudges", "reminders")},
        to_options=to + [(person.email, person.name) for person in people],
        ways=[(way, WAY_LABELS[way]) for way in ("", *WAYS)],
    )
