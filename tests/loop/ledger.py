"""What the loops found: a row for each reading of many runs, and the table of them all."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

_ASKED = os.environ.get("LIFTGATE_TEST_LOOPS", "")
RUNS = 500 if _ASKED == "all" else int(_ASKED or 24)
"""Of every loop; `make loops` runs 500, as LIFTGATE_TEST_LOOPS=all does."""
FULL = RUNS >= 500
PROMISE = 0.95
HOLD, MISS, REFUSE = "hold", "miss", "be refused"
"""What the intervals of a row must do; those of a control must miss."""
SHEET = os.environ.get("LIFTGATE_LOOPS_SHEET", "")
"""A file to which progress and rows are appended while they come in, as JSON a line; empty: none."""


@dataclass(frozen=True)
class Row:
    """One reading of many runs."""

    loop: str
    reading: str
    runs: int
    """Or draws, where there are no intervals."""
    must: str = ""
    held: int | None = None
    """Intervals that hold the truth."""
    truth: float | None = None
    mean: float | None = None
    """Of the estimates of all runs that were answered."""
    off: float | None = None
    """By how many standard errors that mean is off the truth."""
    refused: int = 0
    note: str = ""

    def cells(self) -> list[str]:
        """Return what the table shows."""
        low, high = wilson(self.held, self.runs) if self.held is not None else (0.0, 0.0)
        return [
            self.loop,
            self.reading,
            f"{self.runs:,}",
            "" if self.held is None else f"{self.held / self.runs:.1%}",
            "" if self.held is None else f"{low:.1%} to {high:.1%}",
            "" if self.truth is None else f"{self.truth:+.4f}",
            "" if self.mean is None else f"{self.mean:+.4f}",
            "" if self.off is None else f"{self.off:+.1f}",
            f"{self.refused:,}" if self.refused else "",
            self.must,
            self.note,
        ]


HEAD = ("loop", "reading", "runs", "hold it", "Wilson 95 %", "truth", "mean", "off, s.e.", "refused", "must", "")
_new: list[dict[str, Any]] = []


def note(row: Row) -> None:
    """Keep a row for the report of the test that runs."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in asdict(row).items()}
    _new.append(plain)
    _tell({"row": plain})


def progress(words: str) -> None:
    """Tell whoever watches the sheet."""
    _tell({"progress": words})


def take() -> list[dict[str, Any]]:
    """Return the rows since the last call, as plain data."""
    found = list(_new)
    _new.clear()
    return found


def _tell(one: dict[str, Any]) -> None:
    if SHEET:
        with Path(SHEET).open("a", encoding="utf-8") as sheet:
            sheet.write(json.dumps(one | {"at": time.time()}) + "\n")


def needed(runs: int) -> int:
    """Return how many of the intervals must hold the truth: 93 %; of fewer than 400, what chance leaves out once in a thousand times."""
    return int(np.ceil(0.93 * runs)) if runs >= 400 else int(stats.binom.ppf(0.001, runs, PROMISE))


def wilson(held: int, runs: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    found = stats.binomtest(held, runs).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def lines(rows: Sequence[Row]) -> list[str]:
    """Return the table, in the order of its loops."""
    cells = [list(HEAD), *(row.cells() for row in sorted(rows, key=lambda row: (row.loop, row.must != HOLD, row.reading)))]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEAD))]
    shown = [
        "  ".join(
            cell.ljust(width) if i in (0, 1, 9, 10) else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return [line.rstrip() for line in shown]
