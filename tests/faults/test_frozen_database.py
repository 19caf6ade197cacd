"""A PostgreSQL that stands still in the middle of everything: it takes connections, and answers nothing."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import requests
from flask import Flask
from sqlalchemy import text

from statuspage import clock
from statuspage.db import db
from statuspage.rules.vocabulary import AccountRole
from statuspage.settings import Settings
from statuspage.site import publisher
from tests import builders, servers
from tests.faults.test_running_service import hidden
from tests.faults.test_workers import until
from tests.nursery import Nursery

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds a server's processes in /proc")

# What the web server runs, behind a plainer one, with waits that fit into a test.
PROGRAM = """
import os
from statuspage import driver
driver.ANSWER_SECONDS = driver.CONNECT_SECONDS = 1
from werkzeug.serving import WSGIRequestHandler, make_server
from wsgi import app
WSGIRequestHandler.log = lambda *_: None
make_server("127.0.0.1", int(os.environ["PORT"]), app, threaded=True).serve_forever()
"""
# Above what the web process waits for an answer, and then for a new connection.
AT_MOST = 15


@pytest.fixture
def now() -> datetime:
    """Now: the web process keeps to the real clock."""
    return clock.now()


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    port = servers.free_port()
    return environ | {"PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}"}


@pytest.fixture
def url(nursery: Nursery, app: Flask, environ: dict[str, str], settings: Settings, now: datetime) -> Iterator[str]:
    """The address of a web process over a page that was published earlier."""
    builders.page(now)
    builders.account(now, AccountRole.COMMS, "ada@example.com")
    publisher.publish_all(settings, now)
    process = nursery.start(PROGRAM, {**os.environ, **environ})

    def is_served() -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{settings.public_url}/healthz", timeout=30).status_code == 200
        return False

    until(is_served)
    yield settings.public_url
    process.kill()
    process.wait()


@pytest.fixture
def console(url: str) -> Callable[[], requests.Response]:
    """Return a way to look at the console, signed in."""
    session = requests.Session()
    fields = hidden(session.get(f"{url}/login", timeout=30).text)
    given = {"email": "ada@example.com", "password": builders.PASSWORD}
    assert session.post(f"{url}/login", data=fields | given, timeout=30).url.endswith("/console/")
    cookies = session.cookies.get_dict()
    return lambda: requests.get(f"{url}/console/", cookies=cookies, timeout=AT_MOST)


@contextlib.contextmanager
def standing_still() -> Iterator[None]:
    """Stop every process of the test's own server, and have them all go on in the end."""
    folder = Path(str(db.session.scalar(text("SHOW data_directory"))))
    db.session.rollback()
    first = int((folder / "postmaster.pid").read_text().split()[0])
    stopped: list[int] = []
    try:
        # The first one first: it begins no others then.
        os.kill(first, signal.SIGSTOP)
        stopped.append(first)
        for process in children(first):
            os.kill(process, signal.SIGSTOP)
            stopped.append(process)
        yield
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)


def children(parent: int) -> list[int]:
    found = []
    for file in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if f"\nPPid:\t{parent}\n" in file.read_text():
                found.append(int(file.parent.name))
    return found


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True)
def test_while_the_database_stands_still_readers_read_and_the_console_says_so_in_time(
    url: str, console: Callable[[], requests.Response], settings: Settings
) -> None:
    assert console().status_code == 200
    page = (settings.site_dir / "index.html").read_bytes()
    answers: list[requests.Response] = []
    with standing_still():
        # More than the application takes at once.
        writers = [threading.Thread(target=lambda: answers.append(console())) for _ in range(5)]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            assert requests.get(url, timeout=5).content == page
            assert requests.get(f"{url}/healthz", timeout=5).text == "ok\n"
            time.sleep(0.05)
        assert [answer.status_code for answer in answers] == [503] * 5
        assert "The database does not answer" in {answer.text for answer in answers if "<h1" in answer.text}.pop()
        ready = requests.get(f"{url}/readyz", timeout=AT_MOST)
        assert (ready.status_code, ready.json()["database"]) == (503, "unreachable")
    until(lambda: console().status_code == 200)
    assert requests.get(f"{url}/readyz", timeout=AT_MOST).json()["database"] == "ok"
