"""Public pages over HTTP: from the folder alone, quickly, and to anybody's questions."""

import gzip
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import brotli
import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine import Engine
from werkzeug.test import Client

from statuspage.rules.vocabulary import ComponentState
from statuspage.settings import Settings
from statuspage.site import publisher, snapshot
from statuspage.web.public import PublicSite
from tests import builders


@pytest.fixture
def incident_id(app: Flask, settings: Settings, now: datetime) -> str:
    """A published incident."""
    builders.page(now)
    by = builders.account(now)
    made = builders.acknowledged(by, {builders.component(now): ComponentState.OUTAGE}, now)
    publisher.refresh(settings, now)
    return made


@pytest.fixture
def client(app: Flask, settings: Settings, incident_id: str) -> Client:
    return Client(PublicSite(app, settings.site_dir, settings.public_url, look_every=0))


@pytest.fixture
def queries() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


BASE = "http://status.example.com"


def test_a_public_page_asks_no_query_and_sets_no_cookie(client: Client, incident_id: str, queries: list[str]) -> None:
    for path in ("/", "/history", "/history/2026-11", f"/incidents/{incident_id}", "/history.rss", "/history.atom"):
        answer = client.get(path, base_url=BASE)
        assert answer.status_code == 200, path
        assert "Set-Cookie" not in answer.headers
    assert queries == []


def test_public_pages_answer_with_the_database_gone(
    client: Client, incident_id: str, settings: Settings, database_url: str
) -> None:
    if database_url.startswith("sqlite:///"):
        shutil.move(database_url.removeprefix("sqlite:///"), f"{settings.data_dir}/moved.db")
    fresh = Client(
        PublicSite(lambda *_: pytest.fail("handed on"), settings.site_dir, settings.public_url, look_every=0)
    )
    for visitor in (client, fresh):
        for path in ("/", f"/incidents/{incident_id}", "/history.rss"):
            assert visitor.get(path, base_url=BASE).status_code == 200


def test_the_public_read_path_can_reach_neither_flask_nor_the_database() -> None:
    code = (
        "import sys, statuspage.web.public, statuspage.site.snapshot\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('flask', 'sqlalchemy', 'jinja2')])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_known_tag_gets_304_and_no_body(client: Client) -> None:
    first = client.get("/", base_url=BASE)
    again = client.get("/", base_url=BASE, headers={"If-None-Match": f'"other", W/{first.headers["ETag"]}'})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert client.get("/", base_url=BASE, headers={"If-None-Match": '"other"'}).status_code == 200


UNPACK = {None: bytes, "gzip": gzip.decompress, "br": brotli.decompress}


FORMS_TAKEN = [
    ("gzip", "gzip"),
    ("br", "br"),
    ("gzip, deflate, br, zstd", "br"),
    ("BR;Q=0.5, GZIP", "gzip"),
    ("br;q=0.5, gzip;q=0.50", "br"),
    ("br;q=0.001, *;q=0", "br"),
    ("*", "br"),
    ("*, br;q=0", "gzip"),
    ("", None),
    ("identity", None),
    ("gzip;q=0, br;q=0.000", None),
    ("gzip;q=nan, br;q=-1", None),
    ("gzip;level=1", "gzip"),
    (";;,,=;q", None),
]


def test_everybody_gets_the_smallest_form_they_take(client: Client) -> None:
    plain = client.get("/", base_url=BASE)
    for accepted, given in FORMS_TAKEN:
        answer = client.get("/", base_url=BASE, headers={"Accept-Encoding": accepted})
        assert (accepted, answer.headers.get("Content-Encoding")) == (accepted, given)
        assert UNPACK[given](answer.data) == plain.data, accepted
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert (answer.headers["ETag"] != plain.headers["ETag"]) is (given is not None), accepted
        assert answer.headers["Content-Length"] == str(len(answer.data))


def test_a_tag_counts_for_the_form_it_was_given_for_only(client: Client) -> None:
    def asked(tag: str, accepted: str) -> int:
        return client.get("/", base_url=BASE, headers={"If-None-Match": tag, "Accept-Encoding": accepted}).status_code

    tags = {
        accepted: client.get("/", base_url=BASE, headers={"Accept-Encoding": accepted}).headers["ETag"]
        for accepted in ("", "gzip", "br")
    }
    assert len(set(tags.values())) == 3
    for mine, tag in tags.items():
        for accepted in tags:
            assert asked(tag, accepted) == (304 if mine == accepted else 200)
    assert asked("*", "br") == 304


def test_head_is_get_without_the_body(client: Client) -> None:
    get, head = client.get("/", base_url=BASE), client.head("/", base_url=BASE)
    assert head.data == b""
    assert dict(head.headers) == dict(get.headers)


def test_query_strings_change_nothing(client: Client) -> None:
    assert client.get("/?callback=alert&x=1", base_url=BASE).data == client.get("/", base_url=BASE).data


def test_pages_say_how_long_to_keep_them(client: Client) -> None:
    headers = client.get("/", base_url=BASE).headers
    assert headers["Cache-Control"] == "public, max-age=10, stale-while-revalidate=20, stale-if-error=3600"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    stylesheet = client.get("/", base_url=BASE).text.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = client.get(stylesheet, base_url=BASE)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"


def test_public_pages_can_only_be_read(client: Client) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "FOO"):
        answer = client.open("/", base_url=BASE, method=method)
        assert (method, answer.status_code, answer.headers["Allow"]) == (method, 405, "GET, HEAD")


