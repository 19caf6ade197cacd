"""Servers that take everything and keep nothing, to measure how fast we hand over: each in a process of its own.

    python benchmarks/sinks.py smtp --port 2525 --delay 0.02

runs an SMTP server with PIPELINING on 127.0.0.1 whose answers arrive 20 ms
after what they answer, as from a server that is 20 ms away; ``sendgrid`` one
that answers like v3/mail/send, after it has read the request as the provider
must (JSON, no address twice). It prints its port; it ends when its input does,
and prints how many mails it took.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

ANSWERS = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}
END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One session."""

    delay = 0.0
    taken = 0

    def answer(self, answers: bytes) -> None:
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self.transport.write, answers)
        else:
            self.transport.write(answers)


class SendGridSink(Sink):
    """One connection of requests."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.unread, self.missing = bytearray(), 0

    def data_received(self, data: bytes) -> None:
        self.unread += data
        if not self.missing:
            head, found, _ = self.unread.partition(b"\r\n\r\n")
            if not found:
                return
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self.begin = len(head) + 4
            self.missing = self.begin + int(length.split(b":")[1])
        if len(self.unread) < self.missing:
            return
        people = json.loads(self.unread[self.begin : self.missing])["personalizations"]
        assert len({to["email"] for each in people for to in each["to"]}) == len(people)
        if not Sink.taken:
            print("first", flush=True)
        Sink.taken += len(people)
        self.unread, self.missing = self.unread[self.missing :], 0
        self.answer(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


class SmtpSink(Sink):
    """One session."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.unread, self.in_mail = b"", False
        self.answer(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        # Whatever has come is answered at once.
        unread, answers, position = self.unread + data, b"", 0
        while True:
            end = unread.find(END if self.in_mail else b"\r\n", position)
            if end < 0:
                break
            if self.in_mail:
                Sink.taken += 1
                answers += b"250 taken\r\n"
                position, self.in_mail = end + len(END), False
            else:
                command = unread[position : position + 4].upper()
                answers += ANSWERS.get(command, b"250 fine\r\n")
                position, self.in_mail = end + 2, command == b"DATA"
        self.unread = unread[position:]
        self.answer(answers)


async def serve(kind: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    protocol = {"smtp": SmtpSink, "sendgrid": SendGridSink}[kind]
    server = await loop.create_server(protocol, "127.0.0.1", port, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(Sink.taken, flush=True)


class Running:
    """A sink in another process."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
        self._process = process

    def wait_for_first(self) -> None:
        """Wait until it took the first mails (``sendgrid`` only)."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "first\n"

    def end(self) -> int:
        """End it; return how many mails it took."""
        return int(self._process.communicate(timeout=10)[0].split()[-1])


@contextlib.contextmanager
def running(kind: str, delay: float = 0.0) -> Iterator[Running]:
    """Run one for the time of a with statement."""
    command = [sys.executable, __file__, kind, "--delay", str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Running(process, int(process.stdout.readline()))
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # Not demanded: `make bench` runs every file of this folder.
    parser.add_argument("kind", choices=["smtp", "sendgrid"], nargs="?")
    parser.add_argument("--port", type=int, default=0, help="any free one unless told")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until an answer arrives")
    arguments = parser.parse_args()
    if arguments.kind is None:
        parser.print_help()
        return
    Sink.delay = arguments.delay
    asyncio.run(serve(arguments.kind, arguments.port))


if __name__ == "__main__":
    main()
