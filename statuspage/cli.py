"""The command line: ``statuspage …``."""

import contextlib
import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from statuspage import clock, emergency, supervisor, webserver
from statuspage.progress import with_bar
from statuspage.rules.drills import SCENARIOS
from statuspage.rules.times import instant_in_words, span_in_words
from statuspage.rules.vocabulary import LABELS, AccountRole, Conflict, NotFound, RuleBroken, TokenScope
from statuspage.settings import Settings, SettingsError, load, load_folder
from statuspage.webserver import PortTaken

if TYPE_CHECKING:
    from datetime import timedelta

    from flask import Flask

    from statuspage.actions.importers import Row, Step

FAILED, USED_WRONGLY = 1, 2
# Of a longer list only the errors are printed, and the summary.
MOST_ROWS_SHOWN = 100
REFRESH_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0


class InputRefused(click.ClickException):
    """Input of the right form that a rule refuses."""

    exit_code = USED_WRONGLY


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code: 0 done, 1 failed, 2 used wrongly."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        code = commands.main(arguments, prog_name="statuspage", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(FAILED)
    except (SettingsError, Conflict, NotFound, PortTaken, emergency.Failed) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(FAILED)
    sys.exit(code if isinstance(code, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def commands() -> None:
    """A status page that keeps its promises.

    Settings come from environment variables: see docs/configuration.md.
    """


# --- running ---------------------------------------------------------------


@commands.command(epilog="Example: PUBLIC_URL=https://status.example.com statuspage serve")
@click.option("--init", "first", is_flag=True, help="First make what `statuspage init` makes, where it is missing.")
def serve(first: bool) -> int:
    """Migrate, publish, then run web and worker together: the small installation."""
    settings = load(os.environ)
    webserver.check_port(settings)
    children = [webserver.child(settings), supervisor.Child("worker", _statuspage("worker"))]
    if _is_published(settings):
        # Readers need neither the database nor the newest pages: they don't wait for either.
        supervisor.start(children[0])
    if not _prepare(settings, "init" if first else "publish"):
        children.append(supervisor.Child("publish", _statuspage("publish", "--migrate"), once=True))
    _say_addresses(settings)
    return supervisor.run(children)


@commands.command(epilog="Example: DATABASE_URL=postgresql://… statuspage web")
def web() -> int:
    """Serve the public page and the console; keep this machine's published folder fresh."""
    settings = load(os.environ)
    webserver.check_port(settings)
    if not _is_published(settings):
        _prepare(settings, "publish")
    _say_addresses(settings)
    # A process of its own: a database that hangs must not hold up the supervisor.
    publisher = supervisor.Child("publisher", _statuspage("publish", "--migrate", "--watch"))
    return supervisor.run([webserver.child(settings), publisher])


@commands.command(epilog="Example: DATABASE_URL=postgresql://… statuspage worker")
def worker() -> None:
    """Deliver mail, publish changes and keep the clocks."""
    # The worker brings SQLAlchemy and the mail libraries; the other commands start faster without it.
    from statuspage import worker as worker_process

    with _installation() as (_, app):
        worker_process.run(app)


@commands.command(epilog='Example: statuspage publish --offline "We are down. Next word at 04:00 UTC."')
@click.argument("notice", required=False)
@click.option(
    "--offline", is_flag=True, help="Put NOTICE (or standard input) onto the last snapshot, without database."
)
@click.option("--withdraw", is_flag=True, help="With --offline: take the notice away.")
@click.option("--to", "target", metavar="URL", default="", help="Then copy the site there: s3://…, gs://…, file:///….")
@click.option("--migrate", is_flag=True, help="First bring the database to the present schema.")
@click.option("--watch", is_flag=True, help="Go on writing whatever changes, until stopped.")
def publish(notice: str | None, offline: bool, withdraw: bool, target: str, migrate: bool, watch: bool) -> None:
    """Write the public site now."""
    if (withdraw or notice is not None) and not offline:
        raise click.UsageError("A notice goes with --offline.")
    if offline:
        if migrate or watch or (withdraw and notice is not None):
            raise click.UsageError("With --offline go a NOTICE or --withdraw, and --to URL.")
        _publish_offline(notice, withdraw, target)
        return
    if watch:
        _publish_for_ever(migrate)
        return
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from statuspage.site import publisher

    folder = load_folder(os.environ, target)
    with _installation() as (settings, _):
        if migrate:
            _migrate()
            publisher.refresh(settings, clock.now())
            return
        paths = publisher.publish_all(settings, clock.now())
    click.echo(f"Published {len(paths)} files to {settings.site_dir}.")
    if target:
        click.echo(emergency.copy(folder))


def _publish_offline(notice: str | None, withdraw: bool, target: str) -> None:
    folder = load_folder(os.environ, target)
    if withdraw:
        click.echo(emergency.withdraw(folder))
    else:
        if notice is None:
            click.echo("Type what readers should know, then Ctrl-D on a line of its own:", err=True)
            notice = sys.stdin.read()
        click.echo(emergency.post(folder, notice, clock.now()))
    if folder.publish_to:
        click.echo(emergency.copy(folder))


def _publish_for_ever(migrate: bool) -> None:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from sqlalchemy.exc import DBAPIError

    from statuspage.site import publisher

    pause, migrated = REFRESH_SECONDS, not migrate
    with _installation() as (settings, app):
        while not stopping.wait(pause):
            try:
                with app.app_context():
                    if not migrated:
                        _migrate()
                        migrated = True
                    publisher.refresh(settings, clock.now())
                pause = REFRESH_SECONDS
            except (DBAPIError, OSError) as error:
                pause = min(pause * 2, LONGEST_RETRY_SECONDS)
                click.echo(f"{_sentence(error)} The public page stays as published last.", err=True)


def _is_published(settings: Settings) -> bool:
    return (settings.site_dir / "current.json").exists()


def _prepare(settings: Settings, command: str) -> bool:
    """Migrate and publish before serving; tell whether that worked.

    In a process of its own, so that the supervisor stays small. Raises
    ClickException when the embedded database fails and no earlier site is
    there to be shown meanwhile.
    """
    option = "--publish" if command == "init" else "--migrate"
    done = subprocess.run(_statuspage(command, option), check=False).returncode == 0
    if done:
        return True
    if settings.embedded and not _is_published(settings):
        raise click.ClickException("The database could not be prepared, so nothing was started.")
    click.echo("Starting all the same: the public page stays as published last until this is mended.", err=True)
    return False


def _statuspage(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "statuspage", *arguments]


def _say_addresses(settings: Settings) -> None:
    click.echo(f"Status page: {settings.public_url}/")
    click.echo(f"Console:     {settings.public_url}/console/")


# --- setting up ------------------------------------------------------------


@commands.command(epilog='Example: statuspage init --empty --name "Larkspur Status" --time-zone Europe/Berlin')
@click.option("--empty", is_flag=True, help="No example components and incidents.")
@click.option("--name", default="Larkspur", show_default=True, help="Name of the page.")
@click.option("--time-zone", default="Etc/UTC", show_default=True, help="Decides where the page's days begin.")
@click.option("--publish", "publish_too", is_flag=True, help="Then write the public site.")
def init(empty: bool, name: str, time_zone: str, publish_too: bool) -> None:
    """Make the first page and the first administrator; what exists is left alone."""
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from statuspage.actions import components, examples
    from statuspage.site import publisher

    with _installation() as (settings, _):
        _migrate()
        administrator = _administrator(settings)
        if examples.page_name() is None:
            if empty:
                components.create_page(name, time_zone, clock.now())
            else:
                examples.create_example(name, time_zone, administrator, clock.now())
            click.echo(f"Made the page “{examples.page_name()}”.")
        if publish_too:
            publisher.refresh(settings, clock.now())


def _administrator(settings: Settings) -> str:
    """Find or make the administrator and say so at once: a made password is never seen again. Return the id."""
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from sqlalchemy import select

    from statuspage.actions import people
    from statuspage.db import db
    from statuspage.models import Account

    found = db.session.scalar(
        select(Account)
        .where(Account.role == AccountRole.ADMIN, Account.disabled_at.is_(None))
        .order_by(Account.created_at)
        .limit(1)
    )
    if found is not None:
        click.echo(f"Administrator: {found.email}")
        click.echo(f"Password:      as you know it (set another: statuspage user password {found.email})")
        return found.id
    password = settings.admin_password or secrets.token_urlsafe(12)
    made = people.add_account(settings.admin_email, "Administrator", AccountRole.ADMIN, password, clock.now())
    click.echo(f"Administrator: {settings.admin_email}")
    click.echo(f"Password:      {password}")
    return made


@commands.group()
def user() -> None:
    """Accounts of the people who may sign in."""


@user.command("add", epilog="Example: statuspage user add ada@example.com --role comms")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in AccountRole]), required=True)
@click.option("--name", default="", help="Shown beside what they post; the address if left out.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of making one.")
def user_add(email: str, role: str, name: str, password_stdin: bool) -> None:
    """Add an account that can sign in at once; print its password if one was made."""
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from statuspage.actions import people

    password = _password(password_stdin)
    with _installation():
        people.add_account(email, name, AccountRole(role), password, clock.now())
    click.echo(f"Added {email} as {role}.")
    if not password_stdin:
        click.echo(f"Password: {password}")


