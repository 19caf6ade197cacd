"""Mails come in their reader's language and in the page's looks; a batch speaks one language."""

from datetime import datetime

import pytest
from sqlalchemy import select

from statuspage.actions import audiences, branding, subscriptions
from statuspage.db import db
from statuspage.delivery import announcements, composition, outbox
from statuspage.delivery.transport import Message, Outcome, Receipt
from statuspage.models import Announcement, Logo, Subscriber
from statuspage.rules.vocabulary import MessageKind
from statuspage.settings import Settings
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.pictures import png


@pytest.fixture
def offered(writer: str, now: datetime) -> None:
    branding.edit_languages("en", ("de", "fr"), writer, now)


def reader(name: str, language: str, now: datetime) -> str:
    made = builders.subscribed(now, f"{name}@example.com")
    if language:
        subscriptions.choose_language(made, language, now)
    return made


def announce(incident_id: str, by: str, now: datetime) -> None:
    while (batch := outbox.claim("before", 500, now)) is not None:
        outbox.settle("before", [Receipt(each.id, Outcome.SUBMITTED) for each in batch.deliveries], now)
    builders.post(MessageKind.ACKNOWLEDGE, incident_id, {}, by, now)
    while announcements.expand(audiences.audience, now):
        pass


def newest(kind: str) -> Announcement:
    db.session.rollback()
    query = select(Announcement).where(Announcement.kind == kind).order_by(Announcement.id.desc())
    found = db.session.scalars(query).first()
    assert found is not None
    return found


def claimed(now: datetime, limit: int = 500) -> list[tuple[str, list[str]]]:
    """Every batch that is due: its language, and to whom it goes."""
    found = []
    while (batch := outbox.claim("this", limit, now)) is not None:
        found.append((batch.language, sorted(each.address.partition("@")[0] for each in batch.deliveries)))
    return found


@pytest.mark.usefixtures("offered")
def test_a_batch_speaks_one_language_and_everybody_is_told_once(incident_id: str, writer: str, now: datetime) -> None:
    for name, language in (("ada", ""), ("bea", "de"), ("cleo", "fr"), ("dora", "de"), ("eve", "")):
        reader(name, language, now)
    announce(incident_id, writer, now)
    batches = claimed(now)
    assert sorted(batches) == [("", ["ada", "eve"]), ("de", ["bea", "dora"]), ("fr", ["cleo"])]


@pytest.mark.usefixtures("offered")
def test_small_batches_leave_nobody_out(incident_id: str, writer: str, now: datetime) -> None:
    names = [f"reader{number}" for number in range(7)]
    for number, name in enumerate(names):
        reader(name, ("", "de", "fr")[number % 3], now)
    announce(incident_id, writer, now)
    batches = claimed(now, limit=2)
    assert sorted(name for _, told in batches for name in told) == names
    assert all(told for _, told in batches)


def test_where_one_language_is_spoken_languages_of_old_split_no_batch(
    incident_id: str, writer: str, now: datetime, offered: None
) -> None:
    reader("ada", "", now)
    reader("bea", "de", now)
    branding.edit_languages("en", (), writer, now)
    announce(incident_id, writer, now)
    assert claimed(now) == [("", ["ada", "bea"])]


@pytest.mark.usefixtures("offered")
def test_an_update_comes_in_german_around_words_that_stay(
    incident_id: str, writer: str, settings: Settings, now: datetime
) -> None:
    reader("ada", "de", now)
    announce(incident_id, writer, now)
    message = composition.compose(newest("incident_update"), settings, language="de")
    assert message.subject == "[Status von Larkspur] Sign-in fails"
    for facts in (message.text, text_of(check_page(message.html.replace(" style=", " data-style=")))):
        for fact in (
            "Wird untersucht, 21. Nov. 2026, 14:00 UTC",
            "Nächste Meldung bis 21. Nov. 2026, 14:30 UTC",
            "Sie erhalten dies, weil Sie Larkspur um Meldungen gebeten haben.",
            "Signing in may fail.",
        ):
            assert fact in facts
    assert '<html lang="de">' in message.html


@pytest.mark.parametrize(
    ("language", "subject"),
    [
        ("", "[Larkspur status] Please confirm your subscription"),
        ("de", "[Status von Larkspur] Bitte bestätigen Sie Ihr Abonnement"),
        ("fr", "[État des services Larkspur] Veuillez confirmer votre abonnement"),
        # Not offered any more, or never: the page's own.
        ("xx", "[Larkspur status] Please confirm your subscription"),
    ],
)
@pytest.mark.usefixtures("offered")
def test_the_link_to_confirm_comes_in_the_readers_language(
    settings: Settings, now: datetime, language: str, subject: str
) -> None:
    builders.asked(now)
    assert composition.compose(newest("confirm_subscription"), settings, language=language).subject == subject


def test_a_page_of_another_language_writes_in_it_to_whoever_chose_none(
    settings: Settings, writer: str, now: datetime
) -> None:
    branding.edit_languages("fr", (), writer, now)
    builders.asked(now)
    message = composition.compose(newest("confirm_subscription"), settings)
    assert message.subject.endswith("Veuillez confirmer votre abonnement")


def test_the_teams_mails_stay_english(settings: Settings, writer: str, now: datetime) -> None:
    branding.edit_languages("de", (), writer, now)
    title, text = "An update is due", "Please write it."
    detail = {"title": title, "text": text, "path": "/console/", "account_id": writer}
    nudge = Announcement(kind="nudge", subject_id="promise00000", audience="address", detail=detail, created_at=now)
    nudge.id = 1
    message: Message = composition.compose(nudge, settings)
    assert "Write it now" in message.text
    assert '<html lang="en">' in message.html


def test_mails_carry_logo_and_accent(
    incident_id: str, writer: str, settings: Settings, now: datetime, offered: None
) -> None:
    branding.edit_look("#f5a623", png(240, 60), False, writer, now)
    reader("ada", "", now)
    announce(incident_id, writer, now)
    message = composition.compose(newest("incident_update"), settings)
    logo = f"{settings.public_url}/assets/{db.session.query(Logo).one().name}"
    # Pictures in a mail can only come from the page.
    local = message.html.replace(f'src="{settings.public_url}', 'src="')
    root = check_page(local.replace(" style=", " data-style="))
    (picture,) = root.iter("img")
    assert (picture.get("src"), picture.get("alt"), picture.get("width")) == (
        logo.removeprefix(settings.public_url),
        "Larkspur",
        "144",
    )
    (around,) = (link for link in root.iter("a") if picture in list(link))
    assert around.get("href") == f"{settings.public_url}/"
    assert "background: #906215" in message.html
    assert "#2f4cc2" not in message.html


@pytest.mark.usefixtures("offered")
def test_only_an_active_subscriber_chooses_a_language_and_only_one_that_is_offered(now: datetime) -> None:
    asked = builders.asked(now)
    with pytest.raises(subscriptions.Conflict):
        subscriptions.choose_language(asked, "de", now)
    builders.confirm(asked, now)
    with pytest.raises(subscriptions.RuleBroken):
        subscriptions.choose_language(asked, "xx", now)
    subscriptions.choose_language(asked, "de", now)
    db.session.rollback()
    assert db.session.get_one(Subscriber, asked).language == "de"
