"""Every reason is emitted by a golden case and has a sentence in the docs."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from liftgate.domain.reason import Arm, Branch, Reason

ROOT = Path(__file__).parents[2]
CASES = sorted([*(ROOT / "tests/cases/decide").glob("*.yaml"), *(ROOT / "tests/cases/events").glob("*.yaml")])


def wanted(node: Any, key: str = "") -> set[str]:
    """Return every scalar that stands under a key that ends in `key`, anywhere below `want:`."""
    found: set[str] = set()
    if isinstance(node, dict):
        for name, value in node.items():
            if isinstance(value, str) and str(name).endswith(key):
                found.add(value)
            else:
                found |= wanted(value, key)
    elif isinstance(node, list):
        for value in node:
            found |= wanted(value, key)
    return found


@cache
def wants() -> list[Any]:
    """Return what every golden case wants."""
    cases = [case for path in CASES for case in YAML(typ="safe").load(path)]
    return [case["want"] for case in cases]


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason], ids=lambda reason: reason.name)
def test_a_golden_case_emits_the_reason(reason: Reason) -> None:
    """Some case in tests/cases/decide wants exactly this reason of a candidate or a decision."""
    assert reason.name in wanted(wants(), "reason"), f"no golden case wants {reason.name}"


@pytest.mark.parametrize("kind", [Arm, Branch])
def test_a_golden_case_emits_every_arm_and_branch(kind: type[Arm] | type[Branch]) -> None:
    """Some case wants each arm and each branch."""
    assert {member.name for member in kind if member} <= wanted(wants(), kind.__name__.lower())


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason], ids=lambda reason: reason.name)
def test_the_docs_explain_the_reason(reason: Reason) -> None:
    """docs/decide.md has a line with the reason's name and a sentence beside it."""
    lines = [line for line in (ROOT / "docs/decide.md").read_text().splitlines() if re.search(rf"\b{reason.name}\b", line)]
    assert any(len(line.replace(reason.name, "").strip(" |`*-")) > 20 for line in lines), (
        f"docs/decide.md has no sentence for {reason.name}"
    )
