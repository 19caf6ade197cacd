"""A whole running service: forms posted at once, and the database gone."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from statuspage import clock
from statuspage.rules.vocabulary import MessageKind
from tests.browser import installation
from tests.browser.installation import ADMIN, ADMIN_PASSWORD, Installation
from tests.nursery import Nursery
from tests.typed import typed


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[Installation]:
    with installation.running(nursery, tmp_path_factory.mktemp("service")) as running:
        yield running


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))


@pytest.fixture
def admin(service: Installation) -> requests.Session:
    session = requests.Session()
    fields = hidden(session.get(f"{service.url}/login", timeout=30).text)
    answer = session.post(
        f"{service.url}/login", data=fields | {"email": ADMIN, "password": ADMIN_PASSWORD}, timeout=30
    )
    assert answer.url.endswith("/console/")
    return session


@pytest.fixture
def room(service: Installation, admin: requests.Session) -> str:
    """The address of a freshly declared incident."""
    page = admin.get(f"{service.url}/console/incidents/new", timeout=30).text
    component = re.search(r'name="(state_[0-9a-z]{12})"', page)
    assert component is not None
    fields = hidden(page) | {"title": "All at once", "severity": "SEV2", component[1]: "degraded"}
    answer = admin.post(f"{service.url}/console/incidents/new", data=fields, timeout=30)
    assert re.search("/console/incidents/[0-9a-z]{12}$", answer.url)
    return answer.url


def at_once(act: Callable[[], int], count: int) -> list[int]:
    """Do something in this many threads at the same moment; return what came back."""
    barrier, results = threading.Barrier(count), []

    def run() -> None:
        barrier.wait()
        results.append(act())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def updates_of(page: str) -> int:
    return page.split('id="timeline-title"')[1].count('class="prose"')


def fields_for(kind: MessageKind, admin: requests.Session, room: str) -> dict[str, str]:
    return hidden(admin.get(f"{room}/{kind.value}", timeout=30).text) | typed(kind, clock.now())


def test_one_form_posted_ten_times_at_once_is_one_update(admin: requests.Session, room: str) -> None:
    fields = fields_for(MessageKind.ACKNOWLEDGE, admin, room)
    codes = at_once(
        lambda: (
            requests.post(
                f"{room}/acknowledge", data=fields, cookies=admin.cookies, timeout=30, allow_redirects=False
            ).status_code
        ),
        10,
    )
    assert codes == [303] * 10
    assert updates_of(admin.get(room, timeout=30).text) == 1


def test_of_ten_writers_at_once_one_is_heard_and_nine_are_told(admin: requests.Session, room: str) -> None:
    first = fields_for(MessageKind.ACKNOWLEDGE, admin, room)
    assert admin.post(f"{room}/acknowledge", data=first, timeout=30).status_code == 200
    forms = [fields_for(MessageKind.UPDATE, admin, room) for _ in range(10)]
    codes = at_once(
        lambda: (
            requests.post(
                f"{room}/update", data=forms.pop(), cookies=admin.cookies, timeout=30, allow_redirects=False
            ).status_code
        ),
        10,
    )
    assert sorted(codes) == [303] + [409] * 9
    assert updates_of(admin.get(room, timeout=30).text) == 2


def test_with_the_database_gone_readers_read_and_the_console_says_so(
    service: Installation, admin: requests.Session
) -> None:
    folder = Path(service.environ["DATA_DIR"])
    files = [file for file in folder.glob("statuspage.db*") if file.is_file()]
    before = requests.get(service.url, timeout=30).text
    for file in files:
        file.rename(file.with_name(f"moved-{file.name}"))
    try:
        time.sleep(1.5)
        assert requests.get(service.url, timeout=30).text == before
        for path in ("/console/", "/login", "/subscribe"):
            answer = admin.get(f"{service.url}{path}", timeout=30)
            assert answer.status_code in (200, 503), path
            assert "Traceback" not in answer.text
        assert requests.get(f"{service.url}/healthz", timeout=30).status_code == 200
        # An empty file in its place would damage what is moved back.
        assert not (folder / "statuspage.db").exists()
    finally:
        for file in files:
            file.with_name(f"moved-{file.name}").rename(file)
    assert admin.get(f"{service.url}/console/", timeout=30).status_code == 200
