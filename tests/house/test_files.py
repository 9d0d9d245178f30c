"""What a file may look like here."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "src/liftgate/v1"
NEVER = re.compile(r"(?:^|_)(?:utils?|helpers?|manager|misc|common)(?:_|$)|impl$")
LONGEST = 400


def committed() -> list[Path]:
    """Return every file under version control, or every likely one where there is no git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]
    hidden = {".venv", ".venv-train", ".venv-spark", ".git", "__pycache__", ".liftgate"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not hidden & set(path.relative_to(ROOT).parts)]


SOURCES = sorted(path for path in (ROOT / "src").rglob("*.py") if GENERATED not in path.parents)
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def test_no_source_file_is_long() -> None:
    """No file under src has more than 400 lines, generated ones aside."""
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_no_module_is_named_after_nothing() -> None:
    """No module is called utils, helpers, manager and the like."""
    assert [path.name for path in SOURCES if NEVER.search(path.stem)] == []


@pytest.mark.parametrize("text", [b"/wo" + b"rk/", b"/ro" + b"ot/", b"/tm" + b"p/w/", b"/ho" + b"me/"])
def test_no_committed_file_names_a_machines_paths(text: bytes) -> None:
    """Nothing committed works on one machine only."""
    named = []
    for path in committed():
        raw = path.read_bytes()
        if text in raw and b"\0" not in raw[:1024]:
            named.append(path.relative_to(ROOT).as_posix())
    assert named == []


def test_every_module_says_what_it_is() -> None:
    """Every module under src has a docstring."""
    assert [path.relative_to(ROOT).as_posix() for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_every_test_says_in_one_sentence_what_holds() -> None:
    """Each test function has a docstring whose first paragraph is a sentence."""
    silent = []
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
                said = ast.get_docstring(node)
                if not said or not said.split("\n\n")[0].endswith("."):
                    silent.append(f"{path.relative_to(ROOT)}::{node.name}")
    assert silent == []


def test_papers_stand_where_people_look() -> None:
    """Licence, changelog, contributing and security lie at the top, and the licence is the whole Apache 2.0 text."""
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "pyproject.toml"):
        assert (ROOT / name).stat().st_size > 0, name
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
