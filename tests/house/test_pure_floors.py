"""The pure floors have no clock, no dice, no logging, no asyncio, and one of them reads files in one place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src/liftgate"
FLOORS = ("domain", "bundle", "guardrails", "selection", "signals")
FILES = sorted(path for floor in FLOORS for path in (SRC / floor).rglob("*.py"))
BANNED_MODULES = {"random", "secrets", "logging", "asyncio", "threading", "subprocess", "socket", "structlog", "uuid", "time"}
BANNED_NAMES = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "read_bytes",
    "read_text",
    "write_bytes",
    "write_text",
    "date.today",
    "numpy.random",
    "np.random",
    "os.urandom",
    "print",
    "open",
}
READS_FILES = {"load.py"}


def named(node: ast.AST) -> str:
    """Return a dotted name, or nothing."""
    if isinstance(node, ast.Attribute):
        return f"{named(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def mistakes(source: str, reads_files: bool = False) -> list[str]:
    """Return what a pure module may not use and does."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in BANNED_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name for name in (node.module, *full) if name.split(".")[0] in BANNED_MODULES or name == "numpy.random"]
        elif isinstance(node, ast.Attribute):
            name = named(node)
            found += [name for banned in BANNED_NAMES if name.endswith("." + banned) or (name == banned and "." in banned)]
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"open", "print", "input"}
            and not reads_files
        ):
            found.append(node.func.id)
        elif isinstance(node, (ast.AsyncFunctionDef, ast.Await)):
            found.append("async")
    return [name for name in found if not (reads_files and name.split(".")[-1] in {"open", "read_bytes", "read_text"})]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_pure_module_uses_nothing_impure(path: Path) -> None:
    """Time, dice, logs, threads and files stay outside; only bundle/load.py reads files."""
    assert mistakes(path.read_text(), path.name in READS_FILES) == []


@pytest.mark.parametrize(
    "source",
    [
        "import random",
        "from time import time",
        "import datetime\ndatetime.datetime.now()",
        "import numpy as np\nnp.random.default_rng()",
        "from numpy import random",
        "async def f(): ...",
        "print(1)",
        "from pathlib import Path\nPath.cwd().joinpath('a').read_bytes()",
        "import os\nos.urandom(8)",
    ],
)
def test_the_check_sees_each_kind_of_impurity(source: str) -> None:
    """The control: each forbidden thing is found."""
    assert mistakes(source)
