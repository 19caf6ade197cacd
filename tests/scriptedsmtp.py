"""An SMTP server that does what a script says and behaves well where it says nothing.

A script names moments: ``GREETING 1`` is that of the first session, ``RCPT 2``
the recipient of the second mail, ``END 2`` its end; without a number it is
each of them. For each it has an answer (after 421 the connection is closed,
as servers do) or one of the actions here.
"""

import contextlib
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

Action = bytes | Callable[[socket.socket], bytes]
Script = Mapping[str, Action]

PIPELINING = b"250-here\r\n250-PIPELINING\r\n250 8BITMIME"
GOOD = {
    "GREETING": b"220 here",
    "EHLO": b"250 here",
    "MAIL": b"250 sender fine",
    "RCPT": b"250 recipient fine",
    "DATA": b"354 go on",
    "END": b"250 taken",
    "RSET": b"250 forgotten",
    "QUIT": b"221 bye",
}


class Over(Exception):
    """The server ends the session."""


def close(connection: socket.socket) -> bytes:
    """Close without a word."""
    raise Over


def reset(connection: socket.socket) -> bytes:
    """Close so that the other side gets an error."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    raise Over


def hang(connection: socket.socket) -> bytes:
    """Say nothing until the other side leaves."""
    with contextlib.suppress(OSError):
        while connection.recv(65_536):
            pass
    raise Over


def dripped(answer: bytes, pause: float) -> Action:
    """Return the action that says this answer byte by byte."""

    def drip(connection: socket.socket) -> bytes:
        for position in range(len(answer)):
            connection.sendall(answer[position : position + 1])
            time.sleep(pause)
        return answer

    return drip


@dataclass
class ScriptedServer:
    """What a running one has seen."""

    script: Script
    pipelining: bool
    port: int = 0
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    """Recipient and content, as on the wire but without the dots that were added, of each mail answered with 250."""
    said: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What a well-behaved client never does."""
    seen: Counter[str] = field(default_factory=Counter)
    """How often each moment came."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def act(self, connection: socket.socket, moment: str, number: int) -> bytes:
        """Do what the script says; return what was answered."""
        good = PIPELINING if moment == "EHLO" and self.pipelining else GOOD[moment]
        action = self.script.get(f"{moment} {number}", self.script.get(moment, good))
        if not isinstance(action, bytes):
            return action(connection)
        connection.sendall(action + b"\r\n")
        if action.startswith(b"421"):
            raise Over
        return action

    def number(self, moment: str) -> int:
        with self.lock:
            self.seen[moment] += 1
            return self.seen[moment]

    def serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, Over), connection, connection.makefile("rb") as lines:
            try:
                self.act(connection, "GREETING", self.number("GREETING"))
                self.converse(connection, lines)
            except Over:
                # What the other side still says is heard out: else it might get an error in place of the last answer.
                connection.shutdown(socket.SHUT_WR)
                hang(connection)

    def converse(self, connection: socket.socket, lines: BinaryIO) -> None:
        sender, recipient, mail = False, "", 0
        while line := lines.readline():
            self.said.append(line.decode().rstrip("\r\n"))
            command = line.split()[0].decode().upper().rstrip(":") if line.split() else ""
            if command not in GOOD or not line.endswith(b"\r\n"):
                self.faults.append(f"unknown: {line!r}")
            if command == "MAIL":
                if sender:
                    self.faults.append("MAIL within a mail")
                mail = self.number("MAIL")
                sender = self.act(connection, "MAIL", mail).startswith(b"2")
            elif command == "RCPT":
                if self.act(connection, "RCPT", mail).startswith(b"2"):
                    recipient = re.findall("<(.*)>", line.decode())[0]
            elif command == "DATA":
                if self.act(connection, "DATA", mail).startswith(b"354"):
                    self.read_mail(connection, lines, recipient, mail)
                    sender, recipient = False, ""
            else:
                sender, recipient = (False, "") if command == "RSET" else (sender, recipient)
                self.act(connection, command, self.number(command))
                if command == "QUIT":
                    raise Over

    def read_mail(self, connection: socket.socket, lines: BinaryIO, recipient: str, mail: int) -> None:
        content = []
        for line in lines:
            if line == b".\r\n":
                break
            content.append(line.removeprefix(b"."))
        else:
            return
        if content and not recipient:
            self.faults.append("a mail to nobody")
        if self.act(connection, "END", mail).startswith(b"2"):
            self.taken.append((recipient, b"".join(content)))


@contextlib.contextmanager
def running(script: Script, *, pipelining: bool = True) -> Iterator[ScriptedServer]:
    """Run a server that follows a script."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    server, threads = ScriptedServer(script, pipelining, listener.getsockname()[1]), []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threads.append(threading.Thread(target=server.serve, args=(connection,), daemon=True))
                threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(5)
        for thread in threads:
            thread.join(5)
