"""Programs of others read a running page: they know Statuspage's, and never heard of ours.

They pin old versions of what we use ourselves, so they live in an environment of
their own (``make test`` makes it from requirements-clients.txt).
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import feedparser
import pytest
import requests

from tests.browser import installation
from tests.browser.installation import ROOT, Installation
from tests.conftest import unavailable
from tests.nursery import Nursery

PYTHON = ROOT / ".venv-clients" / "bin" / "python"
SCRIPTS = Path(__file__).parent / "scripts"
EXPORT = ROOT / "tests" / "fixtures" / "statuspage" / "page"
OPEN, SOLVED = "Checkout is slow", "Payments were declined"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[Installation]:
    with installation.running(nursery, tmp_path_factory.mktemp("service"), EXPORT) as running:
        yield running


@pytest.fixture
def client(tmp_path: Path) -> Any:
    """Run a script with the clients' own interpreter; return what it printed."""
    if not PYTHON.exists():
        unavailable("the clients are not installed: make test does, from requirements-clients.txt")

    def run(*arguments: str, **environ: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        done = subprocess.run(
            [PYTHON, "-I", *arguments],
            cwd=tmp_path, env=kept | environ, check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_statuscheck_knows_every_word_of_ours(service: Installation, client: Any) -> None:
    if client("-c", "import sys; print(sys.version_info >= (3, 13))").strip() == "True":
        pytest.skip("statuscheck pins an httpx that needs the module cgi, which Python 3.13 has not")
    found = json.loads(client(str(SCRIPTS / "read_with_statuscheck.py"), service.url))
    truth = requests.get(f"{service.url}/api/v2/summary.json", timeout=30).json()
    assert found["status"]["code"] == truth["status"]["indicator"] == "major"
    assert found["status"]["description"] == "Partial System Outage"
    assert {each["name"] for each in found["components"]} == {each["name"] for each in truth["components"]}
    (slow,) = [each for each in found["incidents"] if each["name"] == OPEN]
    assert [(part["name"], part["status"]) for part in slow["components"]] == [("Checkout", "Major outage")]


def test_the_models_of_atlassian_statuspage_take_every_answer(service: Installation, client: Any) -> None:
    found = json.loads(client(str(SCRIPTS / "read_with_atlassian_statuspage.py"), service.url))
    assert [each["name"] for each in found["/incidents/unresolved.json"]] == [OPEN]
    solved = next(each for each in found["/incidents.json"] if each["name"] == SOLVED)
    assert (solved["status"], solved["updates"][0]) == ("postmortem", "postmortem")
    assert solved["created_at"] == "2026-10-02T08:00:10+02:00"
    assert found["/scheduled-maintenances.json"]
    assert "Checkout" in {each["name"] for each in found["/components.json"]}


def test_the_prometheus_exporter_measures_the_page(service: Installation, client: Any, tmp_path: Path) -> None:
    url = f"{service.url}/api/v2/summary.json"
    services, metrics = tmp_path / "services.json", tmp_path / "page.prom"
    services.write_text(json.dumps({"ours": {"name": "Ours", "url": url, "type": "status_page"}}))
    client(
        "-m", "statuspage_prometheus_exporter.status_monitoring",
        RUN_MODE="once", SERVICES_JSON_PATH=str(services), METRICS_TEXTFILE_PATH=str(metrics),
    )  # fmt: skip
    told = metrics.read_text()
    assert 'statuspage_probe_check{service_name="Ours"} 1.0' in told
    assert 'statuspage_service_status{service_name="Ours"} 0.0' in told
    (incident,) = [line for line in told.splitlines() if line.startswith("statuspage_incident_info{")]
    assert OPEN in incident
    assert f"{service.url}/incidents/lk7inc000002" in incident
    down = [
        line for line in told.splitlines() if line.startswith("statuspage_component_status{") and "Checkout" in line
    ]
    assert [line.split()[-1] for line in down] == ["0.0"]


def test_reader_subscribes_to_the_feeds(service: Installation, client: Any) -> None:
    urls = [f"{service.url}/history.{ending}" for ending in ("atom", "rss")]
    found = json.loads(client(str(SCRIPTS / "read_with_reader.py"), *urls))
    for url in urls:
        assert found[url]["title"] == "Larkspur status: incident history"
        assert {OPEN, SOLVED} <= {each["title"] for each in found[url]["entries"]}
        assert all(each["link"].startswith(f"{service.url}/incidents/") for each in found[url]["entries"])


def test_feedparser_finds_the_same_in_feeds_and_json(service: Installation) -> None:
    newest = requests.get(f"{service.url}/api/v2/incidents.json", timeout=30).json()["incidents"]
    for ending in ("rss", "atom"):
        feed = feedparser.parse(f"{service.url}/history.{ending}")
        assert not feed.bozo
        links = [each.link for each in feed.entries]
        assert [each for each in newest if each["shortlink"] not in links] == []


def test_an_address_is_found_whatever_its_case_and_says_who_may_read_it(service: Installation) -> None:
    answer = requests.get(f"{service.url}/API/v2/Summary.json", timeout=30)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"].startswith("public, max-age=10")
    again = requests.get(answer.url, headers={"If-None-Match": answer.headers["ETag"]}, timeout=30)
    assert again.status_code == 304
    missing = requests.get(f"{service.url}/api/v2/nothing.json", timeout=30)
    assert (missing.status_code, missing.content, missing.headers.get("Content-Type")) == (404, b"", None)
