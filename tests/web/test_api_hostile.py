"""Bodies that mean no good: always a clear refusal, never a failure, and nothing is changed."""

import io
import json
from typing import Any

import pytest

from statuspage.rules.vocabulary import TokenScope
from tests.web.programs import Program, counts, declared

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

BODIES: list[tuple[str, bytes, str, int]] = [
    ("nothing", b"", JSON, 400),
    ("no JSON", b"{", JSON, 400),
    ("a comment", b'{"incident": {}} // yes', JSON, 400),
    ("an array", b"[]", JSON, 400),
    ("a text", b'"incident"', JSON, 400),
    ("null", b"null", JSON, 400),
    ("a number", b"1", JSON, 400),
    ("NaN", b'{"incident": {"version": NaN}}', JSON, 400),
    ("Infinity", b'{"incident": {"version": -Infinity}}', JSON, 400),
    ("a key twice", b'{"incident": {"name": "a", "name": "b"}}', JSON, 400),
    ("Latin-1", '{"incident": {"name": "Störung"}}'.encode("latin-1"), JSON, 400),
    ("UTF-16", '{"incident": {"name": "Stoerung"}}'.encode("utf-16"), JSON, 400),
    ("deep arrays", b"[" * 100_000, JSON, 400),
    ("deep objects", b'{"a":' * 50_000, JSON, 400),
    ("a huge number", b'{"incident": {"version": ' + b"9" * 5_000 + b"}}", JSON, 400),
    ("a large number", b'{"incident": {"version": ' + b"9" * 400 + b"}}", JSON, 422),
    ("beyond floats", b'{"incident": {"version": 1e999}}', JSON, 422),
    ("a wrapper that is no object", b'{"incident": [1]}', JSON, 422),
    ("a wrapper of null", b'{"incident": null}', JSON, 422),
    ("NUL", b'{"incident": {"name": "a\\u0000b"}}', JSON, 422),
    ("NUL in an id", b'{"incident": {"components": {"a\\u0000b": "outage"}, "body": "x"}}', JSON, 422),
    ("half a surrogate pair", b'{"incident": {"name": "\\ud800"}}', JSON, 422),
    ("half a pair in a key", b'{"incident": {"\\ud800": "x"}}', JSON, 422),
    ("half a pair deep down", b'{"incident": {"metadata": {"a": [{"b": ["\\udfff"]}]}}}', JSON, 422),
    ("half a pair in an address", b'{"incident": {"roles": {"backup": "\\ud800@example.com"}}}', JSON, 422),
    ("moderately deep", b'{"incident": {"name": ' + b"[" * 200 + b"]" * 200 + b"}}", JSON, 422),
    (
        "deep in what nobody reads",
        b'{"incident": {"metadata": ' + b"[" * 200 + b"]" * 200 + b', "name": 5}}',
        JSON,
        422,
    ),
    ("many components", json.dumps({"components": {f"{n}": "outage" for n in range(9_000)}}).encode(), JSON, 422),
    ("many ids", json.dumps({"component_ids": [f"{n}" for n in range(25_000)], "body": "x"}).encode(), JSON, 422),
    ("as text", b"name=x", "text/plain", 400),
    ("as XML", b"<incident/>", "application/xml", 400),
    ("of no type", b"name=x", "", 400),
    ("a form said to be JSON", b"incident[name]=x", JSON, 400),
    ("a form that ends early", b"incident[name=x", FORM, 400),
    ("a form with an empty name", b"=x&[]=y", FORM, 400),
    ("a form with a list in the middle", b"incident[][name]=x", FORM, 400),
    ("a form that goes deep", b"incident" + b"[a]" * 5_000 + b"=x", FORM, 400),
    ("a form that says two things", b"incident=x&incident[name]=y", FORM, 400),
    ("the same the other way round", b"incident[name]=y&incident=x", FORM, 400),
    ("a form with NUL", b"incident[name]=a%00b", FORM, 422),
    ("a form that is no UTF-8", b"incident[name]=%ff%fe&incident[components]=x", FORM, 422),
    ("half a multipart form", b"--x\r\nContent-Disposition: form-data", "multipart/form-data; boundary=x", 400),
    ("too much", b'{"incident": {"body": "' + b"x" * 300_000 + b'"}}', JSON, 413),
    ("too much of a form", b"incident[body]=" + b"x" * 300_000, FORM, 413),
]


def test_a_hostile_body_is_refused(writer: Program, sev1: dict[str, Any]) -> None:
    made = declared(writer, sev1)
    before = counts()
    for name, body, kind, status in BODIES:
        for method, path in (
            ("POST", "/incidents"),
            ("PATCH", f"/incidents/{made['id']}"),
            ("PUT", f"/incidents/{made['id']}.json"),
        ):
            answer = writer.send(method, path, data=body, headers={"Content-Type": kind})
            assert (name, answer.status_code, answer.mimetype) == (name, status, JSON), answer.text[:500]
            assert answer.get_json()["error"], name
        assert counts() == before, name


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_body_of_unknown_length_is_read_up_to_the_limit(size: int, writer: Program, sev1: dict[str, Any]) -> None:
    written = f"incident[name]=Sign-in&incident[component_ids][]={next(iter(sev1['components']))}&x={'x' * size}"
    before = counts()
    streamed = {"input_stream": io.BytesIO(written.encode()), "environ_overrides": {"wsgi.input_terminated": True}}
    answer = writer.send("POST", "/incidents", headers={"Content-Type": FORM}, **streamed)
    assert answer.status_code == (201 if size == 10 else 413)
    assert (counts() == before) == (size > 10)


def test_the_other_addresses_refuse_it_too(program: Any, page_id: str) -> None:
    admin = program(TokenScope.ADMIN)
    for name, body, kind, status in BODIES:
        for method, path in (("POST", "/components"), ("PUT", "/policies/SEV1")) if status == 400 else ():
            assert admin.send(method, path, data=body, headers={"Content-Type": kind}).status_code == 400, (name, path)


def test_a_hostile_address_is_refused(writer: Program) -> None:
    for path in ("/incidents/aaaaaaaaaaa%00", "/components/aaaaaaaaaaa%00", "/incidents/..%2f..%2f..%2fa"):
        for method in ("GET", "PATCH"):
            assert writer.send(method, path, json={"name": "x"}).status_code in (400, 404), (method, path)


@pytest.mark.parametrize("key", ["x" * 256, "ä" * 300])
def test_a_hostile_idempotency_key_is_refused(key: str, writer: Program, sev1: dict[str, Any]) -> None:
    before = counts()
    answer = writer.send("POST", "/incidents", json=sev1, headers={"Idempotency-Key": key})
    assert (answer.status_code, list(answer.get_json()["errors"])) == (422, ["Idempotency-Key"])
    assert counts() == before


@pytest.mark.parametrize(
    "words",
    ["<script>alert(1)</script>", "{{7*7}}", "[x](javascript:alert(1))", "> " * 12_000, "*_" * 12_000, "[" * 24_000],
)
def test_hostile_words_are_kept_as_they_are_and_published_clean(
    words: str, writer: Program, sev1: dict[str, Any]
) -> None:
    made = declared(writer, sev1, name="</title><script>alert(1)</script>", body=words)
    assert made["name"] == "</title><script>alert(1)</script>"
    assert made["incident_updates"][0]["body"] == words.strip()
