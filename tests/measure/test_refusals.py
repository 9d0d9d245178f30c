"""Every refusal can be reached from the command line, ends with 3, says why and what to do, and is on the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from liftgate.app.cli.measure import app
from liftgate.record.frame import Stream
from liftgate.v1.record_pb2 import DecisionRecord
from tests.measure.log_files import START_MS, decided, happened, write
from tests.measure.test_lift_command import REFUSALS

ROOT = Path(__file__).parents[2]
CODES = sorted(
    {
        code
        for path in (ROOT / "src/liftgate/measure").glob("*.py")
        for code in re.findall(r'Refus(?:al|ed)\(\s*"([a-z_]+)"', path.read_text(encoding="utf-8"))
    }
)
ELSEWHERE = {
    "unknowable": "tests/app/test_simulate_command.py",
    "too_little_memory": "tests/measure/test_little_memory.py",
    "too_little_disk": "tests/measure/test_little_memory.py",
}
"""Codes that another command gives, and where each is reached."""
Make = Callable[[Path], tuple[str, ...]]
N = 1_000


def _table(folder: Path, **columns: Any) -> str:
    dice = np.random.default_rng(3)
    usual = {
        "id": [f"u{i}" for i in range(N)],
        "arm": ["t" if i % 2 else "c" for i in range(N)],
        "p": dice.uniform(0.05, 0.9, N),
        "y": dice.integers(0, 2, N),
        "action": ["ab"[i % 2] for i in range(N)],
        "logged": np.full(N, 0.5),
        "target": np.where(np.arange(N) % 2 == 0, 0.4, 0.6),
        "day": np.arange(N) // 100,
    }
    path = folder / f"{len(list(folder.iterdir()))}.parquet"
    pq.write_table(pa.table({**usual, **columns}), path)
    return str(path)


def _log(folder: Path, *decisions: bytes, first: int = 0) -> str:
    write(folder / "log", Stream.DECISION, decisions[:1])
    write(folder / "log", Stream.DECISION, decisions[1:], first=1 + first)
    write(folder / "log", Stream.EVENT, [happened(1, 1, "purchase", START_MS + 1, 2.0)], writer=2)
    return str(folder / "log")


def _calibration(folder: Path, **columns: Any) -> tuple[str, ...]:
    return "calibration", "--table", _table(folder, **columns), "--score", "p", "--outcome", "y"


def _ope(folder: Path, **columns: Any) -> tuple[str, ...]:
    roles = ("--action", "action", "--reward", "y", "--logged-probability", "logged", "--target-probability", "target")
    return "ope", "--table", _table(folder, **columns), *roles, "--replicates", "0"


def _sequential(folder: Path, *words: str, **columns: Any) -> tuple[str, ...]:
    roles = ("--unit", "id", "--arm", "arm", "--control", "c", "--metric", "y", "--time", "day")
    return "sequential", "--table", _table(folder, **columns), *roles, *words


def _drift(folder: Path, *words: str, **columns: Any) -> tuple[str, ...]:
    return "drift", "--reference", _table(folder), "--current", _table(folder, **columns), *words


def _lift(log: str, *words: str) -> tuple[str, ...]:
    return "lift", "--log", log, "--share", "unknown", *words


def _personal(number: int) -> bytes:
    """Return a decision in a layer of accounts that names its account by a pseudonym of the person's own."""
    record = DecisionRecord.FromString(
        decided(number, number, "treatment", START_MS, layers={"house": "ab"[number]}, unit="account", account=b"%d" % number)
    )
    record.units_are_personal = True
    return record.SerializeToString()


CASES: dict[str, Make] = {
    "unit_within_people": lambda at: _lift(_log(at, _personal(0), _personal(1)), "--layer", "house", "--control", "a"),
    "log_gaps": lambda at: _lift(_log(at, decided(1, 1, "treatment", START_MS), decided(2, 2, "holdout", START_MS), first=5)),
    "mixed_keys": lambda at: _lift(_log(at, decided(1, 1, "treatment", START_MS), decided(2, 2, "holdout", START_MS, key="k2"))),
    "unit_without_events": lambda at: _lift(
        _log(at, *(decided(i, i, "treatment", START_MS, layers={"visits": "ab"[i]}, unit="session") for i in range(2))),
        *("--layer", "visits", "--control", "a"),
    ),
    "open_windows": lambda at: _lift(_log(at, decided(1, 1, "treatment", START_MS), decided(2, 2, "holdout", START_MS))),
    "score_out_of_range": lambda at: _calibration(at, p=np.linspace(0, 1.2, N)),
    "outcome_not_binary": lambda at: _calibration(at, y=np.arange(N) % 3),
    "probability_out_of_range": lambda at: _ope(at, target=np.full(N, 1.5)),
    "zero_logged_probability": lambda at: _ope(at, logged=np.where(np.arange(N) == 7, 0.0, 0.5)),
    "missing_support": lambda at: _ope(at, target=np.full(N, 0.2)),
    "mean_weight_off": lambda at: _ope(at, target=np.full(N, 0.9)),
    "low_ess": lambda at: (*_ope(at), "--min-ess-share", "0.99"),
    "peeking": lambda at: _sequential(at, "--fixed-horizon", "5000"),
    "several_rows_a_unit": lambda at: _sequential(at, "--n-star", "1000", id=["same"] * N),
    "arm_depends_on_score": lambda at: (
        *("uplift", "--table", _table(at, p=np.arange(N) % 2 + np.arange(N) / N), "--score", "p", "--outcome", "y"),
        *("--arm", "arm", "--control", "c"),
    ),
    "too_many_categories": lambda at: _drift(at, "--column", "id"),
    "too_few_rows": lambda at: _drift(at, "--column", "p", "--current-where", "day = 0", "--reference-where", "day = 1"),
}


@pytest.mark.parametrize("code", CASES)
def test_a_refusal_is_reached_from_the_command_line(code: str, tmp_path: Path) -> None:
    """It ends with 3, has its code, a sentence and a next step, and gives no estimate; people read the same."""
    words = CASES[code](tmp_path)
    result = CliRunner().invoke(app, [*words, "--json"])
    found = json.loads(result.stdout)
    assert (result.exit_code, found["refusal"]["code"]) == (3, code)
    assert set(found["refusal"]) == {"code", "why", "what_to_do"}
    assert all(found["refusal"].values())
    assert found.get("estimate") is None
    assert f"Refused ({code})" in CliRunner().invoke(app, list(words)).output


def test_no_refusal_is_left_out() -> None:
    """Every code in the source has a case here, among those of lift, or where ELSEWHERE says."""
    reached = {*CASES, *REFUSALS}
    missing = [code for code in CODES if code not in reached and not (code in ELSEWHERE and code in (ROOT / ELSEWHERE[code]).read_text())]
    assert missing == []


@pytest.mark.parametrize("code", CODES)
def test_a_refusal_is_on_the_page(code: str) -> None:
    """docs/measurement.md names it."""
    assert f"`{code}`" in (ROOT / "docs/measurement.md").read_text(encoding="utf-8")
