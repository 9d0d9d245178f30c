"""Off-policy estimates of decisions that are read a part at a time are those of decisions in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from liftgate.app.cli.measure import app
from liftgate.measure import ope_source
from liftgate.measure.ope import Logged
from liftgate.measure.ope_parts import Parted
from liftgate.measure.ope_source import Loaded
from liftgate.measure.ope_table import value_source
from liftgate.measure.ope_trust import Limits
from liftgate.measure.plain import plain

N = 4_000
BOOTSTRAP = ("bootstrap_ci_low", "bootstrap_ci_high")


def columns(seed: int = 70) -> dict[str, Any]:
    """Decisions of people with 1 to 40 of them, in order of people; three actions, predictions, and nothing unsupported."""
    dice = np.random.default_rng(seed)
    person = np.sort(np.concatenate([np.full(700, 9_999), dice.choice(900, N - 700) ** 2 // 900]))
    shares = dice.dirichlet([4, 4, 4], N)
    action = (dice.random(N)[:, None] > shares.cumsum(axis=1)).sum(axis=1)
    target = dice.dirichlet([4, 4, 4], N)[np.arange(N), action]
    q = dice.random(N)
    return {
        "unit": np.array([f"p{one:06d}" for one in person]),
        "action": np.array(["a", "b", "c"])[action],
        "reward": (dice.random(N) < 0.1 + 0.1 * action).astype(np.float64) * dice.random(N),
        "logged_probability": shares[np.arange(N), action],
        "target_probability": target,
        "q_logged": q,
        "q_target": q + dice.normal(0, 0.1, N),
        "unsupported": np.zeros(N),
    }


def in_memory(found: dict[str, Any]) -> Loaded:
    """The same decisions as arrays."""
    unit = np.unique(found["unit"], return_inverse=True)[1] if "unit" in found else None
    names, action = np.unique(found["action"], return_inverse=True)
    numbers = {name: column for name, column in found.items() if name not in ("unit", "action")}
    return Loaded(Logged(**numbers, cluster=unit), action, names.tolist())


def differing(one: Any, other: Any, at: str = "") -> list[str]:
    """Where two answers are not the same, numbers to 1e-9; bundles of the bootstrap are drawn otherwise."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [words for key in one if key not in BOOTSTRAP for words in differing(one[key], other[key], f"{at}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [words for i, pair in enumerate(zip(one, other, strict=True)) for words in differing(*pair, f"{at}[{i}]")]
    return [] if one == (pytest.approx(other, rel=1e-9, abs=1e-12) if isinstance(other, float) else other) else [f"{at}: {one} {other}"]


@pytest.mark.parametrize(
    "without", [(), ("unit",), ("q_logged", "q_target"), ("unsupported",)], ids=["all", "rows", "no model", "no support"]
)
@pytest.mark.parametrize("rows", [37, 1_000, N])
def test_parts_answer_as_the_whole_does(rows: int, without: tuple[str, ...], tmp_path: Path) -> None:
    """Parts of any size, one person's decisions over many of them: estimates, errors, weights and support are those in memory."""
    found = {name: column for name, column in columns().items() if name not in without}
    pq.write_table(pa.table(found), tmp_path / "x.parquet", row_group_size=300)
    parted, whole = Parted(tmp_path / "x.parquet", rows), in_memory(found)
    some, all_ = (plain(value_source(one, Limits(), replicates=200)) for one in (parted, whole))
    for one in (some, all_):
        one["actions"].sort(key=lambda each: each["action"])
    assert some["refusal"] is None
    assert differing(some, all_) == []
    assert some["units"] == (N if "unit" in without else len(set(found["unit"])))
    for one, other in zip(some["estimates"], all_["estimates"], strict=True):
        widths = [each["bootstrap_ci_high"] - each["bootstrap_ci_low"] for each in (one, other)]
        assert widths[0] == pytest.approx(widths[1], rel=0.35)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("reward", np.nan, "not_a_number"),
        ("logged_probability", 0.0, "zero_logged_probability"),
        ("target_probability", 1.5, "probability_out_of_range"),
        ("unsupported", 0.4, "missing_support"),
    ],
)
def test_parts_are_refused_as_the_whole_is(name: str, value: float, code: str, tmp_path: Path) -> None:
    """What is wrong in several parts is counted over all of them: the refusal is the same to the letter."""
    found = columns()
    found[name] = np.where(np.arange(N) % 1_000 == 7, value, found[name])
    pq.write_table(pa.table(found), tmp_path / "x.parquet")
    some, all_ = (plain(value_source(one, Limits())) for one in (Parted(tmp_path / "x.parquet", 100), in_memory(found)))
    assert some["refusal"]["code"] == code
    assert some["refusal"] == all_["refusal"]


@pytest.mark.parametrize("rows", [100, N])
def test_decisions_out_of_order_are_not_added_up(rows: int, tmp_path: Path) -> None:
    """A unit whose decisions lie apart in the file would count as two: nothing is said of it."""
    found = {name: np.roll(column, 2_000) for name, column in columns().items()}
    pq.write_table(pa.table(found), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="not in order of unit"):
        list(Parted(tmp_path / "x.parquet", rows).parts())


@pytest.mark.parametrize("cluster", [(), ("--cluster", "unit")], ids=["rows", "people"])
def test_a_large_table_is_read_in_parts(cluster: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command answers the same of a table in any order, held or not; beyond the limit it is not held."""
    found = columns()
    order = np.random.default_rng(71).permutation(N)
    pq.write_table(pa.table({name: column[order] for name, column in found.items()}), tmp_path / "x.parquet")
    words = ["ope", "--table", str(tmp_path / "x.parquet"), "--action", "action", "--reward", "reward", "--logged-probability"]
    words += ["logged_probability", "--target-probability", "target_probability", *cluster, "--where", "reward >= 0", "--json"]
    held = json.loads(CliRunner().invoke(app, words).stdout)
    monkeypatch.setattr(ope_source, "HELD_ROWS", N - 1)
    parted = json.loads(CliRunner().invoke(app, words).stdout)
    assert differing(parted, held) == []
    assert parted["estimates"] != held["estimates"]  # the bootstrap alone
