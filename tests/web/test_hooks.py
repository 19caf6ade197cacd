"""What SendGrid posts: only what it signed, whatever it says; the address that is asked for no key does not exist."""

import base64
import contextvars
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse, create_environ, run_wsgi_app

from statuspage.app import create_app
from statuspage.db import db
from statuspage.models import Delivery, ProviderEvent, Subscriber
from statuspage.settings import Settings
from statuspage.web import hooks
from tests.events import delivery, event, state_of, subscriber, suppressions

PATH = "/hooks/sendgrid"
ADA = "ada@example.com"
STAMP = "1795269600"


class Provider:
    """SendGrid, with its key."""

    def __init__(self, client: FlaskClient, key: EllipticCurvePrivateKey) -> None:
        self.client, self.key = client, key

    def sign(self, body: bytes, stamp: str = STAMP) -> str:
        return base64.b64encode(self.key.sign(stamp.encode() + body, ECDSA(SHA256()))).decode()

    def post(self, events: object, **options: Any) -> TestResponse:
        # As SendGrid does: a line break after each event and at the end, all of it signed.
        return self.post_raw(json.dumps(events, indent=0).replace("\n", "\r\n").encode() + b"\r\n", **options)

    def post_raw(self, body: bytes, headers: dict[str, str] | None = None, **options: Any) -> TestResponse:
        signed = {hooks.SIGNATURE: self.sign(body), hooks.TIMESTAMP: STAMP}
        return self.post_as_is(body, signed if headers is None else headers, **options)

    def post_as_is(self, body: bytes, headers: dict[str, str], **options: Any) -> TestResponse:
        db.session.rollback()
        about = {"data": body, "headers": headers, "content_type": "application/json"} | options
        return contextvars.Context().run(lambda: self.client.post(PATH, **about))


def public(key: EllipticCurvePrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@pytest.fixture(scope="module")
def key() -> EllipticCurvePrivateKey:
    return ec.generate_private_key(SECP256R1())


@pytest.fixture
def settings(settings: Settings, key: EllipticCurvePrivateKey) -> Settings:
    return replace(settings, sendgrid_webhook_key=public(key))


@pytest.fixture
def provider(app: Flask, key: EllipticCurvePrivateKey) -> Provider:
    return Provider(app.test_client(), key)


def kept() -> list[tuple[str, int | None]]:
    db.session.rollback()
    rows = db.session.scalars(select(ProviderEvent).order_by(ProviderEvent.id))
    return [(row.event, row.delivery_id) for row in rows]


def test_signed_events_are_taken_and_answered_without_a_word_or_a_cookie(provider: Provider, started: datetime) -> None:
    mail = delivery(ADA, started)
    answer = provider.post([event("processed", mail, ADA, started), event("delivered", mail, ADA, started)])
    assert (answer.status_code, answer.data) == (204, b"")
    assert "Set-Cookie" not in answer.headers
    assert state_of(mail) == Delivery.DELIVERED
    assert kept() == [("delivered", mail), ("processed", mail)] or kept() == [("processed", mail), ("delivered", mail)]


def test_the_same_events_under_new_ids_change_nothing_more(provider: Provider, started: datetime) -> None:
    mail = delivery(ADA, started)
    first = event("delivered", mail, ADA, started)
    for name in ("one", "two", "three"):
        assert provider.post([first | {"sg_event_id": name}]).status_code == 204
    assert kept() == [("delivered", mail)]


@pytest.mark.parametrize(
    ("what", "headers"),
    [
        ("no header", {}),
        ("no signature", {hooks.TIMESTAMP: STAMP}),
        ("no time", {hooks.SIGNATURE: "SIGNED"}),
        ("empty", {hooks.SIGNATURE: "", hooks.TIMESTAMP: ""}),
        ("no base64", {hooks.SIGNATURE: "abc", hooks.TIMESTAMP: STAMP}),
        ("not ASCII", {hooks.SIGNATURE: "ä€", hooks.TIMESTAMP: "ü"}),
        ("no signature at all", {hooks.SIGNATURE: "AAAA", hooks.TIMESTAMP: STAMP}),
        ("another time", {hooks.SIGNATURE: "SIGNED", hooks.TIMESTAMP: "1795269601"}),
        ("spaces", {hooks.SIGNATURE: "SIGNED ", hooks.TIMESTAMP: f" {STAMP} x"}),
    ],
)
def test_what_is_not_signed_is_refused(
    what: str, headers: dict[str, str], provider: Provider, started: datetime
) -> None:
    mail = delivery(ADA, started)
    body = json.dumps([event("spamreport", mail, ADA, started)]).encode()
    sent = {name: value.replace("SIGNED", provider.sign(body)) for name, value in headers.items()}
    answer = provider.post_as_is(body, sent)
    assert (answer.status_code, answer.data) == (403, b""), what
    assert kept() == []
    assert suppressions() == {}


@pytest.mark.parametrize("change", [b" ", b"\n", b"\0"])
def test_a_body_with_one_byte_more_is_refused(change: bytes, provider: Provider) -> None:
    body = b"[]\r\n"
    headers = {hooks.SIGNATURE: provider.sign(body), hooks.TIMESTAMP: STAMP}
    assert provider.post_as_is(body, headers).status_code == 204
    assert provider.post_as_is(body + change, headers).status_code == 403
    assert provider.post_as_is(body.strip(), headers).status_code == 403


def test_another_key_is_refused(provider: Provider) -> None:
    other = Provider(provider.client, ec.generate_private_key(SECP256R1()))
    assert other.post([]).status_code == 403


def test_a_body_that_is_no_text_is_refused_signed_or_not(provider: Provider) -> None:
    assert provider.post_as_is(b"\xff\xfe[]", {hooks.SIGNATURE: "abc", hooks.TIMESTAMP: STAMP}).status_code == 403
    assert provider.post_raw(b"\xff\xfe[]").status_code == 403


def test_an_old_stamp_is_no_reason_to_refuse(provider: Provider, started: datetime) -> None:
    body, mail = b"", delivery(ADA, started)
    body = json.dumps([event("delivered", mail, ADA, started)]).encode()
    headers = {hooks.SIGNATURE: provider.sign(body, "1000000000"), hooks.TIMESTAMP: "1000000000"}
    assert provider.post_as_is(body, headers).status_code == 204
    assert state_of(mail) == Delivery.DELIVERED


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b"", 1),
        (b"not json", 1),
        (b"[" * 100_000, 1),
        (b"{}", 1),
        (b"null", 1),
        (b"[]", 0),
        (b"[1, null, [], {}]", 4),
        (b'[{"event": "delivered", "sp_d": "\\u0000\\ud800", "email": [], "timestamp": 1e999}]', 1),
        (b'[{"event": "delivered", "timestamp": ' + b"9" * 4_000 + b"}]", 1),
        (b'[{"event": "delivered", "timestamp": ' + b"9" * 5_000 + b"}]", 1),
        (b'{"event": "delivered", "event": "bounce"}', 1),
    ],
)
def test_odd_content_is_kept_and_never_sent_back(body: bytes, count: int, provider: Provider) -> None:
    assert provider.post_raw(body).status_code == 204
    assert len(kept()) == count
    assert all(delivery_id is None for _, delivery_id in kept())


