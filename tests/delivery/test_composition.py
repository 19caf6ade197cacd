"""What a mail says, and its headers."""

import re
from datetime import datetime, timedelta

import pytest
from sqlalchemy import ColumnElement, select

from statuspage.actions import templates
from statuspage.db import db
from statuspage.delivery import composition
from statuspage.delivery.outbox import Batch, Claimed
from statuspage.delivery.transport import Message, Recipient
from statuspage.links import Purpose, read_token
from statuspage.models import Announcement, Document, IncidentComponent
from statuspage.rules.vocabulary import DocumentKind, MessageKind
from statuspage.settings import Settings
from tests import builders
from tests.pagechecks import check_page, text_of


def composed(settings: Settings, *which: ColumnElement[bool]) -> tuple[Message, Recipient]:
    announcement = db.session.scalars(select(Announcement).where(*which).order_by(Announcement.id.desc())).first()
    assert announcement is not None
    claimed = Claimed(1, "ada@example.com", "subscriber01", None, 1)
    return composition.compose(announcement, settings), composition.recipients(
        Batch("batch0000001", announcement, (claimed,)), settings
    )[0]


@pytest.fixture
def acknowledged(incident_id: str, writer: str, now: datetime) -> str:
    states = {each.component_id: each.state for each in db.session.scalars(select(IncidentComponent))}
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, states, writer, now)
    return incident_id


def test_text_and_html_both_say_everything(acknowledged: str, settings: Settings) -> None:
    message, recipient = composed(settings)
    html = check_page(recipient.fill(message.html).replace(" style=", " data-style="))
    for words in (recipient.fill(message.text), text_of(html)):
        for fact in ("Sign-in fails", "Signing in may fail.", "Next update by 21 Nov 2026, 14:30 UTC", "Outage"):
            assert fact in words
    assert f"http://status.example.com/incidents/{acknowledged}" in message.text
    assert message.subject == "[Larkspur status] Sign-in fails"
    assert len(message.html) < 102_000
    assert "http-equiv" not in message.html
    assert "<img" not in message.html


def test_the_line_beside_the_subject_tells_the_stage_and_ends_with_a_whole_word(
    incident_id: str, writer: str, settings: Settings, now: datetime
) -> None:
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {}, writer, now, symptoms="Signing in may fail. " * 9)
    message, _ = composed(settings)
    found = re.search(r'<div class="preheader"[^>]*>([^<]*)</div>', message.html)
    assert found is not None
    assert found[1] == "Investigating: We are looking into a problem with: Signing in What you may notice: …"
    assert len(found[1]) <= 90


def test_one_click_leads_out(acknowledged: str, settings: Settings) -> None:
    message, recipient = composed(settings)
    header = recipient.fill(message.headers["List-Unsubscribe"])
    token = header.removeprefix("<http://status.example.com/unsubscribe/").removesuffix(">")
    assert read_token(settings, Purpose.UNSUBSCRIBE, token) == "subscriber01"
    assert message.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"/unsubscribe/{token}" in recipient.fill(message.text)
    assert f"/unsubscribe/{token}" in recipient.fill(message.html)


def test_every_mail_leads_to_ones_settings(acknowledged: str, settings: Settings) -> None:
    message, recipient = composed(settings)
    address = recipient.fill(message.headers["List-Help"]).strip("<>")
    token = address.removeprefix("http://status.example.com/subscriptions/manage/")
    assert read_token(settings, Purpose.MANAGE, token) == "subscriber01"
    assert read_token(settings, Purpose.UNSUBSCRIBE, token) is None
    for words in (recipient.fill(message.text), recipient.fill(message.html)):
        assert address in words
        assert "Change what you get" in words


def test_the_mails_of_an_incident_are_one_thread(
    acknowledged: str, writer: str, settings: Settings, now: datetime
) -> None:
    first, recipient = composed(settings)
    builders.post(MessageKind.UPDATE, acknowledged, {}, writer, now + timedelta(minutes=5))
    second, again = composed(settings)
    assert first.subject == second.subject
    opening = recipient.fill(first.headers["Message-ID"])
    assert opening == f"<incident.{acknowledged}.1.subscriber01@status.example.com>"
    assert again.fill(second.headers["In-Reply-To"]) == again.fill(second.headers["References"]) == opening
    assert again.fill(second.headers["Message-ID"]) != opening


def test_programs_are_told_not_to_answer(acknowledged: str, settings: Settings) -> None:
    message, _ = composed(settings)
    assert message.headers["Auto-Submitted"] == "auto-generated"
    assert message.headers["List-Id"] == "<incidents.status.example.com>"
    assert message.headers["Date"] == "Sat, 21 Nov 2026 14:00:00 +0000"


def test_hostile_words_show_as_they_were_typed(
    incident_id: str, writer: str, settings: Settings, now: datetime
) -> None:
    words = "<script>x()</script> {{7*7}} {% include 'x' %} %(x)s"
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {}, writer, now, symptoms=words)
    message, _ = composed(settings)
    assert words in message.text
    assert "<script>" not in message.html
    assert "{{7*7}}" in message.html


