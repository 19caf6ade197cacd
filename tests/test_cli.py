"""The command line: each command in a process of its own, most of them forks of one that has imported everything."""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from statuspage.cli import commands
from tests import servers
from tests.nursery import Nursery

ROOT = Path(__file__).resolve().parents[1]
FIXTURE = ROOT / "tests" / "fixtures" / "statuspage" / "page"
Run = Callable[..., subprocess.CompletedProcess[str]]


def kept_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of an installation on the embedded database."""
    return kept_environment() | {"DATA_DIR": str(tmp_path / "var"), "PORT": str(servers.free_port())}


@pytest.fixture
def run(environment: dict[str, str], nursery: Nursery) -> Run:
    return lambda *arguments, typed="", **more: nursery.run(arguments, environment | more, typed)


@pytest.fixture
def run_anew(environment: dict[str, str]) -> Run:
    """Run a command as people do, start and all."""

    def command(*arguments: str, typed: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "statuspage", *arguments],
            cwd=ROOT,
            env=environment | more,
            input=typed,
            capture_output=True,
            text=True,
            timeout=servers.PATIENCE,
            check=False,
        )

    return command


@pytest.fixture(scope="session")
def empty_installation(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `statuspage init --empty` leaves behind, to be copied for each test."""
    folder = tmp_path_factory.mktemp("empty") / "var"
    assert nursery.run(["init", "--empty"], kept_environment() | {"DATA_DIR": str(folder)}).returncode == 0
    return folder


@pytest.fixture
def initialised(run: Run, environment: dict[str, str], empty_installation: Path) -> Run:
    shutil.copytree(empty_installation, environment["DATA_DIR"], symlinks=True)
    return run


def all_commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in commands.commands.items():
        if isinstance(command, click.Group):
            yield from (((name, inner), part) for inner, part in command.commands.items())
        else:
            yield (name,), command


@pytest.mark.parametrize(("path", "command"), list(all_commands()))
def test_every_command_has_help_with_an_example(path: tuple[str, ...], command: click.Command) -> None:
    shown = command.get_help(click.Context(command, info_name=" ".join(path)))
    assert f"statuspage {' '.join(path)}" in " ".join(shown.partition("Example: ")[2].split())


