"""The laws of the house: each a test, so that they are kept."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from statuspage.app import create_app
from statuspage.settings import load

pytestmark = pytest.mark.laws

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "statuspage"
FILES = sorted(PACKAGE.rglob("*.py"))
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))

FILE_LIMIT, FUNCTION_LIMIT = 600, 60
FORBIDDEN_NAMES = {"utils", "helpers", "common", "services", "base", "manager"}
# Entrances: the only places that ask what time it is.
CLOCK_READERS = ("statuspage.web", "statuspage.worker", "statuspage.watchdog", "statuspage.glance", "statuspage.cli")
# Nothing here may lead to the database: it answers readers while the database is gone.
PUBLIC_READ_PATH = ("statuspage.web.public", "statuspage.site.reader", "statuspage.site.snapshot")
# Arrows point down only: a room (left) imports none of these (right).
FORBIDDEN_ARROWS = {
    "statuspage.rules": ("statuspage.",),
    "statuspage.site": ("statuspage.actions", "statuspage.web", "statuspage.app", "statuspage.worker", "flask"),
    "statuspage.delivery": ("statuspage.actions", "statuspage.web", "statuspage.app", "statuspage.worker", "flask"),
    "statuspage.actions": ("statuspage.web", "statuspage.app", "statuspage.worker", "statuspage.site", "flask"),
    "statuspage.worker": ("statuspage.web", "statuspage.rules.messages"),
    "statuspage.watchdog": ("statuspage.actions", "statuspage.web", "statuspage.app", "statuspage.worker"),
    "statuspage.models": ("statuspage.actions", "statuspage.web", "statuspage.site", "statuspage.delivery"),
}
MAIL_LIBRARIES = {"smtplib", "sendgrid"}
# doctor asks whether the provider would take mail; it sends none.
MAY_SPEAK_TO_PROVIDERS = ("statuspage.delivery", "statuspage.doctor")


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module, read when the first law asks: each of a run's processes imports this file."""
    return {module_name(file): ast.parse(file.read_text(encoding="utf-8")) for file in FILES}


@cache
def sources() -> dict[str, list[str]]:
    return {module_name(file): file.read_text(encoding="utf-8").split("\n") for file in FILES}


