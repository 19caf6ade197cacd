"""The wording of messages: shipped with the product, edited by administrators, every version kept."""

from datetime import datetime
from functools import cache
from pathlib import Path

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit
from statuspage.db import db, one_by_one, transaction
from statuspage.delivery.announcements import announce_to_address
from statuspage.models import Account, Page, TemplateVersion
from statuspage.rules.languages import ENGLISH, LANGUAGES, check_language
from statuspage.rules.messages import check_template
from statuspage.rules.vocabulary import Conflict, MessageKind, NotFound

_SHIPPED = Path(__file__).resolve().parents[2] / "templates" / "messages"


@cache
def shipped_template(kind: MessageKind, language: str) -> str:
    """Return the wording this product ships for a kind of message in one of its languages."""
    return (_SHIPPED / language / f"{kind.value}.txt").read_text(encoding="utf-8").strip()


def template_for(kind: MessageKind, language: str, session: Session | None = None) -> str:
    """Return the wording in force for a kind of message in a language; in English where it is not spoken."""
    spoken = language if language in LANGUAGES else ENGLISH
    newest = newest_version(session or db.session(), kind, spoken)
    return shipped_template(kind, spoken) if newest is None or newest.text is None else newest.text


def newest_version(session: Session, kind: MessageKind, language: str) -> TemplateVersion | None:
    """Return the latest change of a wording; None if it was never changed."""
    return session.scalar(_versions(kind, language).limit(1))


def _versions(kind: MessageKind, language: str) -> Select[TemplateVersion]:
    chosen = (TemplateVersion.kind == kind, TemplateVersion.language == language)
    return select(TemplateVersion).where(*chosen).order_by(TemplateVersion.id.desc())


def versions_of(kind: MessageKind, language: str) -> list[TemplateVersion]:
    """Return every change of a wording, newest first."""
    return list(db.session.scalars(_versions(kind, language)))


def usual_language(session: Session) -> str:
    """Return the language an incident is told in unless somebody says otherwise: the page's own."""
    return session.scalar(select(Page.language)) or ENGLISH


def edit_template(kind: MessageKind, language: str, text: str | None, seen: int, by: str, now: datetime) -> None:
    """Put another wording in force for messages from now on; None puts the shipped one back.

    ``seen`` is the id of the newest version the writer saw, 0 for none.
    Raises RuleBroken naming every unknown or missing placeholder, Conflict if
    somebody else changed it meanwhile.
    """
    check_language(language)
    checked = check_template(kind, text) if text is not None else None
    with transaction(now) as session:
        one_by_one(session, f"template {kind.value} {language}")
        newest = newest_version(session, kind, language)
        if (newest.id if newest else 0) != seen:
            raise Conflict("Somebody else changed this wording while you were writing. Yours is kept below.")
        session.add(TemplateVersion(kind=kind, language=language, text=checked, created_at=now, created_by_id=by))
        action = "edit_template" if checked is not None else "restore_template"
        audit(session, by, action, "template", f"{kind.value}.{language}", now, text=checked)


def send_test_message(
    title: str, label: str, body: str, next_update_by: datetime | None, by: str, now: datetime
) -> None:
    """Mail an example of a message to oneself, as subscribers would get it. Raises NotFound."""
    with transaction(now) as session:
        account = session.get(Account, by)
        if account is None:
            raise NotFound("account")
        detail = {
            "title": title,
            "label": label,
            "body": body,
            "next_update_by": next_update_by.isoformat() if next_update_by else None,
        }
        announce_to_address(session, "test_message", account.id, account.email, None, now, detail)
        audit(session, by, "send_test", "template", title[:40], now)