def test_help_is_quick_and_exits_with_0(run_anew: Run) -> None:
    done = run_anew("--help")
    assert (done.returncode, done.stderr) == (0, "")
    program = "import sys, statuspage.cli; print({'flask', 'sqlalchemy', 'granian'} & sys.modules.keys())"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["drill", "start", "--scenario", "flood"],
        ["user", "add", "ada@example.com"],
        ["user", "add", "a@example.com", "--role", "god"],
        ["import"],
    ],
)
def test_a_command_used_wrongly_exits_with_2(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_a_wrong_setting_is_one_sentence(run: Run) -> None:
    done = run("user", "list", PORT="http")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: PORT must be a whole number from 1 to 65535, not 'http'.\n"


def test_a_database_that_was_never_set_up_is_one_sentence(run: Run) -> None:
    done = run("user", "list")
    assert (done.returncode, done.stderr) == (
        1,
        "Error: The database is not set up yet: please run `statuspage init` first.\n",
    )


def test_a_database_that_does_not_answer_is_one_sentence(run: Run) -> None:
    url = f"postgresql://nobody@127.0.0.1:{servers.free_port()}/none"
    done = run("user", "list", DATABASE_URL=url, SECRET_KEY="x" * 32)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The database does not answer as it should: ")
    assert len(done.stderr.splitlines()) == 1


def test_init_makes_the_example_page_and_an_administrator_once(run_anew: Run, environment: dict[str, str]) -> None:
    first = run_anew("init")
    assert (first.returncode, first.stderr) == (0, "")
    assert "Made the page “Larkspur”." in first.stdout
    assert "Administrator: admin@example.com\nPassword:      " in first.stdout
    database = sqlite3.connect(Path(environment["DATA_DIR"]) / "statuspage.db")
    try:
        assert database.execute("SELECT count(*) FROM components").fetchone() == (8,)
        assert database.execute("SELECT count(*), count(resolved_at) FROM incidents").fetchone() == (3, 3)
        assert database.execute("SELECT count(*) FROM components WHERE state <> 'operational'").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM announcements WHERE expanded_at IS NULL").fetchone() == (0,)
        assert database.execute("SELECT stage FROM maintenances ORDER BY stage").fetchall() == [
            ("completed",),
            ("scheduled",),
        ]
    finally:
        database.close()
    second = run_anew("init")
    assert "Made" not in second.stdout
    assert "statuspage user password admin@example.com" in second.stdout


def test_init_takes_name_zone_and_administrator(run: Run) -> None:
    done = run(
        "init", "--empty", "--name", "Hollyhock", "--time-zone", "Europe/Berlin",
        ADMIN_EMAIL="ada@example.com", ADMIN_PASSWORD="correct horse battery",
    )  # fmt: skip
    assert done.stdout == (
        "Administrator: ada@example.com\nPassword:      correct horse battery\nMade the page “Hollyhock”.\n"
    )


def test_init_refuses_a_zone_that_does_not_exist(run: Run) -> None:
    done = run("init", "--time-zone", "Mars/Olympus")
    assert (done.returncode, done.stderr) == (2, "Error: Please give a time zone such as Etc/UTC or Europe/Berlin.\n")


def test_accounts_are_added_listed_changed_and_disabled(initialised: Run) -> None:
    added = initialised(
        "user", "add", "Ada@Example.com", "--role", "comms", "--password-stdin", typed="correct horse\n"
    )
    assert (added.returncode, added.stdout) == (0, "Added Ada@Example.com as comms.\n")
    assert "Password: " in initialised("user", "add", "bea@example.com", "--role", "viewer").stdout
    assert "Password: " in initialised("user", "password", "ada@example.com").stdout
    assert initialised("user", "disable", "bea@example.com").returncode == 0
    listed = [line.split("\t")[:3] for line in initialised("user", "list").stdout.splitlines()]
    assert listed == [
        ["ada@example.com", "comms", "active"],
        ["admin@example.com", "admin", "active"],
        ["bea@example.com", "viewer", "disabled"],
    ]


@pytest.mark.parametrize(
    ("arguments", "typed", "code", "sentence"),
    [
        (["add", "nobody", "--role", "viewer"], "", 2, "Please give one e-mail address, like name@example.com."),
        (
            ["add", "a@example.com", "--role", "viewer", "--password-stdin"],
            "x\n",
            2,
            "Please use at least 12 characters.",
        ),
        (["add", "admin@example.com", "--role", "viewer"], "", 2, "There is an account with this address already."),
        (["disable", "b@example.com"], "", 1, "There is no account with the address b@example.com."),
        (["password", "b@example.com"], "", 1, "There is no account with the address b@example.com."),
    ],
)
def test_bad_input_is_one_sentence(
    initialised: Run, arguments: list[str], typed: str, code: int, sentence: str
) -> None:
    done = initialised("user", *arguments, typed=typed)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"Error: {sentence}\n")


def test_a_token_is_printed_once_and_only_its_hash_is_kept(initialised: Run, environment: dict[str, str]) -> None:
    token = initialised("token", "add", "robot", "--scope", "write").stdout.strip()
    assert token.startswith("sp_live_")
    assert token.encode() not in b"".join(
        file.read_bytes() for file in Path(environment["DATA_DIR"]).glob("statuspage.db*")
    )


def test_a_drill_is_started_listed_and_scored(run: Run) -> None:
    assert run("init").returncode == 0
    started = run("drill", "start", "--scenario", "slow-sign-in", "--by", "Admin@example.com")
    assert (started.returncode, started.stderr) == (0, "")
    found = re.fullmatch(r"Started ([0-9a-z]{12}): http://.+/console/drills/\1\n", started.stdout)
    assert found is not None
    drill_id = found[1]
    (row,) = run("drill", "list").stdout.splitlines()
    assert re.fullmatch(rf"{drill_id}\tslow-sign-in\t.+ UTC\trunning", row)
    score = run("drill", "score", drill_id)
    assert (score.returncode, score.stderr) == (0, "")
    assert "Went well:       You held a drill: the next one shows what it taught.\n" in score.stdout
    assert "Public updates:  0\nFirst update:    -\n" in score.stdout
    again = run("drill", "start", "--scenario", "slow-sign-in")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "Error: This scenario is being played already: please end that drill first.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["start", "--scenario", "slow-sign-in"], 2, "A drill needs at least one component: please add one first."),
        (
            ["start", "--scenario", "slow-sign-in", "--by", "b@example.com"],
            1,
            "There is no account with the address b@example.com.",
        ),
        (["score", "nosuchthing0"], 1, "There is no drill with the id nosuchthing0."),
    ],
)
def test_a_drill_that_can_not_be_is_one_sentence(
    initialised: Run, arguments: list[str], code: int, sentence: str
) -> None:
    done = initialised("drill", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"Error: {sentence}\n")


