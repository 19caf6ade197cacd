"""The shipped communication policy: the table of promises."""

import pytest

from statuspage.rules.policy import DEFAULT_POLICIES, UNOWED_NEXT_UPDATE
from statuspage.rules.vocabulary import SEVERITY_MEANINGS, Severity


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
