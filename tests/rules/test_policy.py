"""The communication policy: the shipped table of promises, and its shape in the API."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.policy import DEFAULT_POLICIES, UNOWED_NEXT_UPDATE, as_json, from_json
from statuspage.rules.times import parse_span, span_in_iso
from statuspage.rules.vocabulary import SEVERITY_MEANINGS, MessageKind, RuleBroken, Severity

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("severity", "first", "further"), [("SEV1", 15, 30), ("SEV2", 15, 30), ("SEV3", None, None), ("SEV4", None, None)]
)
def test_what_the_public_is_owed(severity: str, first: int | None, further: int | None) -> None:
    policy = DEFAULT_POLICIES[Severity(severity)]
    owed = [span and span.total_seconds() / 60 for span in (policy.first_update, policy.next_update)]
    assert owed == [first, further]


def test_every_severity_has_a_policy_and_a_meaning() -> None:
    assert set(DEFAULT_POLICIES) == set(SEVERITY_MEANINGS) == set(Severity)
    assert UNOWED_NEXT_UPDATE.total_seconds() > 0


@pytest.mark.parametrize("severity", Severity)
def test_a_policy_survives_its_way_through_the_api(severity: Severity) -> None:
    policy = DEFAULT_POLICIES[severity]
    assert from_json(as_json(policy), DEFAULT_POLICIES[Severity.SEV1]) == policy


def test_the_api_speaks_iso_8601() -> None:
    body = as_json(DEFAULT_POLICIES[Severity.SEV1])
    assert {name: body[name] for name in ("first_update", "next_update", "direct_email", "post_mortem")} == {
        "first_update": "PT15M", "next_update": "PT30M", "direct_email": "PT1H", "post_mortem": "PT48H",
    }  # fmt: skip
    assert body["nudges"][0] == {"at": "-PT5M", "to": "comms_lead"}


def test_what_is_named_is_replaced_and_the_rest_kept() -> None:
    present = DEFAULT_POLICIES[Severity.SEV1]
    changed = from_json({"first_update": "PT4S", "holding_update": {"enabled": True, "at": "PT2S"}}, present)
    assert changed.first_update == timedelta(seconds=4)
    assert changed.next_update == present.next_update
    assert changed.holding_update == replace(present.holding_update, enabled=True, at=timedelta(seconds=2))
    assert from_json({"next_update": None}, present).next_update is None


@pytest.mark.parametrize(
    "body",
    [
        {"first_update": "15"},
        {"first_update": 900},
        {"first_update": "PT0S"},
        {"first_update": "-PT5M"},
        {"first_update": "P91D"},
        {"first_update": "P1M"},
        {"first_udpate": "PT15M"},
        {"audience": "customers"},
        {"audience": []},
        {"audience": ["everybody"]},
        {"nudges": {}},
        {"nudges": [{"at": "PT5M"}]},
        {"nudges": [{"at": "PT5M", "to": "boss"}]},
        {"nudges": [{"at": "P31D", "to": "backup"}]},
        {"nudges": [{"at": "PT5M", "to": "backup", "by": "pigeon"}]},
        {"nudges": [{"at": "PT5M", "to": "backup"}] * 21},
        {"holding_update": True},
        {"holding_update": {"at": "-PT1M"}},
        {"holding_update": {"text": "No time in here."}},
        {"holding_update": {"text": "{next_update_by}" + "x" * 2000}},
        {"holding_update": {"max_in_a_row": 0}},
        {"holding_update": {"enabled": "yes"}},
        {"holding_update": {"colour": "red"}},
        {"undo_window": "PT0S"},
        {"undo_window": "PT10M1S"},
        {"undo_window": 30},
        {"undo_window": "30 s"},
    ],
)
def test_what_is_no_policy_is_refused_beside_its_key(body: dict[str, Any]) -> None:
    with pytest.raises(RuleBroken) as broken:
        from_json(body, DEFAULT_POLICIES[Severity.SEV1])
    assert list(broken.value.errors) == list(body)


def test_no_update_waits_unless_its_policy_says_so() -> None:
    for policy in DEFAULT_POLICIES.values():
        assert policy.undo_window is None
        assert policy.undo_until(MessageKind.UPDATE, NOW) is None


@pytest.mark.parametrize(
    ("kind", "waits"),
    [(MessageKind.ACKNOWLEDGE, False), (MessageKind.UPDATE, True), (MessageKind.RESOLVE, True)],
)
def test_every_message_but_the_first_waits_for_an_undo(kind: MessageKind, waits: bool) -> None:
    policy = from_json({"undo_window": "PT30S"}, DEFAULT_POLICIES[Severity.SEV1])
    assert as_json(policy)["undo_window"] == "PT30S"
    assert policy.undo_until(kind, NOW) == (NOW + timedelta(seconds=30) if waits else None)
    assert from_json({"undo_window": None}, policy).undo_window is None


@given(st.integers(-30 * 86400, 90 * 86400))
def test_spans_survive_iso_8601(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert parse_span(span_in_iso(span)) == span


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT15M", 900), ("P1D", 86400), ("P1W", 604800), ("P1DT2H3M4S", 93784), ("-PT5M", -300), ("PT0S", 0),
     ("", None), ("P", None), ("PT", None), ("P1DT", None), ("15M", None), ("P1M", None), ("P1Y", None), ("PT1.5S", None)],
)  # fmt: skip
def test_durations(text: str, seconds: int | None) -> None:
    span = parse_span(text)
    assert (span and span.total_seconds()) == seconds if seconds else not span
