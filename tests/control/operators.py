"""Operators for tests: their file, their tokens, and the command line in their name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from liftgate.adapters.operators import token_hash
from liftgate.app.cli.main import make_app

ROLES: Mapping[str, tuple[str, ...]] = {
    "anna": ("operator", "compliance", "reviewer"),
    "ben": ("operator", "compliance", "reviewer"),
    "cleo": ("operator", "compliance"),
    "dora": (),
}
"""anna writes offers in these tests, ben and cleo approve, dora may do nothing special."""


def token(name: str) -> str:
    """Return an operator's token."""
    return f"token-of-{name}-for-tests"


def write(directory: Path) -> Path:
    """Write an operators file and return its path."""
    path = directory / "operators.yaml"
    entries = [
        f'  {name}:\n    roles: [{", ".join(roles)}]\n    token_sha256: "{token_hash(token(name))}"\n' for name, roles in ROLES.items()
    ]
    path.write_text("operators:\n" + "".join(entries))
    return path


def run(who: str, port: int, *arguments: object) -> tuple[int, Any]:
    """Run one command as an operator with --json; return its exit code and what it printed."""
    words = [str(argument) for argument in arguments]
    environment = {"LIFTGATE_TOKEN": token(who), "LIFTGATE_TARGET": f"127.0.0.1:{port}"}
    result = CliRunner().invoke(make_app(words[0]), [*words, "--json"], env=environment)
    text = result.stdout or result.stderr
    return result.exit_code, json.loads(text) if text.strip().startswith(("{", "[")) else text
