"""How the page looks and speaks: accent, logo, links, own CSS, languages."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from statuspage.actions.ledger import audit, mark_changed
from statuspage.db import transaction
from statuspage.models import Logo, Page
from statuspage.rules.branding import check_links, check_logo
from statuspage.rules.colours import check_colour
from statuspage.rules.languages import check_languages
from statuspage.rules.stylesheets import check_css
from statuspage.rules.vocabulary import RuleBroken

Lines = Iterable[tuple[str, str]]


def edit_look(accent: str, logo: bytes, removes_logo: bool, by: str, now: datetime) -> None:
    """Change the page's accent colour and its logo; without bytes the logo stays as it is.

    Raises RuleBroken on ``accent`` and ``logo``.
    """
    errors: dict[str, str] = {}
    colour, picture = "", None
    try:
        colour = check_colour(accent)
    except RuleBroken as broken:
        errors |= broken.errors
    try:
        picture = check_logo(logo) if logo else None
    except RuleBroken as broken:
        errors |= broken.errors
    if errors:
        raise RuleBroken(errors)
    with transaction(now) as session:
        page = _page(session)
        page.accent = colour
        if removes_logo or picture is not None:
            session.execute(delete(Logo).where(Logo.page_id == page.id))
        if picture is not None:
            name = f"logo.{hashlib.sha256(logo).hexdigest()[:16]}.{picture.suffix}"
            size = {"width": picture.width, "height": picture.height}
            session.add(Logo(page_id=page.id, name=name, **size, content=logo, created_at=now))
        what = "removed" if removes_logo and picture is None else "changed" if picture is not None else "kept"
        _note(session, page, "edit_look", by, now, accent=colour, logo=what)


def edit_links(header: Lines, footer: Lines, by: str, now: datetime) -> None:
    """Change the page's links. Raises RuleBroken on ``header_0``, ``footer_3`` and the like."""
    errors: dict[str, str] = {}
    checked: dict[str, list[list[str]]] = {}
    for field, lines in (("header", header), ("footer", footer)):
        try:
            checked[field] = [[link.label, link.address] for link in check_links(field, lines)]
        except RuleBroken as broken:
            errors |= broken.errors
    if errors:
        raise RuleBroken(errors)
    with transaction(now) as session:
        page = _page(session)
        page.header_links, page.footer_links = checked["header"], checked["footer"]
        _note(session, page, "edit_links", by, now, **checked)


def edit_css(text: str, by: str, now: datetime) -> None:
    """Change the page's own CSS. Raises RuleBroken on ``custom_css``."""
    checked = check_css(text)
    with transaction(now) as session:
        page = _page(session)
        page.custom_css = checked
        _note(session, page, "edit_css", by, now, length=len(checked))


def edit_languages(own: str, offered: Iterable[str], by: str, now: datetime) -> None:
    """Change the page's own language and which others readers may choose. Raises RuleBroken for others than shipped."""
    language, languages = check_languages(own, offered)
    with transaction(now) as session:
        page = _page(session)
        page.language, page.languages = language, list(languages)
        _note(session, page, "edit_languages", by, now, language=language, languages=list(languages))


def _page(session: Session) -> Page:
    return session.execute(select(Page)).scalar_one()


def _note(session: Session, page: Page, action: str, by: str, now: datetime, **detail: object) -> None:
    """Have everything published anew, and write down who changed what."""
    mark_changed(session, "page", page.id, now)
    audit(session, by, action, "page", page.id, now, **detail)
