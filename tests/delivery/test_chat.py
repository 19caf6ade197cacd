"""Chat rooms and pagers: what they are sent, and what each answer means. A real HTTP server answers."""

import logging
import socket
import time
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.delivery import chat, chat_messages, posts
from statuspage.delivery.transport import Note, Outcome, Receipt
from statuspage.rules.vocabulary import ChannelKind
from tests import servers
from tests.chatserver import ChatServer

SECRET = "/services/T000/B000/sEcReT"
NOTE = Note("SEV1 Sign-in fails", "First line\nSecond line", "http://status.example.com/room", "Open the room")
WEBHOOKS = [ChannelKind.SLACK, ChannelKind.TEAMS]


def blocks(body: Any) -> list[str]:
    assert all(block["type"] == "section" and block["text"]["type"] == "mrkdwn" for block in body["blocks"])
    return [block["text"]["text"] for block in body["blocks"]]


def card(body: Any) -> Any:
    (attachment,) = body["attachments"]
    assert (body["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    return attachment["content"]


def lines(body: Any) -> list[str]:
    return [run["text"] for block in card(body)["body"] for run in block["inlines"]]


def test_slack_gets_title_text_and_link(chat_server: ChatServer) -> None:
    assert chat.post(ChannelKind.SLACK, chat_server.url + SECRET, NOTE) == posts.Posted(Outcome.SUBMITTED)
    (taken,) = chat_server.taken
    assert taken.path == SECRET
    assert taken.headers["Content-Type"].startswith("application/json")
    assert blocks(taken.body) == [
        "*SEV1 Sign-in fails*",
        "First line\nSecond line",
        "<http://status.example.com/room|Open the room>",
    ]
    assert taken.body["text"] == "SEV1 Sign-in fails: First line\nSecond line"


def test_slack_reads_no_sign_of_its_own_in_what_people_write(chat_server: ChatServer) -> None:
    chat.post(ChannelKind.SLACK, chat_server.url, Note("a < b & c > d", "<!channel> <@U1> <https://evil.example|ours>"))
    assert blocks(chat_server.taken[0].body) == [
        "*a &lt; b &amp; c &gt; d*",
        "&lt;!channel&gt; &lt;@U1&gt; &lt;https://evil.example|ours&gt;",
    ]
    assert "<" not in chat_server.taken[0].body["text"]
    assert all(block["text"]["verbatim"] for block in chat_server.taken[0].body["blocks"])


def test_teams_gets_a_card_with_a_button(chat_server: ChatServer) -> None:
    chat_server.mode = "accepted"
    assert chat.post(ChannelKind.TEAMS, chat_server.url + SECRET, NOTE) == posts.Posted(Outcome.SUBMITTED)
    body = chat_server.taken[0].body
    assert lines(body) == ["SEV1 Sign-in fails", "First line", "Second line"]
    assert card(body)["actions"] == [
        {"type": "Action.OpenUrl", "title": "Open the room", "url": "http://status.example.com/room"}
    ]


@pytest.mark.parametrize("kind", WEBHOOKS)
def test_a_note_without_a_link_has_no_button(kind: ChannelKind, chat_server: ChatServer) -> None:
    chat.post(kind, chat_server.url, Note("Title", "Text"))
    body = chat_server.taken[0].body
    assert blocks(body) == ["*Title*", "Text"] if kind is ChannelKind.SLACK else "actions" not in card(body)


@given(st.text(st.sampled_from("&<>ä€😀x\n"), max_size=9_000), st.text(st.sampled_from("&<>ä"), max_size=300))
def test_a_message_never_outgrows_what_the_services_take(text: str, title: str) -> None:
    note = Note(title, text, NOTE.url, NOTE.url_label)
    assert all(len(part) <= 3_000 for part in blocks(chat_messages.slack_message(note)))
    assert len(chat.json.dumps(chat_messages.teams_message(note), ensure_ascii=False).encode()) < 28_000
    assert len(chat_messages.discord_message(note)["content"]) <= 2_000


def test_discord_calls_nobody_and_reads_no_sign_in_a_title() -> None:
    message = chat_messages.discord_message(Note("@everyone *a* [b](c)", "Text **bold**", NOTE.url, NOTE.url_label))
    assert message == {
        "content": f"**@everyone \\*a\\* \\[b\\](c)**\nText **bold**\n<{NOTE.url}>",
        "allowed_mentions": {"parse": []},
        "flags": 4,
    }


@given(st.text(st.sampled_from("&<>x"), max_size=60), st.integers(min_value=4, max_value=60))
def test_a_cut_never_leaves_half_a_sign(text: str, limit: int) -> None:
    cut = chat_messages._slack_text(text, limit)
    back = cut.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert text.startswith(back.removesuffix("…"))
    assert len(cut) <= limit


@pytest.mark.parametrize("kind", WEBHOOKS)
@pytest.mark.parametrize(
    ("mode", "outcome", "words"),
    [
        ("ok", Outcome.SUBMITTED, ""),
        ("accepted", Outcome.SUBMITTED, ""),
        ("400", Outcome.REFUSED, "answered 400 (ok)."),
        ("403", Outcome.REFUSED, "answered 403 (action_prohibited)."),
        ("404", Outcome.REFUSED, "answered 404 (no_service)."),
        ("410", Outcome.REFUSED, "answered 410 (channel_is_archived)."),
        ("echo", Outcome.REFUSED, "answered 404."),
        ("redirect", Outcome.REFUSED, "answered 302. The address leads elsewhere"),
        ("408", Outcome.LATER, "answered 408"),
        ("429", Outcome.LATER, "answered 429"),
        ("500", Outcome.LATER, "answered 500"),
        ("503", Outcome.LATER, "answered 503"),
        ("flood", Outcome.LATER, "answered 500."),
        ("reset", Outcome.UNKNOWN, "closed the connection without an answer"),
        ("hang", Outcome.UNKNOWN, "did not answer within"),
    ],
)
def test_each_answer_has_its_meaning(
    mode: str,
    outcome: Outcome,
    words: str,
    kind: ChannelKind,
    chat_server: ChatServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chat, "READ_SECONDS", 0.5)
    chat_server.mode = mode
    posted = chat.post(kind, chat_server.url + SECRET, NOTE)
    assert posted.outcome is outcome
    assert words in posted.error
    assert "sEcReT" not in posted.error
    # Neither a redirect nor a retry: one request each.
    assert [taken.path for taken in chat_server.taken] == [SECRET]


@pytest.mark.parametrize("kind", WEBHOOKS)
def test_a_host_where_nobody_listens_is_tried_later(kind: ChannelKind) -> None:
    posted = chat.post(kind, f"http://127.0.0.1:{servers.free_port()}{SECRET}", NOTE)
    assert posted.outcome is Outcome.LATER
    assert "can't be reached" in posted.error
    assert "sEcReT" not in posted.error


def test_a_host_that_does_not_even_connect_is_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "CONNECT_SECONDS", 0.3)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        posted = chat.post(ChannelKind.SLACK, f"http://127.0.0.1:{full.getsockname()[1]}{SECRET}", NOTE)
        for caller in callers:
            caller.close()
    assert posted.outcome is Outcome.LATER
    assert "sEcReT" not in posted.error


def test_a_host_without_a_certificate_to_trust_is_sent_nothing(chat_server: ChatServer) -> None:
    posted = chat.post(ChannelKind.SLACK, chat_server.url.replace("http:", "https:") + SECRET, NOTE)
    assert posted.outcome is Outcome.LATER
    assert "certificate" in posted.error
    assert chat_server.taken == []


@pytest.mark.parametrize("url", ["", "nonsense", "https://", "ftp://example.com/x", "http://[::1", "http://a b/"])
def test_an_address_that_can_not_be_used_is_refused(url: str) -> None:
    posted = chat.post(ChannelKind.SLACK, url, NOTE)
    assert posted.outcome is Outcome.REFUSED
    assert posted.error == "The address of this Slack channel can't be used."


def test_a_pager_is_reached_through_apprise(chat_server: ChatServer) -> None:
    posted = chat.post(ChannelKind.PAGER, f"json://127.0.0.1:{chat_server.port}/secret", NOTE)
    assert posted == posts.Posted(Outcome.SUBMITTED)
    (taken,) = chat_server.taken
    assert taken.body["title"] == "SEV1 Sign-in fails"
    assert taken.body["message"] == "First line\nSecond line\n\nOpen the room: http://status.example.com/room"
    assert taken.body["type"] == "warning"


@pytest.mark.parametrize("mode", ["404", "500", "reset"])
def test_a_pager_that_does_not_take_it_is_tried_later(
    mode: str, chat_server: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    chat_server.mode = mode
    with caplog.at_level(logging.INFO):
        posted = chat.post(ChannelKind.PAGER, f"json://127.0.0.1:{chat_server.port}/sEcReT", NOTE)
    assert posted.outcome is Outcome.LATER
    assert "sEcReT" not in posted.error + caplog.text


def test_a_pager_that_apprise_does_not_know_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    posted = chat.post(ChannelKind.PAGER, "nosuchpager://sEcReT", NOTE)
    assert posted == posts.Posted(Outcome.REFUSED, "Apprise does not understand this pager's address.")
    assert "sEcReT" not in caplog.text


def collected(on_their_way: posts.Posts, count: int, seconds: float = 5) -> list[Receipt]:
    found: list[Receipt] = []
    end = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < end
        found += on_their_way.collect(0.1)
    return found


def test_a_hook_that_hangs_keeps_nobody_waiting(chat_server: ChatServer) -> None:
    chat_server.mode = "only:/hanging:hang"
    on_their_way = posts.Posts()
    on_their_way.start(1, "hanging", partial(chat.post, ChannelKind.SLACK, f"{chat_server.url}/hanging", NOTE))
    on_their_way.start(2, "well", partial(chat.post, ChannelKind.TEAMS, f"{chat_server.url}/well", NOTE))
    assert collected(on_their_way, 1) == [Receipt(2, Outcome.SUBMITTED)]
    assert on_their_way.busy == {"hanging"}


@pytest.mark.parametrize("mode", ["drip", "hang"])
def test_an_answer_that_does_not_come_in_time_is_unknown(
    mode: str, chat_server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posts, "TOTAL_SECONDS", 0.3)
    chat_server.mode = mode
    on_their_way = posts.Posts()
    on_their_way.start(1, "slow", partial(chat.post, ChannelKind.SLACK, chat_server.url, NOTE))
    assert collected(on_their_way, 1) == [Receipt(1, Outcome.UNKNOWN, "There was no answer within 0.3 s.")]
    assert on_their_way.busy == frozenset()


def test_an_answer_that_comes_late_is_told_after_all(chat_server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts, "TOTAL_SECONDS", 0.3)
    chat_server.mode = "hang"
    on_their_way = posts.Posts()
    on_their_way.start(1, "slow", partial(chat.post, ChannelKind.SLACK, chat_server.url, NOTE))
    collected(on_their_way, 1)
    chat_server.ending.set()
    assert collected(on_their_way, 1) == [Receipt(1, Outcome.SUBMITTED)]


def test_what_is_on_its_way_is_counted_by_age(chat_server: ChatServer) -> None:
    chat_server.mode = "hang"
    on_their_way = posts.Posts()
    for number in range(3):
        assert on_their_way.count() == number
        on_their_way.start(number, str(number), partial(chat.post, ChannelKind.SLACK, chat_server.url, NOTE))
    assert (on_their_way.count(), on_their_way.count(60), on_their_way.count(0)) == (3, 3, 0)


def test_a_mistake_of_a_library_is_told_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> posts.Posted:
        raise RuntimeError("sEcReT")

    monkeypatch.setattr(chat, "post", fail)
    on_their_way = posts.Posts()
    on_their_way.start(1, "a", partial(chat.post, ChannelKind.PAGER, "json://x", NOTE))
    assert collected(on_their_way, 1) == [Receipt(1, Outcome.UNKNOWN, "It could not be handed over: RuntimeError.")]
