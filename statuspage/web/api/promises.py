"""What is owed: the clocks, the policies they run by, and the month's report."""

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import case, select
from sqlalchemy.orm import selectinload

from statuspage import clock
from statuspage.actions import policies
from statuspage.db import db
from statuspage.models import Promise
from statuspage.reports import as_json, load_month
from statuspage.rules import policy
from statuspage.rules.reports import month_of, parse_month
from statuspage.rules.vocabulary import PromiseKind, PromiseState, RuleBroken, Severity, TokenScope
from statuspage.web import access
from statuspage.web.api import bodies, shapes
from statuspage.web.api.pages import find_frame
from statuspage.web.api.routes import PAGE, answer, at, make_blueprint

blueprint = make_blueprint("api_promises")

POLICY = f"{PAGE}/policies/<any({','.join(Severity)}):severity>"
ALL = "all"

# Of equal times, in the order a reader of clocks wants them.
RANK = case({kind: rank for rank, kind in enumerate(PromiseKind)}, value=Promise.kind)


@at(blueprint, f"{PAGE}/promises", "GET")
@access.needs_scope(TokenScope.READ)
def list_promises(page_id: str) -> ResponseReturnValue:
    """List the promises of a state, the open ones if none is named, soonest due first."""
    find_frame(page_id)
    size, offset = bodies.paging()
    word = bodies.query_text("state") or PromiseState.OPEN.value
    if word not in {ALL, *PromiseState}:
        raise RuleBroken({"state": f"Please give one of {', '.join(PromiseState)}, {ALL}."})
    query = select(Promise).options(selectinload(Promise.policy)).order_by(Promise.due_at, RANK, Promise.id)
    if word != ALL:
        query = query.where(Promise.state == PromiseState(word))
    now = clock.now()
    return answer([shapes.promise(each, now) for each in db.session.scalars(query.limit(size).offset(offset))])


@at(blueprint, f"{PAGE}/policies", "GET")
@access.needs_scope(TokenScope.READ)
def list_policies(page_id: str) -> ResponseReturnValue:
    """Return the policy of every severity."""
    find_frame(page_id)
    return answer({severity.value: _policy(severity) for severity in Severity})


@at(blueprint, POLICY, "GET")
@access.needs_scope(TokenScope.READ)
def show_policy(page_id: str, severity: str) -> ResponseReturnValue:
    """Return the policy of a severity."""
    find_frame(page_id)
    return answer(_policy(Severity(severity)))


@at(blueprint, POLICY, "PUT")
@access.needs_scope(TokenScope.ADMIN)
def edit_policy(page_id: str, severity: str) -> ResponseReturnValue:
    """Replace what the body names, for promises opened from now on; the rest stays."""
    find_frame(page_id)
    changes = bodies.read_object("policy")
    fields = bodies.Fields(changes)
    version = fields.number("version")
    fields.done()
    # What was got may be put back as it came.
    named = {name: value for name, value in changes.items() if name not in ("severity", "version")}
    if not named:
        raise RuleBroken({"": "Please name at least one thing to replace."})
    policies.edit_policy(Severity(severity), named, version, None, clock.now())
    return answer(_policy(Severity(severity)))


@at(blueprint, f"{PAGE}/reports/promises", "GET")
@access.needs_scope(TokenScope.READ)
def report(page_id: str) -> ResponseReturnValue:
    """Return a month's report: what was promised, what became of it."""
    find_frame(page_id)
    now = clock.now()
    month = parse_month(request.args["month"]) if "month" in request.args else month_of(now)
    if month is None:
        raise RuleBroken({"month": "Please give a month like 2026-11."})
    if month > month_of(now):
        raise RuleBroken({"month": "This month has not begun."})
    return answer(as_json(load_month(month, now)))


def _policy(severity: Severity) -> dict[str, object]:
    shape = policy.as_json(policies.policy_of(severity))
    return {"severity": severity.value, "version": policies.version_of(severity), **shape}
