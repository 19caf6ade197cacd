"""Mail through SendGrid's v3/mail/send, by its own library.

Facts of the API: up to 1,000 personalizations a request, all or nothing on
400, 202 for taken. Headers are set for each recipient.
"""

import http.client
import json
import logging
import threading
import time
import urllib.error
from collections.abc import Mapping, Sequence
from email.utils import parseaddr, parsedate_to_datetime
from typing import Any

from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import (
    ClickTracking,
    Content,
    From,
    Header,
    Mail,
    OpenTracking,
    Subject,
    SubscriptionTracking,
    TrackingSettings,
)

from statuspage.delivery.transport import START_WITHIN_SECONDS, ChannelDown, Message, Outcome, Receipt, Recipient

# The library logs every request at DEBUG, with the key in it.
logging.getLogger("python_http_client").setLevel(logging.WARNING)

RECIPIENTS_PER_REQUEST = 1_000
SOCKET_TIMEOUT_SECONDS = 15
TOTAL_DEADLINE_SECONDS = 30
UNREACHABLE_PAUSE = 30
REFUSED_PAUSE = 300
LONGEST_PAUSE = 600
# Headers that SendGrid refuses or sets itself.
_RESERVED = frozenset({"date", "message-id"})


class SendGridTransport:
    """Hands a message over to many recipients in one request."""

    batch_size = 500

    def __init__(self, api_key: str, base_url: str, mail_from: str) -> None:
        self._sendgrid = SendGridAPIClient(api_key=api_key, host=base_url)
        # None by default: a silent server would hold the worker for ever.
        self._sendgrid.client.timeout = SOCKET_TIMEOUT_SECONDS
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
        body = self._body(message, recipients)
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

    def _post(self, body: Mapping[str, Any]) -> Receipt:
        try:
            answer = self._sendgrid.client.mail.send.post(request_body=body)
        except HTTPError as error:
            return _judge(error)
        except urllib.error.URLError as error:
            # No connection, no name, no trust, or it broke before the request was out (urllib's do_open).
            raise ChannelDown(f"SendGrid can't be reached: {error.reason}", UNREACHABLE_PAUSE) from error
        except (OSError, http.client.HTTPException) as error:
            return Receipt(0, Outcome.UNKNOWN, str(error) or type(error).__name__)
        if answer.status_code not in (200, 202) or "html" in str(answer.headers.get("Content-Type")):
            # The library follows a redirect with a GET: what answered then has not seen the mail.
            raise ChannelDown(
                f"SENDGRID_URL leads to something else than SendGrid: {answer.status_code}", REFUSED_PAUSE
            )
        return Receipt(0, Outcome.SUBMITTED)

    def _body(self, message: Message, recipients: Sequence[Recipient]) -> dict[str, Any]:
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
        marked = [name for name, value in message.headers.items() if recipients[0].fill(value) != value]
        for name, value in message.headers.items():
            if name not in marked and name.lower() not in _RESERVED:
                mail.add_header(Header(name, value))
        body: dict[str, Any] = mail.get()
        # As plain dictionaries: a thousand of the library's objects cost 30 ms.
        body["personalizations"] = [_personalization(message, recipient, marked) for recipient in recipients]
        return body


def _personalization(message: Message, recipient: Recipient, marked: Sequence[str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "to": [{"email": recipient.address}],
        "custom_args": {"sp_d": str(recipient.delivery_id)},
    }
    if recipient.substitutions:
        made["substitutions"] = dict(recipient.substitutions)
    if marked:
        made["headers"] = {name: recipient.fill(message.headers[name]) for name in marked}
    return made


def _judge(error: HTTPError) -> Receipt:
    """Say what an answer other than 2xx means for the recipients. Raises ChannelDown."""
    status = int(error.status_code)
    words = f"SendGrid answered {status}: {_words(error.body)}"
    if status >= 500 or status == 408:
        # It may have been taken before the failure.
        return Receipt(0, Outcome.UNKNOWN, words)
    if status == 429:
        raise ChannelDown(words, _pause(error.headers))
    if status in (400, 413) and not _blames_sender(error.body):
        return Receipt(0, Outcome.REFUSED, words)
    # The key, the sender or the address of the service: no recipient is to blame.
    raise ChannelDown(words, REFUSED_PAUSE)


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
