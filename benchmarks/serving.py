"""Serve the front page beside nginx, a plain Flask route and a constant: one server process each, interleaved rounds.

Needs Linux, wrk, and nginx with gzip_static. Each server has the first processor, wrk the second. Prints each figure
beside its limit: ratios within a round, and CPU per request of the process tree, since other work on the machine
changes all else. The constant has no limit: it tells what the server costs by itself. Exit status 1 when a limit is
missed.
"""

import contextlib
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import publish
from statuspage import schema, webserver
from statuspage.app import create_app
from statuspage.db import db
from statuspage.settings import Settings, load
from statuspage.site import publisher, snapshot
from tests.servers import free_port

# Threads of one interpreter on two processors only pass its lock to and fro, and wrk must not take a server's time.
SERVER_PROCESSOR, WRK_PROCESSOR = (["taskset", "-c", str(number)] for number in sorted(os.sched_getaffinity(0))[:2])
SCRIPTS = Path(__file__).parent / "wrk"
ROUNDS, SECONDS = 5, 2
PAST = (30, 3_000, 30_000)
HOST = "status.example.com"
TICKS = os.sysconf("SC_CLK_TCK")
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log crit; user root;
events {{ worker_connections 2048; }}
http {{
  include /etc/nginx/mime.types; access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  open_file_cache max=1000 inactive=60s; gzip_static on; gzip_vary on; default_type text/html;
  server {{
    listen 127.0.0.1:{port} backlog=2048; root {site};
    add_header Cache-Control "public, max-age=10"; add_header X-Content-Type-Options nosniff;
  }}
}}
"""


@dataclass
class Server:
    """A running server."""

    name: str
    url: str
    process: subprocess.Popen[bytes]

    def tree(self) -> list[int]:
        """Its process and all processes below."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        found = [self.process.pid]
        for pid in found:
            found += [each for each, parent in parents.items() if parent == pid]
        return found

    def cpu(self) -> float:
        """Seconds of CPU that the tree has used."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.tree()]
        return sum(int(each[11]) + int(each[12]) for each in fields) / TICKS

    def memory(self) -> float:
        """MB of the largest process, the one that serves."""
        sizes = [re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) for pid in self.tree()]
        return max(int(size[1]) for size in sizes if size) / 1024

    def tag(self) -> str:
        """The ETag of the front page in gzip."""
        asked = urllib.request.Request(f"{self.url}/", headers={"Accept-Encoding": "gzip", "Host": HOST})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.headers["ETag"] or ""


@dataclass
class Run:
    """What one run of wrk found."""

    rate: float
    cpu: float
    """µs of CPU for each request."""
    p99: float
    """ms."""


def load_with_wrk(server: Server, connections: int, script: str = "page.lua", argument: str = "") -> Run:
    """Ask as fast as it goes for some seconds."""
    command = [
        *WRK_PROCESSOR,
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{SECONDS}s",
        "-s",
        str(SCRIPTS / script),
        f"{server.url}/",
    ]
    before = server.cpu()
    output = subprocess.run(
        [*command, argument] if argument else command, check=True, capture_output=True, text=True
    ).stdout
    used = server.cpu() - before
    found = re.search(r"RESULT requests=(\d+) micros=(\d+) p99=(\d+) bad=(\d+)", output)
    if not found:
        raise SystemExit(output)
    requests, micros, p99, bad = map(int, found.groups())
    # wrk counts every status above 399.
    if bad:
        raise SystemExit(f"{server.name}: {bad} answers were bad\n{output}")
    return Run(requests / micros * 1e6, used * 1e6 / requests, p99 / 1000)


@contextlib.contextmanager
def running(name: str, command: list[str], port: int, environ: dict[str, str]) -> Iterator[Server]:
    process = subprocess.Popen([*SERVER_PROCESSOR, *command], env=os.environ | environ, stderr=subprocess.DEVNULL)
    server = Server(name, f"http://127.0.0.1:{port}", process)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                server.tag()
                break
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def settle(server: Server) -> None:
    """Wait until the server uses no CPU any more."""
    before = -1.0
    while server.cpu() > before:
        before = server.cpu()
        time.sleep(0.5)


def ours(settings: Settings, port: int) -> tuple[str, list[str], int, dict[str, str]]:
    command = list(webserver.child(settings).command)
    command[command.index("--port") + 1] = str(port)
    environ = {"DATA_DIR": str(settings.data_dir), "PUBLIC_URL": settings.public_url}
    return "ours", command, port, environ


def nginx(settings: Settings, port: int, folder: Path) -> tuple[str, list[str], int, dict[str, str]]:
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, port=port, site=settings.site_dir))
    return "nginx", [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(file), "-p", str(folder)], port, {}


def other(settings: Settings, name: str, target: str) -> tuple[str, list[str], int, dict[str, str]]:
    """Return how to run another application with the same bytes on the same server."""
    _, command, port, _ = ours(settings, free_port())
    return name, [*command[:-1], target], port, {"PLAIN_PAGE": str(settings.site_dir / "index.html.gz")}


@contextlib.contextmanager
def beating(settings: Settings) -> Iterator[None]:
    """Beat as a worker does: without it a web process makes the application, to watch and to warn."""
    ended = threading.Event()

    def beat() -> None:
        path = settings.database_url.removeprefix("sqlite:///")
        while True:
            with contextlib.closing(sqlite3.connect(path, timeout=10)) as found, found:
                found.execute("INSERT OR REPLACE INTO heartbeats VALUES ('worker', ?)", (str(time.time()),))
            if ended.wait(10):
                return

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def build(settings: Settings) -> None:
    """Publish a page with an open incident; then as many pages of old incidents as the largest site has."""
    app = create_app(settings)
    with app.app_context():
        schema.migrate(db.engine)
        by, ids = publish.build(PAST[0])
        incident_id = publish.declare(by, ids)
        publish.say(incident_id, publish.MessageKind.ACKNOWLEDGE, ids, by, publish.NOW)
        publisher.publish_all(settings, publish.NOW)
        db.session.remove()
        db.engine.dispose()


def add_past(settings: Settings, first: int, end: int) -> None:
    """Put the pages of more old incidents into the folder, as the publisher would."""
    page = (settings.site_dir / "incidents" / "past00000000.html").read_bytes()
    for start in range(first, end, 500):
        numbers = range(start, min(start + 500, end))
        snapshot.write_all(
            settings.site_dir,
            {f"/incidents/past{n:08}": page.replace(b"Past incident 0", b"Past incident %d" % n) for n in numbers},
        )
    current = snapshot.read_current(settings.site_dir)
    if current is not None:
        snapshot.write_current(settings.site_dir, current)


class Table:
    """Figures beside their limits."""

    def __init__(self) -> None:
        self.missed = 0

    def line(self, what: str, figure: float, limit: float, *, at_least: bool = False) -> None:
        fine = figure >= limit if at_least else figure <= limit
        self.missed += not fine
        print(f"{what:<58}{figure:9.2f}   limit {'>=' if at_least else '<='} {limit:<6}{'' if fine else '  MISSED'}")


def middle(values: Iterator[float]) -> float:
    return statistics.median(values)


def compare(mine: Server, theirs: Server, route: Server, floor: Server, table: Table) -> None:
    """Run the rounds; print the medians of the ratios within each."""
    rounds = []
    for _ in range(ROUNDS):
        found = {(server.name, n): load_with_wrk(server, n) for n in (16, 128) for server in (mine, theirs, floor)}
        found |= {(server.name, 304): load_with_wrk(server, 16, argument=server.tag()) for server in (mine, theirs)}
        found[(route.name, 16)] = load_with_wrk(route, 16)
        rounds.append(found)
    for key in rounds[0]:
        runs = [each[key] for each in rounds]
        print(
            f"  {key[0]:<20}{'304s' if key[1] == 304 else f'{key[1]} connections':<18}"
            f"{middle(run.rate for run in runs):10,.0f} req/s {middle(run.cpu for run in runs):7.1f} µs CPU "
            f"{middle(run.p99 for run in runs):7.1f} ms p99"
        )

    def ratio(kind: int, of: str = "rate", other: str = theirs.name) -> float:
        return middle(getattr(each[mine.name, kind], of) / getattr(each[other, kind], of) for each in rounds)

    table.line("CPU per request at 16 connections, of nginx's", ratio(16, "cpu"), 2.3)
    table.line("requests a second at 16 connections, of nginx's", ratio(16), 0.35, at_least=True)
    table.line("requests a second at 128 connections, of nginx's", ratio(128), 0.6, at_least=True)
    table.line("304s a second, of nginx's", ratio(304), 0.4, at_least=True)
    table.line("requests a second, of a plain Flask route's", ratio(16, other=route.name), 6, at_least=True)
    for n in (16, 128):
        print(
            f"  of what the server reaches with a constant at {n}: CPU {ratio(n, 'cpu', floor.name):.2f}, "
            f"requests a second {ratio(n, other=floor.name):.2f}, p99 {ratio(n, 'p99', floor.name):.2f}"
        )
    # On a machine whose processors are shared this is the wait for a processor too: nginx's is printed above.
    table.line("p99 at 128 connections, ms", middle(each[mine.name, 128].p99 for each in rounds), 10)


def main() -> int:
    if not shutil.which("wrk") or not (shutil.which("nginx") or Path("/usr/sbin/nginx").exists()):
        print("wrk and nginx are not installed: nothing was measured.")
        return 0
    table = Table()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        Path(folder).chmod(0o755)
        settings = load({"DATA_DIR": f"{folder}/var", "PUBLIC_URL": f"http://{HOST}"})
        build(settings)
        size = (settings.site_dir / "index.html").stat().st_size
        zipped = (settings.site_dir / "index.html.gz").stat().st_size
        print(f"the front page: {size:,} bytes, {zipped:,} in gzip; {ROUNDS} rounds of {SECONDS} s, medians")
        mine = stack.enter_context(running(*ours(settings, free_port())))
        theirs = stack.enter_context(running(*nginx(settings, free_port(), Path(folder))))
        route = stack.enter_context(running(*other(settings, "plain Flask route", "benchmarks.plain_route:app")))
        floor = stack.enter_context(running(*other(settings, "a constant", "benchmarks.constant:app")))
        stack.enter_context(beating(settings))
        for server in (mine, route, floor):
            settle(server)
        compare(mine, theirs, route, floor, table)
        costs, before = {}, 0
        for past in PAST:
            add_past(settings, before, past)
            before = past
            costs[past] = statistics.median(load_with_wrk(mine, 16).cpu for _ in range(ROUNDS))
        for past in PAST[1:]:
            table.line(
                f"CPU per request with {past:,} past incidents, of {PAST[0]}", costs[past] / costs[PAST[0]], 1.05
            )
        random = load_with_wrk(mine, 16, "entries.lua", str(PAST[-1]))
        print(f"  old incidents at random: {random.rate:,.0f} req/s {random.cpu:.1f} µs CPU {random.p99:.1f} ms p99")
        table.line("memory of the server process after all this, MB", mine.memory(), 65)
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
