"""The clock for deadlines: small steps are followed, jumps are held off until they have lasted."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.clock import BELIEVED_AFTER, SMALL_STEP, SteadyClock, elapsed, now
from statuspage.rules.times import require_utc

BEGUN = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Machine:
    """A machine's two clocks: the one on the wall, which can be set, and the time that passes."""

    def __init__(self) -> None:
        self.passed = timedelta(days=40)
        self.wrong_by = timedelta(0)
        self.steady = SteadyClock(lambda: BEGUN + self.passed - timedelta(days=40) + self.wrong_by, lambda: self.passed)

    def after(self, span: timedelta, wrong_by: timedelta | None = None) -> timedelta:
        """Let time pass and perhaps set the clock; return by how much deadlines are off then."""
        self.passed += span
        if wrong_by is not None:
            self.wrong_by = wrong_by
        return self.steady.now() - (BEGUN + self.passed - timedelta(days=40))


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_the_real_clocks_are_read_in_utc_and_go_forward() -> None:
    require_utc(now())
    before = elapsed()
    assert elapsed() >= before
    assert abs(SteadyClock().now() - now()) < SECOND


def test_small_steps_of_a_time_server_are_followed_at_once(machine: Machine) -> None:
    for wrong in (1, 3, -2, -5, 0, 5):
        assert machine.after(SECOND, wrong * SECOND) == wrong * SECOND


def test_a_slow_drift_is_followed_however_far_it_leads(machine: Machine) -> None:
    for step in range(1, 100):
        assert machine.after(MINUTE, step * SECOND) == step * SECOND


JUMPS = [timedelta(hours=-2), timedelta(days=3), timedelta(seconds=6), timedelta(seconds=-6)]


@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_is_held_off_and_believed_after_ten_minutes(
    jump: timedelta, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    assert machine.after(SECOND) == timedelta(0)
    with caplog.at_level(logging.WARNING):
        for _ in range(600):
            assert machine.after(SECOND, jump) == timedelta(0)
        assert len(caplog.records) == 1
        assert machine.after(SECOND) == jump
    assert "follow it now" in caplog.text
    assert machine.after(SECOND) == jump


def test_a_jump_that_is_taken_back_is_forgotten(machine: Machine) -> None:
    machine.after(SECOND, 2 * timedelta(hours=1))
    assert machine.after(9 * MINUTE) == timedelta(0)
    assert machine.after(SECOND, timedelta(0)) == timedelta(0)
    machine.after(SECOND, timedelta(days=3))
    # The ten minutes begin anew.
    assert machine.after(9 * MINUTE) == timedelta(0)
    assert machine.after(MINUTE) == timedelta(days=3)


def test_each_further_jump_must_last_by_itself(machine: Machine) -> None:
    machine.after(SECOND, timedelta(hours=-2))
    assert machine.after(9 * MINUTE) == timedelta(0)
    assert machine.after(SECOND, timedelta(days=3)) == timedelta(0)
    assert machine.after(2 * MINUTE) == timedelta(0)
    assert machine.after(8 * MINUTE) == timedelta(days=3)


def test_sleep_of_the_machine_is_time_that_passed(machine: Machine) -> None:
    assert machine.after(timedelta(hours=8)) == timedelta(0)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(-400_000, 400_000)), max_size=30))
def test_within_ten_minutes_deadlines_never_move_faster_than_small_steps(settings: list[tuple[int, int]]) -> None:
    machine, off = Machine(), timedelta(0)
    for seconds, wrong in settings:
        if machine.passed + seconds * SECOND - timedelta(days=40) >= BELIEVED_AFTER:
            break
        before, off = off, machine.after(seconds * SECOND, wrong * SECOND)
        assert abs(off - before) <= SMALL_STEP
