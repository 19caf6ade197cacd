"""The same bytes as a constant, with our headers: what the server itself costs, for comparison in benchmarks/serving.py."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from statuspage.web import public

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PAGE = Path(os.environ.get("PLAIN_PAGE", os.devnull)).read_bytes()
ANSWER = [PAGE]
HEADERS = [
    ("ETag", '"constant-gzip"'),
    ("Vary", "Accept-Encoding"),
    ("Cache-Control", public.CACHE_PAGE),
    ("Content-Security-Policy", public.CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Length", str(len(PAGE))),
    ("Content-Encoding", "gzip"),
]


def app(_environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return ANSWER


if __name__ == "__main__":
    print("Run benchmarks/serving.py: this is one of its servers.")