def test_an_import_prints_each_row_and_a_summary(initialised: Run) -> None:
    dry = initialised("import", "statuspage", str(FIXTURE), "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    lines = dry.stdout.splitlines()
    assert lines[-1] == "Would be: 8 create, 1 update."
    assert "create    incident    lk7inc000001 Payments were declined  (incidents.json[1])" in lines
    done = initialised("import", "statuspage", str(FIXTURE))
    assert done.stdout.splitlines() == [*lines[:-1], "Done: 8 create, 1 update."]
    assert initialised("import", "statuspage", str(FIXTURE)).stdout.splitlines()[-1] == "Done: 9 unchanged."


def test_an_import_with_a_bad_row_fails_after_doing_the_rest(initialised: Run, tmp_path: Path) -> None:
    document = json.loads((FIXTURE / "incidents.json").read_text(encoding="utf-8"))
    document["incidents"][0]["status"] = "on fire"
    (tmp_path / "incidents.json").write_text(json.dumps(document), encoding="utf-8")
    done = initialised("import", "statuspage", str(tmp_path / "incidents.json"))
    assert done.returncode == 1
    assert (
        "error     incident    lk7inc000002 Checkout is slow  (incidents.json[0]): The stage “on fire”" in done.stdout
    )
    assert done.stdout.splitlines()[-1].endswith("1 error.")


def test_customers_are_imported_and_what_is_wrong_is_said(initialised: Run, tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_bytes("\ufeffemail;phone;components\na@example.com;1;Nose\nb@example.com;2;\n".encode())
    done = initialised("import", "customers", str(file), "--dry-run")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "Ignored columns: phone.",
        "error     line 2 a@example.com: There is no component called “Nose”.",
        "created   line 3 b@example.com",
        "Would be: 1 created, 1 error.",
    ]
    file.write_text("email,components\n" + "".join(f"r{n}@example.com,\n" for n in range(101)), encoding="utf-8")
    done = initialised("import", "customers", str(file))
    assert (done.returncode, done.stdout, done.stderr) == (0, "Done: 101 created.\n", "")
    assert initialised("import", "customers", str(file)).stdout == "Done: 101 unchanged.\n"


def test_subscribers_are_imported_and_what_is_wrong_is_said(initialised: Run, tmp_path: Path) -> None:
    file = tmp_path / "old.csv"
    file.write_bytes(
        "\ufeffemail;phone;confirmed;components\na@example.com;1;yes;Nose\nb@example.com;2;yes;\nc@example.com\n".encode()
    )
    done = initialised("import", "subscribers", str(file), "--dry-run")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "Ignored columns: phone.",
        "error     line 2 a@example.com: There is no component called “Nose”.",
        "created   line 3 b@example.com",
        "asked     line 4 c@example.com",
        "Would be: 1 created, 1 asked, 1 error.",
    ]
    assert initialised("import", "subscribers", str(file)).stdout.endswith("Done: 1 created, 1 asked, 1 error.\n")
    assert initialised("import", "subscribers", str(file)).stdout.endswith("Done: 2 unchanged, 1 error.\n")