NOT_THERE = [
    "/incidents/nosuchthing0",
    "/incidents/<script>alert(1)</script>",
    "/incidents/..%2f..%2fetc%2fpasswd",
    "/incidents/%00",
    "/incidents/%ff",
    "/components/nosuchthing0",
    "/history/2026-13",
    "/history/1999-01",
    "/history/2026-11/x",
    "/assets/page.0000.css",
    "/assets/..%2fcurrent.json",
]


def test_what_is_not_there_is_said_plainly(client: Client) -> None:
    for path in NOT_THERE:
        answer = client.get(path, base_url=BASE)
        assert (path, answer.status_code) == (path, 404)
        assert "There is nothing here" in answer.text, path
        assert "<script>alert" not in answer.text, path


def test_nothing_of_the_folder_shows_but_its_pages(client: Client) -> None:
    for path in ("/.lock", "/404", "/index.html", "/nothing", "/.env", "/..%2fetc"):
        assert client.get(path, base_url=BASE).status_code == 404, path


@pytest.mark.parametrize("host", ["evil.example", "status.example.com.evil.example", "", "127.0.0.1"])
def test_a_forged_host_is_refused(host: str, client: Client) -> None:
    for path in ("/", "/login", "/subscribe"):
        answer = client.get(path, base_url=BASE, headers={"Host": host})
        assert answer.status_code == 400
        assert "evil" not in answer.text
    assert client.get("/healthz", base_url=BASE, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "LOCALHOST"])
def test_on_ones_own_machine_every_name_of_it_will_do(
    host: str, app: Flask, settings: Settings, incident_id: str
) -> None:
    client = Client(PublicSite(app, settings.site_dir, "http://127.0.0.1:8000"))
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_an_endless_address_is_refused(client: Client) -> None:
    assert client.get("/" + "a" * 9_000, base_url=BASE).status_code == 414


def test_before_the_first_publication_the_page_says_so(app: Flask, settings: Settings, tmp_path: Path) -> None:
    answer = Client(PublicSite(app, tmp_path / "nothing", settings.public_url, look_every=0)).get("/", base_url=BASE)
    assert answer.status_code == 503
    assert "has not been published yet" in answer.text