@user.command("password", epilog="Example: statuspage user password ada@example.com")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of making one.")
def user_password(email: str, password_stdin: bool) -> None:
    """Give an account another password and sign out all its browsers."""
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from statuspage.actions import people

    password = _password(password_stdin)
    with _installation():
        people.set_password(_account_id(email), password, clock.now())
    click.echo(f"{email} has another password and is signed out everywhere.")
    if not password_stdin:
        click.echo(f"Password: {password}")


@user.command("list", epilog="Example: statuspage user list")
def user_list() -> None:
    """List the accounts: address, role, name, and whether they can sign in."""
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from sqlalchemy import select

    from statuspage.db import db
    from statuspage.models import Account

    with _installation():
        for account in db.session.scalars(select(Account).order_by(Account.email)):
            standing = "disabled" if account.disabled_at else "active" if account.password_hash else "invited"
            click.echo(f"{account.email}\t{account.role.value}\t{standing}\t{account.name}")


@user.command("disable", epilog="Example: statuspage user disable ada@example.com")
@click.argument("email")
def user_disable(email: str) -> None:
    """Shut an account out and sign out all its browsers."""
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from statuspage.actions import people

    with _installation():
        people.disable_account(_account_id(email), None, clock.now())
    click.echo(f"{email} can't sign in any more.")


