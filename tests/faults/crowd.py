"""Many workers that are killed with -9 and started anew in a blink."""

import contextlib
import os
import random
import time
from collections.abc import Iterator, Mapping

from tests.nursery import Nursery

# `statuspage worker` without its start. So a kill strikes a worker at work; most of a hundred started anew would die
# while they import.
PROGRAM = """
from statuspage import worker
from statuspage.bare import create_bare_app
{changes}
worker.run(create_bare_app())
"""


class Workers:
    """So many workers; whoever is killed is started again."""

    def __init__(self, nursery: Nursery, count: int, environ: Mapping[str, str], program: str) -> None:
        self._nursery, self._environ, self._program = nursery, environ, program
        self._chance = random.Random(20261121)
        self.running = [nursery.start(program, environ) for _ in range(count)]
        self.kills = 0

    def kill_one(self) -> None:
        """Kill any of them."""
        place = self._chance.randrange(len(self.running))
        self.running[place].kill()
        self.kills += 1
        self.running[place] = self._nursery.start(self._program, self._environ)

    def pause(self, longest: float) -> None:
        """Wait for up to so many seconds."""
        time.sleep(self._chance.random() * longest)


@contextlib.contextmanager
def workers(nursery: Nursery, count: int, environ: Mapping[str, str], changes: str = "") -> Iterator[Workers]:
    """Run so many workers; ``changes`` is Python that makes their times fit into a test."""
    made = Workers(nursery, count, {**os.environ, **environ}, PROGRAM.format(changes=changes))
    try:
        yield made
    finally:
        for process in made.running:
            process.kill()
