"""Drift of everything that decisions were made with, by bundle: against what the models were trained on, or against an earlier time."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liftgate.measure.drift_table import compare_tables
from liftgate.measure.table import open_table

if TYPE_CHECKING:
    from liftgate.report.facts import Gathering

MOST_BUNDLES = 5
"""Bundles that are compared, the newest ones; each reads the table once more."""
_ALWAYS = ("placement", "offer", "outcome")


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    where: str
    """A condition on the table of decisions; empty: all of it."""


class Drifts:
    """Asks `measure drift` of each bundle: the newest one's answer is `drift`, others' are `drift DIGEST`."""

    def __init__(self, gathering: Gathering, path: Path, scored: bool) -> None:
        """`path`: of the table of decisions; `scored`: models had a say."""
        self._all, self._path, self._scored = gathering, path, scored

    def ask(self, inputs: Sequence[str]) -> None:
        """Ask of every bundle; `inputs` are columns of the table."""
        table = open_table(str(self._path))
        rows = table.rows
        seen = table.fetch(rows.group_by("version").aggregate(at=rows.decided_at.min()).order_by("at"))
        bundles = [_Part(one["version"][:12], f"version = '{one['version']}'") for one in seen]
        given = self._all.wanted.reference
        if given is not None:
            parts, before = bundles if len(bundles) > 1 else [_Part("", "")], ""
        elif len(bundles) > 1:
            parts, before = bundles[1:], bundles[0].where
        else:
            parts, before = [_Part("", "half = 'second'")], "half = 'first'"
        reference = str(given) if given is not None else str(self._path)
        columns, score = self._columns(reference, before, inputs)
        for part in reversed(parts[-MOST_BUNDLES:]):
            last = part is parts[-1]
            self._one("drift" if last else f"drift {part.name}", reference, before, part.where, columns, score)

    def _columns(self, reference: str, where: str, inputs: Sequence[str]) -> tuple[list[str], bool]:
        """Return the columns of both tables that the reference has any value of, and whether it has a score."""
        table = open_table(reference, where=where)
        there = [name for name in (*_ALWAYS, *inputs, "score") if name in table.columns]
        filled = table.one({f"c{i}": table.rows[name].count() for i, name in enumerate(there)})
        kept = [name for i, name in enumerate(there) if filled[f"c{i}"]]
        return [name for name in kept if name != "score"], self._scored and "score" in kept

    def _one(self, name: str, reference: str, before: str, where: str, columns: Sequence[str], score: bool) -> None:
        about: dict[str, Any] = {"score": "score", "outcome": "reward"} if score else {}
        compared = f"--reference {shlex.quote(reference)} --current {self._path}".replace(str(self._path), self._path.name)
        conditions = [f'--reference-where "{before}"' if before else "", f'--current-where "{where}"' if where else ""]
        options = " ".join(f"--column {one}" for one in columns)
        self._all.note(
            name,
            "drift",
            lambda: compare_tables(reference, str(self._path), columns, reference_where=before, current_where=where, **about),
            compared,
            *conditions,
            options,
            "--score score --outcome reward" if score else "",
            log=False,
        )
