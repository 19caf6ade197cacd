"""Action items on their way to GitHub: filed once whatever happens in between, each refusal said in words."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from statuspage.actions import action_items, issue_exports
from statuspage.db import db
from statuspage.issue_lane import IssueLane
from statuspage.models import ActionItem, IssueExport
from statuspage.rules.action_items import marker
from statuspage.rules.vocabulary import ActionItemState, ComponentState, IssueState
from statuspage.settings import GitHub, Settings
from tests import builders, githubserver
from tests.githubserver import REPOSITORY, TOKEN, GitHubServer

HOUR = timedelta(hours=1)
PATIENCE = 30


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with githubserver.running() as running:
        yield running


@pytest.fixture
def connected(settings: Settings, github: GitHubServer) -> Settings:
    return replace(settings, github=GitHub(REPOSITORY, TOKEN, github.url))


@pytest.fixture
def item_id(app: object, now: datetime) -> str:
    builders.page(now)
    writer = builders.account(now)
    incident_id = builders.acknowledged(writer, {builders.component(now): ComponentState.OUTAGE}, now)
    made = builders.action_item(incident_id, writer, now)
    issue_exports.ask(made, writer, now)
    return made


def export(item_id: str) -> IssueExport:
    db.session.rollback()
    return db.session.get_one(IssueExport, item_id, populate_existing=True)


def item(item_id: str) -> ActionItem:
    db.session.rollback()
    return db.session.get_one(ActionItem, item_id, populate_existing=True)


def work(settings: Settings, now: datetime) -> None:
    """Let a worker ask one question and settle the answer."""
    lane = IssueLane(settings, "worker")
    lane.work(now)
    lane.finish(now, PATIENCE)


def test_an_item_becomes_an_issue_that_links_back(
    item_id: str, connected: Settings, github: GitHubServer, now: datetime
) -> None:
    work(connected, now)
    (issue,) = github.issues
    assert issue["title"] == "Watch the memory"
    assert f"{connected.public_url}/console/action-items/{item_id}" in issue["body"]
    assert marker(item_id) in issue["body"]
    row = export(item_id)
    assert (row.state, row.number, row.url, row.error) == (IssueState.FILED, 1, issue["html_url"], "")


def test_a_worker_that_dies_between_the_post_and_the_commit_makes_no_second_issue(
    item_id: str, connected: Settings, github: GitHubServer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(issue_exports, "settle", die)
        with pytest.raises(KeyboardInterrupt):
            work(connected, now)
    assert (github.posts(), export(item_id).state) == (1, IssueState.WAITING)
    work(connected, now + timedelta(minutes=1))
    assert github.posts() == 1, "the lease of the dead worker still holds"
    work(connected, now + issue_exports.LEASE)
    assert (github.posts(), len(github.issues), export(item_id).number) == (1, 1, 1)


def test_an_answer_that_went_missing_makes_no_second_issue(
    item_id: str, connected: Settings, github: GitHubServer, now: datetime
) -> None:
    github.mode = "lost"
    work(connected, now)
    assert (export(item_id).state, len(github.issues)) == (IssueState.WAITING, 1)
    github.mode = "ok"
    # Others write issues meanwhile: what is looked for is on a later page.
    for number in range(120):
        github.add(f"Something else {number}", "")
    work(connected, now + HOUR)
    assert (export(item_id).number, github.posts()) == (1, 1)


def test_an_answer_that_makes_no_sense_is_looked_into(
    item_id: str, connected: Settings, github: GitHubServer, now: datetime
) -> None:
    github.mode = "nonsense"
    work(connected, now)
    assert "can't be read" in export(item_id).error
    github.mode = "ok"
    work(connected, now + HOUR)
    assert (export(item_id).number, len(github.issues)) == (1, 1)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("401", "set a new GITHUB_TOKEN"),
        ("403", "Issues: read and write"),
        ("404", "does not show larkspur/work"),
        ("410", "switched off"),
        ("422", "GitHub did not take it: Validation Failed."),
        ("301", "set GITHUB_REPOSITORY anew"),
        ("418", "GitHub answered 418."),
    ],
)
def test_a_refusal_is_said_in_words_and_waits_for_a_person(
    status: str, words: str, item_id: str, connected: Settings, github: GitHubServer, now: datetime
) -> None:
    github.mode, github.message = status, "Validation Failed"
    work(connected, now)
    row = export(item_id)
    assert (row.state, row.look_at) == (IssueState.FAILED, None)
    assert words in row.error
    assert TOKEN not in row.error


@pytest.mark.parametrize(
    ("mode", "headers", "words", "minutes"),
    [
        ("429", {"Retry-After": "600"}, "asks for a pause", 10),
        ("403", {"Retry-After": "60"}, "asks for a pause", 1),
        ("403", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795270500"}, "asks for a pause", 15),
        ("500", {}, "has trouble (it answered 500)", 1),
        ("503", {"Retry-After": "120"}, "has trouble (it answered 503)", 2),
        ("drop", {}, "can't be reached", 1),
    ],
)
def test_trouble_is_waited_out(
    mode: str,
    headers: dict[str, str],
    words: str,
    minutes: int,
    item_id: str,
    connected: Settings,
    github: GitHubServer,
    now: datetime,
) -> None:
    github.mode, github.answer_headers = mode, headers
    work(connected, now)
    row = export(item_id)
    assert (row.state, row.look_at) == (IssueState.WAITING, now + timedelta(minutes=minutes))
    assert words in row.error
    github.mode, github.answer_headers = "ok", {}
    work(connected, now + HOUR)
    assert (export(item_id).state, export(item_id).error, len(github.issues)) == (IssueState.FILED, "", 1)


def test_nobody_is_asked_where_nobody_answers(
    item_id: str, settings: Settings, now: datetime, github: GitHubServer
) -> None:
    away = replace(settings, github=GitHub(REPOSITORY, TOKEN, "http://127.0.0.1:1"))
    work(away, now)
    assert "can't be reached" in export(item_id).error
    work(settings, now + HOUR)
    assert export(item_id).attempts == 1, "without settings nothing is claimed"


def test_a_closed_issue_settles_the_item_and_no_news_costs_nothing(
    item_id: str, connected: Settings, github: GitHubServer, now: datetime
) -> None:
    work(connected, now)
    for hours in (1, 2):
        work(connected, now + hours * HOUR)
    assert item(item_id).state is ActionItemState.OPEN
    assert export(item_id).looked_at == now + 2 * HOUR
    assert export(item_id).etag == 'W/"open"'
    github.close(1)
    work(connected, now + 3 * HOUR)
    assert item(item_id).state is ActionItemState.DONE


def test_an_item_opened_again_stays_open_while_its_issue_stays_closed(
    item_id: str, connected: Settings, github: GitHubServer, now: datetime
) -> None:
    work(connected, now)
    github.close(1, "not_planned")
    work(connected, now + HOUR)
    assert item(item_id).state is ActionItemState.DROPPED
    writer = item(item_id).owner_id
    action_items.reopen(item_id, item(item_id).version, writer, now + HOUR)
    work(connected, now + 2 * HOUR)
    assert item(item_id).state is ActionItemState.OPEN
    issue_exports.look_now(item_id, writer, now + 2 * HOUR)
    work(connected, now + 2 * HOUR)
    assert item(item_id).state is ActionItemState.DROPPED


def test_an_issue_that_is_gone_is_looked_at_no_more(
    item_id: str, connected: Settings, github: GitHubServer, now: datetime
) -> None:
    work(connected, now)
    github.mode = "404"
    work(connected, now + HOUR)
    row = export(item_id)
    assert (row.state, row.look_at) == (IssueState.FILED, None)
    assert "does not show" in row.error
