"""The page's looks: chosen at /admin/page/, seen on the page, in feeds, the banner and the pages of subscribers."""

import io
import re
from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask

from statuspage import clock
from statuspage.actions import branding
from statuspage.db import db
from statuspage.models import AuditEntry, Logo, Page
from statuspage.rules.vocabulary import AccountRole
from statuspage.settings import Settings
from statuspage.site import publisher, snapshot
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.pictures import png
from tests.web.conftest import Visitor

PAGE = "/admin/page/"
LOGO = png(240, 60)
CSS = ".banner { border-radius: 4px; }"


@pytest.fixture
def admin(page_id: str, arrive: Callable[[AccountRole], Visitor]) -> Visitor:
    return arrive(AccountRole.ADMIN)


@pytest.fixture
def by(page_id: str, started: datetime) -> str:
    return builders.account(started, AccountRole.ADMIN)


def saved() -> Page:
    db.session.rollback()
    return db.session.query(Page).one()


def upload(admin: Visitor, content: bytes, **fields: str) -> int:
    """Post the form of the look with a file whose name says nothing true."""
    form = admin.hidden(PAGE) | {"accent": ""} | fields | {"logo": (io.BytesIO(content), "picture.txt")}
    return admin.request("POST", f"{PAGE}look", data=form, content_type="multipart/form-data").status_code


def published(settings: Settings, path: str) -> str:
    publisher.publish_all(settings, clock.now())
    return (settings.site_dir / snapshot.file_name(path)).read_text(encoding="utf-8")


# --- choosing ---------------------------------------------------------------


def test_an_accent_is_kept_as_it_was_wished_for_and_shown_as_it_is_used(admin: Visitor) -> None:
    assert admin.post(f"{PAGE}look", {"accent": "F5A623"}, on=PAGE).status_code == 303
    assert saved().accent == "#f5a623"
    shown = admin.get(PAGE).text
    assert "Light: #906215" in shown
    assert "Dark: #f5a623" in shown
    assert "#f5a623 could not be read here: this is the nearest shade that can." in shown


def test_a_sample_is_shown_without_saving_anything(admin: Visitor) -> None:
    tried = admin.post(f"{PAGE}look", {"accent": "#f5a623", "try": "yes"}, on=PAGE)
    assert tried.status_code == 200
    assert "Light: #906215" in tried.text
    assert 'value="#f5a623"' in tried.text
    assert saved().accent == ""


def test_the_script_asks_for_the_sample_alone(admin: Visitor) -> None:
    part = admin.get(f"{PAGE}sample?accent=%23f5a623").text
    assert "Light: #906215" in part
    assert "<html" not in part
    half = admin.get(f"{PAGE}sample?accent=%23f5")
    assert half.status_code == 422
    assert half.text == "Please give a colour like #2f4cc2, or leave this empty."


def test_a_logo_is_taken_for_what_its_bytes_are_shown_and_removed(admin: Visitor) -> None:
    assert admin.get(f"{PAGE}logo").status_code == 404
    assert upload(admin, LOGO) == 303
    seen = admin.get(f"{PAGE}logo")
    assert (seen.mimetype, seen.data) == ("image/png", LOGO)
    # An accent that is saved without a file leaves the logo alone.
    assert upload(admin, b"", accent="#2f4cc2") == 303
    assert db.session.query(Logo).count() == 1
    assert upload(admin, png(100, 100)) == 303
    assert [(each.width, each.height) for each in db.session.query(Logo)] == [(100, 100)]
    assert upload(admin, b"", removes_logo="yes") == 303
    db.session.rollback()
    assert db.session.query(Logo).count() == 0