@commands.group()
def token() -> None:
    """Keys for programs that use the API."""


@token.command("add", epilog="Example: statuspage token add deploy-robot --scope write")
@click.argument("name")
@click.option("--scope", type=click.Choice([scope.value for scope in TokenScope]), required=True)
def token_add(name: str, scope: str) -> None:
    """Make an API key and print it: it is shown this once."""
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from statuspage.actions import people

    with _installation():
        click.echo(people.add_token(name, TokenScope(scope), None, clock.now()))


# --- practising ------------------------------------------------------------


@commands.group()
def drill() -> None:
    """Practice incidents: all the clocks, nothing public."""


@drill.command("start", epilog="Example: statuspage drill start --scenario database-outage --by ada@example.com")
@click.option("--scenario", type=click.Choice(list(SCENARIOS)), required=True)
@click.option("--by", "email", default="", help="Address of the account that starts it; a program if left out.")
def drill_start(scenario: str, email: str) -> None:
    """Start a drill on all components; print its id and where to follow it."""
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from statuspage.actions import drills

    with _installation() as (settings, _):
        by = _account_id(email) if email else None
        incident_id = drills.start_drill(scenario, None, {}, by, clock.now())
    click.echo(f"Started {incident_id}: {settings.public_url}/console/drills/{incident_id}")


