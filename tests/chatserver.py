"""A stand-in for the webhooks of chat rooms: a real HTTP server in a thread, with a ledger of what it took."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests import servers


@dataclass(frozen=True)
class Taken:
    """One request that came."""

    path: str
    headers: dict[str, str]
    body: Any
    content: bytes = b""
    """The body as it came."""


class ChatServer:
    """Answers every POST.

    Modes: ok, accepted (202), any status as a number (with Slack's word for 403, 404 and 410), echo (404, and
    repeats the path), redirect (to /elsewhere), reset (takes, then closes without an answer), hang (takes,
    answers at the end alone), drip (a byte of the answer every tenth of a second), flood (500 with a body that does not end).
    Only some paths: ``only:PATH:MODE``, ok for all others.
    """

    def __init__(self) -> None:
        self.mode = "ok"
        self.taken: list[Taken] = []
        self.answer_headers: dict[str, str] = {}
        self.ending = threading.Event()
        made = type("Handler", (_Handler,), {"chat": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), made)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def mode_of(self, path: str) -> str:
        """Return how a request for this path is answered now."""
        if not self.mode.startswith("only:"):
            return self.mode
        _, only, mode = self.mode.split(":")
        return mode if path == only else "ok"

    def wait_for(self, count: int, seconds: float = servers.PATIENCE) -> list[Taken]:
        """Wait until this many requests came; return them."""
        end = time.monotonic() + seconds
        while len(self.taken) < count:
            assert time.monotonic() < end, f"only {len(self.taken)} of {count} posts came"
            time.sleep(0.01)
        return self.taken


WORDS = {"403": b"action_prohibited", "404": b"no_service", "410": b"channel_is_archived"}


class _Handler(BaseHTTPRequestHandler):
    chat: ChatServer

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.chat.taken.append(Taken(self.path, dict(self.headers), json.loads(content), content))
        mode = self.chat.mode_of(self.path)
        with contextlib.suppress(OSError):
            if mode == "reset":
                self.close_connection = True
            elif mode == "hang":
                self.chat.ending.wait(60)
                self._answer(200, b"ok")
            elif mode == "drip":
                self._drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 600)
            elif mode == "flood":
                self.send_response(500)
                self.end_headers()
                while not self.chat.ending.is_set():
                    self.wfile.write(b"x" * 65536)
            elif mode == "redirect":
                self._answer(302, b"", {"Location": "/elsewhere"})
            elif mode == "echo":
                self._answer(404, f"Cannot POST {self.path}".encode())
            else:
                status = {"ok": 200, "accepted": 202}.get(mode) or int(mode)
                self._answer(status, WORDS.get(mode, b"ok"))

    def _drip(self, content: bytes) -> None:
        for letter in content:
            if self.chat.ending.wait(0.1):
                return
            self.wfile.write(bytes([letter]))
            self.wfile.flush()

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**self.chat.answer_headers, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextlib.contextmanager
def running() -> Iterator[ChatServer]:
    """Run a chat server."""
    chat = ChatServer()
    thread = threading.Thread(target=chat.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield chat
    finally:
        chat.ending.set()
        chat.server.shutdown()
        chat.server.server_close()
        thread.join()
