"""The documentation is true: what it must name, and what it may point to."""

import re
import subprocess
from pathlib import Path

import click
import pytest

from statuspage.actions import importers
from statuspage.cli import commands
from statuspage.settings import SETTINGS

pytestmark = pytest.mark.laws

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented_with_its_default_and_meaning(setting: object) -> None:
    (row,) = (
        line for line in text_of("docs/configuration.md").splitlines() if line.startswith(f"| `{setting.name}` |")
    )
    assert setting.help in row
    assert setting.default in row


def test_no_setting_is_documented_that_does_not_exist() -> None:
    named = set(re.findall(r"^\| `([A-Z_]+)` \|", text_of("docs/configuration.md"), re.MULTILINE))
    assert named == {setting.name for setting in SETTINGS}


def described() -> dict[str, set[str]]:
    """Every command to its options."""
    found = {}
    for name, command in commands.commands.items():
        parts = command.commands if isinstance(command, click.Group) else {"": command}
        for inner, part in parts.items():
            options = {parameter.opts[0] for parameter in part.params if isinstance(parameter, click.Option)}
            found[f"statuspage {name} {inner}".strip()] = options
    return found


@pytest.mark.parametrize(("command", "options"), list(described().items()))
def test_every_command_is_documented_with_its_options(command: str, options: set[str]) -> None:
    rows = [line for line in text_of("docs/commands.md").splitlines() if line.startswith(f"| `{command}")]
    (usage,) = (row.split("`")[1] for row in rows if re.match(rf"{command}( [A-Z\[-]|$)", row.split("`")[1]))
    assert set(re.findall(r"--[a-z-]+", usage)) == options


def test_no_command_is_documented_that_does_not_exist() -> None:
    used = re.findall(
        r"statuspage ((?:[a-z]+ ?)+)", "\n".join(re.findall(r"`(statuspage [^`]+)`", text_of("docs/commands.md")))
    )
    for words in used:
        name = words.split()
        command = commands.commands.get(name[0])
        assert command is not None, words
        if isinstance(command, click.Group):
            assert name[1] in command.commands, words


def test_every_outcome_of_an_import_is_explained() -> None:
    page = text_of("docs/commands.md")
    assert all(f"`{outcome}`" in page for outcome in importers.OUTCOMES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{target} in {page.name}"


def test_what_make_offers_is_what_the_readme_and_the_docs_name() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    shown = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for page in ("README.md", "docs/developing.md"):
        for line in re.findall(r"^    make ([a-z]+)", text_of(page), re.MULTILINE):
            assert line in targets
            assert f"make {line} " in shown


def test_the_shipped_fly_configuration_uses_settings_that_exist() -> None:
    names = {setting.name for setting in SETTINGS}
    block = text_of("fly.toml").partition("[env]")[2].partition("\n\n")[0]
    assert set(re.findall(r"^  ([A-Z_]+) =", block, re.MULTILINE)) <= names
