"""What is kept for a time only."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from statuspage.actions import drafts, expiry, people, text_drafts
from statuspage.db import db, transaction
from statuspage.models import LoginSession, MessageDraft, ProviderEvent
from statuspage.rules.vocabulary import ComponentState, DocumentKind, MessageKind
from tests import builders

pytestmark = pytest.mark.usefixtures("app")


def reported(received_at: datetime, key: str) -> None:
    with transaction(received_at) as session:
        session.add(
            ProviderEvent(
                event_key=key, delivery_id=None, event="delivered", occurred_at=received_at, received_at=received_at
            )
        )


def kept() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(ProviderEvent.event_key).order_by(ProviderEvent.id)))


def test_a_report_of_the_provider_is_kept_for_thirty_days(now: datetime) -> None:
    for days in (31, 30, 29, 0):
        reported(now - timedelta(days=days, seconds=1), f"{days} days")
    assert not expiry.expire(now)
    assert kept() == ["29 days", "0 days"]
    assert not expiry.expire(now)
    assert kept() == ["29 days", "0 days"]


def test_many_expire_a_few_at_a_time(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "EXPIRED_AT_ONCE", 2)
    for number in range(5):
        reported(now - timedelta(days=40), str(number))
    assert [expiry.expire(now) for _ in range(3)] == [True, True, False]
    assert kept() == []


@pytest.mark.parametrize(("days", "are_kept"), [(31, 1), (30, 2), (0, 2)])
def test_a_session_goes_thirty_days_after_it_ended_and_the_last_of_each_stays(
    days: int, are_kept: int, now: datetime
) -> None:
    for email in ("comms@example.com", "other@example.com"):
        builders.account(now, email=email)
        for minutes in (0, 5):
            browser = people.Browser("192.0.2.1", "Firefox")
            people.sign_in(email, builders.PASSWORD, browser, now + timedelta(minutes=minutes))
    expiry.expire(now + people.SESSION_LIFETIME + timedelta(days=days))
    query = select(func.count(), func.max(LoginSession.created_at)).group_by(LoginSession.account_id)
    assert db.session.execute(query).all() == [(are_kept, now + timedelta(minutes=5))] * 2


def test_what_nobody_came_back_to_goes_after_ninety_days(now: datetime) -> None:
    builders.page(now)
    by = builders.account(now)
    incident_id = builders.acknowledged(by, {builders.component(now): ComponentState.OUTAGE}, now)
    words, mortem = {"being_done": "We are"}, DocumentKind.POST_MORTEM
    for days in (91, 89):
        at = now - timedelta(days=days)
        text_drafts.save_text_draft(incident_id, mortem, {"summary": f"{days}"}, builders.nonce(), 0, by, at)
    drafts.save_draft(incident_id, MessageKind.UPDATE, words, builders.nonce(), by, now - timedelta(days=91))
    drafts.save_draft(incident_id, MessageKind.RESOLVE, words, builders.nonce(), by, now - timedelta(days=89))
    expiry.expire(now)
    assert [each.fields for each in text_drafts.text_drafts_of(incident_id, mortem, by)] == [{"summary": "89"}]
    assert db.session.scalars(select(MessageDraft.kind)).all() == [MessageKind.RESOLVE]
