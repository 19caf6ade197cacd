"""What other services post to us: the mail provider's reports."""

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from flask import Blueprint, abort, current_app, request
from flask.typing import ResponseReturnValue

from statuspage import clock
from statuspage.actions import receipts
from statuspage.settings import Settings
from statuspage.signatures import is_signed, read_public_key
from statuspage.web import access

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

blueprint = Blueprint("hooks", __name__, url_prefix="/hooks")

# A thousand events are less than a megabyte.
BODY_LIMIT = 5 * 1024 * 1024
SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"


@blueprint.post("/sendgrid")
@access.public
def sendgrid() -> ResponseReturnValue:
    """Take SendGrid's events: 204 for whatever it has signed, since it sends again what is refused.

    A report is not too old after any time: it is tried for a day, and counts once.
    """
    settings: Settings = current_app.config["STATUSPAGE"]
    if not settings.sendgrid_webhook_key:
        abort(404)
    request.max_content_length = BODY_LIMIT
    body = request.get_data(cache=False)
    if len(body) >= BODY_LIMIT:
        # One without an announced length is cut off there.
        abort(413)
    signature, timestamp = request.headers.get(SIGNATURE, ""), request.headers.get(TIMESTAMP, "")
    # Over the bytes as they came: what is parsed and written again may differ by a space.
    message = timestamp.encode("utf-8", "replace") + body
    if not signature or not timestamp or not is_signed(message, signature, _key(settings.sendgrid_webhook_key)):
        return "", 403
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        # JSON is UTF-8 (RFC 8259, 8.1): whatever signed this is not what it says it is.
        return "", 403
    receipts.take_events(_events(text), clock.now())
    return "", 204


@lru_cache(maxsize=2)
def _key(text: str) -> "EllipticCurvePublicKey":
    return read_public_key(text)


def _events(text: str) -> list[object]:
    """Return the events of a body; what is no list of any is one odd event."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    return read if isinstance(read, list) else [read]
