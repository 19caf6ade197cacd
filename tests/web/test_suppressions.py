"""The list of addresses that are left alone: read it, search it, lift."""

from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage import clock
from statuspage.db import db, transaction
from statuspage.delivery import suppression
from statuspage.delivery.suppression import Why
from statuspage.models import AuditEntry, Suppression
from statuspage.rules.vocabulary import AccountRole
from statuspage.web.admin import suppressions as page
from tests import builders
from tests.events import suppressions
from tests.pagechecks import check_page
from tests.web.conftest import Visitor

PATH = "/admin/suppressions/"
ADA, BOB = "ada@example.com", "bob_100%@example.com"
HOSTILE = "<script>alert(1)</script> {{7*7}} 550 5.1.1"


def suppress(address: str, now: datetime, reason: str = Suppression.BOUNCE) -> str:
    """Return the id of the suppression."""
    with transaction(now) as session:
        suppression.suppress(session, {address: Why(reason, HOSTILE, now)}, now)
    return id_of(address)


def id_of(address: str) -> str:
    db.session.rollback()
    return db.session.scalars(select(Suppression.id).where(Suppression.address_key == address)).one()


def lifts() -> list[dict[str, str]]:
    db.session.rollback()
    return list(db.session.scalars(select(AuditEntry.detail).where(AuditEntry.action == "lift_suppression")))


@pytest.fixture
def admin(app: Flask, started: datetime, arrive: Callable[[AccountRole], Visitor]) -> Visitor:
    builders.page(started)
    return arrive(AccountRole.ADMIN)


def read(visitor: Visitor, path: str = PATH) -> str:
    answer = visitor.get(path)
    assert answer.status_code == 200
    check_page(answer.text)
    return answer.text


def test_an_empty_list_says_so(admin: Visitor) -> None:
    assert "No address is suppressed." in read(admin)
    assert "No suppressed address has “ada” in it." in read(admin, f"{PATH}?q=ada")


def test_each_address_is_listed_with_its_reason_and_its_words(admin: Visitor, started: datetime) -> None:
    suppress(ADA, started)
    suppress(BOB, started, Suppression.COMPLAINT)
    text = read(admin)
    assert "2 addresses" in text
    for words in (ADA, BOB, "Bounced", "Reported as spam", "&lt;script&gt;"):
        assert words in text
    assert 'href="/admin/suppressions/"' in read(admin, "/admin/")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ADA", {ADA}),
        ("example.com", {ADA, BOB}),
        ("_", {BOB}),
        ("%25", {BOB}),
        ("%00", {ADA, BOB}),
        ("nobody", set()),
        ("hmac", set()),
    ],
)
def test_an_address_is_found_by_any_part_of_it(query: str, found: set[str], admin: Visitor, started: datetime) -> None:
    for address in (ADA, BOB, "eve@elsewhere.example"):
        suppress(address, started)
    with transaction(started) as session:
        suppression.erase(session, "eve@elsewhere.example", "a secret")
    text = read(admin, f"{PATH}?q={query}")
    assert {address for address in (ADA, BOB) if f">{address}<" in text} == found
    assert ("An erased address" in text) is (query == "%00")


def test_a_long_list_is_cut_and_counted(admin: Visitor, started: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "SHOWN", 2)
    for address in (ADA, BOB, "eve@example.com"):
        suppress(address, started)
    assert "The newest 2 of 3." in read(admin)


def test_a_bounce_is_lifted_at_once(admin: Visitor, started: datetime) -> None:
    row_id = suppress(ADA, started)
    assert admin.post(f"{PATH}{row_id}", {}, on=PATH).status_code == 303
    assert suppressions() == {}
    assert lifts() == [{"of": "bounce", "reason": ""}]
    assert "lifted, still at the mail provider" in read(admin)
    with transaction(clock.now()) as session:
        session.get_one(Suppression, row_id).clear_at = None
    assert "No address is suppressed." in read(admin)


def test_a_complaint_is_lifted_for_a_reason_only(admin: Visitor, started: datetime) -> None:
    path = f"{PATH}{suppress(ADA, started, Suppression.COMPLAINT)}"
    assert "Lift this only if its owner asked for it" in read(admin, path)
    for reason, sentence in (("  ", "Please fill this in."), ("x" * 201, "Please shorten this")):
        answer = admin.post(path, {"reason": reason})
        assert answer.status_code == 422
        check_page(answer.text)
        assert f'id="error-reason">{sentence}' in answer.text
        assert reason in answer.text
    assert suppressions() == {ADA: "complaint"}
    assert admin.post(path, {"reason": "Ada rang"}).status_code == 303
    assert suppressions() == {}
    assert lifts() == [{"of": "complaint", "reason": "Ada rang"}]


def test_what_somebody_else_has_lifted_is_told(admin: Visitor, started: datetime) -> None:
    row_id = suppress(ADA, started)
    token = admin.hidden(PATH)
    assert admin.post_as_is(f"{PATH}{row_id}", token).status_code == 303
    answer = admin.post_as_is(f"{PATH}{row_id}", token)
    assert answer.status_code == 409
    assert "Somebody has lifted this already." in answer.text
    check_page(answer.text)
    assert admin.get(f"{PATH}{row_id}").status_code == 404
    assert admin.post_as_is(f"{PATH}nosuchthing0", token).status_code == 404
    assert len(lifts()) == 1


def test_an_erased_address_can_not_be_lifted_here(admin: Visitor, started: datetime) -> None:
    row_id = suppress(ADA, started)
    with transaction(started) as session:
        suppression.erase(session, ADA, "a secret")
    assert ADA not in read(admin)
    assert admin.get(f"{PATH}{row_id}").status_code == 404
    assert admin.post_as_is(f"{PATH}{row_id}", admin.hidden("/console/account/")).status_code == 409
