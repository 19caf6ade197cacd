"""Object stores for the tests: moto's S3 server as a process of its own, and one that misbehaves."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from tests import servers

BUCKET = "status"
# Enough for moto to take a request for its owner's.
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=a-test/20261121/us-east-1/s3/aws4_request, Signature=0"}


@dataclass
class S3:
    """A running S3 server with one bucket."""

    url: str

    def object(self, key: str) -> requests.Response:
        """Ask for an object by its key."""
        return requests.get(f"{self.url}/{BUCKET}/{key}", headers=SIGNED, timeout=30)

    def keys(self) -> set[str]:
        """Return every key in the bucket."""
        listing = requests.get(f"{self.url}/{BUCKET}?list-type=2", headers=SIGNED, timeout=30).text
        return {part.partition("</Key>")[0] for part in listing.split("<Key>")[1:]}

    def empty(self) -> None:
        """Take away every object."""
        for key in self.keys():
            requests.delete(f"{self.url}/{BUCKET}/{key}", headers=SIGNED, timeout=10)


@contextlib.contextmanager
def s3() -> Iterator[S3]:
    """Run moto's S3 server until the block ends."""
    port = servers.free_port()
    # A key-less bucket that anybody may read and write is what moto has by default.
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 60
        while True:
            try:
                requests.put(f"{url}/{BUCKET}", timeout=10).raise_for_status()
                break
            except requests.ConnectionError:
                assert process.poll() is None, "moto did not start"
                assert time.monotonic() < end, "moto did not start in time"
                time.sleep(0.1)
        yield S3(url)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@dataclass
class Trouble:
    """An S3 server in front of a real one that misbehaves as told; it notes what was put in which order."""

    url: str
    mode: str = "ok"
    """``ok``, ``500``, ``403`` or ``hang``."""
    after: int = 0
    """So many requests are answered well before."""
    put: list[str] = field(default_factory=list)


@contextlib.contextmanager
def trouble(real: str) -> Iterator[Trouble]:
    """Run a server that hands on to a real one, until it is told to misbehave."""
    release = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if state.after > 0:
                state.after -= 1
            elif state.mode == "hang":
                release.wait(60)
                self.close_connection = True
                return
            elif state.mode != "ok":
                self.send_response(int(state.mode))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = requests.request(self.command, real + self.path, data=body, headers=headers, timeout=20)
            key = self.path.partition("?")[0].removeprefix(f"/{BUCKET}/")
            if answer.ok and self.command == "PUT":
                state.put.append(key)
            self.send_response(answer.status_code)
            for name in ("ETag", "Content-Type", "Last-Modified"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_PUT = do_DELETE = do_POST = do_HEAD = _answer  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state = Trouble(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        release.set()
        server.shutdown()
        thread.join()
        server.server_close()


def environment(url: str) -> dict[str, str]:
    """Return the environment variables that lead to a server of ours."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "a-test",
        "AWS_SECRET_ACCESS_KEY": "a-test",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def closed_port() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