@pytest.mark.parametrize(
    ("kind", "detail", "path", "purpose", "subject"),
    [
        ("confirm_subscription", None, "/subscriptions/", Purpose.CONFIRM, "subscriber01"),
        ("confirm_subscription", {"method": "webhook"}, "/subscriptions/", Purpose.CONFIRM, "subscriber01"),
        ("confirm_subscription", {"method": "slack"}, "/subscriptions/", Purpose.CONFIRM, "subscriber01"),
        ("confirm_follow", {"incident_id": "x1"}, "/subscriptions/", Purpose.CONFIRM, "subscriber01:x1"),
        ("subscription_settings", {"method": "email"}, "/subscriptions/manage/", Purpose.MANAGE, "subscriber01"),
        ("subscription_settings", {"method": "teams"}, "/subscriptions/manage/", Purpose.MANAGE, "subscriber01"),
    ],
)
def test_a_mail_to_who_may_not_have_asked_carries_one_link_and_nothing_of_the_asker(
    kind: str, detail: dict[str, str] | None, path: str, purpose: Purpose, subject: str, writer: str,
    settings: Settings, now: datetime,
) -> None:  # fmt: skip
    announcement = Announcement(
        id=1, kind=kind, audience="address", visibility="public", subject_id="subscriber01", detail=detail,
        address="ada@example.com", created_at=now,
    )  # fmt: skip
    message = composition.compose(announcement, settings)
    token = message.text.split(path)[1].split()[0]
    assert read_token(settings, purpose, token) == subject
    assert read_token(settings, Purpose.UNSUBSCRIBE, token) is None
    assert f"{path}{token}" in message.html
    assert not [name for name in message.headers if name.startswith("List-")]
    assert "ada@" not in message.text + message.html + message.subject
    check_page(message.html.replace(" style=", " data-style="))
    if detail and detail.get("method") == "teams":
        assert "a room in Microsoft Teams" in message.text


def test_an_announcement_about_nothing_is_said_to_be_so(writer: str, settings: Settings, now: datetime) -> None:
    for kind in ("incident_update", "invitation", "document"):
        announcement = Announcement(id=1, kind=kind, subject_id="nosuchthing0", created_at=now)
        with pytest.raises(LookupError):
            composition.compose(announcement, settings)


def document_mail(
    kind: DocumentKind, incident_id: str, by: str, to: Claimed, settings: Settings, now: datetime
) -> tuple[Message, Recipient]:
    document = Document(
        incident_id=incident_id, kind=kind, state="draft", fields={}, author_id=by, created_at=now, updated_at=now,
        body="We are **sorry**. <b>", body_html="<p>We are <strong>sorry</strong>. &lt;b&gt;</p>",
    )  # fmt: skip
    db.session.add(document)
    db.session.flush()
    announcement = Announcement(id=7, kind="document", subject_id=document.id, created_at=now)
    message = composition.compose(announcement, settings, to.customer_id is not None)
    return message, composition.recipients(Batch("batch0000001", announcement, (to,)), settings)[0]


SUBSCRIBER = Claimed(1, "ada@example.com", "subscriber01", None, 1)
CUSTOMER = Claimed(2, "bea@example.com", None, "customer0001", 1)


@pytest.mark.parametrize("to", [SUBSCRIBER, CUSTOMER])
@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (DocumentKind.DIRECT_EMAIL, "[Larkspur status] Sign-in fails"),
        (DocumentKind.POST_INCIDENT_EMAIL, "[Larkspur status] Sign-in fails: what happened"),
    ],
)
def test_a_longer_text_is_mailed_whole_with_the_way_to_the_incident(
    kind: DocumentKind, subject: str, to: Claimed, incident_id: str, writer: str, settings: Settings, now: datetime
) -> None:
    message, recipient = document_mail(kind, incident_id, writer, to, settings, now)
    assert message.subject == subject
    html = check_page(recipient.fill(message.html).replace(" style=", " data-style="))
    assert "We are sorry. <b>" in message.text
    assert "We are sorry. <b>" in text_of(html)
    for words in (message.text, message.html):
        assert f"http://status.example.com/incidents/{incident_id}" in words
    filled = "".join(recipient.fill(part) for part in (message.text, message.html, *message.headers.values()))
    assert "mark" not in filled.replace("bookmark", "")
    assert recipient.fill(message.headers["Message-ID"]).startswith("<document.7.")


def test_a_subscriber_may_leave_by_one_click_and_a_customer_is_told_why(
    incident_id: str, writer: str, settings: Settings, now: datetime
) -> None:
    about = (DocumentKind.POST_INCIDENT_EMAIL, incident_id, writer)
    message, recipient = document_mail(*about, SUBSCRIBER, settings, now)
    assert recipient.fill(message.headers["List-Unsubscribe"]).startswith("<http://status.example.com/unsubscribe/")
    for words in (recipient.fill(message.text), recipient.fill(message.html)):
        assert "You get this because you asked Larkspur for updates." in words
        assert "http://status.example.com/unsubscribe/" in words
    message, recipient = document_mail(*about, CUSTOMER, settings, now)
    assert not [name for name in message.headers if name.startswith(("List-", "Precedence"))]
    for words in (recipient.fill(message.text), recipient.fill(message.html)):
        assert "You get this because you use Larkspur." in words
        assert "unsubscribe" not in words


def test_a_test_mail_shows_the_wording_and_that_it_is_a_test(writer: str, settings: Settings, now: datetime) -> None:
    templates.send_test_message("Sign-in is slow", "Investigating", "Signing in *fails*.", now, writer, now)
    message, recipient = composed(settings, Announcement.kind == "test_message")
    assert message.subject == "Test: [Larkspur status] Sign-in is slow"
    html = check_page(recipient.fill(message.html).replace(" style=", " data-style="))
    for words in (message.text, text_of(html)):
        assert "Next update by 21 Nov 2026, 14:00 UTC" in words
        assert "This is a test that you sent to yourself. Nobody else got it." in words
    assert "<em>fails</em>" in message.html
    assert "unsubscribe" not in message.html
    assert "List-Unsubscribe" not in message.headers
