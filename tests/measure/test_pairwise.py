"""`measure lift --pairwise`: treatment arms against each other, as if one of them were the control, all corrected together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from liftgate.app.cli.hypotheses_readout import read_out
from liftgate.app.cli.measure import app
from liftgate.measure.multiplicity import adjust

WORDS = ("lift", "--unit", "row", "--arm", "arm", "--control", "none", "--metric", "spend", "--covariate", "before", "--stratum", "week")
N = 3_000


@pytest.fixture
def table(tmp_path: Path) -> str:
    """Three arms in two weeks: `app` earns as much as `mail`, both more than `none`."""
    dice = np.random.default_rng(62)
    arm, before = np.array(["none", "mail", "app"])[np.arange(N) % 3], dice.exponential(10, N)
    spend = before + dice.normal(5, 2, N) + 0.6 * (arm != "none")
    columns = {"arm": arm, "week": np.arange(N) // (N // 2), "before": before, "spend": spend, "due": (np.arange(N) // 3) % 2}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    return str(tmp_path / "x.parquet")


def run(*words: str) -> dict[str, Any]:
    """The JSON of a command that is answered."""
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("more", [(), ("--triggered", "due"), ("--segment", "due")], ids=["all", "triggered", "segments"])
def test_a_pair_is_what_it_is_with_one_of_them_as_control(table: str, more: tuple[str, ...]) -> None:
    """Two treatment arms against each other say what the same table without the control says, with CUPED, strata, trigger and segments."""
    found = run(*WORDS, "--table", table, *more, "--pairwise")
    pairs = [one for one in found["results"] if one["control"] == "app"]
    alone = [*WORDS[:6], "app", *WORDS[7:], "--where", "arm <> 'none'"]
    direct = run(*alone, "--table", table, *more)["results"]
    family = {"p_adjusted", "family", "significant"}
    assert len(pairs) == len(direct) > 0
    for one, other in zip(pairs, direct, strict=True):
        assert (one["arm"], set(one["n"])) == ("mail", {"mail", "app"})
        assert differing(one, other, family) == []


def differing(one: Any, other: Any, but: set[str], at: str = "") -> list[str]:
    """Where two results are not the same, numbers to 1e-9."""
    if isinstance(one, dict) and one.keys() == other.keys():
        return [words for key in one if key not in but for words in differing(one[key], other[key], but, f"{at}/{key}")]
    return [] if one == (pytest.approx(other, rel=1e-9, abs=1e-12) if isinstance(other, float) else other) else [f"{at}: {one} {other}"]


def test_pairs_are_of_the_same_family(table: str) -> None:
    """Three arms are three comparisons, corrected together; a readout is still against the control."""
    found, without = run(*WORDS, "--table", table, "--pairwise"), run(*WORDS, "--table", table)
    assert [(one["arm"], one["control"]) for one in found["results"]] == [("app", "none"), ("mail", "none"), ("mail", "app")]
    assert [one["estimate"] for one in found["results"][:2]] == [one["estimate"] for one in without["results"]]
    want = adjust([one["p_value"] for one in found["results"]])
    assert [one["p_adjusted"] for one in found["results"]] == pytest.approx(want.adjusted, rel=1e-12)
    assert [one["significant"] for one in found["results"]] == [True, True, False]
    path = Path(table).with_suffix(".json")
    path.write_text(json.dumps(found))
    assert read_out(path, "spend", "mail")["lift"] == without["results"][1]["lift"]


def test_people_see_which_arm_is_held_against_which(table: str) -> None:
    """One table for each arm that others are held against."""
    page = CliRunner().invoke(app, [*WORDS, "--table", table, "--pairwise"])
    assert page.exit_code == 0
    assert [line.strip() for line in page.stdout.splitlines() if line.startswith("Against")] == ["Against none", "Against app"]
