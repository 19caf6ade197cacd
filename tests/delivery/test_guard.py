"""The guard: no address of a stranger leads into our own network, and no answer takes for ever."""

import gzip
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from statuspage.delivery import guard
from statuspage.delivery.guard import Answer, Blocked, NoAnswer, Unreachable
from tests import rawserver
from tests.rawserver import RawServer, for_ever, hang, says

HOST = "hooks.example.com"
HEAD = b"HTTP/1.1 200 OK\r\n"
# Every way to write a place inside: the resolver takes the first of them for loopback (H46).
INSIDE = [
    *("127.0.0.1", "127.1", "0", "0x7f000001", "2130706433", "017700000001", "0x7f.1"),
    *("①②⑦.⓪.⓪.①", "127。0。0。1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "169.254.169.254"),
    *("100.64.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "192.0.0.8", "198.18.0.1", "224.0.0.1"),
    *(
        "255.255.255.255",
        "[fd00::1]",
        "[fe80::1%25lo]",
        "[fec0::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[ff02::1]",
    ),
    *("[::]", "[100::1]", "[2001::1]", "[3fff::1]", "[5f00::1]", "[64:ff9b:1::1]", "192.88.99.1"),
    *("240.0.0.1",),
]
ODD = [
    *("file:///etc/passwd", "gopher://a.example/", "ftp://a.example/", "unix:/run/x", "javascript:alert(1)", ""),
    *("https://", "https:a.example", "//a.example", "http:///x", "https:///x", "http://a.example/", "a.example"),
    *("https://user:pw@a.example/", "https://@a.example/", "https://a.example\\@127.0.0.1/", "https://a.exa\tmple/"),
    *(
        "https://a.example/\nx",
        " https://a.example",
        "https://a b.example",
        "https://a.example\x00.b/",
        "https://a..b/",
    ),
    *(f"https://a.example:{port}/" for port in ("22", "25", "80", "6379", "0", "99999", "x")),
    *("https://[::1/", "https://a%2eexample/", "https://" + "a" * 2_000),
]

Resolver = Callable[..., list[Any]]


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str], port: int = 443) -> list[str]:
    """Have every host name resolve to these, one answer after the other; return the names that are asked for."""
    asked: list[str] = []
    left = list(answers)

    def getaddrinfo(host: str, _port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (each, port, 0, 0))
            if ":" in each
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Have every connection fail; return where they were to go."""
    places: list[Any] = []

    def connect(_socket: socket.socket, place: Any) -> None:
        places.append(place)
        raise ConnectionRefusedError

    monkeypatch.setattr(guard._ClockedSocket, "connect", connect, raising=False)
    return places


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "READ_SECONDS", 0.6)
    monkeypatch.setattr(guard, "TOTAL_SECONDS", 1.2)


def posted(server: RawServer, path: str = "/hook") -> Answer:
    return guard.post(f"http://{server.place}{path}", b'{"a": 1}', {"X-Mine": "1"}, {server.place})


# --- addresses -------------------------------------------------------------


@pytest.mark.parametrize("host", INSIDE)
def test_no_way_to_write_a_private_place_leads_there(host: str, connected: list[Any]) -> None:
    for check in (guard.check_host, lambda url: guard.post(url, b"", {})):
        with pytest.raises(Blocked) as blocked:
            check(f"https://{host}/hook")
        assert host not in str(blocked.value)
    assert connected == []


@pytest.mark.parametrize("url", ODD)
def test_what_is_no_plain_https_address_is_refused(
    url: str, connected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolving(monkeypatch, ["8.8.8.8"])
    with pytest.raises(Blocked, match=r"^Please give an address that begins"):
        guard.check_host(url)
    with pytest.raises(Blocked):
        guard.post(url, b"", {})
    assert (asked, connected) == ([], [])


@pytest.mark.parametrize(
    "url", ["https://hooks.example.com", "HTTPS://Hooks.Example.com:443/x?y=z#a", "https://a_b.example/"]
)
def test_a_public_address_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolving(monkeypatch, ["8.8.8.8", "2606:4700:4700::1111"])
    guard.check_host(url)
    assert asked == [asked[0].lower()]


def test_one_private_answer_among_public_ones_is_enough(connected: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(Blocked, match="private or reserved"):
        guard.post(f"https://{HOST}/", b"", {})
    assert connected == []


def test_a_name_that_changes_its_mind_leads_to_what_was_checked(
    connected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolving(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    with pytest.raises(Unreachable):
        guard.post(f"https://{HOST}/", b"", {})
    assert (asked, connected) == ([HOST], [("8.8.8.8", 443)])


def test_a_name_that_was_public_when_it_was_given_is_checked_again_at_each_post(
    connected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["8.8.8.8"], ["169.254.169.254"])
    guard.check_host(f"https://{HOST}/")
    with pytest.raises(Blocked):
        guard.post(f"https://{HOST}/", b"", {})
    assert connected == []


def test_an_unknown_host_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, [])
    with pytest.raises(Unreachable, match="not found"):
        guard.check_host(f"https://{HOST}/")


def test_a_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1) or [])
    begun = time.monotonic()
    with pytest.raises(Unreachable):
        guard.check_host(f"https://{HOST}/")
    assert time.monotonic() - begun < 0.9


def test_the_allow_list_opens_exactly_one_place() -> None:
    with rawserver.running(says(rawserver.OK)) as server, rawserver.running(says(rawserver.OK)) as other:
        assert posted(server).status == 200
        for port in (server.port + 1, other.port):
            with pytest.raises(Blocked):
                guard.post(f"http://127.0.0.1:{port}/", b"", {}, {server.place})
        with pytest.raises(Blocked):
            guard.post(f"http://127.0.0.2:{server.port}/", b"", {}, {server.place})
        assert other.connections == 0


# --- requests and answers --------------------------------------------------


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.usefixtures("proxies")
def test_a_post_carries_its_body_and_headers_and_no_proxy_has_a_say() -> None:
    with rawserver.running(says(b"HTTP/1.1 202 Accepted\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nok")) as server:
        answer = posted(server, "/hook?a=b")
    assert answer == Answer(202, {"retry-after": "7", "content-length": "2"}, b"ok")
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert (lines[0], body) == ("POST /hook?a=b HTTP/1.1", b'{"a": 1}')
    assert {f"Host: {server.place}", "X-Mine: 1", "Accept-Encoding: identity", "Connection: close"} <= set(lines)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    with rawserver.running(says(rawserver.OK)) as inside:
        to = f"HTTP/1.1 {status} Elsewhere\r\nLocation: http://{inside.place}/latest/meta-data/\r\nContent-Length: 0\r\n\r\n"
        with rawserver.running(says(to.encode())) as server:
            assert posted(server).status == status
        assert (inside.connections, server.connections) == (0, 1)


def test_a_gigabyte_is_cut(hurry: None) -> None:
    with rawserver.running(for_ever(HEAD + b"Content-Length: 1073741824\r\n\r\n", b"x" * 65_536)) as server:
        answer = posted(server)
    assert answer.status == 200
    assert 60_000 < len(answer.body) <= 65_536


def test_a_body_that_drips_is_left(hurry: None) -> None:
    begun = time.monotonic()
    with rawserver.running(for_ever(HEAD + b"Content-Length: 1000\r\n\r\n", b"x", 0.1)) as server:
        answer = posted(server)
        assert time.monotonic() - begun < 2
    assert answer.status == 200
    assert 3 < len(answer.body) < 20


def test_a_gzip_bomb_stays_packed(hurry: None) -> None:
    bomb = gzip.compress(b"\0" * 30_000_000)
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: " + str(len(bomb)).encode() + b"\r\n\r\n"
    with rawserver.running(says(head + bomb)) as server:
        answer = posted(server)
    assert answer.body == bomb[: len(answer.body)]
    assert len(answer.body) <= 65_536


def test_a_chunked_body_is_read_and_tiny_chunks_count_in_full(hurry: None) -> None:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    with rawserver.running(says(chunked + b"5\r\nhello\r\n0\r\n\r\n")) as server:
        assert posted(server).body == b"hello"
    with rawserver.running(for_ever(chunked, b"1\r\nx\r\n" * 1_000)) as server:
        assert len(posted(server).body) < 65_536 / 6


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(hang, id="nothing"),
        pytest.param(for_ever(b"", b"H", 0.1), id="a status that drips"),
        pytest.param(for_ever(HEAD, b"X-Long: 1\r\n", 0.1), id="headers that drip"),
        pytest.param(for_ever(HEAD, b"X-Long: " + b"x" * 500 + b"\r\n"), id="endless headers"),
        pytest.param(for_ever(HEAD + b"X-Long: ", b"x" * 1_000), id="an endless header"),
        pytest.param(for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="100 Continue for ever"),
        pytest.param(for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1), id="100 Continue again and again"),
        pytest.param(says(b""), id="a closed connection"),
        pytest.param(says(b"SSH-2.0-OpenSSH_9.6\r\n"), id="another protocol"),
    ],
)
def test_an_answer_that_never_comes_is_none(behave: rawserver.Behaviour, hurry: None) -> None:
    begun = time.monotonic()
    with rawserver.running(behave) as server:
        with pytest.raises(NoAnswer):
            posted(server)
        assert time.monotonic() - begun < 2
    assert len(server.requests) == 1


def test_a_reader_that_does_not_read_is_left(hurry: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        begun = time.monotonic()
        with pytest.raises(NoAnswer):
            guard.post(f"http://{place}/", b"x" * 50_000_000, {}, {place})
        assert time.monotonic() - begun < 2


def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(Unreachable):
        guard.post(f"http://{place}/", b"", {}, {place})


# --- who it is -------------------------------------------------------------


@pytest.fixture
def secured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Run a server that proves to be some host, and trust whom it names; whatever is asked for leads there."""

    def run(host: str) -> Any:
        context, file = rawserver.certified(host, tmp_path)
        trusting = ssl.create_default_context(cafile=str(file))
        trusting.sslsocket_class = guard._SecureSocket
        monkeypatch.setattr(guard, "tls_context", lambda: trusting)
        return rawserver.running(says(rawserver.OK), context)

    return run


