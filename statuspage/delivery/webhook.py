"""What webhooks are sent: Statuspage's shape, signed as Standard Webhooks says."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from standardwebhooks import Webhook

from statuspage.db import db
from statuspage.delivery.notes import ENDPOINT_TEST
from statuspage.models import Announcement, Component, Document, Incident, MaintenanceUpdate, Page, Subscriber, Update
from statuspage.rules.documents import PUBLIC_TEXT
from statuspage.rules.vocabulary import ComponentState, MaintenanceStage, Stage
from statuspage.settings import Settings
from statuspage.shapes import (
    OUTWARD_STATES,
    Frame,
    affected_components,
    make_frame,
    outward_impact,
    page_status,
    utc,
)

# How long both secrets sign after one was changed.
BOTH_SECRETS_FOR = timedelta(hours=24)
DOCUMENTATION = "https://www.standardwebhooks.com/"
NOTHING_AFFECTED = "No components were affected by this update."


def payload(announcement: Announcement, settings: Settings, now: datetime) -> dict[str, Any]:
    """Return what an announcement tells programs, once for all of them: ``meta.unsubscribe`` is still to be filled in.

    Raises LookupError if what it tells about is gone.
    """
    shown = db.session.execute(select(Page)).scalar_one()
    frame = make_frame(shown, settings.public_url)
    leaves = db.session.scalars(select(Component).where(Component.archived_at.is_(None)))
    indicator, description = page_status([frame.status(each) for each in leaves])
    tell = {
        "incident_update": _incident,
        "maintenance_update": _maintenance,
        "component_change": _component_change,
        "endpoint_test": _test,
        "post_mortem": _post_mortem,
    }
    told = tell[announcement.kind](announcement, frame)
    return {
        "meta": {"unsubscribe": "", "documentation": DOCUMENTATION, "generated_at": utc(now)},
        "page": {"id": shown.id, "status_indicator": indicator, "status_description": description},
        **told,
    }


def body(told: Mapping[str, Any], unsubscribe_url: str) -> bytes:
    """Return the finished body for one receiver."""
    return json.dumps({**told, "meta": {**told["meta"], "unsubscribe": unsubscribe_url}}, ensure_ascii=False).encode()


def message_id(announcement: Announcement, delivery_id: int) -> str:
    """Return the id of a delivery: the same at each try, so that receivers can drop a second copy."""
    # The second keeps ids apart that a restored database gives out again.
    return f"msg_{int(announcement.created_at.timestamp())}_{delivery_id}"


def signed(content: bytes, message: str, subscriber: Subscriber, now: datetime) -> dict[str, str]:
    """Return the headers that prove where a body comes from; for a day after a change with both secrets."""
    secrets = [subscriber.secret]
    changed_at = subscriber.secret_changed_at
    if subscriber.previous_secret and changed_at is not None and now - changed_at < BOTH_SECRETS_FOR:
        secrets.append(subscriber.previous_secret)
    text = content.decode()
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message, now, text) for secret in secrets),
    }


def _test(_announcement: Announcement, _frame: Frame) -> dict[str, Any]:
    return {"test": {"message": ENDPOINT_TEST}}


def _incident(announcement: Announcement, frame: Frame) -> dict[str, Any]:
    """Return the incident as it stood with this update: what came later tells itself."""
    told = db.session.get(Update, announcement.subject_id)
    if told is None:
        raise LookupError("the update is gone")
    return _as_of(told, frame)


def _post_mortem(announcement: Announcement, frame: Frame) -> dict[str, Any]:
    """Return the incident with all its updates, and the post-mortem that was published of it."""
    document = db.session.get(Document, announcement.subject_id)
    if document is None:
        raise LookupError("the document is gone")
    told = _as_of(document.incident.updates[0], frame)
    published_at = frame.instant(document.sent_at)
    told["incident"] |= {
        "status": "postmortem",
        "updated_at": published_at,
        "postmortem_body": document.fields[PUBLIC_TEXT],
        "postmortem_body_last_updated_at": published_at,
        "postmortem_published_at": published_at,
        "postmortem_notified_subscribers": True,
    }
    return told


def _as_of(told: Update, frame: Frame) -> dict[str, Any]:
    shown = told.incident
    updates = [each for each in shown.updates if each.sequence <= told.sequence]
    monitoring = next((each.posted_at for each in updates if each.stage is Stage.MONITORING), None)
    post_mortem_at = shown.post_mortem_published_at
    return {
        "incident": {
            "name": shown.title,
            "status": told.stage.value,
            "created_at": frame.instant(shown.created_at),
            "updated_at": frame.instant(told.edited_at or told.posted_at),
            "monitoring_at": frame.instant(monitoring),
            "resolved_at": frame.instant(shown.resolved_at) if told.stage is Stage.RESOLVED else None,
            "impact": outward_impact(shown),
            "shortlink": f"{frame.public_url}/incidents/{shown.id}",
            "postmortem_ignored": False,
            "postmortem_body": shown.post_mortem if post_mortem_at else None,
            "postmortem_body_last_updated_at": frame.instant(post_mortem_at),
            "postmortem_published_at": frame.instant(post_mortem_at),
            "postmortem_notified_subscribers": False,
            "postmortem_notified_twitter": False,
            "backfilled": False,
            "scheduled_for": None,
            "scheduled_until": None,
            "scheduled_remind_prior": False,
            "scheduled_reminded_at": None,
            "impact_override": None,
            "scheduled_auto_in_progress": False,
            "scheduled_auto_completed": False,
            "id": shown.id,
            "page_id": frame.page.id,
            "incident_updates": [_update(frame, each) for each in updates],
            "components": _components(frame, shown, told),
        }
    }


def _maintenance(announcement: Announcement, frame: Frame) -> dict[str, Any]:
    """Return a maintenance window, under the name that programs look for, as it stood with this update."""
    told = db.session.get(MaintenanceUpdate, announcement.subject_id)
    if told is None:
        raise LookupError("the update is gone")
    shown = told.maintenance
    updates = [each for each in shown.updates if each.sequence <= told.sequence]
    verifying = next((each.posted_at for each in updates if each.stage is MaintenanceStage.VERIFYING), None)
    is_over = told.stage is MaintenanceStage.COMPLETED
    return {
        "incident": {
            "name": shown.title,
            "status": told.stage.value,
            "created_at": frame.instant(shown.created_at),
            "updated_at": frame.instant(told.posted_at),
            "monitoring_at": frame.instant(verifying),
            "resolved_at": frame.instant(shown.completed_at) if is_over else None,
            "impact": "maintenance",
            "shortlink": f"{frame.public_url}/incidents/{shown.id}",
            "postmortem_ignored": False,
            "postmortem_body": None,
            "postmortem_body_last_updated_at": None,
            "postmortem_published_at": None,
            "postmortem_notified_subscribers": False,
            "postmortem_notified_twitter": False,
            "backfilled": False,
            "scheduled_for": frame.instant(shown.scheduled_for),
            "scheduled_until": frame.instant(shown.scheduled_until),
            "scheduled_remind_prior": shown.remind_minutes is not None,
            "scheduled_reminded_at": frame.instant(shown.reminded_at),
            "impact_override": None,
            "scheduled_auto_in_progress": shown.starts_itself,
            "scheduled_auto_completed": shown.finishes_itself,
            "id": shown.id,
            "page_id": frame.page.id,
            "incident_updates": [_maintenance_message(frame, each) for each in updates],
            "components": [_component(frame, each.component) for each in shown.components],
        }
    }


def _maintenance_message(frame: Frame, shown: MaintenanceUpdate) -> dict[str, Any]:
    posted_at = frame.instant(shown.posted_at)
    return {
        "status": shown.stage.value,
        "body": shown.body,
        "created_at": frame.instant(shown.created_at),
        "wants_twitter_update": False,
        "twitter_updated_at": None,
        "updated_at": posted_at,
        "display_at": posted_at,
        "affected_components": [{"name": NOTHING_AFFECTED}],
        "custom_tweet": None,
        "deliver_notifications": shown.is_told,
        "id": shown.id,
        "incident_id": shown.maintenance_id,
    }


def _components(frame: Frame, shown: Incident, told: Update) -> list[dict[str, Any]]:
    states = {each["component_id"]: ComponentState(each["new_state"]) for each in told.component_states}
    affected = [each.component for each in shown.components if each.component_id in states]
    return [_component(frame, each) | {"status": OUTWARD_STATES[states[each.id]]} for each in affected]


def _update(frame: Frame, shown: Update) -> dict[str, Any]:
    posted_at = frame.instant(shown.posted_at)
    return {
        "status": shown.stage.value,
        "body": shown.body,
        "created_at": frame.instant(shown.created_at),
        "wants_twitter_update": False,
        "twitter_updated_at": None,
        "updated_at": frame.instant(shown.edited_at) or posted_at,
        "display_at": posted_at,
        "affected_components": affected_components(frame, shown) or [{"name": NOTHING_AFFECTED}],
        "custom_tweet": None,
        "deliver_notifications": True,
        "id": shown.id,
        "incident_id": shown.incident_id,
    }


def _component_change(announcement: Announcement, frame: Frame) -> dict[str, Any]:
    shown = db.session.get(Component, announcement.subject_id)
    if shown is None:
        raise LookupError("the component is gone")
    detail = announcement.detail or {}
    before, after = (OUTWARD_STATES[ComponentState(detail[name])] for name in ("before", "after"))
    return {
        # As it was then: what came later tells itself.
        "component": _component(frame, shown) | {"status": after},
        "component_update": {
            "old_status": before,
            "new_status": after,
            "created_at": utc(announcement.created_at),
            "component_type": "Component",
            "id": hashlib.sha256(f"component_update {announcement.id}".encode()).hexdigest()[:12],
            "component_id": shown.id,
        },
    }


def _component(frame: Frame, shown: Component) -> dict[str, Any]:
    """Return a component in the order of keys that webhooks have; its times are always in UTC."""
    return {
        "status": frame.status(shown),
        "name": shown.name,
        "created_at": utc(shown.created_at),
        "updated_at": utc(shown.updated_at),
        "position": shown.position,
        "description": shown.description or None,
        "showcase": True,
        "id": shown.id,
        "page_id": frame.page.id,
        "group_id": shown.group_id,
    }
