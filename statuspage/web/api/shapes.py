"""What the API gives: the keys of Atlassian Statuspage's v1 in their order, then our own."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from statuspage import shapes
from statuspage.models import (
    Component,
    ComponentGroup,
    Incident,
    Maintenance,
    MaintenanceUpdate,
    Promise,
    Update,
)
from statuspage.rules.vocabulary import (
    IncidentRole,
    MaintenanceStage,
    PromiseState,
    Stage,
)
from statuspage.shapes import (
    INWARD_IMPACTS,
    INWARD_STATES,
    UNDER_MAINTENANCE,
    Frame,
    make_frame,
    outward_impact,
    said_at,
    utc,
)

__all__ = [
    "INWARD_IMPACTS",
    "INWARD_STATES",
    "UNDER_MAINTENANCE",
    "Frame",
    "component",
    "group",
    "incident",
    "maintenance",
    "make_frame",
    "page",
    "promise",
    "utc",
]

_COLOURS = (
    "css_body_background_color",
    "css_font_color",
    "css_light_font_color",
    "css_greens",
    "css_yellows",
    "css_oranges",
    "css_blues",
    "css_reds",
    "css_border_color",
    "css_graph_color",
    "css_link_color",
    "css_no_data",
)


def page(frame: Frame) -> dict[str, Any]:
    """Return the page with Statuspage's 44 keys."""
    shown = frame.page
    return {
        "id": shown.id,
        "created_at": frame.instant(shown.created_at),
        "updated_at": frame.instant(shown.updated_at),
        "name": shown.name,
        "page_description": None,
        "headline": None,
        "branding": "basic",
        "subdomain": None,
        "domain": frame.public_url.partition("://")[2],
        "url": frame.public_url,
        "support_url": shown.support_url or None,
        "hidden_from_search": False,
        "allow_page_subscribers": True,
        "allow_incident_subscribers": False,
        "allow_email_subscribers": True,
        "allow_sms_subscribers": False,
        "allow_rss_atom_feeds": True,
        "allow_webhook_subscribers": False,
        "notifications_from_email": None,
        "notifications_email_footer": None,
        "activity_score": 0,
        "twitter_username": None,
        "viewers_must_be_team_members": False,
        "ip_restrictions": None,
        "city": None,
        "state": None,
        "country": None,
        "time_zone": shown.time_zone,
        **dict.fromkeys(_COLOURS),
        "favicon_logo": None,
        "transactional_logo": None,
        "hero_cover": None,
        "email_logo": None,
        "twitter_logo": None,
    }


def component(frame: Frame, shown: Component) -> dict[str, Any]:
    """Return a component with Statuspage's keys."""
    return {**shapes.component(frame, shown), "automation_email": None}


def group(frame: Frame, shown: ComponentGroup, children: Sequence[Component]) -> dict[str, Any]:
    """Return a group as Statuspage lists it among the components: as bad as the worst in it."""
    return {**shapes.group(frame, shown, children), "automation_email": None}


def incident(frame: Frame, shown: Incident, promises: Iterable[Promise], now: datetime) -> dict[str, Any]:
    """Return an incident with Statuspage's v1 keys and ours behind them."""
    post_mortem_at = shown.post_mortem_published_at
    return {
        "id": shown.id,
        "components": [component(frame, each.component) for each in shown.components],
        "created_at": frame.instant(shown.created_at),
        "impact": outward_impact(shown),
        "impact_override": None,
        "incident_updates": [_update(frame, each) for each in shown.updates],
        "metadata": {},
        "monitoring_at": frame.instant(said_at(shown, Stage.MONITORING)),
        "name": shown.title,
        "page_id": frame.page.id,
        "postmortem_body": shown.post_mortem if post_mortem_at else None,
        "postmortem_body_last_updated_at": frame.instant(post_mortem_at),
        "postmortem_ignored": False,
        "postmortem_notified_subscribers": False,
        "postmortem_notified_twitter": False,
        "postmortem_published_at": frame.instant(post_mortem_at),
        "resolved_at": frame.instant(shown.resolved_at),
        "scheduled_auto_completed": False,
        "scheduled_auto_in_progress": False,
        "scheduled_for": None,
        "auto_transition_deliver_notifications_at_end": None,
        "auto_transition_deliver_notifications_at_start": None,
        "auto_transition_to_maintenance_state": None,
        "auto_transition_to_operational_state": None,
        "scheduled_remind_prior": False,
        "scheduled_reminded_at": None,
        "scheduled_until": None,
        "shortlink": f"{frame.public_url}/incidents/{shown.id}",
        "status": shown.stage.value,
        "updated_at": frame.instant(shown.updated_at),
        "reminder_intervals": None,
        "started_at": frame.instant(shown.started_at),
        **_own_keys(shown, promises, now),
    }


