"""The team's channels: what may be added, and what is left when one is removed."""

from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage.actions import channels, people
from statuspage.db import db
from statuspage.delivery.announcements import CHANNEL_LANE
from statuspage.models import AuditEntry, Channel, Delivery
from statuspage.rules.vocabulary import AccountRole, ChannelKind, NotFound, RuleBroken
from tests import builders

HOOK = "https://hooks.slack.com/services/T000/B000/sEcReT"


@pytest.fixture
def by(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.account(now, AccountRole.ADMIN)


def audited() -> list[tuple[str, str, dict[str, str]]]:
    query = select(AuditEntry).where(AuditEntry.object_kind == "channel").order_by(AuditEntry.id)
    return [(entry.action, entry.object_id, entry.detail) for entry in db.session.scalars(query)]


def test_a_channel_is_added_for_the_team_or_for_a_person(by: str, now: datetime) -> None:
    team = channels.add_channel(ChannelKind.SLACK, " #incidents ", f" {HOOK}\n", None, by, now)
    hers = channels.add_channel(ChannelKind.TEAMS, "Ada", "https://example.webhook.office.com/x", by, by, now)
    found = db.session.get_one(Channel, team)
    assert (found.kind, found.name, found.url, found.account_id) == (ChannelKind.SLACK, "#incidents", HOOK, None)
    assert db.session.get_one(Channel, hers).account_id == by


def test_the_ledger_tells_who_did_it_and_keeps_the_secret(by: str, now: datetime) -> None:
    channel_id = channels.add_channel(ChannelKind.SLACK, "#incidents", HOOK, None, by, now)
    channels.test_channel(channel_id, by, now)
    channels.remove_channel(channel_id, by, now)
    assert audited() == [
        ("add_channel", channel_id, {"kind": "slack", "name": "#incidents"}),
        ("test_channel", channel_id, {}),
        ("remove_channel", channel_id, {}),
    ]


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (ChannelKind.SLACK, "http://localhost:8065/hooks/x"),
        (ChannelKind.TEAMS, "http://127.0.0.1/x"),
        (ChannelKind.SLACK, "HTTPS://chat.example.com:8443/hooks/x?y=z#a"),
        (ChannelKind.PAGER, "pagerduty://integrationkey@apikey"),
        (ChannelKind.PAGER, "mailto://user:password@example.com"),
        (ChannelKind.PAGER, "json://127.0.0.1/x"),
    ],
)
def test_an_address_that_can_be_posted_to_is_taken(kind: ChannelKind, url: str, by: str, now: datetime) -> None:
    channel_id = channels.add_channel(kind, "Here", url, None, by, now)
    assert db.session.get_one(Channel, channel_id).url == url


@pytest.mark.parametrize("kind", [ChannelKind.SLACK, ChannelKind.TEAMS])
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "Please fill this in."),
        ("hooks.slack.com/services/x", "beginning with https://"),
        ("ftp://example.com/x", "beginning with https://"),
        ("https://", "beginning with https://"),
        ("https:///path", "beginning with https://"),
        ("https://[::1", "beginning with https://"),
        ("https://example.com:port/", "beginning with https://"),
        ("javascript:alert(1)", "beginning with https://"),
        ("http://hooks.slack.com/x", "Please use https://"),
        ("http://localhost.example.com/x", "Please use https://"),
        ("https://a.example/x https://b.example/x", "Please give one address"),
        ("https://a.example/\x00", "Please give one address"),
        ("https://a.example/" + "x" * 2_000, "at most 2000 characters"),
    ],
)
def test_an_address_that_can_not_be_posted_to_is_refused(
    url: str, words: str, kind: ChannelKind, by: str, now: datetime
) -> None:
    with pytest.raises(RuleBroken) as broken:
        channels.add_channel(kind, "Here", url, None, by, now)
    assert list(broken.value.errors) == ["url"]
    assert words in broken.value.errors["url"]
    assert db.session.scalar(select(Channel.id)) is None


@pytest.mark.parametrize(
    "url", ["nosuchpager://x", "hooks", "pagerduty://", "https://example.com/hook", "json://a,json://b"]
)
def test_a_pager_that_apprise_does_not_understand_is_refused(url: str, by: str, now: datetime) -> None:
    with pytest.raises(RuleBroken) as broken:
        channels.add_channel(ChannelKind.PAGER, "Here", url, None, by, now)
    assert broken.value.errors["url"].startswith("Apprise does not understand this address.")


def test_every_wrong_field_is_told_at_once(by: str, now: datetime) -> None:
    with pytest.raises(RuleBroken) as broken:
        channels.add_channel(ChannelKind.SLACK, "x" * 101, "nonsense", None, by, now)
    assert set(broken.value.errors) == {"name", "url"}


def test_nobody_who_left_gets_a_channel(by: str, now: datetime) -> None:
    gone = builders.account(now)
    people.disable_account(gone, by, now)
    for account_id in (gone, "nosuchthing0"):
        with pytest.raises(RuleBroken) as broken:
            channels.add_channel(ChannelKind.SLACK, "Here", HOOK, account_id, by, now)
        assert list(broken.value.errors) == ["account_id"]


def test_a_test_waits_for_the_worker(by: str, now: datetime) -> None:
    channel_id = builders.channel(by, now)
    channels.test_channel(channel_id, by, now)
    row = db.session.scalars(select(Delivery)).one()
    assert (row.address, row.lane, row.state, row.announcement.kind) == (
        channel_id, CHANNEL_LANE, "queued", "channel_test",
    )  # fmt: skip


def test_a_removed_channel_stays_in_the_books_and_is_used_no_more(by: str, now: datetime) -> None:
    channel_id = builders.channel(by, now)
    channels.remove_channel(channel_id, by, now)
    assert db.session.get_one(Channel, channel_id).removed_at == now
    for act in (channels.remove_channel, channels.test_channel):
        with pytest.raises(NotFound):
            act(channel_id, by, now)
