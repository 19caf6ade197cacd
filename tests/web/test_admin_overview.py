"""The first page of administration: what is set up, what is missing, what comes next."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask

from statuspage import clock
from statuspage.actions import components, mail_provider, people
from statuspage.db import db
from statuspage.models import Page
from statuspage.rules.vocabulary import AccountRole, TokenScope
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

PATH = "/admin/"


@pytest.fixture
def admin(page_id: str, arrive: Callable[[AccountRole], Visitor]) -> Visitor:
    return arrive(AccountRole.ADMIN)


def words(visitor: Visitor) -> str:
    return text_of(check_page(visitor.get(PATH).text))


def test_a_new_page_says_what_is_missing_and_what_to_do_first(admin: Visitor) -> None:
    page = words(admin)
    first = "Next step: Components Add the parts of your product that customers know by name. Go to Components"
    assert f"{first} 4 more below" in page
    for sentence in (
        "Page ○ to do “Larkspur”, days by Etc/UTC Say where readers get help: the support address is empty.",
        "People ○ to do 1 person, 1 administrator Invite a second person",
        "Channels ○ to do None yet",
        "Mail ○ to do Kept as files Set SENDGRID_API_KEY or SMTP_URL",
        "Subscribers – optional Nobody yet",
        "Copy elsewhere – optional Not used",
        "Policies ✓ ready As shipped",
    ):
        assert sentence in page, sentence


def test_what_is_set_up_is_counted_and_asks_for_nothing(
    admin: Visitor, app: Flask, started: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(app.config["STATUSPAGE"], sendgrid_api_key="SG.x")
    monkeypatch.setitem(app.config, "STATUSPAGE", settings)
    components.edit_page("Larkspur", "Etc/UTC", "https://help.example.com", builders.account(started), started)
    builders.component(started, "Sign-in", components.create_group("Web", None, started))
    builders.channel(builders.account(started), started)
    people.invite("grace@example.com", "", AccountRole.COMMS, builders.account(started), started)
    people.add_token("robot", TokenScope.READ, None, started)
    builders.subscribed(started)
    page = words(admin)
    assert "Everything is set up. Play a drill now and then" in page
    for sentence in (
        "Components ✓ ready 1 component in 1 group",
        "4 people, 1 administrator, 1 invited",
        "Channels ✓ ready 1 channel",
        "Mail ✓ ready SendGrid, api.sendgrid.com",
        "Subscribers ✓ ready 1 subscriber",
        "API keys ✓ ready 1 key",
    ):
        assert sentence in page, sentence
    # What is broken comes first of all.
    now = clock.now()
    mail_provider.stop("The key was refused.", True, now + timedelta(minutes=5), now)
    assert "Next step: Mail No mail leaves: The key was refused." in words(admin)


def test_every_page_of_administration_is_in_the_menu_and_opens(admin: Visitor) -> None:
    menu = next(
        nav for nav in check_page(admin.get(PATH).text).iter("nav") if nav.get("aria-label") == "Administration"
    )
    for link in menu.iter("a"):
        answer = admin.get(link.get("href", ""))
        assert answer.status_code == 200
        check_page(answer.text)
        assert f'href="{link.get("href")}" aria-current="page"' in answer.text


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("words", "templates"),
        ("channels", "integrations"),
        ("suppressions", "subscribers"),
        ("imports", "subscribers"),
    ],
)
def test_a_page_that_is_not_in_the_menu_is_found_under_another(path: str, entry: str, admin: Visitor) -> None:
    assert f'href="/admin/{path}/"' in admin.get(f"/admin/{entry}/").text
    page = admin.get(f"/admin/{path}/").text
    assert f'<a href="/admin/{entry}/" aria-current="page">' in page
    assert f'<p class="crumb"><a href="/admin/{entry}/">' in page


def test_others_see_neither_menu_nor_link(page_id: str, arrive: Callable[[AccountRole], Visitor]) -> None:
    page = arrive(AccountRole.COMMS).get("/console/maintenance/").text
    assert "/admin/" not in page.replace("/admin/replies/", "")
    assert "Administration" not in page


def test_hostile_words_do_no_harm(admin: Visitor, started: datetime) -> None:
    db.session.query(Page).update({"name": "<script>alert(1)</script>"})
    db.session.commit()
    check_page(admin.get(PATH).text)
    assert "<script>alert" not in admin.get(PATH).text