def test_the_certificate_must_be_the_names(secured: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with secured(HOST) as server:
        resolving(monkeypatch, ["127.0.0.1"], port=server.port)
        answer = guard.post(f"https://{HOST}:{server.port}/hook", b"{}", {}, {server.place})
        assert (answer.status, answer.body) == (200, b"ok")
        with pytest.raises(Unreachable, match="certificate"):
            guard.post(f"https://other.example.com:{server.port}/", b"{}", {}, {server.place})
        assert len(server.requests) == 1


def test_who_is_not_trusted_gets_nothing(secured: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with secured(HOST) as server:
        monkeypatch.undo()
        resolving(monkeypatch, ["127.0.0.1"], port=server.port)
        with pytest.raises(Unreachable, match="certificate"):
            guard.post(f"https://{HOST}:{server.port}/hook", b"{}", {}, {server.place})
        assert server.requests == []


def test_who_speaks_no_tls_gets_nothing() -> None:
    with rawserver.running(says(rawserver.OK)) as server, pytest.raises(Unreachable):
        guard.post(f"https://{server.place}/", b"{}", {}, {server.place})


def test_the_clock_runs_with_tls_too(tmp_path: Path, hurry: None, monkeypatch: pytest.MonkeyPatch) -> None:
    context, file = rawserver.certified(HOST, tmp_path)
    trusting = ssl.create_default_context(cafile=str(file))
    trusting.sslsocket_class = guard._SecureSocket
    monkeypatch.setattr(guard, "tls_context", lambda: trusting)
    with rawserver.running(for_ever(HEAD, b"X: 1\r\n", 0.1), context) as server:
        resolving(monkeypatch, ["127.0.0.1"], port=server.port)
        begun = time.monotonic()
        with pytest.raises(NoAnswer):
            guard.post(f"https://{HOST}:{server.port}/hook", b"{}", {}, {server.place})
        assert time.monotonic() - begun < 2
