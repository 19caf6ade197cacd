"""What readers may see, made without a database: for tests of what is made from it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from statuspage.rules.uptime import UptimeRule
from statuspage.site.page import Entry, Frame, PublicUpdate

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


def frame(**changes: Any) -> Frame:
    values: dict[str, Any] = {
        "name": "Larkspur",
        "zone": ZoneInfo("Etc/UTC"),
        "support_url": "",
        "public_url": "http://status.example.com",
        "revision": 1,
        "created_at": NOW - timedelta(days=40),
        "uptime_rule": UptimeRule(),
    }
    return Frame(**(values | changes))


def update(stage: str = "investigating", html: str = "<p>We look into it.</p>", **changes: Any) -> PublicUpdate:
    values: dict[str, Any] = {"stage": stage, "label": stage.replace("_", " ").capitalize(), "posted_at": NOW}
    return PublicUpdate(html=Markup(html), **(values | changes))


def incident(entry_id: str = "incident0000", **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "kind": "incident",
        "title": "Signing in fails",
        "label": "Investigating",
        "is_open": True,
        "impact": None,
        "started_at": NOW - timedelta(minutes=5),
        "ended_at": None,
        "next_update_by": None,
        "last_posted_at": NOW,
        "updates": (update(),),
        "components": (),
        "post_mortem": Markup(),
    }
    return Entry(id=entry_id, **(values | changes))


def window(entry_id: str = "maintenance0", **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "kind": "maintenance",
        "title": "Larger servers",
        "label": "Scheduled",
        "started_at": NOW + timedelta(days=2),
        "ended_at": NOW + timedelta(days=2, hours=3),
        "updates": (update("scheduled", "<p>We move.</p>"),),
    }
    return incident(entry_id, **(values | changes))