@drill.command("list", epilog="Example: statuspage drill list")
def drill_list() -> None:
    """List the drills, the newest first: id, scenario, when it began, whether it runs."""
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from sqlalchemy import select

    from statuspage.db import db
    from statuspage.models import Drill, Incident

    with _installation():
        for each in db.session.scalars(select(Drill).join(Incident).order_by(Incident.created_at.desc())):
            standing = "ended" if each.ended_at else "running"
            began = instant_in_words(each.incident.created_at)
            click.echo(f"{each.incident_id}\t{each.scenario}\t{began}\t{standing}")


@drill.command("score", epilog="Example: statuspage drill score 3f9k2m8x1q0z")
@click.argument("drill_id", metavar="ID")
def drill_score(drill_id: str) -> None:
    """Print how a drill went, or how it goes so far."""
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from statuspage.actions import drills

    with _installation():
        sheet = drills.score_sheet(drill_id, clock.now())

    def said(span: "timedelta | None") -> str:
        return "-" if span is None else span_in_words(span)

    click.echo(f"Went well:       {sheet.went_well}")
    click.echo(f"To practise:     {sheet.to_practise}")
    click.echo(f"Public updates:  {sheet.updates}")
    click.echo(f"First update:    {said(sheet.first_update_after)}")
    click.echo(f"Longest silence: {said(sheet.longest_silence)}")
    click.echo(f"Resolved after:  {said(sheet.resolved_after)}")
    for warning in sheet.wording:
        click.echo(f"Wording:         “{warning.shown}” ({warning.category.value}): {warning.plain}")
    for each in sheet.kinds:
        click.echo(f"{LABELS[each.kind]}: {each.in_words}")


# --- bringing things over, looking after things ----------------------------


@commands.group("import")
def import_() -> None:
    """Bring a page over from another product, or a list of subscribers or customers."""


@import_.command("statuspage", epilog="Example: statuspage import statuspage https://status.example.com --dry-run")
@click.argument("source")
@click.option("--dry-run", is_flag=True, help="Say what would happen; write nothing.")
def import_statuspage(source: str, dry_run: bool) -> int:
    """Import components, incidents and maintenances from Atlassian Statuspage.

    SOURCE is a page's address, a folder of its summary.json, components.json,
    incidents.json and scheduled-maintenances.json, or one such file. Running
    it again changes only what changed there.
    """
    # SQLAlchemy and requests take a second to import: only commands that need them pay for them.
    from statuspage.actions import importers

    with _installation():
        if not dry_run:
            _migrate()
        plan = importers.plan(importers.read(source))
        rows = [step.row for step in plan] if dry_run else _applied(plan)
        counts = Counter(_shown(row) for row in rows)
    summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in importers.OUTCOMES if counts[outcome])
    click.echo(f"{'Would be' if dry_run else 'Done'}: {summary or 'nothing to import'}.")
    return FAILED if counts["error"] else 0


def _applied(plan: "list[Step]") -> "Iterator[Row]":
    """Apply the plan row by row; show a bar on a terminal."""
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from statuspage.actions import importers

    return with_bar(importers.apply(plan, clock.now()), len(plan))


def _shown(row: "Row") -> str:
    place = f"{row.file}[{row.index}]" if row.index is not None else row.file
    reason = f": {row.reason}" if row.reason else ""
    click.echo(f"{row.outcome:<9} {row.kind:<11} {row.id:<12} {row.title}  ({place}){reason}")
    return row.outcome


@import_.command("customers", epilog="Example: statuspage import customers customers.csv --dry-run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would happen; write nothing.")
def import_customers(file: Path, dry_run: bool) -> int:
    """Import the people who use certain components.

    FILE is CSV in UTF-8; its first row names the columns: email, components
    (names or ids with | between them; empty for all), and name if you like.
    Running it again changes only what changed there.
    """
    return _import_people("customers", file, dry_run)


@import_.command("subscribers", epilog="Example: statuspage import subscribers subscribers.csv --dry-run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would happen; write nothing.")
def import_subscribers(file: Path, dry_run: bool) -> int:
    """Import people who want status updates by mail.

    FILE is CSV in UTF-8; its first row names the columns: email, and if you
    like components (names or ids with | between them; empty for all), kinds
    (incidents, maintenance, component_changes) and confirmed (yes or no).
    Whoever is not confirmed gets a mail that asks. Running it again changes
    nothing that somebody chose here.
    """
    return _import_people("subscribers", file, dry_run)


