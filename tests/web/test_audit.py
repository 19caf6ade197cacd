"""The audit log: everything that is done leaves an entry, and administrators find it again."""

import ast
import csv
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from statuspage import audit_log
from statuspage.actions import channels, components, people
from statuspage.actions.ledger import audit
from statuspage.db import db, transaction
from statuspage.models import Account, ApiToken, AuditEntry, Component
from statuspage.rules.vocabulary import AccountRole, ChannelKind, TokenScope
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor
from tests.web.programs import Program

PATH = "/admin/audit/"
ACTIONS = Path(components.__file__).parent

# What changes something and leaves no entry, each with its reason.
UNRECORDED = {
    "aftermath.put_off": "tries again later what the worker could not send",
    "drafts.be_present": "who looks at an incident does nothing to it",
    "drafts.save_draft": "what is not posted yet is nobody else's business",
    "text_drafts.save_text_draft": "what is not saved yet is nobody else's business",
    "text_drafts.discard_text_drafts": "what is not saved yet is nobody else's business",
    "drafts.discard_draft": "what is not posted yet is nobody else's business",
    "action_items.put_off": "looks again later at a reminder that could not be sent",
    "action_items.remind": "reminders are a ledger of their own",
    "issue_exports.claim": "what becomes of it leaves one",
    "escalation.put_off": "looks again later at a promise that could not be looked at",
    "escalation.push_back": "looks again later at a promise that could not be looked at",
    "maintenance_clock.push_back": "looks again later at a window that could not be looked at",
    "maintenance_clock.push_back_series": "looks again later at a series that could not be looked at",
    "escalation.look_again": "the steps of a promise and their nudges are a ledger of their own",
    "import_jobs._take_in_chunk": "a dry run leaves none; what is taken in leaves one a batch",
    "import_jobs.give_up": "the import's own page says why it stopped",
    "importers._apply_step": "the import as a whole has one entry when it begins and one when it ends",
    "examples._add_colleague": "an invented person of the example page",
    "people.find_token": "notes when a key was used last",
    "people.touch_session": "notes when a browser was used last",
    "expiry.expire": "what goes has been of no use for a month",
    "personal_data.forget_unconfirmed": "nothing is to be left of who never confirmed",
    "subscriptions.subscribe": "a stranger's wish counts when it is confirmed, and that leaves one",
}


@pytest.fixture
def admin(page_id: str, arrive: Callable[[AccountRole], Visitor]) -> Visitor:
    return arrive(AccountRole.ADMIN)


def functions() -> dict[str, tuple[ast.FunctionDef, dict[str, str]]]:
    """Return every function of the actions by module and name, and what its module calls the others."""
    found = {}
    for file in sorted(ACTIONS.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        here = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        names = {name: f"{file.stem}.{name}" for name in here}
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("statuspage.actions"):
                module = str(node.module).removeprefix("statuspage.actions").lstrip(".")
                names |= {each.asname or each.name: f"{module}.{each.name}".lstrip(".") for each in node.names}
        found |= {f"{file.stem}.{name}": (node, names) for name, node in here.items()}
    return found


def named_in(node: ast.FunctionDef, names: dict[str, str]) -> set[str]:
    """Return the functions of the actions that this one calls, or hands on to be called."""
    named = {names.get(each.id, "") for each in ast.walk(node) if isinstance(each, ast.Name)}
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
            named.add(f"{names.get(each.value.id, '')}.{each.attr}")
    return named


def reaches_the_ledger() -> set[str]:
    """Return the functions that write an audit entry, by themselves or through another."""
    calls = {name: named_in(node, names) for name, (node, names) in functions().items()}
    reached = {"ledger.audit"}
    while more := {name for name, called in calls.items() if called & reached} - reached:
        reached |= more
    return reached


def test_every_action_leaves_an_entry_or_says_here_why_not() -> None:
    acting = {
        name
        for name, (node, _) in functions().items()
        if any(isinstance(each, ast.Call) and ast.unparse(each.func) == "transaction" for each in ast.walk(node))
    }
    assert acting - reaches_the_ledger() == set(UNRECORDED)


def words(visitor: Visitor, search: str = "") -> str:
    answer = visitor.get(f"{PATH}{search}")
    assert answer.status_code == 200
    return text_of(check_page(answer.text))


def entries() -> list[AuditEntry]:
    db.session.rollback()
    return list(db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


def made(number: int, now: datetime) -> None:
    """Have the service do so many things."""
    with transaction(now) as session:
        for each in range(number):
            audit(session, None, f"thing_{each:03}", "page", "nosuchthing0", now)


def test_what_a_person_does_is_listed_with_name_object_and_time_in_utc(admin: Visitor) -> None:
    admin.post("/admin/components/", {"name": "Sign-in", "description": "", "group_id": ""})
    entry = entries()[-1]
    assert f"{entry.acted_at:%Y-%m-%d %H:%M:%S} Ada create component Component Sign-in" in words(admin)
    assert "name: Sign-in" in words(admin)


def test_what_a_program_does_names_its_key(admin: Visitor, writer: Program, started: datetime) -> None:
    writer.post("/components", {"component": {"name": "Search"}})
    entry = entries()[-1]
    assert (entry.account_id, entry.token_id) == (None, db.session.scalars(select(ApiToken.id)).one())
    assert "Program “robot” create component Component Search" in words(admin)
    # The key belongs to that request alone.
    builders.component(started, "Other")
    assert entries()[-1].token_id is None


def test_entries_are_found_by_person_kind_object_and_day(admin: Visitor, writer: Program, started: datetime) -> None:
    writer.post("/components", {"component": {"name": "Search"}})
    admin.post("/admin/components/groups", {"name": "Web"}, on="/admin/components/")
    grace = builders.account(started, AccountRole.ADMIN, "grace@example.com")
    component_id = db.session.scalars(select(Component.id)).one()
    components.archive_component(component_id, grace, started - timedelta(days=40))
    me = db.session.scalars(select(Account.id).where(Account.id != grace)).one()
    day = (started - timedelta(days=40)).date()
    for search, there, missing in (
        (f"?who={me}", "create group", "archive component"),
        (f"?who={grace}", "archive component", "create group"),
        ("?who=programs", "Program “robot”", "create group"),
        ("?who=nobody", "create page", "create group"),
        ("?kind=component_group", "create group", "archive component"),
        (f"?object={component_id}", "archive component", "create group"),
        (f"?first={day}&last={day}", "archive component", "create group"),
        (f"?first={day + timedelta(days=1)}", "create group", "archive component"),
        (f"?last={day - timedelta(days=1)}", "Nothing like that is on record.", "archive component"),
    ):
        assert there in words(admin, search), search
        assert missing not in words(admin, search), search


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "0000-00-00", "99999-01-01", "2026-1-1"])
def test_what_is_no_day_is_told_beside_the_field_and_kept(day: str, admin: Visitor) -> None:
    for path in (PATH, f"{PATH}export.csv"):
        answer = admin.get(f"{path}?first={day}&kind=page")
        assert answer.status_code == 422
        check_page(answer.text)
        assert 'id="error-first">Please give a day, such as 2026-11-21.' in answer.text
        assert f'value="{day}"' in answer.text


