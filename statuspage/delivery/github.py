"""Action items as issues on GitHub (REST): filed once, looked for before a second try, looked at until closed."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import requests

from statuspage.rules.action_items import Answer, Issue, Outcome, issue_body, marker
from statuspage.settings import GitHub

CONNECT_SECONDS, READ_SECONDS = 5, 15
# For all questions about one item together, however slowly the answers drip in.
TOTAL_SECONDS = 90
ANSWER_LIMIT = 16 * 1024**2
PER_PAGE, MOST_PAGES = 50, 10
# GitHub's clock and ours may differ by this much.
CLOCKS_DIFFER = timedelta(minutes=10)
LONGEST_PAUSE_SECONDS = 24 * 3600
WORDS_LIMIT = 200
BY_ITSELF = "It is tried again by itself."
VERSION = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28", "User-Agent": "statuspage"}


@dataclass(frozen=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    content: Any
    """What the JSON says; None where it is none."""


class _Unanswered(Exception):
    """GitHub said nothing certain; the words are for people."""


class _Answered(Exception):
    """GitHub refused, or asks for a pause."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.words)
        self.answer = answer


def file_issue(github: GitHub, issue: Issue, asked_at: datetime, *, is_repeat: bool, now: datetime) -> Answer:
    """File an issue; any failure is an answer. On a repeat it is looked for first: it may be there already."""
    talk = _Talk(github, github.repository, now)
    try:
        found = talk.find(marker(issue.item_id), asked_at) if is_repeat else None
        if found is None:
            found = talk.ask("POST", "/issues", sent={"title": issue.title, "body": issue_body(issue)}).content
        number, url = _field(found, "number", int), _field(found, "html_url", str)
        if not number or not url.startswith(("https://", "http://")):
            return Answer(Outcome.LATER, f"GitHub's answer can't be read. {BY_ITSELF}")
        return Answer(Outcome.FILED, number=number, url=url)
    except _Answered as refused:
        return refused.answer
    except _Unanswered as failed:
        return Answer(Outcome.LATER, f"{failed} {BY_ITSELF}")


def look(github: GitHub, repository: str, number: int, etag: str, now: datetime) -> Answer:
    """Look how an issue stands; any failure is an answer. With the tag of the last look nothing is counted for no news."""
    talk = _Talk(github, repository, now)
    try:
        reply = talk.ask("GET", f"/issues/{number}", headers={"If-None-Match": etag} if etag else {})
    except _Answered as refused:
        return refused.answer
    except _Unanswered as failed:
        return Answer(Outcome.LATER, f"{failed} {BY_ITSELF}")
    if reply.status == 304:
        return Answer(Outcome.SEEN, etag=etag)
    return Answer(
        Outcome.SEEN,
        etag=reply.headers.get("ETag", ""),
        is_closed=_field(reply.content, "state", str) == "closed",
        is_dropped=_field(reply.content, "state_reason", str) == "not_planned",
    )