def test_what_is_wrong_with_accent_and_logo_is_said_at_once_and_nothing_saved(admin: Visitor) -> None:
    form = admin.hidden(PAGE) | {"accent": "blue", "logo": (io.BytesIO(b"<svg/>"), "logo.png")}
    answer = admin.request("POST", f"{PAGE}look", data=form, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert "Please give a colour like #2f4cc2" in answer.text
    assert "Please choose a PNG, JPEG or WebP picture." in answer.text
    assert 'value="blue"' in answer.text
    assert saved().accent == ""


def test_links_are_saved_and_a_wrong_one_is_said_beside_its_line(admin: Visitor) -> None:
    fields = {"header_0_label": "Product", "header_0": "https://example.com/", "footer_1_label": "Imprint"}
    wrong = admin.post(f"{PAGE}links", fields | {"footer_1": "http://example.com/imprint"}, on=PAGE)
    assert wrong.status_code == 422
    assert 'aria-describedby="error-footer_1"' in wrong.text
    assert 'value="http://example.com/imprint"' in wrong.text
    assert "Link 2 in the footer: Please give an address that begins with https://." in text_of(check_page(wrong.text))
    assert admin.post(f"{PAGE}links", fields | {"footer_1": "https://example.com/imprint"}, on=PAGE).status_code == 303
    assert saved().header_links == [["Product", "https://example.com/"]]
    assert saved().footer_links == [["Imprint", "https://example.com/imprint"]]


def test_css_that_loads_something_is_refused_with_its_line_and_kept_in_the_form(admin: Visitor) -> None:
    wrong = admin.post(f"{PAGE}css", {"custom_css": f"{CSS}\n.a {{ background: url(x) }}"}, on=PAGE)
    assert wrong.status_code == 422
    assert "Line 2: url() is not allowed." in wrong.text
    assert ".a { background: url(x) }" in wrong.text
    assert admin.post(f"{PAGE}css", {"custom_css": CSS}, on=PAGE).status_code == 303
    assert saved().custom_css == CSS


def test_the_page_s_own_language_is_not_one_of_the_others(admin: Visitor) -> None:
    def others() -> list[str | None]:
        choices = [each for each in check_page(admin.get(PAGE).text).iter("label") if "data-language" in each.attrib]
        return [each.get("data-language") for each in choices if "hidden" not in each.attrib]

    assert others() == ["de", "fr"]
    admin.post(f"{PAGE}languages", {"language": "de", "languages": "en"}, on=PAGE)
    assert others() == ["en", "fr"]
    assert saved().languages == ["en"]


def test_who_changed_what_is_on_record(admin: Visitor) -> None:
    admin.post(f"{PAGE}look", {"accent": "#2f4cc2"}, on=PAGE)
    admin.post(f"{PAGE}css", {"custom_css": CSS}, on=PAGE)
    admin.post(f"{PAGE}links", {}, on=PAGE)
    admin.post(f"{PAGE}languages", {"language": "en", "languages": "de"}, on=PAGE)
    db.session.rollback()
    kept = [entry.action for entry in db.session.query(AuditEntry).order_by(AuditEntry.id)]
    assert kept[-4:] == ["edit_look", "edit_css", "edit_links", "edit_languages"]


# --- the published page -----------------------------------------------------


def test_the_public_page_carries_the_brand(settings: Settings, by: str, component_id: str) -> None:
    branding.edit_look("#f5a623", LOGO, False, by, clock.now())
    branding.edit_links([("Product", "https://example.com/")], [("Imprint", "https://example.com/i")], by, clock.now())
    branding.edit_css(CSS, by, clock.now())
    root = check_page(published(settings, "/"))
    styles = [link.get("href") for link in root.iter("link") if link.get("rel") == "stylesheet"]
    assert re.fullmatch(r"/assets/brand\.[0-9a-f]{16}\.css", styles[-1])
    sheet = published(settings, styles[-1])
    assert sheet.startswith(":root { --accent: #906215;")
    assert sheet.endswith(CSS)
    (logo,) = (picture for picture in root.iter("img") if picture.get("class") == "logo")
    assert (logo.get("alt"), logo.get("width"), logo.get("height")) == ("Larkspur", "144", "36")
    assert (settings.site_dir / logo.get("src").lstrip("/")).read_bytes() == LOGO
    links = {text_of(link): link.get("href") for link in root.iter("a")}
    assert links["Product"] == "https://example.com/"
    assert links["Imprint"] == "https://example.com/i"


def test_without_wishes_the_page_loads_no_styles_but_its_own(settings: Settings, by: str, component_id: str) -> None:
    assert published(settings, "/").count('rel="stylesheet"') == 1


def test_icon_banner_and_feed_carry_the_brand(settings: Settings, by: str, component_id: str) -> None:
    branding.edit_look("#f5a623", LOGO, False, by, clock.now())
    icon = published(settings, "/favicon.svg")
    assert 'fill="#906215"' in icon
    assert ">L</text>" in icon
    banner = published(settings, "/embed.js")
    assert "#906215" in banner
    assert "#2f4cc2" not in banner
    logo = f"{settings.public_url}/assets/{db.session.query(Logo).one().name}"
    assert f'"icon":"{logo}"' in published(settings, "/feed.json")
    assert f"<logo>{logo}</logo>" in published(settings, "/history.atom")
    assert f"<url>{logo}</url>" in published(settings, "/history.rss")


def test_the_pages_of_subscribers_carry_the_brand_too(anonymous: Visitor, by: str, component_id: str) -> None:
    branding.edit_look("#f5a623", LOGO, False, by, clock.now())
    shown = anonymous.get("/subscribe").text
    assert 'class="logo"' in shown
    assert "/assets/brand." in shown


def test_the_support_address_stands_where_something_does_not_work(app: Flask, admin: Visitor) -> None:
    fields = {"name": "Larkspur", "time_zone": "Etc/UTC", "support_url": "mailto:help@example.com"}
    assert admin.post(PAGE, fields).status_code == 303
    stale = Visitor(app.test_client()).get("/subscriptions/nonsense").text
    assert '<a href="mailto:help@example.com">tell us</a>' in stale


def test_what_is_no_colour_in_another_form_is_left_alone(admin: Visitor) -> None:
    # Every form of the page is posted to an address of its own; what else comes with it is shown again at most.
    answer = admin.post("/admin/page/", {"name": "", "accent": "no colour at all"})
    assert answer.status_code == 422