def test_a_file_that_is_no_list_of_customers_is_refused(initialised: Run, tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_text("address,components\n", encoding="utf-8")
    done = initialised("import", "customers", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: The first row must name the columns; there is none called “email”.\n"


def test_publish_writes_the_site(initialised: Run, environment: dict[str, str]) -> None:
    done = initialised("publish")
    assert done.returncode == 0
    assert (Path(environment["DATA_DIR"]) / "site" / "current.json").is_file()


def test_the_doctor_names_what_is_wrong_and_how_to_mend_it(initialised: Run) -> None:
    done = initialised("doctor", SMTP_URL=f"smtp://127.0.0.1:{servers.free_port()}", MAIL_FROM="status@example.com")
    assert done.returncode == 1
    findings = dict(line[6:].split(": ", 1) for line in done.stdout.splitlines())
    assert {"settings", "data folder", "disk", "database", "migrations", "clock", "worker", "mail"} <= findings.keys()
    assert "start `statuspage serve`" in findings["worker"]
    assert "check SMTP_URL" in findings["mail"]


def test_the_doctor_misses_the_providers_events(initialised: Run) -> None:
    unreachable = {"SENDGRID_URL": f"http://127.0.0.1:{servers.free_port()}", "MAIL_FROM": "status@example.com"}
    done = initialised("doctor", SENDGRID_API_KEY="SG.test", **unreachable)
    assert "WRONG mail events: nobody says which mails arrived" in done.stdout
    assert "/hooks/sendgrid and set SENDGRID_WEBHOOK_KEY" in done.stdout


def test_the_doctor_examines_settings_first(run: Run) -> None:
    done = run("doctor", PORT="x")
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 1)
    assert done.stdout.startswith("WRONG settings: PORT must be")


# --- serve: real servers, real signals -------------------------------------


class Service:
    """A running `statuspage serve` or `web`."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self.address = f"http://127.0.0.1:{environment['PORT']}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "statuspage", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def get(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"{self.address}{path}", timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return 0

    def wait_for(self, path: str, status: int) -> None:
        eventually(lambda: self.get(path) == status, f"{path} answers {status}")

    def descendants(self) -> set[int]:
        found, new = set(), {self.process.pid}
        while new:
            found |= new
            new = {pid for parent in new for pid in children_of(parent)} - found
        return found - {self.process.pid}

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=10)


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ")
    except OSError:
        return ""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + servers.PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"it did not happen: {what}"
        time.sleep(0.1)


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., Service]]:
    started = []

    def service(*arguments: str, **more: str) -> Service:
        started.append(Service(environment | more, *arguments))
        return started[-1]

    yield service
    for one in started:
        one.stop()


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc and uses Linux's parent-death signal")


def test_serve_starts_from_nothing_and_stops_cleanly(start: Callable[..., Service]) -> None:
    service = start("serve", "--init")
    service.wait_for("/", 200)
    service.wait_for("/readyz", 200)
    assert service.get("/healthz") == 200
    assert service.get("/console/") == 200  # redirected to the sign-in form
    service.process.send_signal(signal.SIGTERM)
    output, _ = service.process.communicate(timeout=servers.PATIENCE)
    assert service.process.returncode == 0
    assert b"Status page: http://127.0.0.1:" in output
    assert b"Administrator: admin@example.com" in output
    assert b"Traceback" not in output


@linux_only
def test_a_child_that_dies_is_started_again(start: Callable[..., Service]) -> None:
    service = start("serve", "--init")
    service.wait_for("/readyz", 200)
    for name in ("granian", "statuspage worker"):
        (before,) = (pid for pid in children_of(service.process.pid) if name in command_of(pid))
        os.kill(before, signal.SIGKILL)

        def restarted(name: str = name, before: int = before) -> bool:
            return any(name in command_of(pid) and pid != before for pid in children_of(service.process.pid))

        eventually(restarted, f"{name} runs again")
        service.wait_for("/", 200)


@linux_only
def test_nobody_is_left_behind_when_the_supervisor_is_killed(start: Callable[..., Service]) -> None:
    service = start("serve", "--init")
    service.wait_for("/readyz", 200)
    left = service.descendants()
    assert len(left) >= 2
    service.process.kill()
    eventually(lambda: not any(map(alive, left)), "every child is gone")


def test_web_serves_the_last_site_while_the_database_is_unreachable(
    initialised: Run, start: Callable[..., Service]
) -> None:
    initialised("publish")
    url = f"postgresql://nobody@127.0.0.1:{servers.free_port()}/none"
    service = start("web", DATABASE_URL=url, SECRET_KEY="x" * 32)
    service.wait_for("/", 200)
    service.wait_for("/readyz", 503)
    service.process.send_signal(signal.SIGTERM)
    output, _ = service.process.communicate(timeout=servers.PATIENCE)
    assert service.process.returncode == 0
    assert b"Status page: http://127.0.0.1:" in output
    assert b"Traceback" not in output


def test_serve_does_not_start_on_a_damaged_embedded_database(run_anew: Run, environment: dict[str, str]) -> None:
    folder = Path(environment["DATA_DIR"])
    folder.mkdir()
    (folder / "statuspage.db").write_text("this is no database at all, only words in a file", encoding="utf-8")
    done = run_anew("serve")
    assert done.returncode == 1
    assert "The database could not be prepared, so nothing was started." in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_says_at_once_that_its_port_is_taken(run_anew: Run, environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(environment["PORT"]))):
        done = run_anew("serve")
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: Can't listen on 127.0.0.1, port {environment['PORT']} (Address already in use): "
        "please set PORT or HOST.\n"
    )
