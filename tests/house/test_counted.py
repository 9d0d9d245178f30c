"""What commands print counts one of a thing in the singular."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from liftgate.app.counted import counted

APP = Path(__file__).parents[2] / "src/liftgate/app"
NOUNS = (
    *("bundles", "buckets", "bytes", "calls", "cases", "cells", "chains", "connections", "days", "decisions", "entries", "events"),
    *("features", "files", "findings", "guesses", "heads", "ids", "layers", "lines", "mistakes", "offers", "pairs", "people"),
    *("properties", "pseudonyms", "records", "requests", "rows", "servers", "steps", "tests", "units", "versions", "workers"),
)
ALWAYS_MANY = (
    "{TYPICAL_BUCKETS} buckets",
    "{_TRIES:,} people",
    "{each.measured_bytes:>8,} bytes",
    "{loaded.rows / max(took_s, 1e-9):,.0f} rows/s",
    "{len(made.choice)} layers that may be meant",
    "{several} bundles decided",
    "{seen['n']:,} decisions of {seen['units']:,} units count for",
    "{len(offers)} offers: ",
    "{rule.slots} offers at a time",
)
"""Constants, columns, rates, and what is printed for two and more alone."""
PLURAL = re.compile(rf"\}} (?:live )?(?:{'|'.join(NOUNS)})\b")


def plurals(text: str) -> list[str]:
    """Return lines that put a plural behind a number of any size."""
    for words in ALWAYS_MANY:
        text = text.replace(words, "")
    return [line.strip() for line in text.splitlines() if PLURAL.search(line)]


def test_a_count_has_its_noun() -> None:
    """One is in the singular, every other number in the plural, thousands are set apart, and odd plurals are given."""
    assert [counted(n, "row") for n in (0, 1, 2, 1_000)] == ["0 rows", "1 row", "2 rows", "1,000 rows"]
    assert [counted(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]


@pytest.mark.parametrize("path", sorted(APP.rglob("*.py")), ids=lambda path: path.relative_to(APP).as_posix())
def test_no_command_prints_the_plural_of_one(path: Path) -> None:
    """Where a command prints a number that may be one, `counted` writes the noun."""
    assert plurals(path.read_text(encoding="utf-8")) == []


def test_a_plural_behind_a_number_is_found() -> None:
    """The check sees what it is for."""
    assert plurals('echo(f"{len(entries):,} entries, whole")\necho(f"{n:,} people stored")\necho(f"{counted(n, \'row\')} read")') == [
        'echo(f"{len(entries):,} entries, whole")',
        'echo(f"{n:,} people stored")',
    ]
