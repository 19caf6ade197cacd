"""The published folder behind a real nginx, with the configuration that ``deploy/`` gives."""

import gzip
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from statuspage.rules.vocabulary import ComponentState
from statuspage.settings import Settings
from statuspage.site import publisher
from statuspage.web.public import CACHE_ASSET, CACHE_PAGE, PublicSite
from tests import builders, servers
from tests.conftest import NOW, unavailable

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


@pytest.fixture
def incident_id(app: Flask, settings: Settings) -> str:
    """An open incident on a published page."""
    builders.page(NOW)
    writer = builders.account(NOW)
    found = builders.acknowledged(writer, {builders.component(NOW): ComponentState.OUTAGE}, NOW)
    publisher.publish_all(settings, NOW)
    return found


@pytest.fixture
def application(app: Flask, settings: Settings) -> Iterator[int]:
    """The port of the service that nginx stands in front of."""
    site = PublicSite(app, settings.site_dir, settings.public_url, look_every=0)
    server = make_server("127.0.0.1", 0, site, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.port
    server.shutdown()
    thread.join()
    server.server_close()


def configured(folder: Path, site: Path, application: int, port: int) -> Path:
    """Write the configuration with what is marked CHANGE changed, and all that it writes in a folder of the test's."""
    for file in DEPLOY.glob("statuspage-*.conf"):
        shutil.copy(file, folder)
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    temporary = "".join(
        f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
    )
    for present, wanted in (
        ("http {\n", f"http {{\n{temporary}"),
        ("worker_processes auto;", "worker_processes 1;"),
        ("server 127.0.0.1:8000;", f"server 127.0.0.1:{application};"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("root /srv/statuspage/var/site;", f"root {site};"),
        ("/var/cache/nginx/statuspage", f"{folder}/cache"),
    ):
        assert text.count(present) == 1, present
        text = text.replace(present, wanted)
    # As root its workers would become somebody who may not read the test's folder.
    user = "user root;\n" if os.geteuid() == 0 else ""
    file = folder / "nginx.conf"
    file.write_text(f"daemon off;\npid {folder}/pid;\n{user}{text}", encoding="utf-8")
    return file


@pytest.fixture
def url(incident_id: str, application: int, settings: Settings, tmp_path: Path) -> Iterator[str]:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        unavailable("nginx is not installed: install Debian's package nginx-light")
        raise AssertionError
    port = servers.free_port()
    file = configured(tmp_path, settings.site_dir, application, port)
    command = [program, "-c", str(file), "-p", str(tmp_path), "-e", str(tmp_path / "errors")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + servers.PATIENCE
        while not _answers(f"http://127.0.0.1:{port}/"):
            assert process.poll() is None, (tmp_path / "errors").read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return ask(url).status_code > 0
    except requests.ConnectionError:
        return False


def ask(url: str, **headers: str) -> requests.Response:
    wanted = {"Accept-Encoding": "identity", "Host": "status.example.com"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(url, headers=wanted | named, timeout=30, stream=True)


def test_every_kind_of_address_is_its_file_in_the_form_that_was_asked_for(
    url: str, incident_id: str, settings: Settings
) -> None:
    for path, name in (
        ("/", "index.html"),
        (f"/incidents/{incident_id}", f"incidents/{incident_id}.html"),
        ("/history/2026-11", "history/2026-11.html"),
        ("/history.rss", "history.rss"),
        ("/history.ics", "history.ics"),
        ("/api/v2/summary.json", "api/v2/summary.json"),
        ("/badge.svg", "badge.svg"),
        ("/feed.json", "feed.json"),
    ):
        file = settings.site_dir / name
        plain = ask(url + path)
        assert (plain.status_code, plain.raw.read()) == (200, file.read_bytes()), path
        assert plain.headers["Cache-Control"] == CACHE_PAGE, path
        packed = ask(url + path, Accept_Encoding="gzip")
        assert packed.headers["Content-Encoding"] == "gzip", path
        # The publisher's own bytes, not nginx's.
        assert packed.raw.read() == file.with_name(f"{file.name}.gz").read_bytes(), path
        assert packed.headers["Vary"] == "Accept-Encoding", path
        assert gzip.decompress(file.with_name(f"{file.name}.gz").read_bytes()) == file.read_bytes()


def test_what_a_browser_has_already_is_not_sent_again(url: str) -> None:
    first = ask(url, Accept_Encoding="gzip")
    again = ask(url, Accept_Encoding="gzip", If_None_Match=first.headers["ETag"])
    assert (again.status_code, again.raw.read()) == (304, b"")
    assert ask(url, Accept_Encoding="gzip", If_None_Match='"another"').status_code == 200


def test_a_page_published_anew_is_seen_within_a_second_or_two(url: str, settings: Settings) -> None:
    assert "Sign-in fails" in ask(url).text
    publisher.publish_all(settings, NOW.replace(hour=15))
    newest = (settings.site_dir / "index.html").read_bytes()
    end = time.monotonic() + 10
    while ask(url).content != newest:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_styles_are_kept_for_ever_and_programs_of_other_sites_may_read_the_json(url: str, settings: Settings) -> None:
    (style,) = (file.name for file in (settings.site_dir / "assets").glob("page.*.css"))
    answer = ask(f"{url}/assets/{style}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, CACHE_ASSET)
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert ask(f"{url}/api/v2/status.json").headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Origin" not in ask(url).headers


def test_what_is_not_there_is_404_for_programs_with_nothing_in_it(url: str, settings: Settings) -> None:
    page = ask(f"{url}/incidents/nosuchthing0")
    assert (page.status_code, page.content) == (404, (settings.site_dir / "404.html").read_bytes())
    missing = ask(f"{url}/api/v2/nothing.json")
    assert (missing.status_code, missing.content) == (404, b"")
    assert ask(f"{url}/API/v2/Summary.json").content == (settings.site_dir / "api/v2/summary.json").read_bytes()


@pytest.mark.parametrize("path", ["/index.html.gz", "/.lock", "/.new/0", "/current.json.br", "/..%2f..%2fetc/passwd"])
def test_nothing_but_public_addresses_is_given_out(path: str, url: str) -> None:
    assert ask(url + path).status_code in (400, 404)