def is_in(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def imports_of(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Every import, outside ``if TYPE_CHECKING``, with the full name of what it brings."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield node, full if full in modules() else str(node.module)
        yield from imports_of(node)


def functions_of(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def calls_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


# --- law 1: the rules hold no computer -------------------------------------


def test_rules_import_the_standard_library_and_themselves_only() -> None:
    for module, tree in modules().items():
        if not is_in(module, ("statuspage.rules",)):
            continue
        for _, name in imports_of(tree):
            assert name.startswith("statuspage.rules") or name.partition(".")[0] in sys.stdlib_module_names, (
                f"{module} imports {name}"
            )
            assert name.partition(".")[0] not in {"os", "pathlib", "socket", "subprocess", "time", "io"}, (
                f"{module} imports {name}: rules do no I/O and read no clock"
            )


def test_tests_of_rules_take_no_fixture() -> None:
    for file in TEST_FILES:
        if file.parent.name != "rules":
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for function in functions_of(tree):
            if not function.name.startswith("test_"):
                continue
            given = " ".join(ast.unparse(decorator) for decorator in function.decorator_list)
            for argument in function.args.args:
                assert "given(" in given or re.search(rf"['\", (]{argument.arg}['\", )]", given), (
                    f"{file.name}: {function.name} takes the fixture {argument.arg}"
                )


# --- law 2: time is an argument --------------------------------------------

CLOCKS = re.compile(r"(^|\.)(datetime\.(now|utcnow|today)|date\.today|time\.(time|time_ns)|gmtime|localtime)$")


def test_only_the_clock_reads_the_clock() -> None:
    for module, tree in modules().items():
        if module == "statuspage.clock":
            continue
        read = [call for call in calls_of(tree) if CLOCKS.search(call)]
        # A limiter's window ends at an instant of time.time(), the library's own clock.
        if module == "statuspage.web.throttle":
            read = [call for call in read if call != "time.time"]
        assert not read, f"{module} calls {read}"


def test_only_entrances_ask_the_clock() -> None:
    for module, tree in modules().items():
        if not is_in(module, CLOCK_READERS):
            assert "clock.now" not in set(calls_of(tree)), f"{module} calls clock.now()"
            assert "statuspage.clock" not in {name for _, name in imports_of(tree)}, f"{module} imports clock"


def test_now_is_the_last_parameter() -> None:
    for module, tree in modules().items():
        for function in functions_of(tree):
            names = [argument.arg for argument in function.args.args]
            required = names[: len(names) - len(function.args.defaults)]
            if "now" in names:
                assert required[-1:] == ["now"], f"{module}.{function.name}{tuple(names)}"


# --- law 3: only transaction() commits -------------------------------------


def test_only_the_transaction_commits() -> None:
    for module, tree in modules().items():
        commits = [call for call in calls_of(tree) if call.endswith(".commit")]
        assert commits == (["session.commit"] if module == "statuspage.db" else []), f"{module} calls {commits}"


# --- law 4: the web never sends; the worker never decides what to say ------


def test_only_delivery_speaks_to_mail_providers() -> None:
    for module, tree in modules().items():
        used = {name.partition(".")[0] for _, name in imports_of(tree)} & MAIL_LIBRARIES
        assert not used or is_in(module, MAY_SPEAK_TO_PROVIDERS), f"{module} imports {used}"


def test_the_web_imports_nothing_that_sends() -> None:
    sending = tuple(
        f"statuspage.delivery.{name}"
        for name in ("transport", "sendgrid_mail", "smtp", "files", "chat", "endpoints", "github")
    )
    # The two that do send run beside the requests, never inside one.
    sending += ("statuspage.delivery.providers", "statuspage.worker", "statuspage.watchdog")
    for module, tree in modules().items():
        if is_in(module, ("statuspage.web", "statuspage.actions", "statuspage.app")):
            for _, name in imports_of(tree):
                assert not is_in(name, sending), f"{module} imports {name}"


# --- law 6: the public read path can't reach the database ------------------


@pytest.mark.parametrize("module", PUBLIC_READ_PATH)
def test_the_public_read_path_reaches_neither_flask_nor_the_database(module: str) -> None:
    program = (
        f"import sys, {module}; "
        "print(*sorted({'flask', 'sqlalchemy', 'psycopg', 'sqlite3', 'statuspage.db'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_worker_and_the_commands_do_without_the_web() -> None:
    program = (
        "import sys; import statuspage.worker; from statuspage.bare import create_bare_app; create_bare_app(); "
        "print(*sorted({'flask_wtf', 'flask_login', 'statuspage.app', 'statuspage.web'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# --- law 7: imports --------------------------------------------------------


def test_arrows_point_down_only() -> None:
    for module, tree in modules().items():
        for room, forbidden in FORBIDDEN_ARROWS.items():
            if not is_in(module, (room,)):
                continue
            for _, name in imports_of(tree):
                if room == "statuspage.rules":
                    assert not name.startswith("statuspage.") or name.startswith("statuspage.rules"), (module, name)
                else:
                    assert not is_in(name, forbidden), f"{module} imports {name}"


def test_there_are_no_import_cycles() -> None:
    graph = {module: {name for _, name in imports_of(tree)} & modules().keys() for module, tree in modules().items()}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module in done:
            return
        for target in sorted(graph[module] - {module}):
            visit(target, (*path, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def test_imports_inside_functions_say_why() -> None:
    for module, tree in modules().items():
        lines = sources()[module]
        for function in functions_of(tree):
            for node, name in imports_of(function):
                above = node.lineno - 2
                # One comment covers the imports directly below it.
                while not lines[above].strip() or lines[above].strip().startswith(("from ", "import ")):
                    above -= 1
                said = lines[above].strip().startswith("#") or "#" in lines[node.lineno - 1]
                assert said, f"{module}.{function.name} imports {name} without a comment that says why"


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not {module for module in modules() if module.rpartition(".")[2] in FORBIDDEN_NAMES}


# --- sizes -----------------------------------------------------------------


def test_files_are_short() -> None:
    long = {
        str(file.relative_to(ROOT)): count for file in [*FILES, *TEST_FILES] if (count := line_count(file)) > FILE_LIMIT
    }
    assert not long


def line_count(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def test_functions_are_short() -> None:
    for module, tree in modules().items():
        for function in functions_of(tree):
            length = (function.end_lineno or 0) - function.lineno + 1
            assert length <= FUNCTION_LIMIT, f"{module}.{function.name} has {length} lines"


# --- routes ----------------------------------------------------------------


def test_style_sheets_close_what_they_open() -> None:
    """Else everything below counts for one kind of screen only, and no browser says so."""
    for file in sorted((ROOT / "static").glob("*.css")):
        depth = 0
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            assert depth == 0 or not line.startswith("/*"), f"{file.name}:{number}: something above is still open"
            depth += line.count("{") - line.count("}")
        assert depth == 0, file.name


def test_every_route_declares_who_may_use_it(tmp_path: Path) -> None:
    app = create_app(load({"DATA_DIR": str(tmp_path)}))
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static":
            view = app.view_functions[rule.endpoint]
            assert getattr(view, "access", None) is not None, f"{rule.rule} ({rule.endpoint}) declares no access"


def test_every_route_declares_its_methods() -> None:
    for module, tree in modules().items():
        for function in functions_of(tree):
            for decorator in function.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith(".route"):
                    named = {keyword.arg for keyword in decorator.keywords}
                    assert "methods" in named, f"{module}.{function.name}: write .get(…), .post(…) or methods=[…]"


# --- what a stranger must not find -----------------------------------------


def test_nothing_in_the_repository_names_the_machine_it_was_made_on() -> None:
    forbidden = re.compile(r"/wor" + r"k/|/tm" + r"p/brief|/roo" + r"t/\.|/op" + r"t/pypi")
    listed = [
        *ROOT.glob("*.*"),
        ROOT / "Makefile",
        ROOT / "Dockerfile",
        *(ROOT / "docs").rglob("*.md"),
        *FILES,
        *TEST_FILES,
    ]
    for file in listed:
        if file.is_file() and file.suffix not in {".png", ".db"}:
            assert not forbidden.search(file.read_text(encoding="utf-8")), file
