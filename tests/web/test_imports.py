"""The page for imports: a file is uploaded, followed on its way, and looked at afterwards."""

import csv
import io
from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from statuspage import clock
from statuspage.actions import csv_rows, import_jobs
from statuspage.app import BODY_LIMIT
from statuspage.db import db
from statuspage.models import ImportJob, Subscriber
from statuspage.rules.vocabulary import AccountRole
from statuspage.web.admin import imports
from tests import builders
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]
PATH = "/admin/imports/"
FILE = b"email,phone,confirmed\na@example.com,1,yes\nnobody,,\nb@example.com,,no\n"


@pytest.fixture
def admin(arrive: Arrive, started: datetime) -> Visitor:
    builders.page(started)
    return arrive(AccountRole.ADMIN)


def upload(who: Visitor, content: bytes, name: str = "old.csv", **fields: str) -> TestResponse:
    form = {**who.hidden(PATH), "kind": "subscribers", **fields, "file": (io.BytesIO(content), name)}
    return who.request("POST", PATH, data=form, content_type="multipart/form-data")


def subscribers() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Subscriber)) or 0


def take_in(answer: TestResponse) -> None:
    import_jobs.take_in_chunk(answer.location.rpartition("/")[2], None, (), clock.now())


def test_a_file_is_uploaded_followed_and_taken_in(admin: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "BATCH", 2)
    answer = upload(admin, FILE)
    assert answer.status_code == 303
    waiting = admin.get(answer.location).text
    assert "0 of 3 rows so far: it waits for the worker" in waiting
    assert '<meta http-equiv="refresh"' in waiting
    assert "data-refresh-seconds" in waiting
    take_in(answer)
    assert 'max="3" value="2"' in admin.get(answer.location).text
    take_in(answer)
    done = admin.get(answer.location).text
    assert "3 of 3 rows were read" in done
    assert "refresh" not in done
    assert "These columns are not read: phone." in done
    assert "<strong>Line 3</strong>" in done
    assert "Please give one e-mail address" in done
    assert subscribers() == 2
    assert f'href="{answer.location}">old.csv</a>' in admin.get(PATH).text


def test_a_dry_run_changes_nothing_and_says_so(admin: Visitor) -> None:
    answer = upload(admin, FILE, is_dry_run="yes")
    take_in(answer)
    page = admin.get(answer.location).text
    assert "Nothing is changed" in page
    assert "What would happen" in page
    assert subscribers() == 0
    assert "only looked at" in admin.get(PATH).text


def test_a_file_that_can_t_be_read_is_said_beside_its_field(admin: Visitor) -> None:
    answer = upload(admin, b"address\nx\n", kind="customers")
    assert answer.status_code == 422
    assert 'id="error-file">The first row must name the columns; there is none called “email”.' in answer.text
    assert '<option value="customers" selected>' in answer.text
    assert upload(admin, b"").status_code == 422
    assert admin.post(PATH, {"kind": "subscribers"}).status_code == 422
    assert db.session.scalar(select(func.count()).select_from(ImportJob)) == 0


def test_a_file_may_have_10_megabytes_here_and_no_more(admin: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not more than the test's client keeps in memory, and more than any other form may have.
    long = b"email\n" + b"a@example.com\n" * 22_000
    assert len(long) > BODY_LIMIT
    assert upload(admin, long).status_code == 303
    monkeypatch.setattr(imports, "FILE_LIMIT", len(long) - 1)
    refused = upload(admin, long)
    assert (refused.status_code, "too large" in refused.text) == (422, True)
    monkeypatch.setattr(imports, "FILE_LIMIT", len(long) // 3)
    assert upload(admin, long).status_code == 413
    # The others stay small.
    assert admin.post_as_is("/admin/people/", {"name": "x" * 300_000}).status_code == 413


def test_all_subscribers_are_downloaded_and_can_be_uploaded_again(admin: Visitor) -> None:
    take_in(upload(admin, FILE))
    answer = admin.get("/admin/subscribers/export.csv")
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("text/csv", "no-store")
    assert 'filename="subscribers.csv"' in answer.headers["Content-Disposition"]
    rows = {row["email"]: row for row in csv.DictReader(io.StringIO(answer.text, newline=""))}
    assert {email: (row["state"], row["confirmed"], row["source"]) for email, row in rows.items()} == {
        "a@example.com": ("active", "yes", "import"),
        "b@example.com": ("pending", "no", "import"),
    }
    again = upload(admin, answer.data)
    take_in(again)
    assert "there already, left as they are" in admin.get(again.location).text
    assert subscribers() == 2
