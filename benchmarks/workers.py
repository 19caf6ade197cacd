"""Two workers on PostgreSQL against one: the time to hand over the same mails.

The provider is a sink that answers after 100 ms, as a real one does. Prints
the seconds and the ratio beside its limit, and how many processors one worker,
its database and the sink keep busy: two workers can't be faster than all
processors allow. Exit status 1 above the limit.
"""

import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import text

from benchmarks import crowds, sinks
from statuspage.actions import audiences
from statuspage.db import db
from statuspage.delivery import announcements
from statuspage.settings import Settings

SUBSCRIBERS, ROUNDS, DELAY, LIMIT = 100_000, 6, 0.1, 0.6
# Each look costs the database 3 ms: every 20 ms that took a fourteenth of this machine.
LOOK_SECONDS = 0.1


def main() -> int:
    taken: dict[int, list[float]] = {1: [], 2: []}
    busy: dict[int, list[float]] = {1: [], 2: []}
    with sinks.running("sendgrid", DELAY) as sink:
        mail = {
            "SENDGRID_API_KEY": "SG.x",
            "SENDGRID_URL": f"http://127.0.0.1:{sink.port}",
            "MAIL_FROM": "a@example.com",
        }
        with crowds.installation("postgresql", **mail) as app:
            crowds.gather(SUBSCRIBERS)
            incident_id = crowds.declare()
            number = 0
            for turn in range(ROUNDS):
                # The table grows from each to the next: neither is always the later one.
                for count in (1, 2) if turn % 2 == 0 else (2, 1):
                    crowds.tell(incident_id, number)
                    number += 1
                    while announcements.expand(audiences.audience, crowds.NOW):
                        pass
                    tidy()
                    took, worked = by_workers(count, app.config["STATUSPAGE"], mail)
                    taken[count].append(took)
                    busy[count].append(worked / took)
    ratio = statistics.median(two / one for one, two in zip(taken[1], taken[2], strict=True))
    processors, used = os.cpu_count() or 1, {count: statistics.median(each) for count, each in busy.items()}
    print(f"one worker : {statistics.median(taken[1]):6.2f} s for {SUBSCRIBERS:,} mails, {used[1]:.2f} processors busy")
    print(f"two workers: {statistics.median(taken[2]):6.2f} s, {used[2]:.2f} processors busy")
    print(f"ratio      : {ratio:6.2f}   limit {LIMIT}; here {max(0.5, used[1] / processors):.2f} at best")
    return 0 if ratio <= LIMIT else 1


def by_workers(count: int, settings: Settings, mail: dict[str, str]) -> tuple[float, float]:
    """Return the seconds until the last mail is settled, and how many all processors worked in them."""
    environ = {
        **os.environ, **mail,
        "DATABASE_URL": settings.database_url.replace("+psycopg", ""), "DATA_DIR": str(settings.data_dir),
        "SECRET_KEY": settings.secret_key, "PUBLIC_URL": settings.public_url, "PYTHONPATH": ":".join(sys.path),
    }  # fmt: skip
    # Stopped until all have started: Python's own start takes longer than the mails.
    program = "import os, signal; from statuspage import worker; from statuspage.bare import create_bare_app; app = create_bare_app(); os.kill(os.getpid(), signal.SIGSTOP); worker.run(app)"
    workers = [subprocess.Popen([sys.executable, "-c", program], env=environ) for _ in range(count)]
    try:
        for worker in workers:
            os.waitpid(worker.pid, os.WUNTRACED)
        for worker in workers:
            worker.send_signal(signal.SIGCONT)
        began, before = time.perf_counter(), processor_seconds()
        while waiting():
            time.sleep(LOOK_SECONDS)
        return time.perf_counter() - began, processor_seconds() - before
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def tidy() -> None:
    """Clear what the expansion left behind: the database does so when it likes, which was in the midst of one of the two."""
    db.session.rollback()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE deliveries")


def processor_seconds() -> float:
    """Return what all processors of this machine have worked so far (proc(5): user, nice, system, and interrupts)."""
    user, nice, system, _idle, _waiting, *interrupts = Path("/proc/stat").read_text(encoding="ascii").split()[1:8]
    return sum(map(int, (user, nice, system, *interrupts))) / os.sysconf("SC_CLK_TCK")


def waiting() -> bool:
    db.session.rollback()
    # Each by its index: what looks on must not be what takes the time.
    unsent = ("state IN ('queued', 'unknown')", "state = 'leased'")
    return any(db.session.execute(text(f"SELECT 1 FROM deliveries WHERE {each} LIMIT 1")).first() for each in unsent)


if __name__ == "__main__":
    sys.exit(main())
