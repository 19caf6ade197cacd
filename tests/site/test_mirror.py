"""The copy of the published folder elsewhere: whole, in order, only what changed, whatever the target does."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from flask import Flask

from statuspage.rules.vocabulary import ComponentState
from statuspage.settings import Settings
from statuspage.site import mirror, publisher, snapshot
from statuspage.site.mirror import Copied, Mirror, MirrorFailed
from statuspage.web import public
from tests import builders, objectstores, staticserver
from tests.objectstores import BUCKET, S3, Trouble

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
# The folder is the same whichever database it was written from.
only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TARGET = f"s3://{BUCKET}/"
FILES = {
    "/": b'<a href="/incidents/abc">Signing in fails</a>',
    "/404": b"There is nothing here",
    "/history": b"all of them",
    "/history/2026-11": b"of November",
    "/incidents/abc": b"Signing in fails",
    "/components/one": b"Sign-in",
    "/history.rss": b"<rss/>",
    "/feed.json": b"{}",
    "/api/v2/status.json": b"{}",
    "/.well-known/security.txt": b"Contact: mailto:security@example.com",
    "/assets/page.0123456789abcdef.css": b"body {}",
}
KEYS = {
    "index.html",
    "404.html",
    "history",
    "history/2026-11",
    "incidents/abc",
    "components/one",
    "history.rss",
    "feed.json",
    "api/v2/status.json",
    ".well-known/security.txt",
    "assets/page.0123456789abcdef.css",
    "current.json",
}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    with objectstores.s3() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    s3_server.empty()
    use(s3_server.url, monkeypatch)
    return s3_server


@pytest.fixture
def between(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trouble]:
    with objectstores.trouble(s3.url) as server:
        use(server.url, monkeypatch)
        yield server


def use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in objectstores.environment(url).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "var" / "site"
    for path, body in FILES.items():
        snapshot.write(folder, path, body)
    publish(folder, 1)
    return folder


def publish(folder: Path, revision: int, **changed: bytes | None) -> None:
    """Change files as the publisher does, by their names in the folder, and say so last."""
    for name, body in changed.items():
        path = "/" if name == "index" else f"/{name.replace('__', '/')}"
        if body is None:
            snapshot.remove(folder, path)
        else:
            snapshot.write(folder, path, body)
    snapshot.write_current(folder, snapshot.Current(revision, "r", "2026-11-21", "2026-11-21T14:00:00Z"))


def to(site: Path, url: str = TARGET, seconds: float = 20.0) -> Mirror:
    return Mirror(site, site.parent, url, seconds)


# --- an object store -------------------------------------------------------


def test_every_permanent_address_is_a_key_with_its_type_and_how_long_to_keep_it(site: Path, s3: S3) -> None:
    assert to(site).copy() == Copied(len(KEYS), 0)
    assert s3.keys() == KEYS
    page = s3.object("incidents/abc")
    assert (page.content, page.headers["Content-Type"]) == (b"Signing in fails", "text/html; charset=utf-8")
    assert page.headers["Cache-Control"] == public.CACHE_PAGE
    asset = s3.object("assets/page.0123456789abcdef.css")
    assert (asset.headers["Content-Type"], asset.headers["Cache-Control"]) == (
        "text/css; charset=utf-8",
        public.CACHE_ASSET,
    )
    assert s3.object("history.rss").headers["Content-Type"].startswith("application/rss+xml")
    assert s3.object(".well-known/security.txt").headers["Content-Type"].startswith("text/plain")


def test_a_folder_inside_the_bucket_holds_the_copy(site: Path, s3: S3) -> None:
    to(site, f"s3://{BUCKET}/pages/status").copy()
    assert s3.keys() == {f"pages/status/{key}" for key in KEYS}


def test_only_what_changed_is_copied_and_what_is_gone_goes(site: Path, s3: S3, between: Trouble) -> None:
    to(site).copy()
    between.put.clear()
    publish(site, 2, index=b"no link any more", incidents__abc=None)
    # Another process, which has only the record to go by.
    assert to(site).copy() == Copied(2, 1)
    assert between.put == ["index.html", "current.json"]
    assert s3.keys() == KEYS - {"incidents/abc"}
    assert to(site).copy() == Copied(0, 0)


def test_what_links_to_pages_comes_after_them_and_the_record_of_the_whole_last(site: Path, between: Trouble) -> None:
    to(site).copy()
    assert between.put[-2:] == ["index.html", "current.json"]
    lists = [between.put.index(key) for key in ("history", "history.rss", "feed.json")]
    pages = [between.put.index(key) for key in ("incidents/abc", "components/one", "assets/page.0123456789abcdef.css")]
    assert max(pages) < min(lists)


def test_without_a_record_everything_is_copied_and_strangers_among_our_pages_go(site: Path, s3: S3) -> None:
    to(site).copy()
    publish(site, 2, incidents__abc=None)
    for record in (site.parent / mirror.FOLDER).glob("*.json"):
        record.unlink()
    assert to(site).copy() == Copied(len(KEYS) - 1, 1)
    assert s3.keys() == KEYS - {"incidents/abc"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null"])
def test_a_damaged_record_is_no_record(content: bytes, site: Path, s3: S3) -> None:
    to(site).copy()
    (record,) = (site.parent / mirror.FOLDER).glob("*.json")
    record.write_bytes(content)
    assert to(site).copy() == Copied(len(KEYS), 0)


def test_what_changes_and_changes_back_while_nobody_knows_is_copied(site: Path, s3: S3, between: Trouble) -> None:
    to(site).copy()
    publish(site, 2, incidents__abc=b"red")
    # The page got there; the front page's answer was lost.
    between.mode, between.after = "500", 1
    with pytest.raises(MirrorFailed):
        to(site, seconds=3).copy()
    between.mode = "ok"
    publish(site, 3, incidents__abc=FILES["/incidents/abc"])
    to(site).copy()
    assert s3.object("incidents/abc").content == FILES["/incidents/abc"]


def test_compressed_forms_and_half_written_files_stay_at_home(site: Path, s3: S3) -> None:
    (site / "index.html.gz").write_bytes(b"x")
    (site / "index.html.br").write_bytes(b"x")
    (site / snapshot.STAGING).mkdir()
    (site / snapshot.STAGING / "0").write_bytes(b"x")
    to(site).copy()
    assert s3.keys() == KEYS


# --- faults ----------------------------------------------------------------


@pytest.mark.parametrize("mode", ["500", "403", "hang"])
def test_a_target_in_trouble_is_told_in_one_sentence_and_the_next_run_does_the_rest(
    mode: str, site: Path, s3: S3, between: Trouble
) -> None:
    between.mode, between.after = mode, 4
    started = time.monotonic()
    with pytest.raises(MirrorFailed) as failure:
        to(site, seconds=2).copy()
    assert time.monotonic() - started < 6
    assert str(failure.value).endswith(".")
    assert "\n" not in str(failure.value)
    # What links to pages that are not there is not there either.
    assert not s3.keys() & {"index.html", "current.json", "history"}
    between.mode = "ok"
    to(site).copy()
    assert s3.keys() == KEYS


def test_a_target_that_refuses_is_told(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(objectstores.closed_port(), monkeypatch)
    with pytest.raises(MirrorFailed):
        to(site, seconds=3).copy()


def test_a_bucket_that_does_not_exist_is_told(site: Path, s3: S3) -> None:
    with pytest.raises(MirrorFailed):
        to(site, "s3://nowhere").copy()


def test_a_folder_that_was_never_published_is_told(tmp_path: Path) -> None:
    with pytest.raises(MirrorFailed, match="Nothing has been published yet"):
        Mirror(tmp_path / "site", tmp_path, f"file://{tmp_path}/copy").copy()


def test_a_killed_copy_is_finished_by_the_next(site: Path, s3: S3, between: Trouble) -> None:
    for number in range(60):
        snapshot.write(site, f"/incidents/more{number}", b"x" * 1000)
    between.mode, between.after = "hang", 30
    program = (
        "import sys; from pathlib import Path; from statuspage.site.mirror import Mirror; "
        "Mirror(Path(sys.argv[1]), Path(sys.argv[1]).parent, sys.argv[2]).copy()"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(site), TARGET], env=dict(os.environ))
    end = time.monotonic() + 30
    while between.after and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert between.put
    assert not s3.keys() & {"index.html", "current.json"}
    between.mode = "ok"
    to(site).copy()
    assert s3.keys() == KEYS | {f"incidents/more{number}" for number in range(60)}


def test_two_at_once_take_turns(site: Path, s3: S3) -> None:
    one, other = to(site), to(site)
    with one._alone(), pytest.raises(BlockingIOError):
        other.copy()
    assert other.copy().written == len(KEYS)


# --- a folder --------------------------------------------------------------


IN_THREE_FORMS = {snapshot.file_name(path) + suffix for path in FILES for suffix in ("", ".gz", ".br")} | {
    "current.json"
}


def test_a_folder_is_as_the_published_one_with_the_compressed_forms(site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "a copy"
    target = f"file://{tmp_path}/a%20copy"
    # Of each file three forms; of the record of them all only one.
    assert to(site, target).copy() == Copied(3 * len(KEYS) - 2, 0)
    files = {str(file.relative_to(copy)) for file in copy.rglob("*") if file.is_file()}
    assert files == IN_THREE_FORMS
    publish(site, 2, incidents__abc=None, index=b"nothing")
    assert to(site, target).copy() == Copied(4, 3)
    assert not (copy / "incidents" / "abc.html").exists()
    assert (copy / "index.html").read_bytes() == b"nothing"


def test_a_folder_that_can_not_be_written_is_told(site: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("a file in the way")
    with pytest.raises(MirrorFailed):
        to(site, f"file://{tmp_path}/copy").copy()


def test_a_copied_folder_that_was_emptied_is_filled_once_the_record_is_removed(site: Path, tmp_path: Path) -> None:
    target = f"file://{tmp_path}/copy"
    to(site, target).copy()
    (record,) = (site.parent / mirror.FOLDER).glob("*.json")
    assert set(json.loads(record.read_bytes())) == IN_THREE_FORMS
    record.unlink()
    (tmp_path / "copy" / "index.html").unlink()
    to(site, target).copy()
    assert (tmp_path / "copy" / "index.html").exists()


# --- a host that knows nothing of us ---------------------------------------

DYNAMIC = re.compile("/subscribe.*")


@pytest.fixture
def whole_site(app: Flask, settings: Settings) -> Path:
    builders.page(NOW)
    sign_in = builders.component(NOW)
    builders.acknowledged(builders.account(NOW), {sign_in: ComponentState.OUTAGE}, NOW)
    publisher.publish_all(settings, NOW)
    return settings.site_dir


def links_of(page: str) -> set[str]:
    found = set(re.findall(r'(?:href|src)="(/[^"#]*)"', page))
    return {link for link in found if not DYNAMIC.fullmatch(link)}


@only_sqlite
def test_a_static_host_serves_every_page_that_the_front_page_leads_to(whole_site: Path, tmp_path: Path) -> None:
    to(whole_site, f"file://{tmp_path}/copy").copy()
    with staticserver.serving(tmp_path / "copy", NOW) as host:
        front = requests.get(host.url, timeout=30)
        links = links_of(front.text)
        assert {"/history", "/history.rss", "/favicon.svg"} < links
        for link in links:
            answer = requests.get(host.url + link, timeout=30)
            assert answer.status_code == 200, link
            for further in links_of(answer.text) if "html" in answer.headers["Content-Type"] else ():
                assert requests.get(host.url + further, timeout=30).status_code == 200, (link, further)


@only_sqlite
def test_an_object_store_has_every_page_under_its_permanent_address(whole_site: Path, s3: S3) -> None:
    to(whole_site).copy()
    links = links_of(s3.object("index.html").text)
    keys = s3.keys()
    assert links - {"/"} <= {f"/{key}" for key in keys}
