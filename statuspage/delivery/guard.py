"""The guard: posts to addresses that strangers gave us, and to nothing inside our own network.

An address is read by a client's own parser, resolved once, and refused if any
answer leads to a place that is not public. The connection goes to the very
answer that was checked: a name that changes its mind in between changes
nothing. Redirects are not followed, nothing is tried again, nothing is
unpacked, and no environment variable has a say.
"""

import http.client
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import certifi
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from statuspage.rules.vocabulary import RuleBroken

CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 5.0, 10.0, 15.0
# Of a whole answer, its head included.
ANSWER_LIMIT = 65_536
URL_LIMIT = 2_000

# What "is_global" of Python 3.11 and 3.12 lets through, or let through once.
DENIED = tuple(
    ipaddress.ip_network(net)
    for net in (
        *("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/4"),
        *("240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2002::/16"),
        *("3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)

# Control characters, white space, backslashes; a name or a password before the host; a host in disguise.
_ODD = re.compile(r"[\x00-\x20\x7f-\x9f\\]|^[^/?#]*//[^/?#]*@|^[^/?#]*//[^/?#[]*%")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*\.?")

BAD_ADDRESS = "Please give an address that begins with https:// and names a public host."
NOT_PUBLIC = "This address leads to a private or reserved network: nothing can be posted there."


class Blocked(Exception):
    """The address is not one that may be posted to; the message is one sentence that does not repeat it."""


class Unreachable(Exception):
    """Nothing was sent: the host is not found, takes no connection or can't prove who it is."""


class NoAnswer(Exception):
    """The request was on its way, and no answer came that can be read: it may have been taken."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """The beginning of it, as it came."""


@dataclass(frozen=True)
class _Target:
    scheme: str
    host: str
    """Without brackets."""
    port: int
    path: str

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"


_Place = tuple[socket.AddressFamily, tuple[Any, ...]]
"""Family and address, as a socket connects to it."""


def check_host(url: str, allow: Collection[str] = ()) -> None:
    """Check, when an address is given, that it may be posted to. Raises Blocked, or Unreachable for an unknown host.

    It is checked again at each post: this only tells the giver early.
    """
    _resolve(_read(url, allow), allow, CONNECT_SECONDS)


def refuse_private(url: str, allow: Collection[str] = ()) -> None:
    """Refuse an address that leads into a private network, when it is given.

    A name that nobody knows just now may be known when something is posted:
    only then it counts. Raises RuleBroken on ``endpoint``.
    """
    try:
        check_host(url, allow)
    except Blocked as blocked:
        raise RuleBroken({"endpoint": str(blocked)}) from None
    except Unreachable:
        return


def post(url: str, body: bytes, headers: Mapping[str, str], allow: Collection[str] = ()) -> Answer:
    """Post to an address and return the answer, whatever its status.

    ``allow`` holds places that tests post to, as ``ip:port``. Raises Blocked,
    Unreachable, NoAnswer.
    """
    deadline = time.monotonic() + TOTAL_SECONDS
    target = _read(url, allow)
    places = _resolve(target, allow, CONNECT_SECONDS)
    connected = _connect(target, places, deadline)
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = connected
    try:
        connection.request("POST", target.path, body, {"Host": target.host_header, "Connection": "close", **headers})
        answer = connection.getresponse()
        return Answer(
            answer.status, {name.lower(): value for name, value in answer.getheaders()}, _beginning_of(answer)
        )
    except TimeoutError:
        raise NoAnswer("it did not answer in time") from None
    except (OSError, http.client.HTTPException, ValueError):
        raise NoAnswer("it closed the connection, or sent what is no answer") from None
    finally:
        connection.close()
        connected.close()


def is_public(address: str) -> bool:
    """Tell whether an IP address is one that anybody on the internet may reach."""
    found = ipaddress.ip_address(address.partition("%")[0])
    plain = getattr(found, "ipv4_mapped", None) or found
    return plain.is_global and not plain.is_multicast and not any(plain in net for net in DENIED)


def _read(url: str, allow: Collection[str]) -> _Target:
    """Read an address as a client does. Raises Blocked for what is none, or none that may be used."""
    # What one program skips, another reads as the end of the host.
    if len(url) > URL_LIMIT or _ODD.search(url):
        raise Blocked(BAD_ADDRESS)
    try:
        parsed = parse_url(url)
    except (LocationParseError, ValueError, UnicodeError):
        raise Blocked(BAD_ADDRESS) from None
    host = (parsed.host or "").lower()
    if parsed.scheme not in ("https", "http") or not host:
        raise Blocked(BAD_ADDRESS)
    if host.startswith("["):
        host = host[1:-1]
    elif not _HOST.fullmatch(host):
        raise Blocked(BAD_ADDRESS)
    port = parsed.port if parsed.port is not None else {"https": 443, "http": 80}[parsed.scheme]
    for_tests = any(place.endswith(f":{port}") for place in allow)
    if (parsed.scheme, port) != ("https", 443) and not for_tests:
        raise Blocked(BAD_ADDRESS)
    return _Target(parsed.scheme, host, port, parsed.request_uri)


def _resolve(target: _Target, allow: Collection[str], seconds: float) -> list[_Place]:
    """Return where the host is, every answer checked. Raises Blocked if any of them is not public, Unreachable if none came."""
    places: list[_Place] = []
    for family, _, _, _, address in _look_up(target, seconds):
        place = f"[{address[0]}]:{address[1]}" if family == socket.AF_INET6 else f"{address[0]}:{address[1]}"
        fine = (target.scheme, target.port) == ("https", 443) and is_public(str(address[0]))
        if not fine and place not in allow:
            raise Blocked(NOT_PUBLIC)
        places.append((family, address))
    if not places:
        raise Unreachable("its host is not found")
    return places


def _look_up(target: _Target, seconds: float) -> list[Any]:
    """Ask the resolver, which knows no deadline of its own, in a thread that may be left behind."""
    answers: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            answers.put(None)

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answers.get(timeout=seconds)
    except queue.Empty:
        found = None
    if found is None:
        raise Unreachable("its host is not found")
    return found


def _connect(target: _Target, places: list[_Place], deadline: float) -> "_ClockedSocket":
    """Connect to one of the places that were checked, the first that takes it; prove who it is."""
    end = min(time.monotonic() + CONNECT_SECONDS, deadline)
    for family, address in places:
        plain = _ClockedSocket(family, socket.SOCK_STREAM)
        plain.deadline = deadline
        try:
            plain.settimeout(max(end - time.monotonic(), 0.001))
            plain.connect(address)
        except OSError:
            plain.close()
            continue
        return plain if target.scheme == "http" else _prove(target, plain, end)
    raise Unreachable("it takes no connection")


def _prove(target: _Target, plain: "_ClockedSocket", end: float) -> "_ClockedSocket":
    try:
        plain.settimeout(max(end - time.monotonic(), 0.001))
        # The certificate must be the name's, wherever the name leads.
        secured = tls_context().wrap_socket(plain, server_hostname=target.host.partition("%")[0])
    except ssl.SSLError as error:
        plain.close()
        trusted = not isinstance(error, ssl.SSLCertVerificationError)
        raise Unreachable("it speaks no TLS" if trusted else "its certificate can't be trusted") from None
    except (OSError, ValueError):
        plain.close()
        raise Unreachable("it takes no secure connection") from None
    assert isinstance(secured, _SecureSocket)
    secured.deadline = plain.deadline
    return secured


@cache
def tls_context() -> ssl.SSLContext:
    """Return what certificates are checked with."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _SecureSocket
    return context


def _beginning_of(answer: http.client.HTTPResponse) -> bytes:
    """Read what comes of a body in time; the status has said what counts."""
    read = b""
    try:
        while len(read) < ANSWER_LIMIT and (part := answer.read1(ANSWER_LIMIT - len(read))):
            read += part
    except (OSError, http.client.HTTPException, ValueError):
        pass
    return read


class _ClockedSocket(socket.socket):
    """A socket that waits no longer than to its deadline, however slowly the other side drips, and reads only so much."""

    deadline = 0.0
    left = ANSWER_LIMIT

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Read, if there is time left and something may still be read."""
        if self.left <= 0:
            raise ConnectionError("more than may be read")
        self._wait_at_most(READ_SECONDS)
        view = memoryview(buffer)[: min(self.left, nbytes or len(buffer))]
        count = super().recv_into(view, len(view), flags)
        self.left -= count
        return count

    def send(self, data: Any, flags: int = 0) -> int:
        """Send a part, if there is time left."""
        self._wait_at_most(READ_SECONDS)
        return super().send(data, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it, if there is time left."""
        self._wait_at_most(READ_SECONDS)
        super().sendall(data, flags)

    def _wait_at_most(self, seconds: float) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(min(seconds, left))


class _SecureSocket(_ClockedSocket, ssl.SSLSocket):
    """With TLS. Without are only the connections of tests."""
