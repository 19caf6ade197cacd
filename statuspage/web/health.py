"""Is the process alive, and is it ready: for load balancers and watchers."""

from datetime import datetime, timedelta

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from statuspage import clock
from statuspage.db import db
from statuspage.models import Change, Heartbeat, Page, ProviderState
from statuspage.rendering import machine_instant
from statuspage.rules.times import instant_in_words
from statuspage.settings import Settings
from statuspage.site import mirror, notices, snapshot
from statuspage.web import access

blueprint = Blueprint("health", __name__)

# The worker's heart beats every few seconds; after this long without one it is not alive.
WORKER_SILENCE = timedelta(minutes=1)
MIRROR_PATIENCE = timedelta(minutes=1)


@blueprint.get("/healthz")
@access.public
def healthz() -> ResponseReturnValue:
    """Say that this process answers."""
    return "ok\n", 200, {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}


@blueprint.get("/readyz")
@access.public
def readyz() -> ResponseReturnValue:
    """Say whether the database answers, the worker is alive and the site is published."""
    checks = {**_database_checks(), "snapshot": _snapshot()}
    ready = all(check == "ok" for check in checks.values())
    # Named, and no reason to send readers elsewhere: another machine's mail would not leave either.
    answer = {"ready": ready, **checks, "mail": _mail(), **_mirror()}
    return answer, 200 if ready else 503, {"Cache-Control": "no-store"}


def _mail() -> str:
    """Say whether mail leaves; why it does not is for those who sign in."""
    try:
        stop = mail_stop()
    except SQLAlchemyError:
        return "unknown"
    return f"stopped since {machine_instant(stop.stopped_at)}" if stop and stop.stopped_at else "ok"


def _mirror() -> dict[str, str]:
    """Say whether the copy at PUBLISH_TO has everything, where there is one. Its worker may be on another machine."""
    settings: Settings = current_app.config["STATUSPAGE"]
    if not settings.publish_to:
        return {}
    state = mirror.read_state(settings.data_dir)
    if state is None or state.target != settings.publish_to:
        return {"mirror": "unknown"}
    behind = mirror_behind()
    return {"mirror": f"behind since {behind.behind_since}" if behind else "ok"}


def mirror_behind() -> mirror.State | None:
    """Return since when and why the copy elsewhere lacks something, None while it does not. One small file."""
    settings: Settings = current_app.config["STATUSPAGE"]
    state = mirror.read_state(settings.data_dir) if settings.publish_to else None
    if state is None or state.target != settings.publish_to or not state.behind_since:
        return None
    # A copy takes its time: only what failed or takes long is news.
    is_slow = clock.now() - datetime.fromisoformat(state.behind_since) > MIRROR_PATIENCE
    return state if state.last_error or is_slow else None


def offline_notice() -> notices.Notice | None:
    """Return the break-glass notice on this machine's page. One small file."""
    settings: Settings = current_app.config["STATUSPAGE"]
    return notices.read(settings.data_dir)


def mail_stop() -> ProviderState | None:
    """Return since when and why no mail leaves, None while it does. One query by key."""
    stopped = select(ProviderState).where(ProviderState.name == "mail", ProviderState.stopped_at.is_not(None))
    return db.session.scalar(stopped.execution_options(populate_existing=True))


def _time_of(instant: datetime) -> str:
    """Write a time of today short: ``14:02 UTC``."""
    is_today = instant.date() == clock.now().date()
    return f"{instant:%H:%M} UTC" if is_today else instant_in_words(instant)


def _database_checks() -> dict[str, str]:
    try:
        beat_at = _last_beat()
        db.session.scalar(select(Page.revision))
    except SQLAlchemyError:
        return {"database": "unreachable", "worker": "unknown"}
    return {"database": "ok", "worker": "silent" if _is_silent(beat_at) else "ok"}


def _last_beat() -> datetime | None:
    return db.session.scalar(select(Heartbeat.beat_at).where(Heartbeat.name == "worker"))


def _is_silent(beat_at: datetime | None) -> bool:
    return beat_at is None or clock.now() - beat_at >= WORKER_SILENCE


def silence_of_worker() -> str:
    """Return since when the worker is silent, as the console says it; empty while it is alive. One query by key."""
    beat_at = _last_beat()
    if not _is_silent(beat_at):
        return ""
    if beat_at is None:
        return "has never run"
    return f"has been silent since {_time_of(beat_at)}"


@blueprint.app_context_processor
def _for_templates() -> dict[str, object]:
    """Give templates the function, not its answer: only console pages ask."""
    return {
        "silence_of_worker": silence_of_worker,
        "mail_stop": mail_stop,
        "mirror_behind": mirror_behind,
        "offline_notice": offline_notice,
        "time_of": _time_of,
        "instant_of": datetime.fromisoformat,
    }


def _snapshot() -> str:
    """Say whether every public change older than a minute is in this machine's published folder."""
    settings: Settings = current_app.config["STATUSPAGE"]
    current = snapshot.read_current(settings.site_dir)
    if current is None:
        return "missing"
    waiting = select(func.min(Change.changed_at)).where(Change.revision > current.revision)
    try:
        oldest = db.session.scalar(waiting)
    except SQLAlchemyError:
        return "unknown"
    return "behind" if oldest is not None and clock.now() - oldest > WORKER_SILENCE else "ok"
