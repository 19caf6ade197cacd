"""Have SendGrid take an address off its own lists: what is on one is taken with 202 and never sent."""

import logging
import threading
import time
from urllib.parse import quote

import requests

from statuspage.delivery.transport import ChannelDown

LISTS = ("bounces", "blocks", "invalid_emails")
COMPLAINTS = "spam_reports"
TIMEOUT_SECONDS = 5
TOTAL_DEADLINE_SECONDS = 15
UNREACHABLE_PAUSE = 60
REFUSED_PAUSE = 600

log = logging.getLogger(__name__)


def forget(api_key: str, base_url: str, address: str, *, complaint: bool) -> bool:
    """Take an address off the lists of bounces, and of complaints if it says so; tell whether SendGrid did.

    Who unsubscribed at SendGrid stays so. Raises ChannelDown if it does nothing for us.
    """
    names = (*LISTS, COMPLAINTS) if complaint else LISTS
    deadline = time.monotonic() + TOTAL_DEADLINE_SECONDS
    done: list[bool] = []
    failure: list[ChannelDown] = []

    def work() -> None:
        try:
            answers = [_delete(f"{base_url}/v3/suppression/{name}", api_key, address, deadline) for name in names]
            done.append(all(answers))
        except ChannelDown as down:
            failure.append(down)

    # A server that sends a byte now and then resets the socket's own timeout for ever.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(TOTAL_DEADLINE_SECONDS)
    if failure:
        raise failure[0]
    if not done:
        raise ChannelDown("SendGrid did not answer within the deadline", UNREACHABLE_PAUSE)
    return done[0]


def _delete(url: str, api_key: str, address: str, deadline: float) -> bool:
    if time.monotonic() >= deadline:
        raise ChannelDown("SendGrid did not answer within the deadline", UNREACHABLE_PAUSE)
    try:
        answer = requests.delete(
            f"{url}/{quote(address, safe='')}",
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            stream=True,
        )
        # The status is all there is to know.
        answer.close()
    except requests.RequestException as error:
        raise ChannelDown(f"SendGrid can't be reached: {type(error).__name__}", UNREACHABLE_PAUSE) from error
    status = answer.status_code
    if status in (200, 202, 204, 404):
        return True
    if status in (401, 403):
        raise ChannelDown(
            f"SENDGRID_API_KEY may not change suppressions ({status}): give it the scope Suppressions", REFUSED_PAUSE
        )
    if status == 429 or status >= 500:
        raise ChannelDown(f"SendGrid answered {status}", UNREACHABLE_PAUSE)
    log.warning("SendGrid answered %s to being asked to forget an address", status)
    return False
