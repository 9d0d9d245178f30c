"""The campaign's file: 64,000 customers, what each was sent at random, and what each then did.

The row number, from 0, is the customer: there is no id, and rows that look alike are different people.
"""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.bucketing import Salt

OFFERS = ("mens-email", "womens-email", "no-email")
ARMS = {"Mens E-Mail": 0, "Womens E-Mail": 1, "No E-Mail": 2}
"""What the file calls what was sent, and its place in OFFERS."""
OUTCOMES = ("visit", "conversion", "spend")
"""Within two weeks; spend in US dollars."""
COLUMNS = (
    "recency",
    "history_segment",
    "history",
    "mens",
    "womens",
    "zip_code",
    "newbie",
    "channel",
    "segment",
    *OUTCOMES,
)
HALF = Salt("hillstrom-half")


@dataclass(frozen=True, slots=True)
class Campaign:
    """The file as columns over N customers."""

    rows: tuple[dict[str, str], ...]
    """[N] as they stand in the file."""
    sent: NDArray[np.intp]
    """[N] index into OFFERS, drawn with equal chances by the campaign."""
    outcome: NDArray[np.float64]
    """[N, 3] in the order of OUTCOMES."""
    trained_on: NDArray[np.bool_]
    """[N] the half that models may see; the other half is for measuring."""


def read(path: Path) -> Campaign:
    """Read the file, gzipped or not. Raises ValueError naming the line where it is not the campaign's file."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    lines = csv.DictReader(io.StringIO(text, newline=""))
    if tuple(lines.fieldnames or ()) != COLUMNS:
        raise ValueError(f"{path}: line 1: the columns are not {','.join(COLUMNS)}")
    rows = tuple(lines)
    for i, row in enumerate(rows):
        if row["segment"] not in ARMS or None in row or None in row.values():
            raise ValueError(f"{path}: line {i + 2}: wants {len(COLUMNS)} columns and a segment of {', '.join(ARMS)}")
    return Campaign(
        rows,
        np.array([ARMS[row["segment"]] for row in rows], dtype=np.intp),
        np.array([[float(row[name]) for name in OUTCOMES] for row in rows]).reshape(-1, len(OUTCOMES)),
        np.array([HALF.bucket(str(i), 2) == 0 for i in range(len(rows))], dtype=np.bool_),
    )
