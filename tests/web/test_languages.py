"""Readers choose a language: pages under its prefix, sign-up, settings; mails come in it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from flask import Flask

from statuspage import clock
from statuspage.actions import branding, subscriptions
from statuspage.db import db
from statuspage.links import Purpose, make_token
from statuspage.models import Announcement, Subscriber
from statuspage.rules.vocabulary import AccountRole, ComponentState, MessageKind
from statuspage.settings import Settings
from statuspage.site import publisher, snapshot
from statuspage.web.public import PublicSite
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

OTHERS = ("de", "fr")


@pytest.fixture
def by(page_id: str, started: datetime) -> str:
    return builders.account(started, AccountRole.ADMIN)


@pytest.fixture
def incident_id(by: str, component_id: str, started: datetime) -> str:
    return builders.acknowledged(by, {component_id: ComponentState.OUTAGE}, started)


@pytest.fixture
def offered(by: str) -> None:
    branding.edit_languages("en", OTHERS, by, clock.now())


@pytest.fixture
def asking(app: Flask, settings: Settings) -> Callable[[str], Any]:
    """Ask for a public page as a reader's browser does."""
    publisher.publish_all(settings, clock.now())
    site = PublicSite(app.wsgi_app, settings.site_dir, settings.public_url, look_every=0)

    def ask(path: str) -> Any:
        said: dict[str, str] = {}
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "HTTP_HOST": settings.public_url.partition("://")[2]}
        body = b"".join(site(environ, lambda status, headers: said.update(status=status)))
        return int(said["status"][:3]), body.decode()

    return ask


def skeleton(root: Element) -> Iterator[str]:
    """A page's elements and what programs go by, without any words."""
    for element in root.iter():
        kept = {name: element.get(name) for name in ("class", "id", "name", "type", "role", "rel") if element.get(name)}
        yield f"{element.tag} {kept}"


def without_language(root: Element) -> list[str]:
    """The same without the one field that carries the language on."""
    return [each for each in skeleton(root) if "'name': 'language'" not in each]


def subscriber(email: str = "ada@example.com") -> Subscriber:
    db.session.rollback()
    return db.session.query(Subscriber).filter_by(email=email).one()


# --- the published pages ----------------------------------------------------


@pytest.mark.usefixtures("offered")
def test_every_page_is_there_in_every_language_with_the_structure_of_the_english_one(
    incident_id: str, component_id: str, asking: Callable[[str], Any]
) -> None:
    month = f"/history/{clock.now():%Y-%m}"
    for path in ("/", "/history", month, f"/incidents/{incident_id}", f"/components/{component_id}"):
        english = check_page(asking(path)[1])
        for language in OTHERS:
            status, body = asking(f"/{language}{path}")
            root = check_page(body)
            assert (status, root.get("lang")) == (200, language), path
            assert without_language(root) == list(skeleton(english)), path


@pytest.mark.usefixtures("offered")
def test_a_page_names_its_other_languages_and_links_to_them_by_their_own_names(
    incident_id: str, asking: Callable[[str], Any], settings: Settings
) -> None:
    root = check_page(asking(f"/de/incidents/{incident_id}")[1])
    named = {link.get("hreflang"): link.get("href") for link in root.iter("link") if link.get("hreflang")}
    prefixes = {"en": "", "de": "/de", "fr": "/fr"}
    assert named == {
        language: f"{settings.public_url}{prefix}/incidents/{incident_id}" for language, prefix in prefixes.items()
    }
    chooser = next(nav for nav in root.iter("nav") if nav.get("class") == "languages")
    assert [(text_of(link), link.get("lang")) for link in chooser.iter("a")] == [
        ("English", "en"),
        ("Deutsch", "de"),
        ("Français", "fr"),
    ]
    assert [link.get("lang") for link in chooser.iter("a") if link.get("aria-current")] == ["de"]


def test_without_other_languages_there_is_one_page_and_nothing_to_choose(
    incident_id: str, asking: Callable[[str], Any]
) -> None:
    page = asking("/")[1]
    assert "hreflang" not in page
    assert 'class="languages"' not in page
    assert asking("/de/")[0] == 404


@pytest.mark.usefixtures("offered")
def test_what_is_not_there_is_said_in_the_language_that_was_asked(asking: Callable[[str], Any]) -> None:
    status, body = asking("/de/incidents/nosuchthing0")
    assert status == 404
    assert "Hier ist nichts" in body
    assert "There is nothing here" in asking("/incidents/nosuchthing0")[1]


@pytest.mark.usefixtures("offered")
def test_a_change_renews_a_page_in_every_language(
    settings: Settings, by: str, incident_id: str, component_id: str
) -> None:
    publisher.publish_all(settings, clock.now())
    builders.post(MessageKind.UPDATE, incident_id, {component_id: ComponentState.DEGRADED}, by, clock.now())
    written = publisher.refresh(settings, clock.now())
    assert {"/", "/de/", "/fr/", f"/de/incidents/{incident_id}"} <= set(written)


