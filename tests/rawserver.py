"""A server that speaks whatever a test tells it to, down to single bytes; with a certificate if wanted."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Behaviour = Callable[[socket.socket, threading.Event], None]
"""Told the connection, its request read already, and what is set when the test is over."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class RawServer:
    """Takes connections, reads one request from each, and behaves."""

    def __init__(self, behave: Behaviour, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.ending = threading.Event()
        self._behave, self._context = behave, context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.place = f"127.0.0.1:{self.port}"

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            self.requests.append(read_request(connection))
            self._behave(connection, self.ending)
            connection.close()

    def stop(self) -> None:
        self.ending.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def read_request(connection: socket.socket) -> bytes:
    """Read a request with its body."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += connection.recv(65_536)
    head, _, body = read.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def says(answer: bytes) -> Behaviour:
    """Return the behaviour of answering this."""
    return lambda connection, _: connection.sendall(answer)


def for_ever(begin: bytes, part: bytes, pause: float = 0) -> Behaviour:
    """Return the behaviour of saying one thing, then another without end."""

    def behave(connection: socket.socket, ending: threading.Event) -> None:
        connection.sendall(begin)
        while not ending.wait(pause):
            connection.sendall(part)

    return behave


def hang(_connection: socket.socket, ending: threading.Event) -> None:
    """Say nothing."""
    ending.wait(60)


@contextlib.contextmanager
def running(behave: Behaviour, context: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """Run a server that behaves like this."""
    server = RawServer(behave, context)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def certified(host: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return what a server needs to speak TLS as this host, and the file of whom to trust."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_file, file = folder / "key.pem", folder / "certificate.pem"
    kept = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_file.write_bytes(key.private_bytes(*kept))
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return context, file
