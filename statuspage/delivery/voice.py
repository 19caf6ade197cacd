"""In whose looks and in which language a mail is written."""

from dataclasses import dataclass

from statuspage.models import Page
from statuspage.rules.branding import OWN_SHADES, Brand, Logo
from statuspage.rules.colours import Shades
from statuspage.rules.languages import ENGLISH, spoken
from statuspage.site.branding import load_brand


@dataclass(frozen=True)
class Voice:
    """What every mail shows around its content, and its language."""

    language: str = ENGLISH
    page_name: str = ""
    page_url: str = ""
    support_url: str = ""
    logo: Logo | None = None
    shades: Shades = OWN_SHADES


# The product's own: for mails that are written while nothing can be asked of the database.
PLAIN = Voice()


def voice_of(page: Page, public_url: str, language: str) -> Voice:
    """Return how the page speaks to somebody who wants this language."""
    brand = load_brand(page)
    said = spoken(language, brand.language, brand.languages)
    return Voice(said, page.name, public_url, page.support_url, brand.logo, brand.used)


def team_voice(page: Page, public_url: str) -> Voice:
    """Return how the page speaks to the team: in English, as the console does."""
    brand: Brand = load_brand(page)
    return Voice(ENGLISH, page.name, public_url, "", brand.logo, brand.used)
