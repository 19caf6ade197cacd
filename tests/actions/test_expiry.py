"""What is kept for a time only."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from statuspage.actions import expiry, people
from statuspage.db import db, transaction
from statuspage.models import LoginSession, ProviderEvent
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


@pytest.mark.parametrize(("days", "is_kept"), [(31, False), (30, True), (0, True)])
def test_a_session_goes_thirty_days_after_it_ended(days: int, is_kept: bool, now: datetime) -> None:
    email = "comms@example.com"
    builders.account(now, email=email)
    people.sign_in(email, builders.PASSWORD, people.Browser("Firefox", "192.0.2.1"), now)
    expiry.expire(now + people.SESSION_LIFETIME + timedelta(days=days))
    assert bool(db.session.scalars(select(LoginSession)).all()) is is_kept
