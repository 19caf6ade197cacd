"""A preview is exactly what is then published and sent: byte for byte, in every place."""

import html
import json
import re
from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import branding
from statuspage.db import db
from statuspage.delivery import composition, notes
from statuspage.delivery.chat_messages import slack_message
from statuspage.models import Announcement, Update
from statuspage.rules.vocabulary import AccountRole, ComponentState, MessageKind, SubscriptionMethod, Visibility
from statuspage.settings import Settings
from statuspage.site import publisher
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.pictures import png
from tests.typed import typed
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]
# Some of it is no plain language.
AS_IT_IS = {"as_it_is": "yes"}
BODY = "Signing in may *fail* & <b>time **out**</b>.\n\nSee [more](https://example.com/a) and https://example.com_a_b."


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch, started: datetime) -> datetime:
    """The preview and the posting happen in the same moment."""
    moment = started.replace(microsecond=0)
    monkeypatch.setattr(clock, "now", lambda: moment)
    return moment


@pytest.fixture(autouse=True)
def branded(page_id: str, started: datetime) -> str:
    """The page has looks of its own; return who gave it them."""
    by = builders.account(started, AccountRole.ADMIN)
    branding.edit_look("#b3261e", png(240, 60), False, by, started)
    return by


@pytest.fixture
def comms(app: Flask, page_id: str, frozen: datetime, arrive: Arrive) -> Visitor:
    return arrive(AccountRole.COMMS)


@pytest.fixture
def component(page_id: str, frozen: datetime) -> str:
    return builders.component(frozen)


def fields_of(kind: MessageKind, component: str, now: datetime) -> dict[str, str]:
    free = {"acknowledge": "symptoms", "update": "affected", "resolve": "experienced"}[kind.value]
    state = "operational" if kind is MessageKind.RESOLVE else "outage"
    return typed(kind, now, **{free: BODY}) | {f"state_{component}": state} | AS_IT_IS


def incident_for(kind: MessageKind, component: str, now: datetime, **about: Visibility) -> str:
    """Return an incident that this kind of message is owed to."""
    by, states = builders.account(now), {component: ComponentState.OUTAGE}
    if kind is MessageKind.ACKNOWLEDGE:
        return builders.declared(by, states, now, **about)
    return builders.acknowledged(by, states, now, **about)


def frame_of(page: str, title: str) -> str:
    """Return the address of a frame in a preview."""
    (found,) = re.findall(rf'<iframe [^>]*src="([^"]*)" title="{title}', page)
    return html.unescape(found)


def article(page: str) -> str:
    """Return a public page's story."""
    return page[page.index('<article class="entry">') : page.index("</main>")]


def between(page: str, begin: str, end: str) -> str:
    """Return what a preview has between two of its own tags."""
    return page.split(begin)[1].split(end, maxsplit=1)[0]


def without_links(text: str) -> str:
    """Leave out the links that are each reader's own, and what stands for them."""
    text = re.sub(r"\(each reader(&#39;|')s own link\)", "LINK", text)
    return re.sub(r"https?://[^\s\"<]*/(subscriptions/manage|unsubscribe)/mark\w+", "LINK", text)


def seen_in_slack(block: str) -> str:
    """Return what Slack shows of a block: its stars and links are signs of ours, its escapes stand for letters."""
    text = re.sub(r"^\*(.*)\*$|^<[^|<>]*\|(.*)>$", lambda found: found[1] or found[2], block)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def told(kind: str) -> Announcement:
    """Return the newest announcement of a kind."""
    db.session.rollback()
    query = select(Announcement).where(Announcement.kind == kind).order_by(Announcement.id.desc())
    return next(iter(db.session.scalars(query)))


@pytest.mark.parametrize(
    ("kind", "own"), [*((kind, "en") for kind in MessageKind), (MessageKind.UPDATE, "de"), (MessageKind.RESOLVE, "fr")]
)
def test_what_is_shown_is_what_is_published_and_sent(
    kind: MessageKind, own: str, comms: Visitor, component: str, frozen: datetime, settings: Settings, branded: str
) -> None:
    branding.edit_languages(own, (), branded, frozen)
    incident_id = incident_for(kind, component, frozen)
    form, fields = f"/console/incidents/{incident_id}/{kind.value}", fields_of(kind, component, frozen)
    shown = comms.post(f"{form}/preview", fields, on=form).text
    check_page(shown)
    page, mail = comms.get(frame_of(shown, "The whole page")).text, comms.get(frame_of(shown, "HTML of the mail")).text

    assert comms.post(form, fields).status_code == 303
    publisher.publish_all(settings, frozen)
    announcement = told("incident_update")

    published = (settings.site_dir / "incidents" / f"{incident_id}.html").read_text()
    assert article(page) == article(published)
    assert between(shown, '<article class="update">', "</article>") in published
    (item,) = json.loads((settings.site_dir / "feed.json").read_bytes())["items"]
    feed = shown.split("preview-feed-title")[1]
    assert between(feed, '<div class="prose">', "</div>\n    </div>") == item["content_html"]
    message = composition.compose(announcement, settings)
    text = html.unescape(between(shown, 'aria-label="Text of the mail">', "</pre>"))
    assert without_links(text).strip() == without_links(message.text).strip()
    assert without_links(mail) == without_links(message.html)
    assert "/assets/logo." in mail
    assert f'<html lang="{own}">' in mail
    assert f"<dd>{message.subject}</dd>" in shown
    assert f"<dd>{html.escape(settings.mail_from)}</dd>" in shown
    blocks = slack_message(notes.notes_to_subscribers(announcement, settings)[own])["blocks"]
    panels = re.findall(r'<div class="slack-block">(.*?)</div>', shown, re.DOTALL)
    seen = [html.unescape(re.sub(r"<[^<>]*>", "", each.replace("<br>", "\n"))) for each in panels]
    assert seen == [seen_in_slack(block["text"]["text"]) for block in blocks]


