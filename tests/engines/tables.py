"""One experiment's table, seeded, in the kinds of file that people have: several Parquet files, plain CSV, packed CSV."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

START = np.datetime64("2026-01-01T00:00:00", "us")


@dataclass(frozen=True)
class Tables:
    """Where the same rows lie."""

    parquet: str
    """A pattern of three files of many row groups."""
    csv: str
    packed: str


def experiment(n: int, seed: int) -> Any:
    """Return n rows as a `pyarrow.Table`: arms, periods, heavy-tailed outcomes with gaps, covariates, propensities, funnel steps."""
    rng = np.random.default_rng(seed)
    arm = rng.choice(["control", "mail", "push"], n, p=[0.4, 0.4, 0.2])
    before = rng.gamma(2.0, 10.0, n)
    bought = (rng.random(n) < 0.1 + 0.05 * (arm == "mail")).astype(np.int64)
    spend = bought * np.round(before + rng.lognormal(3.0, 1.5, n), 2)
    sessions = rng.integers(1, 9, n)
    exposed = (arm != "control") & (rng.random(n) < 0.7)
    logged = rng.choice([0.1, 0.25, 0.5], n)
    clicked = rng.random(n) < 0.3
    return pa.table(
        {
            "id": [f"u{i:07d}" for i in range(n)],
            "person": [f"p{i}" for i in rng.integers(0, max(1, n // 3), n)],
            "arm": arm,
            "period": rng.choice(["1", "02"], n),
            "country": rng.choice(["NL", "de", "é, x"], n),
            "bought": bought,
            "spend": pa.array(spend, mask=rng.random(n) < 0.05),
            "money": pa.array([f"{10_000_000 + value:.2f}" for value in spend]).cast(pa.decimal128(18, 2)),
            "account": [f"{10_000_000 + value:.4f}" for value in spend],
            "orders": bought * rng.integers(1, 4, n),
            "sessions": sessions,
            "before": pa.array(before, mask=rng.random(n) < 0.02),
            "orders_before": rng.poisson(1.0, n),
            "sessions_before": rng.integers(1, 9, n),
            "due": rng.random(n) < 0.5,
            "exposed": exposed.astype(np.int64),
            "action": rng.choice(["a", "b", "c"], n),
            "p": logged,
            "p_new": logged * rng.choice([0.5, 1.5], n),
            "q": 0.1 * before,
            "q_new": 0.11 * before,
            "seen": np.ones(n, dtype=np.int64),
            "clicked": clicked,
            "paid": pa.array((clicked & (rng.random(n) < 0.4)).astype(np.int64), mask=rng.random(n) < 0.01),
            "at": START + rng.integers(0, 28 * 86_400, n).astype("timedelta64[s]"),
        }
    )


def write_tables(directory: Path, n: int, seed: int) -> Tables:
    """Write n rows in every kind of file. The smaller part comes first, and one is packed otherwise."""
    table = experiment(n, seed)
    cuts = (0, n // 5, n // 2, n)
    for i, (first, last) in enumerate(pairwise(cuts)):
        part = table.slice(first, last - first)
        pq.write_table(part, directory / f"part {i}.parquet", row_group_size=max(1, n // 20), compression=("zstd", "snappy", "gzip")[i])
    few = table.select([name for name in table.column_names if name not in ("money",)]).slice(0, min(n, 20_000))
    pa_csv.write_csv(few, directory / "table.csv")
    with pa.CompressedOutputStream(str(directory / "packed.csv.gz"), "gzip") as packed:
        pa_csv.write_csv(few, packed)
    return Tables(str(directory / "part *.parquet"), str(directory / "table.csv"), str(directory / "packed.csv.gz"))
