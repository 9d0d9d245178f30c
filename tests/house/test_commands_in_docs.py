"""Commands that a page tells people to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from liftgate.app.cli.main import make_app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*/README.md")])
COMMAND = re.compile(r"^\$ liftgate (?:\\\n|[^\n])*", re.MULTILINE)
"""A command with the lines that a backslash continues it on."""
COMMANDS = [
    pytest.param(
        found[0].replace("\\\n", " ").strip(), id=f"{page.relative_to(ROOT).as_posix()}:{text.count(chr(10), 0, found.start()) + 1}"
    )
    for page in PAGES
    for text in [page.read_text(encoding="utf-8")]
    for found in COMMAND.finditer(text)
]


def objection(line: str) -> str:
    """Return what is wrong with a command; empty: nothing."""
    words = shlex.split(re.sub(r"\$\([^)]*\)", "X", line.removeprefix("$ ")), comments=True)[1:]
    words = words[: next((i for i, word in enumerate(words) if word in ("|", ">", ">>")), len(words))]
    command: Any = typer.main.get_command(make_app(words[0]))
    while hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            return f"{command.name} has no command {words[:1]}"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    needed = {opt for one in command.params if one.required and one.param_type_name == "option" and not one.envvar for opt in one.opts}
    given = {word.split("=")[0] for word in words if word.startswith("--")}
    return "".join([*(f"no option {one}; " for one in sorted(given - known)), *(f"{one} is needed; " for one in sorted(needed - given))])


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_that_a_page_shows_exists(line: str) -> None:
    """Its subcommand and its options are those of the program, and none that it needs is left out."""
    assert objection(line) == ""


def test_a_wrong_command_would_be_found() -> None:
    """Other subcommands, other options and missing ones are objected to."""
    assert objection("$ liftgate revue list") != ""
    assert objection("$ liftgate review list --everything") != ""
    assert objection("$ liftgate consent set --person c-17") != ""
    assert len(COMMANDS) > 40


@pytest.mark.parametrize("group", ["bundle", "layers", "profiles", "caps", "consent", "operators", "audit", "review", "lists", "log"])
def test_help_of_a_group_teaches(group: str) -> None:
    """`liftgate GROUP --help` says more than its line in `liftgate --help`: what it is for, and where to read on or an example."""
    shown = CliRunner().invoke(make_app(group), [group, "--help"]).output
    assert "Example: liftgate" in shown or "docs/" in shown
