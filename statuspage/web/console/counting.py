"""Counts that take long with a million subscribers: asked seldom, each answer kept for a while in this process."""

import threading
from collections.abc import Callable, Hashable, Mapping
from datetime import timedelta
from typing import Any

from flask import Flask, current_app

from statuspage import clock

SHORTEST = timedelta(seconds=2)
# So that counting takes a sixth of one processor at most, however large the tables are.
TIMES_AS_LONG = 5
MOST_KEPT = 1000


class Counts:
    """Answers, and until when each is good enough."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[timedelta, Any]] = {}
        self._lock = threading.Lock()
        self.turn = threading.Lock()
        """Held by whoever counts for seconds: one at a time, however many look."""

    def get(self, key: Hashable) -> Any:
        """Return a kept answer; None if there is none, or it is too old."""
        until, answer = self._kept.get(key, (timedelta(0), None))
        return answer if clock.elapsed() < until else None

    def latest(self, key: Hashable) -> Any:
        """Return the answer that was kept last, however old; None if there is none."""
        return self._kept.get(key, (None, None))[1]

    def ask(
        self, count: Callable[[], Mapping[Hashable, Any]], times_as_long: int = TIMES_AS_LONG
    ) -> Mapping[Hashable, Any]:
        """Count, and keep what was counted by its keys; the longer it took the longer."""
        begun = clock.elapsed()
        answers = count()
        took = clock.elapsed() - begun
        until = begun + took + max(SHORTEST, times_as_long * took)
        with self._lock:
            if len(self._kept) > MOST_KEPT:
                self._kept.clear()
            self._kept.update((key, (until, answer)) for key, answer in answers.items())
        return answers

    def forget(self, key: Hashable) -> None:
        """Count anew when asked next."""
        with self._lock:
            self._kept.pop(key, None)


def install(app: Flask) -> None:
    """Give an application counts of its own."""
    app.extensions["counts"] = Counts()


def counts() -> Counts:
    """Return the counts of this application."""
    kept: Counts = current_app.extensions["counts"]
    return kept
