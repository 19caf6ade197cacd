"""The application behind the public layer: made when somebody needs it, and never in the readers' way."""

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# How long a request waits for one of its places: while it does, it holds one of the server's threads.
PATIENCE_SECONDS = 10.0
_BUSY = b"Too many people are at work here just now. Please try again in a moment.\n"


class LateApplication:
    """A WSGI application that is made at the first need; who asks before it is there waits for it.

    It answers so many requests at a time, lets so many wait, and refuses what
    is above that: with a database that hangs, each request holds a thread until
    it gives up, and readers need some too.
    """

    def __init__(self, make: "Callable[[], WSGIApplication]", at_once: int, waiting: int) -> None:
        self._make = make
        self._made: WSGIApplication | None = None
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(at_once)
        self._room = threading.BoundedSemaphore(at_once + waiting)

    def prepare(self) -> None:
        """Begin to make it in the background; a failure is told in the log, and the next request tries again."""
        threading.Thread(target=self._application, name="application", daemon=True).start()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        if not self._room.acquire(blocking=False):
            return _busy(start_response)
        try:
            if not self._places.acquire(timeout=PATIENCE_SECONDS):
                return _busy(start_response)
            try:
                return self._application()(environ, start_response)
            finally:
                self._places.release()
        finally:
            self._room.release()

    def _application(self) -> "WSGIApplication":
        made = self._made
        if made is None:
            with self._lock:
                made = self._made = self._made or self._make()
        return made


def _busy(start_response: "StartResponse") -> Iterable[bytes]:
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(_BUSY)))]
    start_response("503 Service Unavailable", [*headers, ("Retry-After", "1"), ("Cache-Control", "no-store")])
    return [_BUSY]
