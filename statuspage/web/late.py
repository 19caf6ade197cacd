"""The application, made while readers are already served: it takes seconds to import, the public layer none."""

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class LateApplication:
    """A WSGI application that is made in the background; who asks before it is there waits for it."""

    def __init__(self, make: "Callable[[], WSGIApplication]") -> None:
        self._make = make
        self._made: WSGIApplication | None = None
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Begin to make it; a failure is told in the log, and the next request tries again."""
        threading.Thread(target=self._application, name="application", daemon=True).start()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        return self._application()(environ, start_response)

    def _application(self) -> "WSGIApplication":
        made = self._made
        if made is None:
            with self._lock:
                made = self._made = self._made or self._make()
        return made