def _import_people(what: str, file: Path, dry_run: bool) -> int:
    """Take a file in; print the rows that need a look, of a short file all that changed something, and the counts."""
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from statuspage.actions.csv_rows import Source
    from statuspage.actions.import_kinds import KINDS

    kind, counts = KINDS[what], Counter[str]()
    with _installation() as (settings, _):
        if not dry_run:
            _migrate()
        # A letter that is not UTF-8 is an error of its row, not of the file.
        with file.open(encoding="utf-8", errors="replace", newline="") as handle:
            table = kind.parse(handle)
            rows = list(table.rows)
        if table.ignored:
            click.echo(f"Ignored columns: {', '.join(table.ignored)}.")
        secret_keys = settings.secret_keys
        source = Source(f"imported from {file.name}", None, secret_keys)
        done = kind.preview(rows, source) if dry_run else kind.import_all(rows, source, clock.now())
        for result in with_bar(done, len(rows)):
            counts[result.outcome] += 1
            few = len(rows) <= MOST_ROWS_SHOWN and result.outcome != "unchanged"
            if few or result.reason:
                reason = f": {result.reason}" if result.reason else ""
                click.echo(f"{result.outcome:<9} line {result.line} {result.email}{reason}")
    summary = ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in kind.outcomes if counts[outcome])
    click.echo(f"{'Would be' if dry_run else 'Done'}: {summary or 'nothing to import'}.")
    return FAILED if counts["error"] else 0


@commands.command(epilog="Example: statuspage doctor")
def doctor() -> int:
    """Check settings, database, clock, mail, DNS, disk: a line each, with the remedy."""
    # The checks bring SQLAlchemy, requests and the DNS library: only this command pays for them.
    from statuspage import doctor as checks

    findings = checks.examine(os.environ, clock.now())
    for finding in findings:
        click.echo(f"{'ok' if finding.fine else 'WRONG':<6}{finding.name}: {finding.sentence}")
    return 0 if all(finding.fine for finding in findings) else FAILED


# --- what several commands need --------------------------------------------


@contextlib.contextmanager
def _installation() -> "Iterator[tuple[Settings, Flask]]":
    """Open the settings and the application; tell of failures in one sentence."""
    # Flask and SQLAlchemy take a second to import: --help and the supervisor do without them.
    from sqlalchemy.exc import DBAPIError

    from statuspage.bare import create_bare_app

    settings = load(os.environ)
    app = create_bare_app(settings)
    try:
        with app.app_context():
            yield settings, app
    except RuleBroken as broken:
        raise InputRefused(" ".join(broken.errors.values())) from None
    except (DBAPIError, OSError) as error:
        raise click.ClickException(_sentence(error)) from None


def _sentence(error: Exception) -> str:
    """Put a failure of the database or the disk into one sentence."""
    first = str(getattr(error, "orig", error)).strip().partition("\n")[0]
    if (
        "no such table" in first
        or "unable to open database file" in first
        or ("relation" in first and "does not exist" in first)
    ):
        return "The database is not set up yet: please run `statuspage init` first."
    if isinstance(error, OSError):
        return f"This failed: {first}."
    return f"The database does not answer as it should: {first}."


def _migrate() -> None:
    # Alembic takes a second to import: only commands that may change the schema pay for it.
    from statuspage import schema
    from statuspage.db import db

    schema.migrate(db.engine)


def _account_id(email: str) -> str:
    # SQLAlchemy takes a second to import: only commands that need it pay for it.
    from sqlalchemy import select

    from statuspage.db import db
    from statuspage.models import Account

    found = db.session.scalar(select(Account.id).where(Account.email == email.strip().lower()))
    if found is None:
        raise click.ClickException(f"There is no account with the address {email}.")
    return found


def _password(from_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else secrets.token_urlsafe(12)
