"""Mail through SendGrid's v3/mail/send.

Facts of the API: up to 1,000 personalizations a request, all or nothing on
400, 202 for taken. Headers are set for each recipient. The library makes the
envelope; the recipients are put in as text, which costs a tenth of its
objects, and the connection is kept from one request to the next.
"""

import json
import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from email.utils import parseaddr, parsedate_to_datetime
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from sendgrid.helpers.mail import (
    ClickTracking,
    Content,
    CustomArg,
    From,
    Header,
    Mail,
    OpenTracking,
    Subject,
    SubscriptionTracking,
    TrackingSettings,
)
from urllib3.exceptions import MaxRetryError

from statuspage.delivery.transport import START_WITHIN_SECONDS, ChannelDown, Message, Outcome, Receipt, Recipient

# The library logs every request at DEBUG, with the key in it.
logging.getLogger("python_http_client").setLevel(logging.WARNING)

RECIPIENTS_PER_REQUEST = 1_000
CONNECT_SECONDS, READ_SECONDS = 5, 15
TOTAL_DEADLINE_SECONDS = 30
UNREACHABLE_PAUSE = 30
REFUSED_PAUSE = 300
LONGEST_PAUSE = 600
# Headers that SendGrid refuses or sets itself.
_RESERVED = frozenset({"date", "message-id"})


class SendGridTransport:
    """Hands a message over to many recipients in one request."""

    batch_size = RECIPIENTS_PER_REQUEST
    batches_at_once = 4

    def __init__(self, api_key: str, base_url: str, mail_from: str) -> None:
        self._url = f"{base_url}/v3/mail/send"
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._session = requests.Session()
        # Of the environment only what is asked for here: a .netrc would replace the key.
        self._session.trust_env = False
        self._session.mount(base_url, HTTPAdapter(pool_maxsize=self.batches_at_once))
        self._name, self._address = parseaddr(mail_from)

    def deliver(self, message: Message, recipients: Sequence[Recipient]) -> list[Receipt]:
        """Hand the message over. Raises ChannelDown if SendGrid takes nothing from us."""
        deadline = time.monotonic() + START_WITHIN_SECONDS
        receipts: list[Receipt] = []
        waiting = [
            list(recipients[start : start + RECIPIENTS_PER_REQUEST])
            for start in range(0, len(recipients), RECIPIENTS_PER_REQUEST)
        ]
        while waiting and (not receipts or time.monotonic() < deadline):
            try:
                answer = self._request(message, waiting[0])
            except ChannelDown:
                if not receipts:
                    raise
                break
            part = waiting.pop(0)
            if answer.outcome is Outcome.REFUSED and len(part) > 1:
                # All or nothing: halve until the one that is refused stands alone.
                middle = len(part) // 2
                waiting[:0] = [part[:middle], part[middle:]]
                continue
            receipts += [Receipt(each.delivery_id, answer.outcome, answer.error) for each in part]
        return receipts + [Receipt(each.delivery_id, Outcome.UNTRIED) for part in waiting for each in part]

    def _request(self, message: Message, recipients: Sequence[Recipient]) -> Receipt:
        """Make one request; the receipt holds for all its recipients."""
        body = self.body(message, recipients)
        outcome: list[Receipt] = []
        failure: list[ChannelDown] = []

        def post() -> None:
            try:
                outcome.append(self._post(body))
            except ChannelDown as down:
                failure.append(down)

        # A server that sends a byte now and then resets the socket's own timeout for ever.
        thread = threading.Thread(target=post, daemon=True)
        thread.start()
        thread.join(TOTAL_DEADLINE_SECONDS)
        if failure:
            raise failure[0]
        return outcome[0] if outcome else Receipt(0, Outcome.UNKNOWN, "no answer within the deadline")

    def _post(self, body: bytes) -> Receipt:
        timeouts = (CONNECT_SECONDS, READ_SECONDS)
        try:
            answer = self._session.post(
                self._url, data=body, headers=self._headers, timeout=timeouts, allow_redirects=False
            )
        except requests.ConnectionError as error:
            if isinstance(error, requests.exceptions.SSLError) or (
                error.args and isinstance(error.args[0], MaxRetryError)
            ):
                # No connection, no name, no trust: the request was not begun.
                raise ChannelDown(f"SendGrid can't be reached: {error}", UNREACHABLE_PAUSE) from error
            return Receipt(0, Outcome.UNKNOWN, str(error))
        except requests.RequestException as error:
            return Receipt(0, Outcome.UNKNOWN, str(error) or type(error).__name__)
        return _judge(answer.status_code, answer.headers, answer.content)

    def body(self, message: Message, recipients: Sequence[Recipient]) -> bytes:
        """Return the request that hands the message over to these."""
        mail = Mail(
            from_email=From(self._address, self._name or None),
            subject=Subject(message.subject),
            plain_text_content=Content("text/plain", message.text),
            html_content=Content("text/html", message.html),
        )
        # Tracking would lead the links of these mails over another host.
        mail.tracking_settings = TrackingSettings(
            click_tracking=ClickTracking(enable=False, enable_text=False),
            open_tracking=OpenTracking(enable=False),
            subscription_tracking=SubscriptionTracking(enable=False),
        )
        marked = {name: value for name, value in message.headers.items() if recipients[0].fill(value) != value}
        for name, value in message.headers.items():
            if name not in marked and name.lower() not in _RESERVED:
                mail.add_header(Header(name, value))
        mail.add_custom_arg(CustomArg("sp_chunk", message.batch))
        envelope: dict[str, Any] = mail.get()
        envelope.pop("personalizations", None)
        made = _Personalization(marked, list(recipients[0].substitutions))
        people = ",".join([made.fill(recipient) for recipient in recipients])
        return f'{{"personalizations":[{people}],{json.dumps(envelope)[1:]}'.encode()