@pytest.mark.usefixtures("offered")
def test_a_language_that_is_offered_no_more_leaves_nothing_behind(
    settings: Settings, by: str, incident_id: str
) -> None:
    publisher.publish_all(settings, clock.now())
    assert snapshot.exists(settings.site_dir, "/de/")
    branding.edit_languages("fr", ("en",), by, clock.now())
    publisher.refresh(settings, clock.now())
    there = {language: snapshot.exists(settings.site_dir, f"/{language}/") for language in ("en", "de", "fr")}
    assert there == {"en": True, "de": False, "fr": False}
    assert '<html lang="fr">' in (settings.site_dir / "index.html").read_text(encoding="utf-8")


# --- signing up and the settings --------------------------------------------


@pytest.mark.usefixtures("offered")
def test_somebody_signs_up_in_german_and_is_answered_in_german(anonymous: Visitor) -> None:
    form = anonymous.get("/subscribe?language=de")
    assert "Meldungen erhalten" in check_page(form.text).findtext(".//h1", "")
    answer = anonymous.post_as_is("/subscribe", {"email": "ada@example.com", "language": "de"})
    assert "Bitte sehen Sie in Ihr Postfach" in answer.text
    assert subscriber().language == "de"


@pytest.mark.usefixtures("offered")
def test_what_is_wrong_is_said_in_the_same_language(anonymous: Visitor) -> None:
    answer = anonymous.post_as_is("/subscribe", {"email": "ada", "language": "de"})
    assert answer.status_code == 422
    assert "Bitte geben Sie eine E-Mail-Adresse an, etwa name@example.com." in answer.text
    assert '<input type="hidden" name="language" value="de">' in answer.text


@pytest.mark.parametrize("language", ["", "en", "xx", "../../de", "de\0"])
@pytest.mark.usefixtures("offered")
def test_any_other_word_means_the_pages_own_language(anonymous: Visitor, language: str) -> None:
    answer = anonymous.post_as_is("/subscribe", {"email": "ada@example.com", "language": language})
    assert "Please check your inbox" in answer.text
    assert subscriber().language == ""


def test_a_language_that_is_not_offered_is_not_kept(anonymous: Visitor, page_id: str) -> None:
    anonymous.post_as_is("/subscribe", {"email": "ada@example.com", "language": "de"})
    assert subscriber().language == ""


@pytest.mark.usefixtures("offered")
def test_a_subscriber_changes_the_language_and_reads_the_settings_in_it(
    anonymous: Visitor, settings: Settings, started: datetime
) -> None:
    path = f"/subscriptions/manage/{make_token(settings, Purpose.MANAGE, builders.subscribed(started))}"
    assert "Language of your mails" in anonymous.get(path).text
    assert anonymous.post_as_is(f"{path}/language", {"language": "fr"}).status_code == 303
    shown = anonymous.get(f"{path}?saved=language")
    root = check_page(shown.text)
    assert root.get("lang") == "fr"
    assert "Enregistré." in shown.text
    assert anonymous.post_as_is(f"{path}/language", {"language": "xx"}).status_code == 422
    assert subscriber().language == "fr"


@pytest.mark.usefixtures("offered")
def test_every_page_of_a_subscriber_has_the_structure_of_the_english_one(
    anonymous: Visitor, settings: Settings, started: datetime, incident_id: str
) -> None:
    who = builders.subscribed(started)

    def token(purpose: Purpose, subject: str = who) -> str:
        return make_token(settings, purpose, subject)

    paths = (
        f"/subscriptions/{token(Purpose.CONFIRM)}",
        f"/subscriptions/{token(Purpose.CONFIRM, f'{who}:{incident_id}')}",
        f"/subscriptions/manage/{token(Purpose.MANAGE)}",
        f"/subscriptions/manage/{token(Purpose.MANAGE)}/erase",
        f"/unsubscribe/{token(Purpose.UNSUBSCRIBE)}",
    )
    english = {path: list(skeleton(check_page(anonymous.get(path).text))) for path in paths}
    for path in ("/subscribe", f"/subscribe/incidents/{incident_id}"):
        for language in OTHERS:
            shown = check_page(anonymous.get(f"{path}?language={language}").text)
            assert without_language(shown) == list(skeleton(check_page(anonymous.get(path).text))), (language, path)
    for language in OTHERS:
        subscriptions.choose_language(who, language, clock.now())
        for path in paths:
            root = check_page(anonymous.get(path).text)
            assert root.get("lang") == language
            assert list(skeleton(root)) == english[path], (language, path)


# --- mails ------------------------------------------------------------------


@pytest.mark.usefixtures("offered")
def test_the_mail_that_confirms_waits_in_the_language_of_the_form(anonymous: Visitor) -> None:
    anonymous.post_as_is("/subscribe", {"email": "ada@example.com", "language": "fr"})
    db.session.rollback()
    assert db.session.query(Announcement).one().kind == "confirm_subscription"
    assert subscriber().language == "fr"