def test_an_update_that_keeps_the_stage_is_called_one(
    comms: Visitor, component: str, frozen: datetime, settings: Settings
) -> None:
    incident_id = incident_for(MessageKind.UPDATE, component, frozen)
    form = f"/console/incidents/{incident_id}/update"
    fields = fields_of(MessageKind.UPDATE, component, frozen) | {"stage": "investigating"}
    shown = comms.post(f"{form}/preview", fields, on=form).text
    comms.post(form, fields)
    publisher.publish_all(settings, frozen)
    assert '<span class="stage">Update</span>' in between(shown, '<article class="update">', "</article>")
    published = (settings.site_dir / "incidents" / f"{incident_id}.html").read_text()
    assert between(shown, '<article class="update">', "</article>") in published


def test_a_component_left_out_of_the_first_message_was_never_affected(
    comms: Visitor, component: str, frozen: datetime, settings: Settings
) -> None:
    states = {component: ComponentState.OUTAGE, builders.component(frozen, "Search"): ComponentState.OUTAGE}
    incident_id = builders.declared(builders.account(frozen), states, frozen)
    form = f"/console/incidents/{incident_id}/acknowledge"
    fields = fields_of(MessageKind.ACKNOWLEDGE, component, frozen)
    shown = comms.post(f"{form}/preview", fields, on=form).text
    comms.post(form, fields)
    for text in (shown, composition.compose(told("incident_update"), settings).text):
        assert "- Sign-in: Outage" in text
        assert "- Search: Outage" not in text


def test_a_component_that_another_incident_holds_is_mailed_as_it_will_be(
    comms: Visitor, component: str, frozen: datetime, settings: Settings
) -> None:
    builders.acknowledged(builders.account(frozen), {component: ComponentState.OUTAGE}, frozen)
    incident_id = incident_for(MessageKind.RESOLVE, component, frozen)
    form, fields = f"/console/incidents/{incident_id}/resolve", fields_of(MessageKind.RESOLVE, component, frozen)
    shown = comms.post(f"{form}/preview", fields, on=form).text
    comms.post(form, fields)
    assert "- Sign-in: Outage" in composition.compose(told("incident_update"), settings).text
    assert "- Sign-in: Outage" in shown


def test_the_form_opens_with_its_preview_and_how_many_it_reaches(
    comms: Visitor, component: str, frozen: datetime
) -> None:
    for number in range(3):
        builders.subscribed(frozen, f"reader{number}@example.com")
    hooks = "https://hooks.slack.com/services/T0/B0/secret"
    builders.subscribed(frozen, "room@example.com", method=SubscriptionMethod.SLACK, endpoint=hooks)
    incident_id = incident_for(MessageKind.UPDATE, component, frozen)
    room = comms.get(f"/console/incidents/{incident_id}").text
    check_page(room)
    for way, count in (("Page and feeds", "everybody"), ("E-mail", "3 people"), ("Slack", "1 room")):
        assert f"<dt>{way}</dt><dd>{count}</dd>" in room


@pytest.mark.parametrize("visibility", [Visibility.INTERNAL, Visibility.DRILL])
def test_what_stays_inside_reaches_nobody_and_is_shown_all_the_same(
    visibility: Visibility, comms: Visitor, component: str, frozen: datetime
) -> None:
    builders.subscribed(frozen)
    for kind in (MessageKind.ACKNOWLEDGE, MessageKind.UPDATE):
        incident_id = incident_for(kind, component, frozen, visibility=visibility)
        form = f"/console/incidents/{incident_id}/{kind.value}"
        shown = comms.post(f"{form}/preview", fields_of(kind, component, frozen), on=form).text
        assert "preview-ways" not in shown
        assert "Sign-in fails" in comms.get(frame_of(shown, "The whole page")).text


