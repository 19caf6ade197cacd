"""The page's brand as it is read from the database, and the files that are published of it."""

import hashlib

from sqlalchemy import select

from statuspage.db import db
from statuspage.models import Logo as StoredLogo
from statuspage.models import Page
from statuspage.rules.branding import Brand, Link, Logo
from statuspage.rules.languages import LANGUAGES, prefix


def load_brand(page: Page) -> Brand:
    """Return the brand of the page."""
    # Without the picture itself, which only its own file needs.
    query = select(StoredLogo.name, StoredLogo.width, StoredLogo.height).where(StoredLogo.page_id == page.id)
    stored = db.session.execute(query).first()
    return Brand(
        accent=page.accent,
        logo=Logo(f"/assets/{stored.name}", stored.width, stored.height) if stored else None,
        header_links=tuple(Link(label, address) for label, address in page.header_links),
        footer_links=tuple(Link(label, address) for label, address in page.footer_links),
        custom_css=page.custom_css,
        language=page.language,
        languages=tuple(page.languages),
    )


def stylesheet_path(brand: Brand) -> str:
    """Return where the brand's own styles are published; empty if it has none."""
    body = brand.stylesheet.encode()
    return f"/assets/brand.{hashlib.sha256(body).hexdigest()[:16]}.css" if body else ""


def assets(brand: Brand) -> list[str]:
    """Return the paths of what is published of the brand."""
    return [path for path in (stylesheet_path(brand), brand.logo.path if brand.logo else "") if path]


def asset(path: str, brand: Brand) -> bytes | None:
    """Return a file of the brand; None if it has none of this path."""
    if path == stylesheet_path(brand):
        return brand.stylesheet.encode()
    if brand.logo is not None and path == brand.logo.path:
        return db.session.scalar(select(StoredLogo.content))
    return None


def alternates(brand: Brand, path: str) -> tuple[tuple[str, str, str], ...]:
    """Return language, its own name for itself, and address of each form of a page; nothing if there is one only."""
    spoken = [language for language in LANGUAGES if language in (brand.language, *brand.languages)]
    if len(spoken) < 2:
        return ()
    return tuple((each, LANGUAGES[each], f"{prefix(each, brand.language)}{path}") for each in spoken)