def test_the_ends_of_the_calendar_are_days_too(admin: Visitor) -> None:
    assert "create page" in words(admin, "?first=0001-01-01&last=9999-12-31")


def test_a_long_log_is_paged_by_key_and_nothing_is_lost_or_doubled(
    admin: Visitor, started: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(25, started)
    monkeypatch.setattr(audit_log, "ON_PAGE", 10)
    seen: list[str] = []
    search = "?kind=page&object=nosuchthing0"
    while search:
        root = check_page(admin.get(f"{PATH}{search}").text)
        seen += [text_of(cell) for cell in root.iter("th") if cell.get("scope") == "row"]
        # What comes meanwhile moves nothing.
        if len(seen) == 10:
            made(1, started)
        links = [link.get("href", "") for link in root.iter("a") if text_of(link) == "Older entries"]
        search = links[0] if links else ""
    assert seen == [f"thing {each:03}" for each in reversed(range(25))]


def test_the_csv_has_what_the_filter_finds_and_no_formula(
    admin: Visitor, started: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log.csv_rows, "BATCH", 10)
    made(25, started)
    people.add_account("eve@example.com", "=HYPERLINK(1)", AccountRole.ADMIN, builders.PASSWORD, started)
    eve = db.session.scalars(select(Account.id).where(Account.email == "eve@example.com")).one()
    components.create_group("Web", eve, started)
    answer = admin.get(f"{PATH}export.csv")
    assert (answer.mimetype, 'filename="audit-log.csv"' in answer.headers["Content-Disposition"]) == ("text/csv", True)
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [int(row["id"]) for row in rows] == sorted((each.id for each in entries()), reverse=True)
    assert rows[0]["who"] == "'=HYPERLINK(1)"
    assert rows[0]["at"] == f"{started:%Y-%m-%dT%H:%M:%SZ}"
    few = admin.get(f"{PATH}export.csv?kind=component_group").text
    assert [row["action"] for row in csv.DictReader(io.StringIO(few, newline=""))] == ["create group"]


def test_no_secret_is_in_it(admin: Visitor, started: datetime) -> None:
    by = builders.account(started, AccountRole.ADMIN)
    key = people.add_token("robot", TokenScope.WRITE, by, started)
    hook = "https://hooks.slack.com/services/T000/B000/sEcReT"
    channels.add_channel(ChannelKind.SLACK, "#incidents", hook, None, by, started)
    people.set_password(by, "another long passphrase", started)
    everything = admin.get(f"{PATH}export.csv").text + admin.get(PATH).text
    secrets = [key, key.rpartition("_")[2], "sEcReT", "another long passphrase", builders.PASSWORD, "$argon2"]
    assert [secret for secret in secrets if secret in everything] == []


def test_hostile_words_do_no_harm(admin: Visitor, started: datetime) -> None:
    with transaction(started) as session:
        audit(session, None, "<script>x</script>", "<b>", "{{7*7}}", started, **{"<i>": {"<script>": ["&", None]}})
    check_page(admin.get(PATH).text)
    assert "<script>x" not in admin.get(PATH).text
    assert admin.get(f"{PATH}?who=%00&object=%00&before=x&kind=%00").status_code == 200


def test_what_is_gone_is_named_by_its_id(admin: Visitor) -> None:
    admin.post("/admin/components/groups", {"name": "Web"}, on="/admin/components/")
    group_id = entries()[-1].object_id
    admin.post(f"/admin/components/groups/{group_id}/delete", {})
    assert f"delete group Group of components {group_id}" in words(admin)