@pytest.mark.parametrize("changes", [{"sp_d": "987654321"}, {"sp_chunk": "anotherpage0"}, {"email": "eve@example.com"}])
def test_events_of_other_mails_change_nothing(changes: dict[str, str], provider: Provider, started: datetime) -> None:
    mail = delivery(ADA, started)
    assert provider.post([event("bounce", mail, ADA, started) | changes]).status_code == 204
    assert kept() == [("bounce", None)]
    assert state_of(mail) == Delivery.SUBMITTED
    assert suppressions() == {}


def test_an_event_without_our_arguments_changes_nothing(provider: Provider, started: datetime) -> None:
    assert provider.post([event("bounce", None, ADA, started)]).status_code == 204
    assert kept() == [("bounce", None)]
    assert suppressions() == {}


@pytest.mark.parametrize("name", ["spamreport", "group_unsubscribe"])
def test_whoever_complains_gets_nothing_more_that_was_queued(name: str, provider: Provider, started: datetime) -> None:
    someone = subscriber(ADA, started)
    mail = delivery(ADA, started, subscriber_id=someone)
    queued = delivery(ADA, started, Delivery.QUEUED, subscriber_id=someone, attempts=0, batch="")
    assert provider.post([event(name, mail, ADA, started)]).status_code == 204
    assert state_of(queued) == Delivery.CANCELLED
    assert db.session.get_one(Subscriber, someone).state == Subscriber.UNSUBSCRIBED


def test_a_large_body_is_taken_and_a_huge_one_is_not_even_read(provider: Provider) -> None:
    large = json.dumps([{"event": "open", "padding": "x" * 2_000_000}]).encode()
    assert provider.post_raw(large).status_code == 204
    huge = b"[" + b" " * hooks.BODY_LIMIT + b"]"
    assert provider.post_raw(huge).status_code == 413


class _Endless:
    """A body without an announced end."""

    def __init__(self) -> None:
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        self.given += (size := 65536 if size < 0 else size)
        return b" " * size

    def readline(self, size: int = -1) -> bytes:
        return self.read(size)

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(65536), b"")


@pytest.mark.parametrize(
    ("about", "read"), [({"wsgi.input_terminated": True}, 3), ({"CONTENT_LENGTH": str(10**12)}, 0)]
)
def test_a_body_without_an_end_is_cut_off(about: dict[str, Any], read: int, app: Flask, provider: Provider) -> None:
    endless = _Endless()
    environ = create_environ(PATH, "http://status.example.com", method="POST") | {"wsgi.input": endless} | about
    _, status, _ = contextvars.Context().run(run_wsgi_app, app, environ)
    assert status.startswith("413")
    assert endless.given <= read * hooks.BODY_LIMIT


def test_without_a_key_there_is_no_such_address(environ: dict[str, str], app: Flask, provider: Provider) -> None:
    settings: Settings = app.config["STATUSPAGE"]
    app.config["STATUSPAGE"] = replace(settings, sendgrid_webhook_key="")
    assert provider.post([]).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_it_can_only_be_posted_to(method: str, provider: Provider) -> None:
    assert provider.client.open(PATH, method=method).status_code == 405


def test_while_the_database_is_away_the_provider_is_asked_to_come_again(
    tmp_path: Path, settings: Settings, key: EllipticCurvePrivateKey, started: datetime
) -> None:
    away = replace(settings, database_url=f"sqlite:///{tmp_path}/nowhere/statuspage.db")
    made = create_app(away)
    with made.app_context():
        provider = Provider(made.test_client(), key)
        answer = provider.post([event("delivered", 1, ADA, started)])
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        # A forger learns nothing of the database.
        assert provider.post_as_is(b"[]", {}).status_code == 403
        db.engine.dispose()


def test_an_event_lost_in_a_failure_is_taken_when_it_comes_again(
    provider: Provider, started: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = delivery(ADA, started)
    events = [event("delivered", mail, ADA, started)]
    broken: Callable[..., None] = lambda *_: (_ for _ in ()).throw(MemoryError)  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr("statuspage.actions.receipts._suppress", broken)
        assert provider.post(events).status_code == 500
    assert kept() == []
    assert provider.post(events).status_code == 204
    assert state_of(mail) == Delivery.DELIVERED
