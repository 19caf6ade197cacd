"""The day the database is gone: a notice still gets onto the page, and onto its copy elsewhere."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import requests
from flask import Flask

from statuspage.settings import Settings
from statuspage.site import publisher
from tests import builders, objectstores
from tests.browser import installation
from tests.nursery import Nursery

ROOT = Path(__file__).resolve().parents[2]
Publish = Callable[..., subprocess.CompletedProcess[str]]


def bare(environ: dict[str, str]) -> dict[str, str]:
    """An environment with nothing of ours but what is given."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return {**kept, "PYTHONPATH": str(ROOT), **environ}


@pytest.fixture
def publish(nursery: Nursery) -> Publish:
    """Return a way to run `statuspage publish`."""
    return lambda environ, *arguments, typed="": nursery.run(["publish", *arguments], bare(environ), typed)


def wait_for(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@pytest.fixture
def front(settings: Settings) -> Path:
    return settings.site_dir / "index.html"


@pytest.fixture
def emergency(app: Flask, settings: Settings, now: datetime, tmp_path: Path) -> dict[str, str]:
    """A published page; nothing listens where its database was, and the other settings are of no use either."""
    builders.page(now)
    publisher.refresh(settings, now)
    return {
        "DATA_DIR": str(settings.data_dir),
        "PUBLIC_URL": settings.public_url,
        "DATABASE_URL": objectstores.closed_port().replace("http://", "postgresql://nobody@") + "/gone",
        "MAIL_FROM": "not an address",
    }


def test_a_notice_is_typed_changed_and_withdrawn_without_a_database(
    emergency: dict[str, str], front: Path, publish: Publish
) -> None:
    before = front.read_text()
    # Once as people do, start and all.
    done = subprocess.run(
        [sys.executable, "-m", "statuspage", "publish", "--offline", "We are down. Next word at 04:00 UTC."],
        cwd=ROOT, env=bare(emergency), check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("The notice is on ")
    assert "Next word at 04:00 UTC." in front.read_text()
    assert publish(emergency, "--offline", typed="From standard input.\n").returncode == 0
    assert "From standard input." in front.read_text()
    assert "Next word" not in front.read_text()
    assert publish(emergency, "--offline", "--withdraw").returncode == 0
    assert front.read_text() == before


def test_it_gets_to_the_copy_elsewhere(emergency: dict[str, str], tmp_path: Path, publish: Publish) -> None:
    copy = tmp_path / "copy"
    done = publish(emergency, "--offline", "--to", f"file://{copy}", "We are down.")
    assert done.returncode == 0, done.stderr
    assert "Copied to file://" in done.stdout
    assert "We are down." in (copy / "index.html").read_text()
    assert publish({**emergency, "PUBLISH_TO": f"file://{copy}"}, "--offline", "--withdraw").returncode == 0
    assert "We are down." not in (copy / "index.html").read_text()


def test_a_copy_that_fails_does_not_hide_that_the_notice_is_here(
    emergency: dict[str, str], front: Path, publish: Publish
) -> None:
    lost = {**emergency, **objectstores.environment(objectstores.closed_port())}
    done = publish(lost, "--offline", "--to", "s3://status", "We are down.")
    assert done.returncode == 1
    assert "The notice is on " in done.stdout
    assert "The site is published here, but not at s3://status: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "We are down." in front.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--offline", ""], 1, "Please say what readers should know"),
        (["--offline"], 1, "Please say what readers should know"),
        (["a notice"], 2, "A notice goes with --offline."),
        (["--withdraw"], 2, "A notice goes with --offline."),
        (["--offline", "--withdraw", "a notice"], 2, "With --offline go a NOTICE or --withdraw"),
        (["--offline", "--watch", "a notice"], 2, "With --offline go a NOTICE or --withdraw"),
        (["--offline", "--to", "elsewhere", "a notice"], 1, "--to must look like s3://bucket/folder"),
    ],
)
def test_what_is_asked_wrongly_is_said(
    arguments: list[str],
    code: int,
    sentence: str,
    emergency: dict[str, str],
    front: Path,
    publish: Publish,
) -> None:
    before = front.read_text()
    done = publish(emergency, *arguments)
    assert (done.returncode, sentence in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr
    assert front.read_text() == before


def test_without_a_published_page_it_says_so(tmp_path: Path, publish: Publish) -> None:
    done = publish({"DATA_DIR": str(tmp_path / "var")}, "--offline", "We are down.")
    assert (done.returncode, "holds no published page" in done.stderr) == (1, True)
    assert not (tmp_path / "var").exists()


def test_a_running_service_whose_database_is_moved_away_shows_it(tmp_path: Path, nursery: Nursery) -> None:
    copy = tmp_path / "copy"
    with installation.running(nursery, tmp_path, PUBLISH_TO=f"file://{copy}") as service:
        wait_for((copy / "current.json").exists, "the worker copies what is published")
        assert requests.get(f"{service.url}/readyz", timeout=30).json()["mirror"] == "ok"
        folder = Path(service.environ["DATA_DIR"])
        files = [file for file in folder.glob("statuspage.db*") if file.is_file()]
        for file in files:
            file.rename(file.with_name(f"moved-{file.name}"))
        try:
            service.run("publish", "--offline", "The database is gone. We are on it.")
            assert "The database is gone." in (copy / "index.html").read_text()
            wait_for(lambda: "The database is gone." in requests.get(service.url, timeout=30).text, "shown")
        finally:
            for file in files:
                file.with_name(f"moved-{file.name}").rename(file)
        # With the database back it stays until a person takes it away, and the console says that it is there.
        session = requests.Session()
        assert "The database is gone." in session.get(service.url, timeout=30).text
        service.run("publish", "--offline", "--withdraw")
        wait_for(lambda: "The database is gone." not in session.get(service.url, timeout=30).text, "withdrawn")
        assert "The database is gone." not in (copy / "index.html").read_text()
