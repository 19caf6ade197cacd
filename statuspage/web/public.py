"""Public pages, answered from the published folder before Flask is reached.

Nothing here can reach the database, opens a session or sets a cookie.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statuspage.rules.languages import LANGUAGES
from statuspage.site.reader import LOOK_EVERY_SECONDS, Damaged, File, Reader

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Incident and component ids are letters and digits; months are 2026-11.
_LANGUAGES = "|".join(LANGUAGES)
_PUBLIC = re.compile(
    rf"(?:/(?:{_LANGUAGES}))?(?:/|/history(?:/\d{{4}}-\d{{2}})?|/(?:incidents|components)/[0-9A-Za-z]{{1,40}})"
    r"|/history\.(?:rss|atom|ics)|/components/[0-9A-Za-z]{1,40}\.(?:rss|atom)|/feed\.json"
    r"|/api/v2/[a-z/-]{1,60}\.json|/badge\.svg|/embed\.js"
    r"|/current\.json|/robots\.txt|/favicon\.(?:svg|ico)|/\.well-known/security\.txt|/assets/[0-9a-z.-]{1,80}"
)
_PUBLIC_FOLDERS = (
    *("/history/", "/incidents/", "/components/", "/assets/", "/api/v2/", "/.well-known/"),
    *(f"/{language}/" for language in LANGUAGES),
)
# Read by programs on other sites.
_DATA = re.compile(r"/api/v2/.*|/feed\.json|/history\.(?:rss|atom|ics)|/components/.*\.(?:rss|atom)")
_FEEDS = (".rss", ".atom")
# Answered by the application: it writes.
_SIGN_UP = "/api/v2/subscribers.json"
_HEALTH = ("/healthz", "/readyz")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
PATH_LIMIT = 2_000

# Shared by browsers and proxies for 10 s; shown for an hour more while the origin fails (RFC 5861).
CACHE_PAGE = "public, max-age=10, stale-while-revalidate=20, stale-if-error=3600"
CACHE_ASSET = "public, max-age=31536000, immutable"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

_UNPUBLISHED = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Not published yet</title></head>
<body><main><h1>Not published yet</h1><p>This status page has not been published yet. Please try again in a minute.</p>
</main></body></html>
"""

