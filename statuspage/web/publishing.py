"""Put what a request changed on the public page before it is answered."""

from datetime import datetime

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from statuspage.site import publisher


def publish_at_once(now: datetime) -> None:
    """Put the change on the page at once; if that fails the worker does it within a second."""
    try:
        publisher.refresh_at_once(current_app.config["STATUSPAGE"], now)
    except (OSError, SQLAlchemyError):
        current_app.logger.exception("publishing failed; the worker will try again")
