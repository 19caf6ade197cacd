"""What strangers send to the public page, byte by byte, to the web server as it runs: never a failure, always the page.

What needs no bytes of its own is tried in tests/web/test_public.py: forged hosts, odd paths, endless addresses.
"""

import re
import socket
import time
from collections.abc import Iterator

import pytest

from tests import servers
from tests.faults.test_public_faults import PAGE, web

FRONT = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
SECONDS = 8.0


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where a web server over a published folder listens; its database is not there."""
    nobody = f"postgresql://nobody@127.0.0.1:{servers.free_port()}/none"
    with web(tmp_path_factory.mktemp("public"), nobody) as url:
        yield int(url.rpartition(":")[2])


def said(port: int, *parts: bytes) -> bytes:
    """Send bytes; return everything that is answered until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        answer = b""
        try:
            for part in parts:
                connection.sendall(part)
            while more := connection.recv(65_536):
                answer += more
        except ConnectionError:
            # It may close on somebody who goes on sending what it refused.
            pass
        return answer


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", answer)]


@pytest.fixture(autouse=True)
def _page_goes_on(port: int) -> Iterator[None]:
    yield
    began = time.monotonic()
    answer = said(port, FRONT + b"\r\n")
    assert answer.endswith(PAGE)
    assert time.monotonic() - began < SECONDS


HOST = b"Host: 127.0.0.1\r\n"
END = b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("wanted", "request_"),
    [
        (400, b"GET / HTTP/1.1\r\n" + END),
        (400, b"GET / HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n" + END),
        (400, b"GET /\x00 HTTP/1.1\r\n" + HOST + END),
        (400, b"GET /\xff HTTP/1.1\r\n" + HOST + END),
        (414, b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST + END),
        (431, FRONT + b"X-Long: " + b"a" * 131_072 + b"\r\n\r\n"),
        (431, FRONT + b"".join(b"X-%d: a\r\n" % number for number in range(200)) + b"\r\n"),
        (400, FRONT + b"X-Odd: a\x00b\r\n\r\n"),
        (400, FRONT + b"X-Folded: a\r\n b\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n" + END + b"abcdef"),
        (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n" + END + b"0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n" + END),
        (405, b"TRACE / HTTP/1.1\r\n" + HOST + b"X-Secret: mine\r\n" + END),
        (405, b"PROPFIND / HTTP/1.1\r\n" + HOST + END),
        (405, b"FOO / HTTP/1.1\r\n" + HOST + END),
        (405, b"DELETE / HTTP/1.1\r\n" + HOST + END),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50),
        (400, b"hello\r\n\r\n"),
        (404, b"GET /api/v2/%00.json HTTP/1.1\r\n" + HOST + END),
        (404, b"GET /incidents/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1\r\n" + HOST + END),
        (404, b"GET /assets/..%5c..%5ccurrent.json HTTP/1.1\r\n" + HOST + END),
    ],
    ids=lambda value: value[:30].decode("latin-1").strip() if isinstance(value, bytes) else None,
)
def test_what_is_no_question_for_a_page_is_refused_in_one_answer(wanted: int, request_: bytes, port: int) -> None:
    answer = said(port, request_)
    assert statuses(answer) == [wanted]
    assert not [word for word in (b"Traceback", b"evil", b"mine", b"root:") if word in answer]


@pytest.mark.parametrize(
    "headers",
    [
        b"X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 1.2.3.4\r\n",
        b"X-Original-URL: /console/\r\nX-Rewrite-URL: /console/\r\nX-HTTP-Method-Override: DELETE\r\n",
        b"If-None-Match: \xff\xfe\r\nAccept-Encoding: \xff;q=\xff, gzip;q=nonsense\r\nAccept: \xff\r\n",
        b"Range: bytes=" + b"0-1," * 1_000 + b"0-1\r\n",
        b"Cookie: " + b"a=b; " * 1_000 + b"\r\n",
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    ],
    ids=lambda value: value.partition(b":")[0].decode(),
)
def test_what_strangers_say_of_a_request_changes_nothing(headers: bytes, port: int) -> None:
    answer = said(port, FRONT + headers + b"\r\n")
    assert statuses(answer) == [200]
    assert answer.endswith(PAGE)
    assert b"evil" not in answer
    assert b"set-cookie" not in answer.lower()


def test_head_is_the_headers_alone(port: int) -> None:
    answer = said(port, b"HEAD / HTTP/1.1\r\n" + HOST + END)
    assert statuses(answer) == [200]
    assert answer.endswith(b"\r\n\r\n")
    assert b"content-length: %d" % len(PAGE) in answer.lower()


def test_a_request_hidden_in_anothers_body_is_not_answered(port: int) -> None:
    hidden = b"GET /hidden HTTP/1.1\r\n" + HOST + END
    both = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert len(statuses(said(port, b"GET / HTTP/1.1\r\n" + HOST + both + hidden))) == 1


def test_ten_megabytes_for_a_page_are_refused_before_they_are_read(port: int) -> None:
    began = time.monotonic()
    # The rest never comes.
    answer = said(port, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 10000000\r\n\r\n", b"a" * 100_000)
    assert statuses(answer) == [405]
    assert time.monotonic() - began < SECONDS
