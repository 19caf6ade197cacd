"""Subscribers' endpoints: what is posted to one, and what its answer means.

The address of a chat room is a secret, and a webhook's may hold one: no error
here repeats it.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from statuspage.delivery import chat_messages, guard, notes, webhook
from statuspage.delivery.posts import Posted
from statuspage.delivery.transport import Note, Outcome
from statuspage.links import Purpose, make_token
from statuspage.models import Announcement, Subscriber
from statuspage.rules.vocabulary import LABELS, SubscriptionMethod
from statuspage.settings import Settings

USER_AGENT = "statuspage-webhooks/1"
GONE = 410
# What is kept of an answer.
KEPT_OF_ANSWER = 300
LONGEST_RETRY_AFTER = 3_600
# A part of an address that is shorter is found in any text.
SHORTEST_SECRET = 6

_MESSAGES = {
    SubscriptionMethod.SLACK: chat_messages.slack_message,
    SubscriptionMethod.TEAMS: chat_messages.teams_message,
    SubscriptionMethod.DISCORD: chat_messages.discord_message,
}


@dataclass(frozen=True)
class Written:
    """What an announcement tells, written once for all endpoints."""

    announcement: Announcement
    payload: Mapping[str, Any]
    """For programs."""
    notes: Mapping[str, Note]
    """For chat rooms, by language; the page's own comes first."""


@dataclass(frozen=True)
class Post:
    """One post, ready to leave."""

    method: SubscriptionMethod
    url: str
    body: bytes
    headers: Mapping[str, str]


def write(announcement: Announcement, settings: Settings, now: datetime) -> Written:
    """Write what an announcement tells. Raises LookupError if what it tells about is gone."""
    return Written(
        announcement,
        webhook.payload(announcement, settings, now),
        notes.notes_to_subscribers(announcement, settings),
    )


def address(written: Written, delivery_id: int, to: Subscriber, settings: Settings, now: datetime) -> Post:
    """Return the post to one endpoint: signed for a program, in its own words for a chat room."""
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": USER_AGENT}
    if to.method is not SubscriptionMethod.WEBHOOK:
        own = next(iter(written.notes.values()))
        note = written.notes.get(to.language, own)
        content = json.dumps(_MESSAGES[to.method](note), ensure_ascii=False).encode()
        return Post(to.method, to.endpoint, content, headers)
    token = make_token(settings, Purpose.UNSUBSCRIBE, to.id)
    content = webhook.body(written.payload, f"{settings.public_url}/unsubscribe/{token}")
    message = webhook.message_id(written.announcement, delivery_id)
    return Post(to.method, to.endpoint, content, headers | webhook.signed(content, message, to, now))


def send(post: Post, allow: Collection[str], now: datetime) -> Posted:
    """Hand a post over; any failure is an outcome. Refused is only who says to be gone for good."""
    service = LABELS[post.method]
    try:
        answer = guard.post(post.url, post.body, post.headers, allow)
    except guard.Blocked:
        return Posted(Outcome.LATER, f"The address of this {service} may not be posted to.")
    except guard.Unreachable as error:
        return Posted(Outcome.LATER, f"{service} can't be reached: {error}.")
    except guard.NoAnswer as error:
        return Posted(Outcome.UNKNOWN, f"{service} gave no answer: {error}.")
    if 200 <= answer.status < 300:
        return Posted(Outcome.SUBMITTED)
    words = f"{service} answered {answer.status}{_words(post, answer)}."
    if answer.status == GONE:
        return Posted(Outcome.REFUSED, words)
    if 300 <= answer.status < 400:
        words += " Redirects are not followed."
    return Posted(Outcome.LATER, words, _retry_after(answer, now))


def _words(post: Post, answer: guard.Answer) -> str:
    """Return the beginning of an answer for the console, unless it repeats a part of the address."""
    text = answer.body[:2_000].decode("utf-8", "replace")
    parts = urlsplit(post.url)
    secrets = re.split(r"[/&=]", f"{parts.path}&{parts.query}")
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET and (secret in text or unquote(secret) in text):
            return ""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return f" ({plain[:KEPT_OF_ANSWER]})" if plain else ""


def _retry_after(answer: guard.Answer, now: datetime) -> float:
    """Return how long an answer asks to wait: an hour at most, 0 if it does not say."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), LONGEST_RETRY_AFTER))
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    return min(max((until - now).total_seconds(), 0), LONGEST_RETRY_AFTER)
