"""What a writer might type into each form; needs no database."""

from datetime import datetime, timedelta

from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import MessageKind


def typed(kind: MessageKind, now: datetime, **changes: str) -> dict[str, str]:
    """Return what a writer might type into the form of this kind."""
    by = typed_instant(now + timedelta(minutes=30))
    fields = {
        MessageKind.ACKNOWLEDGE: {
            "affected": "Signing in",
            "symptoms": "Signing in may fail.",
            "next_update_by": by,
            "impact": "high",
            "stage": "investigating",
            "started_at": typed_instant(now - timedelta(minutes=10)),
        },
        MessageKind.UPDATE: {
            "affected": "Signing in is still slow.",
            "being_done": "We are undoing this morning's change.",
            "next_update_by": by,
            "stage": "identified",
            "expected_resolution": "",
        },
        MessageKind.RESOLVE: {
            "affected": "Signing in",
            "experienced": "Signing in failed for some customers.",
            "what_happened": "A change overloaded sign-in. We have undone it.",
            "resolved_at": typed_instant(now),
            "follow_up": "",
            "apology": "We are sorry.",
            "help": "",
        },
    }
    return fields[kind] | changes
