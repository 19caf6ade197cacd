"""A stand-in for GitHub's issues: a real HTTP server in a thread that answers as GitHub does."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "ghp_a-token-of-the-test"
REPOSITORY = "larkspur/work"


class GitHubServer:
    """Keeps issues.

    Modes: ok, any status as a number, ``lost`` (takes, then closes without an answer), ``drop`` (closes without
    taking), ``nonsense`` (201 with what is no JSON).
    """

    def __init__(self) -> None:
        self.mode = "ok"
        self.answer_headers: dict[str, str] = {}
        self.message = ""
        self.issues: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        made = type("Handler", (_Handler,), {"github": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), made)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def add(self, title: str, body: str, created_at: str = "2026-11-21T14:00:00Z") -> dict[str, Any]:
        """Keep an issue."""
        number = len(self.issues) + 1
        issue = {
            "number": number,
            "html_url": f"https://github.example.com/{REPOSITORY}/issues/{number}",
            "title": title,
            "body": body,
            "state": "open",
            "state_reason": None,
            "updated_at": created_at,
        }
        self.issues.append(issue)
        return issue

    def close(self, number: int, reason: str = "completed") -> None:
        """Close an issue, as somebody does on GitHub's page."""
        self.issues[number - 1] |= {"state": "closed", "state_reason": reason}

    def posts(self) -> int:
        """Return how often somebody asked for an issue to be filed."""
        return sum(method == "POST" for method, _ in self.asked)


class _Handler(BaseHTTPRequestHandler):
    github: GitHubServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.github.asked.append(("POST", self.path))
        if self._refuses():
            return
        issue = self.github.add(sent["title"], sent["body"])
        if self.github.mode == "lost":
            self.close_connection = True
        elif self.github.mode == "nonsense":
            self._answer(201, b"<html>")
        else:
            self._answer(201, issue)

    def do_GET(self) -> None:
        self.github.asked.append(("GET", self.path))
        if self._refuses():
            return
        parts = urlsplit(self.path)
        assert parts.path.startswith(f"/repos/{REPOSITORY}/issues")
        number = parts.path.removeprefix(f"/repos/{REPOSITORY}/issues").strip("/")
        if not number:
            self._answer(200, self._listed(parse_qs(parts.query)))
            return
        issue = self.github.issues[int(number) - 1]
        tag = f'W/"{issue["state"]}"'
        if self.headers.get("If-None-Match") == tag:
            self._answer(304, b"", {"ETag": tag})
        else:
            self._answer(200, issue, {"ETag": tag})

    def _listed(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        found = [each for each in reversed(self.github.issues) if each["updated_at"] >= query["since"][0]]
        size, page = int(query["per_page"][0]), int(query["page"][0])
        return found[size * (page - 1) : size * page]

    def _refuses(self) -> bool:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"message": "Bad credentials"})
        elif self.github.mode == "drop":
            self.close_connection = True
        elif self.github.mode.isdigit():
            self._answer(int(self.github.mode), {"message": self.github.message})
        else:
            return False
        return True

    def _answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**self.github.answer_headers, **(headers or {})}.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextlib.contextmanager
def running() -> Iterator[GitHubServer]:
    """Run a server."""
    github = GitHubServer()
    thread = threading.Thread(target=github.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield github
    finally:
        github.server.shutdown()
        github.server.server_close()
        thread.join()