_DAMAGED = _UNPUBLISHED.replace(b"Not published yet", b"Not to be shown just now").replace(
    b"This status page has not been published yet.", b"This page can't be shown just now."
)

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything there is to say about a file in one content coding, made once."""

    etag: str
    """With its quotes."""
    headers: Headers
    body: list[bytes]
    unchanged_headers: Headers
    """Of a 304."""


class PublicSite:
    """WSGI layer: answers GET and HEAD of public paths, hands everything else on."""

    def __init__(
        self, application: "WSGIApplication", folder: Path, public_url: str, look_every: float = LOOK_EVERY_SECONDS
    ) -> None:
        self._application = application
        self._reader = Reader(folder, look_every)
        host = public_url.partition("://")[2]
        name = _host_name(host)
        self._hosts = frozenset({name}) | (_LOOPBACK if name in _LOOPBACK else frozenset())
        self._host_sentence = f"This status page is served at {public_url}. (Set PUBLIC_URL to change that.)\n".encode()
        self._headers: Headers = [
            ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ]
        if public_url.startswith("https:"):
            self._headers.append(("Strict-Transport-Security", "max-age=31536000; includeSubDomains"))

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "") or "/"
        if _host_name(environ.get("HTTP_HOST", "")) not in self._hosts and path not in _HEALTH:
            return _plain(start_response, "400 Bad Request", self._host_sentence)
        if path == "/healthz":
            # Whatever the application is busy with, this process lives: nobody should restart it.
            return _plain(start_response, "200 OK", b"ok\n")
        if len(path) > PATH_LIMIT:
            return _plain(start_response, "414 URI Too Long", b"This address is too long.\n")
        if path[:8].lower() == "/api/v2/":
            path = path.lower()
        public = _PUBLIC.fullmatch(path) is not None
        if path == _SIGN_UP or not (public or path.startswith(_PUBLIC_FOLDERS)):
            return self._application(environ, start_response)
        if path.endswith(_FEEDS):
            start_response = _as_asked(start_response, environ.get("HTTP_ACCEPT", ""))
        return self._read(path, public, environ, start_response)

    def _read(
        self, path: str, public: bool, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            return _plain(
                start_response, "405 Method Not Allowed", b"This page can only be read.\n", ("Allow", "GET, HEAD")
            )
        try:
            file = self._reader.get(path) if public else None
        except Damaged:
            return _unavailable(start_response, _DAMAGED, method)
        if file is None:
            return self._missing(path, environ, start_response)
        answer = self._answer(path, file, environ)
        known = environ.get("HTTP_IF_NONE_MATCH")
        if known is not None and (known == answer.etag or _matches(known, answer.etag)):
            start_response("304 Not Modified", answer.unchanged_headers)
            return []
        start_response("200 OK", answer.headers)
        return answer.body if method == "GET" else []

    def _answer(self, path: str, file: File, environ: "WSGIEnvironment") -> Answer:
        codings = _codings(environ.get("HTTP_ACCEPT_ENCODING", ""))
        answer: Answer | None = file.answers.get(codings)
        if answer is None:
            coding = next(coding for coding in codings if coding in file.forms)
            answer = file.answers[codings] = self._made(path, file, coding)
        return answer

    def _made(self, path: str, file: File, coding: str) -> Answer:
        etag = f'"{file.etag}-{coding}"' if coding else f'"{file.etag}"'
        unchanged = [
            ("ETag", etag),
            ("Vary", "Accept-Encoding"),
            ("Cache-Control", CACHE_ASSET if path.startswith("/assets/") else CACHE_PAGE),
        ]
        if _DATA.fullmatch(path):
            unchanged += [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", "ETag")]
        body = file.forms[coding]
        headers = [
            *unchanged,
            *self._headers,
            ("Content-Type", file.content_type),
            ("Content-Length", str(len(body))),
        ]
        if coding:
            headers.append(("Content-Encoding", coding))
        return Answer(etag, headers, [body], unchanged)

    def _missing(self, path: str, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if not self._reader.published:
            return _unavailable(start_response, _UNPUBLISHED, environ["REQUEST_METHOD"])
        if path.startswith("/api/v2/"):
            # As Statuspage answers there.
            start_response("404 Not Found", [("Content-Length", "0"), ("Access-Control-Allow-Origin", "*")])
            return []
        try:
            language = path[1:3] if path[3:4] == "/" and path[1:3] in LANGUAGES else ""
            page = (self._reader.get(f"/{language}/404") if language else None) or self._reader.get("/404")
        except Damaged:
            page = None
        if page is None:
            return _plain(start_response, "404 Not Found", b"There is nothing here.\n")
        answer = self._answer("/404", page, environ)
        start_response("404 Not Found", answer.headers)
        return answer.body if environ["REQUEST_METHOD"] == "GET" else []


def _unavailable(start_response: "StartResponse", body: bytes, method: str) -> Iterable[bytes]:
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response("503 Service Unavailable", [*headers, ("Retry-After", "10"), ("Cache-Control", "no-store")])
    return [body] if method == "GET" else []


def _plain(start_response: "StartResponse", status: str, body: bytes, *extra: tuple[str, str]) -> Iterable[bytes]:
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, [*headers, ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"), *extra])
    return [body]


def _as_asked(start_response: "StartResponse", accepted: str) -> "StartResponse":
    """Call a feed XML for those who ask for pages: a browser shows its source, without styles, under a feed's own type."""
    is_browser = "text/html" in accepted

    def begin(status: str, headers: Headers, *error: Any) -> Any:
        told = []
        for name, value in headers:
            if name == "Vary":
                told.append((name, "Accept, Accept-Encoding"))
            elif name == "Content-Type" and is_browser and "+xml" in value:
                told.append((name, "application/xml; charset=utf-8"))
            else:
                told.append((name, value))
        return start_response(status, told, *error)

    return begin


@lru_cache(maxsize=1024)
def _host_name(host: str) -> str:
    """The host without its port, in lower case."""
    return re.sub(r":\d*$", "", host.strip().lower())


@lru_cache(maxsize=1024)
def _codings(accepted: str) -> tuple[str, ...]:
    """Return the content codings that an Accept-Encoding header takes, the best first (RFC 9110, 12.5.3)."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, parameters = part.strip().partition(";")
        parameter, _, value = parameters.partition("=")
        weights[name.strip()] = _weight(value) if parameter.strip() == "q" else 1.0
    weighed = {coding: weights.get(coding, weights.get("*", 0.0)) for coding in ("br", "gzip")}
    # Of two that are equally welcome the smaller form; as it is, a file can always be had.
    taken = sorted((coding for coding in weighed if weighed[coding] > 0), key=lambda coding: -weighed[coding])
    return (*taken, "")


def _weight(text: str) -> float:
    """Read a quality value; one that is none takes nothing."""
    return float(text) if re.fullmatch(r"\s*[01](?:\.\d{0,3})?\s*", text, re.ASCII) else 0.0


def _matches(header: str, etag: str) -> bool:
    """Tell whether an If-None-Match header names this tag (weak comparison, RFC 9110, 13.1.2)."""
    if not header:
        return False
    return header.strip() == "*" or etag in [part.strip().removeprefix("W/") for part in header.split(",")]
