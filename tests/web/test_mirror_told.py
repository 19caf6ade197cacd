"""A copy elsewhere that lacks something is told in the console and at /readyz, and makes nothing unready."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from statuspage import clock
from statuspage.rendering import machine_instant
from statuspage.rules.vocabulary import AccountRole
from statuspage.settings import Settings
from statuspage.site import mirror
from tests.web.conftest import Visitor

TARGET = "s3://status/pages"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, publish_to=TARGET)


def told(visitor: Visitor) -> str:
    answer = visitor.get("/readyz").json
    assert answer is not None
    return str(answer["mirror"])


def test_nothing_is_said_where_nothing_is_known(app: Flask, anonymous: Visitor) -> None:
    assert told(anonymous) == "unknown"


def test_a_failing_copy_is_told_with_its_reason(
    app: Flask, page_id: str, settings: Settings, arrive: Callable[[AccountRole], Visitor]
) -> None:
    since = machine_instant(clock.now())
    mirror.write_state(settings.data_dir, mirror.State(TARGET, since, since, "It answers 500."))
    visitor = arrive(AccountRole.COMMS)
    page = visitor.get("/console/").get_data(as_text=True)
    assert f"The copy of the public page at {TARGET} lacks what was published since" in page
    assert "It answers 500. It is tried again by itself. Last complete at" in page
    assert told(visitor) == f"behind since {since}"


@pytest.mark.parametrize(("age", "said"), [(timedelta(seconds=5), "ok"), (timedelta(minutes=2), "behind since ")])
def test_a_copy_under_way_is_news_after_a_minute(
    age: timedelta, said: str, app: Flask, settings: Settings, anonymous: Visitor
) -> None:
    mirror.write_state(settings.data_dir, mirror.State(TARGET, machine_instant(clock.now() - age)))
    assert told(anonymous).startswith(said)


def test_a_failing_copy_makes_nothing_unready(app: Flask, settings: Settings, anonymous: Visitor) -> None:
    before = anonymous.get("/readyz").json
    mirror.write_state(settings.data_dir, mirror.State(TARGET, "2026-11-21T14:00:00Z", "", "Down."))
    after = anonymous.get("/readyz").json
    assert before is not None
    assert after is not None
    assert before["ready"] == after["ready"]
