"""`liftgate operators add`."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from liftgate.adapters.operators import Operators
from liftgate.app.cli.operators import app


def test_what_it_prints_makes_an_operator(tmp_path: Path) -> None:
    """The printed entry, pasted into a file, knows the printed token."""
    found = CliRunner().invoke(app, ["add", "ada", "--role", "admin", "--role", "admin"])
    token = found.stdout.splitlines()[0].rpartition(" ")[2]
    path = tmp_path / "operators.yaml"
    path.write_text(found.stdout.partition("\n\n")[2])
    assert Operators(path).authorise([("authorization", f"Bearer {token}")], "admin").name == "ada"


def test_a_file_grows_by_whole_entries(tmp_path: Path) -> None:
    """Two operators are added to one file; a third of the same name is refused and the file stays as it was."""
    path = tmp_path / "operators.yaml"
    for name in ("ada", "ben"):
        found = CliRunner().invoke(app, ["add", name, "--role", "admin", "--file", str(path), "--json"])
        token = json.loads(found.stdout)["token"]
        assert token not in path.read_text()
        assert Operators(path).authorise([("authorization", f"bearer {token}")], "admin").name == name
    before = path.read_text()
    again = CliRunner().invoke(app, ["add", "ada", "--file", str(path)])
    assert (again.exit_code, path.read_text()) == (2, before)
    assert "written twice" in again.stderr
    assert sorted(found.name for found in tmp_path.iterdir()) == ["operators.yaml"]


def test_wrong_names_and_roles_are_refused() -> None:
    """A name with a space and a role with a capital are told what is wanted."""
    assert CliRunner().invoke(app, ["add", "Ada L", "--role", "admin"]).exit_code == 2
    assert CliRunner().invoke(app, ["add", "ada", "--role", "Admin"]).exit_code == 2
