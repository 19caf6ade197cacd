"""A copy elsewhere whose server hangs, and a worker that has other things to do as well."""

import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from statuspage import clock
from statuspage.rules.vocabulary import AccountRole, ComponentState, MessageKind, Severity
from statuspage.settings import Settings
from statuspage.site import snapshot
from statuspage.web import health
from tests import builders, objectstores
from tests.faults.test_workers import until
from tests.nursery import Forked, Nursery
from tests.web.conftest import Visitor

# The worker as it is, with pauses that fit into a test. Its copy waits as long as ever for the server: two minutes.
PROGRAM = """
from datetime import timedelta
from statuspage import replica, worker
from statuspage.bare import create_bare_app
replica.FIRST_RETRY_AFTER = replica.LONGEST_RETRY = timedelta(seconds=0.5)
worker.IDLE_SECONDS = 0.1
worker.run(create_bare_app())
"""
# The copy itself gives up a request after 10 s: whoever waits for it takes longer than this.
SOON = 9
NOTHING_YET = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


class Store:
    """As much of an object store as a copy needs; until it is told to be well it takes requests and says nothing."""

    def __init__(self) -> None:
        self.well = threading.Event()
        self.held = 0
        self.objects: dict[str, bytes] = {}
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not store.well.is_set():
                    store.held += 1
                    store.well.wait(60)
                    # Whoever asked gave up long ago.
                    self.close_connection = True
                    return
                answer = NOTHING_YET if self.command == "GET" else b""
                if self.command == "PUT":
                    store.objects[self.path.partition("?")[0].removeprefix(f"/{objectstores.BUCKET}/")] = body
                self.send_response(200)
                self.send_header("ETag", '"1"')
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_DELETE = _answer  # noqa: N815

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.well.set()
    made.http.shutdown()
    thread.join()
    made.http.server_close()


@pytest.fixture
def environ(environ: dict[str, str], store: Store) -> dict[str, str]:
    return environ | objectstores.environment(store.url) | {"PUBLISH_TO": f"s3://{objectstores.BUCKET}/"}


@pytest.fixture
def start_worker(nursery: Nursery, environ: dict[str, str]) -> Iterator[Callable[[], Forked]]:
    started: list[Forked] = []

    def start() -> Forked:
        started.append(nursery.start(PROGRAM, {**os.environ, **environ}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def now() -> datetime:
    """Now: the worker keeps to the real clock."""
    return clock.now()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_copy_whose_server_hangs_holds_up_nothing_is_told_and_catches_up(
    app: Flask,
    settings: Settings,
    store: Store,
    start_worker: Callable[[], Forked],
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "MIRROR_PATIENCE", timedelta(seconds=1))
    builders.page(now)
    writer = builders.account(now, AccountRole.ADMIN, "ada@example.com")
    states = {builders.component(now): ComponentState.DEGRADED}
    builders.subscribed(now, "reader@example.com")
    front: Path = settings.site_dir / "index.html"
    visitor = Visitor(app.test_client())

    def is_told(title: str) -> bool:
        mails = settings.outbox_dir.glob("*.eml")
        return title in front.read_text() and any(title in mail.read_text() for mail in mails)

    def mirror_check() -> str:
        answer = visitor.get("/readyz")
        assert answer.json is not None
        # A copy that lacks something is no reason to send readers elsewhere.
        assert (answer.status_code, answer.json["ready"]) == (200, True)
        return str(answer.json["mirror"])

    worker = start_worker()
    until(lambda: store.held > 0)
    for title in ("Search is slow", "Search is slower"):
        incident_id = builders.declared(writer, states, clock.now(), title=title, severity=Severity.SEV4)
        builders.post(MessageKind.ACKNOWLEDGE, incident_id, states, writer, clock.now(), title=title)
        until(lambda title=title: is_told(title), SOON)  # type: ignore[misc]
    until(lambda: mirror_check().startswith("behind since "))
    assert visitor.sign_in("ada@example.com").status_code == 303
    console = visitor.get("/console/").get_data(as_text=True)
    assert f"The copy of the public page at {settings.publish_to} lacks what was published since" in console
    assert store.objects == {}

    store.well.set()

    until(lambda: mirror_check() == "ok")
    # The page says its time: it is written anew, and copied, again and again.
    until(lambda: store.objects["index.html"] == front.read_bytes())
    assert (
        store.objects[f"incidents/{incident_id}"] == (settings.site_dir / f"incidents/{incident_id}.html").read_bytes()
    )
    until(lambda: store.objects[snapshot.CURRENT] == (settings.site_dir / snapshot.CURRENT).read_bytes())
    # The page is copied anew whenever it says its time: on a slow machine the console may have to wait for its moment.
    until(lambda: "lacks what was published since" not in visitor.get("/console/").get_data(as_text=True))
    assert worker.poll() is None