class _Talk:
    """Questions about one item."""

    def __init__(self, github: GitHub, repository: str, now: datetime) -> None:
        self._github, self._repository, self._now = github, repository, now
        self._end = time.monotonic() + TOTAL_SECONDS

    def find(self, mark: str, since: datetime) -> Any:
        """Return the issue that carries this mark; None if there is none.

        By listing, not by GitHub's search: its index follows minutes later.
        """
        for page in range(1, MOST_PAGES + 1):
            listed = self.ask(
                "GET",
                "/issues",
                params={
                    "state": "all",
                    "since": (since - CLOCKS_DIFFER).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "sort": "created",
                    "direction": "desc",
                    "per_page": PER_PAGE,
                    "page": page,
                },
            ).content
            if not isinstance(listed, list):
                raise _Unanswered("GitHub's answer can't be read.")
            for each in listed:
                if mark in _field(each, "body", str):
                    return each
            if len(listed) < PER_PAGE:
                return None
        raise _Unanswered("There are too many new issues to see whether it was filed.")

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        sent: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> _Reply:
        """Ask; return what was said if it is what was asked for."""
        try:
            with requests.request(
                method,
                f"{self._github.url}/repos/{self._repository}{path}",
                params=params,
                json=sent,
                headers={**VERSION, **(headers or {})},
                # Not as a header: a password for this host in somebody's .netrc would take its place.
                auth=self._sign,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as answer:
                reply = _Reply(answer.status_code, answer.headers, self._read(answer))
        except requests.exceptions.SSLError:
            raise _Unanswered("GitHub can't be reached: its certificate can't be trusted.") from None
        except (requests.ConnectTimeout, requests.ReadTimeout):
            raise _Unanswered("GitHub did not answer in time.") from None
        except (requests.RequestException, OSError, ValueError):
            # The library's own words may hold the address.
            raise _Unanswered("GitHub can't be reached.") from None
        self._judge(reply)
        return reply

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._github.token}"
        return request

    def _read(self, answer: requests.Response) -> Any:
        parts, length = [], 0
        for part in answer.iter_content(65536):
            parts.append(part)
            length += len(part)
            if length > ANSWER_LIMIT:
                raise _Unanswered("GitHub's answer is too long.")
            if time.monotonic() > self._end:
                raise _Unanswered("GitHub did not answer in time.")
        try:
            return json.loads(b"".join(parts))
        except ValueError:
            return None

    def _judge(self, reply: _Reply) -> None:
        """Raise _Answered unless the reply is what was asked for."""
        status = reply.status
        if status in (200, 201, 304):
            return
        if status == 429 or (status == 403 and self._is_pause(reply)):
            raise _Answered(Answer(Outcome.LATER, f"GitHub asks for a pause. {BY_ITSELF}", self._pause(reply)))
        if status in (408, 409) or status >= 500:
            words = f"GitHub has trouble (it answered {status}). {BY_ITSELF}"
            raise _Answered(Answer(Outcome.LATER, words, self._pause(reply)))
        is_gone = status in (301, 302, 307, 308, 404, 410)
        raise _Answered(Answer(Outcome.REFUSED, self._refusal(reply), is_gone=is_gone))

    def _refusal(self, reply: _Reply) -> str:
        if reply.status in (301, 302, 307, 308):
            return f"{self._repository} has moved: please set GITHUB_REPOSITORY anew."
        if reply.status == 422:
            said = _field(reply.content, "message", str)[:WORDS_LIMIT]
            return f"GitHub did not take it{': ' if said else ''}{said}."
        words = {
            401: "GitHub refused the token: please set a new GITHUB_TOKEN.",
            403: f"The token may not write issues in {self._repository}: it needs the right “Issues: read and write”.",
            404: f"GitHub does not show {self._repository} or this issue to the token: please check both.",
            410: f"The issue is gone, or issues are switched off in {self._repository}.",
        }
        return words.get(reply.status, f"GitHub answered {reply.status}.")

    @staticmethod
    def _is_pause(reply: _Reply) -> bool:
        return "Retry-After" in reply.headers or reply.headers.get("X-RateLimit-Remaining") == "0"

    def _pause(self, reply: _Reply) -> float:
        """Return how many seconds GitHub asks to wait: a day at most, 0 if it does not say."""
        asked, until = reply.headers.get("Retry-After", ""), reply.headers.get("X-RateLimit-Reset", "")
        seconds = 0.0
        if asked.isascii() and asked.isdigit():
            seconds = float(asked[:9])
        elif self._is_pause(reply) and until.isascii() and until.isdigit():
            seconds = float(until[:12]) - self._now.timestamp()
        return min(max(seconds, 0), LONGEST_PAUSE_SECONDS)


def _field(content: Any, name: str, kind: type) -> Any:
    """Return a field of a JSON object if it is of this kind, else the kind's empty value."""
    value = content.get(name) if isinstance(content, dict) else None
    return value if isinstance(value, kind) else kind()
