"""States, roles, choices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules import vocabulary
from statuspage.rules.vocabulary import LABELS, AccountRole, ComponentState, RuleBroken, Severity, choose, worst_state


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        ("", "operational"),
        ("operational", "operational"),
        ("operational degraded", "degraded"),
        ("outage degraded operational", "outage"),
    ],
)
def test_the_worst_state(states: str, worst: str) -> None:
    assert worst_state(map(ComponentState, states.split())) == worst


@given(st.lists(st.sampled_from(ComponentState)), st.lists(st.sampled_from(ComponentState)))
def test_the_worst_of_all_is_the_worst_of_the_worst(some: list[ComponentState], others: list[ComponentState]) -> None:
    assert worst_state([*some, *others]) is worst_state([worst_state(some), worst_state(others)])


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("viewer", "viewer"),
        ("responder", "viewer responder"),
        ("comms", "viewer responder comms"),
        ("admin", "viewer responder comms admin"),
    ],
)
def test_a_role_includes_the_lower_ones(role: str, allowed: str) -> None:
    assert [needed.value for needed in AccountRole if AccountRole(role).allows(needed)] == allowed.split()


def test_a_choice_that_does_not_exist_is_refused_beside_its_field() -> None:
    assert choose(Severity, "SEV1", "severity", "Please choose.") is Severity.SEV1
    with pytest.raises(RuleBroken) as broken:
        choose(Severity, "SEV9", "severity", "Please choose.")
    assert broken.value.errors == {"severity": "Please choose."}


@pytest.mark.parametrize(
    "kind", ["ComponentState", "Stage", "MaintenanceStage", "IncidentRole", "AccountRole", "Impact"]
)
def test_readers_see_a_label_for_every_word(kind: str) -> None:
    assert all(LABELS[word] for word in getattr(vocabulary, kind))
