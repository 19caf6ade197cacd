"""Write what changed to the published folder."""

from datetime import datetime

from statuspage.settings import Settings


def refresh(settings: Settings, now: datetime) -> list[str]:
    """Write what changed; return the paths."""
    return []