class _Personalization:
    """One recipient's part of a request, as JSON text with places for what differs."""

    def __init__(self, marked: Mapping[str, str], marks: Sequence[str]) -> None:
        self._marks = marks
        made: dict[str, Any] = {"to": [{"email": _place(0)}], "custom_args": {"sp_d": _place(1)}}
        places = {mark: _place(number) for number, mark in enumerate(marks, start=2)}
        if marks:
            made["substitutions"] = places
        if marked:
            made["headers"] = {name: Recipient(0, "", places).fill(value) for name, value in marked.items()}
        parts = _PLACE.split(json.dumps(made, ensure_ascii=False, separators=(",", ":")).replace("%", "%%"))
        self._template = "%s".join(parts[::2])
        self._order = [int(number) for number in parts[1::2]]

    def fill(self, recipient: Recipient) -> str:
        """Return the text for this recipient."""
        number, address, substitutions = recipient
        values: Sequence[str] = [address, str(number), *map(substitutions.__getitem__, self._marks)]
        if not _is_plain("".join(values)):
            values = [_escape(value) for value in values]
        return self._template % tuple(map(values.__getitem__, self._order))


# Characters for private use: neither addresses nor headers of ours have any.
_PLACE = re.compile("\ue000([0-9]+)\ue000")


def _place(number: int) -> str:
    return f"\ue000{number}\ue000"


def _is_plain(text: str) -> bool:
    """Whether a JSON string says it as it is."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def _escape(text: str) -> str:
    """Return what stands between the quotation marks of a JSON string."""
    return json.dumps(text)[1:-1]


def _judge(status: int, headers: Mapping[str, str], body: bytes) -> Receipt:
    """Say what an answer means for the recipients. Raises ChannelDown."""
    if status in (200, 202) and "html" not in headers.get("Content-Type", ""):
        return Receipt(0, Outcome.SUBMITTED)
    if status < 400:
        raise ChannelDown(
            f"SENDGRID_URL leads to something else than SendGrid: {status}", REFUSED_PAUSE, needs_person=True
        )
    words = f"SendGrid answered {status}: {_words(body)}"
    if status >= 500 or status == 408:
        # It may have been taken before the failure.
        return Receipt(0, Outcome.UNKNOWN, words)
    if status == 429:
        raise ChannelDown(words, _pause(headers))
    if status in (400, 413) and not _blames_sender(body):
        return Receipt(0, Outcome.REFUSED, words)
    # The key, the sender or the address of the service: no recipient is to blame.
    raise ChannelDown(words, REFUSED_PAUSE, needs_person=True)


def _blames_sender(body: Any) -> bool:
    """Whether an error names the sender's field (``from``, ``from.email``) as the wrong one."""
    try:
        return any(str(error.get("field")).partition(".")[0] == "from" for error in json.loads(body)["errors"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds to wait after a 429: what its headers say, within reason."""
    after, reset = headers.get("Retry-After") or "", headers.get("X-RateLimit-Reset") or ""
    if after.isascii() and after.isdigit():
        return float(min(int(after), LONGEST_PAUSE))
    try:
        # Both by the provider's own clock.
        pause = int(reset) - parsedate_to_datetime(headers.get("Date") or "").timestamp()
    except ValueError:
        return float(UNREACHABLE_PAUSE)
    return min(max(1.0, pause), float(LONGEST_PAUSE))


def _words(body: Any) -> str:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    return " ".join(text.split())[:300]