def test_a_new_snapshot_is_noticed_and_the_unchanged_stays(
    client: Client, settings: Settings, now: datetime, incident_id: str
) -> None:
    before = client.get("/", base_url=BASE)
    page = client.get(f"/incidents/{incident_id}", base_url=BASE)
    builders.component(now, "Brand new")
    publisher.refresh(settings, now)
    after = client.get("/", base_url=BASE)
    assert "Brand new" in after.text
    assert after.headers["ETag"] != before.headers["ETag"]
    assert client.get(f"/incidents/{incident_id}", base_url=BASE).headers["ETag"] == page.headers["ETag"]


@pytest.mark.parametrize("damage", ["empty", "half", "gone", "folder gone"])
def test_a_damaged_snapshot_is_never_served_the_one_before_stays(
    damage: str, client: Client, settings: Settings
) -> None:
    before = client.get("/", base_url=BASE)
    current = settings.site_dir / snapshot.CURRENT
    if damage == "folder gone":
        shutil.rmtree(settings.site_dir)
    elif damage == "gone":
        current.unlink()
    else:
        current.write_text("" if damage == "empty" else current.read_text()[:40])
    answer = client.get("/", base_url=BASE)
    assert (answer.status_code, answer.data) == (200, before.data)


@pytest.mark.parametrize("kind", ["rss", "atom"])
def test_a_feed_has_its_own_type_and_is_xml_for_browsers(client: Client, kind: str) -> None:
    path = f"/history.{kind}"
    for accepted in (None, "*/*", f"application/{kind}+xml, application/xml;q=0.9"):
        answer = client.get(path, base_url=BASE, headers={"Accept": accepted} if accepted else {})
        assert answer.content_type == f"application/{kind}+xml; charset=utf-8"
        assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    browser = client.get(path, base_url=BASE, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert browser.content_type == "application/xml; charset=utf-8"
    assert browser.data == answer.data
    missing = client.get(f"/components/nosuchthing.{kind}", base_url=BASE, headers={"Accept": "text/html"})
    assert (missing.status_code, missing.content_type) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("path", "kind", "shared"),
    [
        ("/feed.json", "application/json; charset=utf-8", True),
        ("/history.ics", "text/calendar; charset=utf-8", True),
        ("/badge.svg", "image/svg+xml", False),
        ("/embed.js", "text/javascript; charset=utf-8", False),
        ("/favicon.ico", "image/x-icon", False),
    ],
)
def test_other_programs_find_what_they_read(client: Client, path: str, kind: str, shared: bool) -> None:
    answer = client.get(path, base_url=BASE)
    assert (answer.status_code, answer.content_type) == (200, kind)
    assert ("Access-Control-Allow-Origin" in answer.headers) is shared
    assert "Set-Cookie" not in answer.headers
    again = client.get(path, base_url=BASE, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_without_anybody_to_tell_there_is_no_security_txt(client: Client) -> None:
    assert client.get("/.well-known/security.txt", base_url=BASE).status_code == 404


def test_a_page_without_an_intact_copy_is_an_honest_503(client: Client, settings: Settings) -> None:
    for file in settings.site_dir.glob("index.html*"):
        file.write_bytes(file.read_bytes()[:-20])
    # Whoever held it goes on with it; a process that never saw it whole says that it can't show it.
    fresh = Client(
        PublicSite(lambda *_: pytest.fail("handed on"), settings.site_dir, settings.public_url, look_every=0)
    )
    answer = fresh.get("/", base_url=BASE)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (503, "no-store")
    assert "Please try again in a minute." in answer.text
    assert fresh.head("/", base_url=BASE).data == b""
    assert fresh.get("/history", base_url=BASE).status_code == 200


def test_compressed_forms_have_no_address_of_their_own(client: Client) -> None:
    for path in ("/index.html.gz", "/index.html.br", "/.new/0", "/history.rss.gz", "/incidents/x.html.br"):
        assert client.get(path, base_url=BASE).status_code == 404, path
