"""From posting an update to its bytes being served by every process: two web servers, a reader process hammering both.

Prints the median, the 95th percentile and the worst. Every publication has to be there within 1 s,
typically within 200 ms: the limits are for the 95th percentile and the median, since the worst is that of
whatever else the machine did. Every page that is read meanwhile must be one that was published, whole.
``python -m benchmarks.visible [1000]`` makes so many publications; exit status 1 above a limit or after a
torn page.
"""

import contextlib
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import update

from benchmarks import publish, serving
from statuspage import schema
from statuspage.app import create_app
from statuspage.db import db, transaction
from statuspage.models import Incident
from statuspage.rules.vocabulary import MessageKind, Stage
from statuspage.settings import Settings, load
from statuspage.site import publisher
from tests.servers import free_port

ROUNDS, TYPICAL_MS, LIMIT_MS = 40, 200.0, 1_000.0
READ = "--read"
# As many as a long incident has; then comes the next.
UPDATES = 20


def read(url: str) -> str:
    """Return the fingerprint of the front page as it is served; its tag must be that of its bytes."""
    asked = urllib.request.Request(f"{url}/", headers={"Host": serving.HOST})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        found = hashlib.sha256(answer.read()).hexdigest()[:32]
        if answer.headers["ETag"] != f'"{found}"':
            raise SystemExit("a torn page: its bytes are not those of its tag")
    return found


def hammer(urls: list[str]) -> None:
    """Read front pages without a pause until the standard input ends; print how many, and the fingerprints seen."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    seen: set[str] = set()
    count = 0
    while not ended.is_set():
        seen.add(read(urls[count % len(urls)]))
        count += 1
    print(json.dumps([count, *seen]))


@contextlib.contextmanager
def hammering(urls: list[str]) -> Iterator[list[str]]:
    """Have a process of its own read these pages; at the end the list holds what it saw, its first entry how often."""
    command = [sys.executable, "-m", "benchmarks.visible", READ, *urls]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    seen: list[str] = []
    try:
        yield seen
    finally:
        output, _ = process.communicate("", 30)
        seen += json.loads(output or "[0]")
    if process.returncode:
        raise SystemExit("the reader saw a torn page")


def end(incident_id: str, now: datetime) -> None:
    """Let an incident be over, without a message."""
    with transaction(now) as session:
        over = update(Incident).where(Incident.id == incident_id)
        session.execute(over.values(stage=Stage.RESOLVED, resolved_at=now))


def measure(settings: Settings, rounds: int) -> int:
    schema.migrate(db.engine)
    by, ids = publish.build(30)
    publisher.publish_all(settings, publish.NOW)
    incident_id = publish.declare(by, ids)
    front = settings.site_dir / "index.html"
    published, taken = {hashlib.sha256(front.read_bytes()).hexdigest()[:32]}, []
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serving.running(*serving.ours(settings, free_port()))) for _ in range(2)]
        for server in servers:
            serving.settle(server)
        stack.enter_context(serving.beating(settings))
        seen = stack.enter_context(hammering([server.url for server in servers]))
        for number in range(rounds):
            now = publish.NOW + timedelta(minutes=number + 1)
            if number and number % UPDATES == 0:
                end(incident_id, now)
                incident_id = publish.declare(by, ids, f"declaration {number}")
            began = time.perf_counter()
            publish.say(incident_id, MessageKind.UPDATE if number % UPDATES else MessageKind.ACKNOWLEDGE, ids, by, now)
            publisher.refresh(settings, now)
            newest = hashlib.sha256(front.read_bytes()).hexdigest()[:32]
            published.add(newest)
            while any(read(server.url) != newest for server in servers):
                time.sleep(0.002)
            taken.append((time.perf_counter() - began) * 1000)
    count, *fingerprints = seen
    torn = set(fingerprints) - published
    median, high = statistics.median(taken), statistics.quantiles(taken, n=20)[-1]
    print(f"posted to served by both, {rounds} publications:")
    print(f"  median          {median:6.0f} ms   limit {TYPICAL_MS:.0f} ms")
    print(f"  95th percentile {high:6.0f} ms   limit {LIMIT_MS:.0f} ms")
    print(f"  worst           {max(taken):6.0f} ms")
    print(f"pages read meanwhile: {count:,}, of them torn or mixed: {len(torn)}")
    return 0 if median < TYPICAL_MS and high < LIMIT_MS and not torn else 1


def main() -> int:
    if sys.argv[1:2] == [READ]:
        hammer(sys.argv[2:])
        return 0
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        settings = load({"DATA_DIR": f"{folder}/var", "PUBLIC_URL": f"http://{serving.HOST}"})
        app = create_app(settings)
        with app.app_context():
            status = measure(settings, rounds)
            db.session.remove()
            db.engine.dispose()
    return status


if __name__ == "__main__":
    sys.exit(main())
