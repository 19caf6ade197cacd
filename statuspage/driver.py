"""PostgreSQL's driver, with an end to its patience.

A server that stands still keeps its connections open and never answers; the
driver by itself would wait for ever, and so would whoever asked the console.
"""

from typing import TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

Answer = TypeVar("Answer")

CONNECT_SECONDS = 5
# No statement of ours takes as long, but for migrations.
ANSWER_SECONDS = 20.0


class Connection(psycopg.Connection[psycopg.rows.TupleRow]):
    """A connection that is given up when an answer takes too long."""

    patience: float | None = None
    """Seconds to wait for an answer; None for ``ANSWER_SECONDS``."""

    def wait(self, gen: PQGen[Answer], interval: float = 0.1, timeout: float | None = None) -> Answer:
        """Wait for an answer. Raises OperationalError when it takes too long; the connection is closed then."""
        try:
            return super().wait(gen, interval, timeout or self.patience or ANSWER_SECONDS)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                # The answer may still come, and would be taken for that to the next question.
                self.pgconn.finish()
            raise
