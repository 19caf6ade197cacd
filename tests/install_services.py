"""Find or install what the tests need besides Python packages: Chromium, PostgreSQL and libfaketime.

Used by ``make test``. Says in one line each what was found, installed or is
missing; the tests that need what is missing name themselves at the end of
pytest's summary (with CI=true they fail).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import servers


def main() -> None:
    missing = []
    if servers.chromium_program() is None:
        missing.append("chromium")
    if servers.postgresql_programs() is None:
        missing.append("postgresql")
    if servers.faketime_library() is None:
        missing.append("libfaketime")
    if not missing:
        return
    if not install(missing):
        print(f"Not found and not installable from here: {', '.join(missing)}. Please install: {' '.join(missing)}")  # noqa: T201


def install(packages: list[str]) -> bool:
    """Install Debian packages where the rights are there; tell whether that worked."""
    if shutil.which("apt-get") is None:
        return False
    if os.geteuid() == 0:
        prefix = []
    elif shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], check=False, stderr=-3).returncode == 0:
        prefix = ["sudo", "-n"]
    else:
        return False
    print(f"Installing {', '.join(packages)} with apt-get …", flush=True)  # noqa: T201
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    subprocess.run([*command, "update"], check=False)
    done = subprocess.run([*command, "install", "-y", "--no-install-recommends", *packages], check=False, stdout=-3)
    return done.returncode == 0


if __name__ == "__main__":
    main()
