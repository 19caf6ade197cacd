"""Chat rooms and pagers: one note to one incoming webhook, or to any service that Apprise knows.

A webhook's address is a secret: whoever has it may write to the room. No
error here repeats it.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import requests
from urllib3.exceptions import MaxRetryError

from statuspage.delivery.chat_messages import shortened, slack_message, teams_message
from statuspage.delivery.posts import Posted
from statuspage.delivery.transport import Note, Outcome
from statuspage.rules.vocabulary import LABELS, ChannelKind

CONNECT_SECONDS, READ_SECONDS = 3, 7
# What is read of an answer: enough for Slack's one word.
ANSWER_LIMIT = 200
# How many channels are written to at once; a hanging one takes one of these places.
AT_ONCE = 8
# A healthy hook answers sooner: so its delivery is settled by the tick that began it.
FIRST_WAIT_SECONDS = 1.0

_SLACK_WORD = re.compile(r"[a-z_]{1,60}")


def post(kind: ChannelKind, url: str, note: Note) -> Posted:
    """Hand a note over to a channel; any failure is an outcome."""
    if kind is ChannelKind.PAGER:
        return _notify(url, shortened(note))
    return _post(LABELS[kind], url, slack_message(note) if kind is ChannelKind.SLACK else teams_message(note))


def _post(service: str, url: str, message: Mapping[str, Any]) -> Posted:
    try:
        with requests.post(
            url,
            data=json.dumps(message, ensure_ascii=False).encode(),
            headers={"Content-Type": "application/json; charset=utf-8", "Accept-Encoding": "identity"},
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
            stream=True,
        ) as answer:
            return _judge(service, answer)
    except requests.ReadTimeout:
        return Posted(Outcome.UNKNOWN, f"{service} did not answer within {READ_SECONDS} s.")
    except requests.ConnectionError as error:
        if isinstance(error, requests.exceptions.SSLError):
            return Posted(Outcome.LATER, f"{service} can't be reached: its certificate can't be trusted.")
        if error.args and isinstance(error.args[0], MaxRetryError):
            return Posted(Outcome.LATER, f"{service} can't be reached.")
        # The connection broke after the note was on its way.
        return Posted(Outcome.UNKNOWN, f"{service} closed the connection without an answer.")
    except (requests.RequestException, ValueError, UnicodeError):
        # Such as an address without a host; the library's own words would repeat it.
        return Posted(Outcome.REFUSED, f"The address of this {service} channel can't be used.")


def _judge(service: str, answer: requests.Response) -> Posted:
    status = answer.status_code
    if 200 <= status < 300:
        return Posted(Outcome.SUBMITTED)
    words = f"{service} answered {status}{_word(answer)}."
    if 300 <= status < 400:
        return Posted(Outcome.REFUSED, f"{words} The address leads elsewhere: please set the one it leads to.")
    if status in (408, 429) or status >= 500:
        return Posted(Outcome.LATER, words)
    return Posted(Outcome.REFUSED, words)


def _word(answer: requests.Response) -> str:
    """Slack's word for what is wrong; nothing else is repeated, since many servers echo the address."""
    try:
        word = answer.raw.read(ANSWER_LIMIT).decode("ascii", "replace").strip()
    except Exception:  # noqa: BLE001  The status has said what counts.
        return ""
    return f" ({word})" if _SLACK_WORD.fullmatch(word) else ""


def _notify(url: str, note: Note) -> Posted:
    # A second and 30 MB for all its services: only where a pager is used.
    import apprise

    # In this very thread: the library's own pool would keep a stopping worker waiting for a service that hangs.
    asset = apprise.AppriseAsset(async_mode=False, service_timeout=0)
    pager = apprise.Apprise(asset=asset)
    if not pager.add(url):
        return Posted(Outcome.REFUSED, "Apprise does not understand this pager's address.")
    body = "\n\n".join(part for part in (note.text, f"{note.url_label}: {note.url}" if note.url else "") if part)
    taken = pager.notify(
        body=body,
        title=note.title,
        notify_type=apprise.NotifyType.WARNING,
        body_format=apprise.NotifyFormat.TEXT,
    )
    # The library does not tell a refusal from a failed connection, nor whether a silent service took it:
    # a page too many is better than none.
    if not taken:
        return Posted(Outcome.LATER, "Apprise could not hand it over; the worker's log says why.")
    return Posted(Outcome.SUBMITTED)
