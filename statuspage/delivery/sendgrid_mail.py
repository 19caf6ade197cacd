"""Mail through SendGrid's v3/mail/send, by its own library.

Facts of the API: up to 1,000 personalizations a request, all or nothing on
400, 202 for taken. Headers are set for each recipient.
"""

import http.client
import logging
import socket
import threading
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

from statuspage.delivery.transport import ChannelDown, Message, Outcome, Receipt, Recipient

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
        """Hand the message over. Raises ChannelDown if the first request finds nobody who takes it."""
        receipts: list[Receipt] = []
        waiting = [
            list(recipients[start : start + RECIPIENTS_PER_REQUEST])
            for start in range(0, len(recipients), RECIPIENTS_PER_REQUEST)
        ]
        while waiting:
            part = waiting.pop(0)
            try:
                answer = self._request(message, part)
            except ChannelDown as down:
                if not receipts:
                    raise
                rest = [*part, *(each for others in waiting for each in others)]
                return receipts + [Receipt(each.delivery_id, Outcome.LATER, str(down)) for each in rest]
            if answer.outcome is Outcome.REFUSED and len(part) > 1:
                # All or nothing: halve until the one that is refused stands alone.
                middle = len(part) // 2
                waiting[:0] = [part[:middle], part[middle:]]
                continue
            receipts += [Receipt(each.delivery_id, answer.outcome, answer.error) for each in part]
        return receipts

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
            self._sendgrid.client.mail.send.post(request_body=body)
        except HTTPError as error:
            return _judge(error)
        except urllib.error.URLError as error:
            if isinstance(error.reason, ConnectionRefusedError | socket.gaierror):
                raise ChannelDown(f"SendGrid can't be reached: {error.reason}", UNREACHABLE_PAUSE) from error
            return Receipt(0, Outcome.UNKNOWN, str(error))
        except (OSError, http.client.HTTPException) as error:
            return Receipt(0, Outcome.UNKNOWN, str(error) or type(error).__name__)
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
    if status in (401, 403):
        raise ChannelDown(words, REFUSED_PAUSE)
    if status == 429:
        raise ChannelDown(words, _pause(error.headers))
    if status >= 500:
        # It may have been taken before the failure.
        return Receipt(0, Outcome.UNKNOWN, words)
    return Receipt(0, Outcome.REFUSED, words)


def _pause(headers: Any) -> float:
    """Seconds to wait after a 429: what its headers say, within reason."""
    after = str(headers.get("Retry-After") or "") if headers else ""
    if after.isdigit():
        return float(min(int(after), LONGEST_PAUSE))
    reset, date = (str(headers.get(name) or "") if headers else "" for name in ("X-RateLimit-Reset", "Date"))
    if reset.isdigit() and date:
        # Both by the provider's own clock.
        return min(max(1.0, int(reset) - parsedate_to_datetime(date).timestamp()), float(LONGEST_PAUSE))
    return float(UNREACHABLE_PAUSE)


def _words(body: Any) -> str:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    return " ".join(text.split())[:300]
