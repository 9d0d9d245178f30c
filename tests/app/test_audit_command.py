"""`liftgate audit`: what is wrong is named, what is right can be held to heads from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from liftgate.app.cli.audit import app
from tests.record.audit_chains import ONE, TWO, chain, head_of, payloads, write


def run(*arguments: object) -> Any:
    """Run `liftgate audit ...`."""
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log directory with two chains."""
    folder = tmp_path / "log" / "audit"
    folder.mkdir(parents=True)
    records = chain(ONE, 3)
    write(folder, ONE, payloads(records))
    write(folder, TWO, payloads(chain(TWO, 2, {ONE: head_of(records)})))
    return tmp_path / "log"


def test_a_whole_chain_is_whole_and_says_what_it_was_held_to(log: Path, tmp_path: Path) -> None:
    """Exit 0; without heads from elsewhere it says that the ends are not proven; its JSON serves as heads later on."""
    found = run("verify", log)
    assert (found.exit_code, "whole: 5 records, 2 chains" in found.stdout, "not proven" in found.stdout) == (0, True, True)
    kept = tmp_path / "heads.json"
    kept.write_text(run("verify", log / "audit", "--json").stdout)
    again = run("verify", log, "--heads", kept)
    assert (again.exit_code, "not proven" in again.stdout) == (0, False)
    newest = next((log / "audit").glob(f"*{TWO.hex()}*"))
    newest.unlink()
    assert run("verify", log).exit_code == 0
    cut = run("verify", log, "--heads", kept)
    assert (cut.exit_code, f"chain {TWO.hex()}" in cut.stdout) == (1, True)


def test_an_edit_is_named_with_file_and_record(log: Path) -> None:
    """Exit 1, the file and the record in words and in JSON."""
    records = chain(ONE, 3)
    records[1].actor = "eve"
    path = write(log / "audit", ONE, payloads(records))
    found = run("verify", log)
    assert (found.exit_code, f"{path.name}, record 1: was changed" in found.stdout) == (1, True)
    said = json.loads(run("verify", log, "--json").stdout)
    assert (said["whole"], said["findings"][0]["file"], said["findings"][0]["sequence"]) == (False, path.name, 1)


def test_cat_prints_every_act_oldest_first(log: Path) -> None:
    """Words for people, JSON lines for programs; both have who, what and why."""
    lines = run("cat", log).stdout.splitlines()
    assert len(lines) == 5
    assert "reload  offer:0  by ada (admin)" in lines[0]
    rows = [json.loads(line) for line in run("cat", log, "--json").stdout.splitlines()]
    assert [row["at_ms"] for row in rows] == sorted(row["at_ms"] for row in rows)
    assert {"act", "actor", "reason", "hash", "previous_hash"} <= rows[0].keys()


def test_wrong_questions_are_told_so(log: Path, tmp_path: Path) -> None:
    """A folder without a chain, a file that is no output of verify, and a Redis that is away end with 2."""
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "x.json").write_text("{}")
    assert run("verify", empty).exit_code == 2
    assert run("cat", empty).exit_code == 2
    assert run("verify", log, "--heads", empty / "x.json").exit_code == 2
    assert run("verify", log, "--redis", "redis://127.0.0.1:1/0").exit_code == 2
    assert run("verify", log, "--redis", "http://x").exit_code == 2