def test_frames_let_nothing_act(comms: Visitor, component: str, frozen: datetime) -> None:
    incident_id = incident_for(MessageKind.UPDATE, component, frozen)
    base = f"/console/incidents/{incident_id}/update/preview"
    mail = comms.get(f"{base}/mail?affected=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "sandbox" in mail.headers["Content-Security-Policy"]
    assert "<script>" not in mail.text
    page = comms.get(f"{base}/page?affected=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "form-action 'none'" in page.headers["Content-Security-Policy"]
    assert "<script>alert" not in page.text


def test_a_correction_is_shown_as_it_is_then_published(
    comms: Visitor, component: str, frozen: datetime, settings: Settings
) -> None:
    incident_id = incident_for(MessageKind.UPDATE, component, frozen)
    builders.post(MessageKind.UPDATE, incident_id, {}, builders.account(frozen), frozen)
    first = db.session.scalars(select(Update).where(Update.sequence == 1)).one()
    path = f"/console/incidents/{incident_id}/updates/{first.id}/correct"
    shown = comms.post(f"{path}/preview", {"body": BODY}, on=path).text
    check_page(shown)
    page = comms.get(frame_of(shown, "The whole page")).text
    assert "E-mail" not in text_of(check_page(shown)).split("Preview")[-1]
    assert comms.post(path, {"body": BODY} | AS_IT_IS).status_code == 303
    publisher.publish_all(settings, frozen)
    published = (settings.site_dir / "incidents" / f"{incident_id}.html").read_text()
    assert article(page) == article(published)
    assert between(shown, '<article class="update">', "</article>") in published


def test_a_direct_e_mail_is_shown_as_customers_get_it(
    comms: Visitor, component: str, frozen: datetime, settings: Settings
) -> None:
    incident_id = incident_for(MessageKind.UPDATE, component, frozen)
    path = f"/console/incidents/{incident_id}/direct-email"
    shown = comms.post(f"{path}/preview", {"message": BODY}, on=path).text
    mail = comms.get(frame_of(shown, "HTML of the mail")).text
    check_page(comms.get(path).text)
    assert comms.post(path, {"message": BODY, "act": "send"} | AS_IT_IS).status_code == 303
    message = composition.compose(told("document"), settings, for_customers=True)
    assert html.unescape(between(shown, 'aria-label="Text of the mail">', "</pre>")).strip() == message.text.strip()
    assert mail == message.html
    assert f"<dd>{message.subject}</dd>" in shown


def test_a_post_incident_e_mail_is_shown_as_customers_get_it(
    comms: Visitor, component: str, frozen: datetime, settings: Settings, arrive: Arrive
) -> None:
    incident_id = incident_for(MessageKind.RESOLVE, component, frozen)
    builders.post(MessageKind.RESOLVE, incident_id, {}, builders.account(frozen), frozen)
    path = f"/console/incidents/{incident_id}/post-incident-email"
    fields = {"what_happened": "A change was **wrong**.", "prevention": "We test it now."}
    shown = comms.post(f"{path}/preview", fields, on=path).text
    assert "[Larkspur status] Sign-in fails: what happened" in text_of(check_page(shown))
    text = html.unescape(between(shown, 'aria-label="Text of the mail">', "</pre>")).strip()
    assert comms.post(path, fields | {"act": "submit"}).status_code == 303
    assert arrive(AccountRole.RESPONDER).post(path, {"act": "approve"}).status_code == 303
    assert comms.post(path, {"act": "send"}).status_code == 303
    sent = composition.compose(told("document"), settings, for_customers=True).text
    # Who reviews it is not known before.
    assert text.replace("Written by Ada.", "Written by Ada, reviewed by Ada.") == sent.strip()


@pytest.mark.parametrize(("stage", "own"), [("scheduled", "en"), ("in_progress", "en"), ("in_progress", "fr")])
def test_an_update_of_maintenance_is_shown_as_it_is_published_and_sent(
    stage: str, own: str, comms: Visitor, component: str, frozen: datetime, settings: Settings, branded: str
) -> None:
    branding.edit_languages(own, (), branded, frozen)
    window_id = builders.window(frozen, (component,))
    path, fields = f"/console/maintenance/{window_id}", {"stage": stage, "body": BODY, "tell": "yes"} | AS_IT_IS
    hidden = comms.hidden(path)
    shown = comms.post_as_is(f"{path}/update/preview", hidden | fields).text
    check_page(shown)
    page, mail = comms.get(frame_of(shown, "The whole page")).text, comms.get(frame_of(shown, "HTML of the mail")).text
    assert comms.post_as_is(f"{path}/update", hidden | fields).status_code == 303
    publisher.publish_all(settings, frozen)
    published = (settings.site_dir / "incidents" / f"{window_id}.html").read_text()
    assert article(page) == article(published)
    announcement = told("maintenance_update")
    message = composition.compose(announcement, settings)
    text = html.unescape(between(shown, 'aria-label="Text of the mail">', "</pre>"))
    assert without_links(text).strip() == without_links(message.text).strip()
    assert without_links(mail) == without_links(message.html)
    blocks = slack_message(notes.notes_to_subscribers(announcement, settings)[own])["blocks"]
    assert all(seen_in_slack(block["text"]["text"]).split("\n")[0] in html.unescape(shown) for block in blocks)