def maintenance(frame: Frame, shown: Maintenance) -> dict[str, Any]:
    """Return a maintenance window with Statuspage's v1 keys and ours behind them."""
    verifying = next((each.posted_at for each in shown.updates if each.stage is MaintenanceStage.VERIFYING), None)
    return {
        "id": shown.id,
        "components": [component(frame, each.component) for each in shown.components],
        "created_at": frame.instant(shown.created_at),
        "impact": "maintenance",
        "impact_override": None,
        "incident_updates": [_maintenance_update(frame, each) for each in shown.updates],
        "metadata": {},
        "monitoring_at": frame.instant(verifying),
        "name": shown.title,
        "page_id": frame.page.id,
        "postmortem_body": None,
        "postmortem_body_last_updated_at": None,
        "postmortem_ignored": False,
        "postmortem_notified_subscribers": False,
        "postmortem_notified_twitter": False,
        "postmortem_published_at": None,
        "resolved_at": frame.instant(shown.completed_at),
        "scheduled_auto_completed": shown.finishes_itself,
        "scheduled_auto_in_progress": shown.starts_itself,
        "scheduled_for": frame.instant(shown.scheduled_for),
        "auto_transition_deliver_notifications_at_end": shown.notifies,
        "auto_transition_deliver_notifications_at_start": shown.notifies,
        "auto_transition_to_maintenance_state": True,
        "auto_transition_to_operational_state": True,
        "scheduled_remind_prior": shown.remind_minutes is not None,
        "scheduled_reminded_at": frame.instant(shown.reminded_at),
        "scheduled_until": frame.instant(shown.scheduled_until),
        "shortlink": f"{frame.public_url}/incidents/{shown.id}",
        "status": shown.stage.value,
        "updated_at": frame.instant(shown.updated_at),
        "reminder_intervals": None,
        "started_at": frame.instant(shown.started_at or shown.scheduled_for),
        "cancelled_at": utc(shown.cancelled_at),
        "remind_minutes": shown.remind_minutes,
        "recurrence": shown.series.rule if shown.series else None,
        "version": shown.version,
    }


def _maintenance_update(frame: Frame, shown: MaintenanceUpdate) -> dict[str, Any]:
    posted_at = frame.instant(shown.posted_at)
    return {
        "id": shown.id,
        "status": shown.stage.value,
        "body": shown.body,
        "incident_id": shown.maintenance_id,
        "created_at": frame.instant(shown.created_at),
        "updated_at": posted_at,
        "display_at": posted_at,
        "affected_components": None,
        "deliver_notifications": shown.is_told,
        "custom_tweet": None,
        "tweet_id": None,
        "twitter_updated_at": None,
        "wants_twitter_update": False,
    }


def _own_keys(shown: Incident, promises: Iterable[Promise], now: datetime) -> dict[str, Any]:
    holders = {each.role: each.account.email for each in shown.roles}
    return {
        "severity": shown.severity.value if shown.severity else None,
        "visibility": shown.visibility.value,
        "declared_at": utc(shown.declared_at),
        "next_update_by": utc(shown.next_update_by),
        "roles": {role.value: holders.get(role) for role in IncidentRole},
        "promises": [promise(each, now) for each in promises],
        "version": shown.version,
    }


def _update(frame: Frame, shown: Update) -> dict[str, Any]:
    return {**shapes.incident_update(frame, shown), "twitter_updated_at": None, "wants_twitter_update": False}


def promise(shown: Promise, now: datetime) -> dict[str, Any]:
    """Return a promise: what is owed, by when, and what became of it."""
    return {
        "id": shown.id,
        "kind": shown.kind.value,
        "incident_id": shown.incident_id,
        "opened_at": utc(shown.opened_at),
        "due_at": utc(shown.due_at),
        "met_at": utc(shown.met_at),
        "state": shown.state.value,
        "late_by_seconds": _late_by(shown, now),
        "reason": shown.reason or None,
        "snoozed_until": utc(shown.snoozed_until),
        "policy_version": shown.policy.version,
    }


def _late_by(shown: Promise, now: datetime) -> int | None:
    """Whole seconds after its time: until it was met, or until now while it is still to be met."""
    if shown.state is PromiseState.LATE and shown.met_at is not None:
        return int((shown.met_at - shown.due_at).total_seconds())
    if shown.state is PromiseState.OPEN and shown.due_at < now:
        return int((now - shown.due_at).total_seconds())
    return None
