"""A plain static web server, as any host has one: `try_files $uri $uri.html`."""

import contextlib
import functools
import threading
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from statuspage.web.public import CONTENT_SECURITY_POLICY


class Static:
    """A plain server of the published folder, which goes by a clock that tests set."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self.now = now
        self.is_down = False
        server = self

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def date_time_string(self, timestamp: float | None = None) -> str:
                return format_datetime(server.now, usegmt=True)

            def translate_path(self, path: str) -> str:
                # As `try_files $uri $uri.html` of a web server.
                found = super().translate_path(path)
                return f"{found}.html" if Path(f"{found}.html").is_file() else found

            def do_GET(self) -> None:
                if server.is_down:
                    self.send_error(503)
                else:
                    super().do_GET()

            def end_headers(self) -> None:
                self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
                super().end_headers()

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"


@contextlib.contextmanager
def serving(folder: Path, now: datetime) -> Iterator[Static]:
    """Serve a folder until the block ends."""
    made = Static(folder, now)
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        made.http.shutdown()
        thread.join()
        made.http.server_close()
