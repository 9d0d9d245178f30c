"""Every answer in JSON carries the same keys, refused or not; one comparison stands for the whole answer."""

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
from liftgate.measure.envelope import KEYS, NUMBERS
from liftgate.record.frame import Stream
from tests.measure.log_files import START_MS, decided, write

N = 2_000
ARMS = ("--unit", "row", "--arm", "arm", "--control", "none")
SCORED = ("--score", "p", "--outcome", "y")
OPE = ("--action", "arm", "--reward", "y", "--logged-probability", "half", "--target-probability", "half", "--replicates", "0")


def run(*words: str) -> tuple[int, dict[str, Any]]:
    """A command's exit code and JSON."""
    result = CliRunner().invoke(app, [*words, "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A table of two arms with scores, one with a NaN, one with three arms, one whose split is wrong, a log, and a log with a gap."""
    folder, dice = tmp_path_factory.mktemp("envelope"), np.random.default_rng(61)
    treated = np.arange(N) % 2 == 1
    p = dice.uniform(0.1, 0.5, N)
    y = (dice.random(N) < p + 0.05 * treated).astype(np.float64)
    made = {"arm": np.where(treated, "mail", "none"), "p": p, "y": y, "at": np.arange(N) // 200, "half": np.full(N, 0.5)}
    tables = {
        "two": made,
        "nan": made | {"p": np.where(np.arange(N) == 7, np.nan, p), "y": np.where(np.arange(N) == 7, np.nan, y)},
        "three": made | {"arm": np.array(["none", "mail", "app"])[np.arange(N) % 3]},
        "odd": made | {"arm": np.where(np.arange(N) % 7 > 2, "mail", "none")},
    }
    paths = {}
    for name, columns in tables.items():
        paths[name] = str(folder / f"{name}.parquet")
        pq.write_table(pa.table(columns), paths[name])
    for name, lost in (("log", -1), ("gap", 30)):
        records = [decided(i, i, "holdout" if i % 5 == 0 else "treatment", START_MS + i) for i in range(60)]
        if lost > 0:
            write(folder / name, Stream.DECISION, records[:lost])
            write(folder / name, Stream.DECISION, records[lost + 1 :], first=lost + 1)
        else:
            write(folder / name, Stream.DECISION, records)
        paths[name] = str(folder / name)
    return paths


def asked(what: str, table: str) -> tuple[str, ...]:
    """The words of a question to a table."""
    if what == "drift":
        return (what, "--reference", table, "--current", table, "--column", "at", *SCORED)
    more = {
        "srm": ("--unit", "row", "--arm", "arm"),
        "lift": (*ARMS, "--metric", "y"),
        "sequential": (*ARMS, "--metric", "y", "--time", "at", "--every", "1", "--n-star", str(N)),
        "funnel": (*ARMS, "--step", "half", "--step", "y"),
        "uplift": (*SCORED, "--arm", "arm", "--control", "none", "--replicates", "50"),
        "calibration": SCORED,
        "ope": OPE,
        "power": ("--metric", "p", "--lift", "5%"),
    }
    return (what, "--table", table, *more[what])


SAID = {
    "lift": KEYS,
    "sequential": KEYS,
    "funnel": KEYS,
    "ope": KEYS,
    "uplift": ("estimate", "se", "ci_low", "ci_high", "p_value", "n", "definition"),
    "calibration": ("estimate", "se", "ci_low", "ci_high", "p_value", "n", "definition"),
    "drift": ("estimate", "p_value", "n", "definition"),
    "srm": ("p_value", "n", "definition"),
    "power": ("n", "definition"),
}
"""What is not null of an answer to a question that has one comparison."""


@pytest.mark.parametrize("what", SAID)
def test_an_answer_carries_every_key_and_null_where_there_is_no_such_thing(what: str, files: dict[str, str]) -> None:
    """Answered: `what` is the command, all keys are there, and those that the question has are not null."""
    code, found = run(*asked(what, files["two"]))
    assert (code, found["what"], found["refusal"]) == (0, what, None)
    assert [key for key in KEYS if key not in found] == []
    assert {key for key in KEYS if found[key] is not None} == set(SAID[what]) - {"refusal"}
    if "ci_low" in SAID[what]:
        assert found["ci_low"] <= found["estimate"] <= found["ci_high"]


REFUSED = [(what, "nan") for what in SAID if what not in ("drift", "srm")]
REFUSED += [(what, "odd") for what in ("srm", "lift", "uplift", "funnel", "sequential")]


@pytest.mark.parametrize(("what", "table"), REFUSED)
def test_a_refusal_carries_every_key_and_no_number(what: str, table: str, files: dict[str, str]) -> None:
    """Refused: all keys are there, the refusal has its three words, and no effect, interval or lift stands beside it."""
    code, found = run(*asked(what, files[table]))
    assert (code, found["what"]) == (3, what)
    assert [key for key in KEYS if key not in found] == []
    assert all(found["refusal"][word] for word in ("code", "why", "what_to_do"))
    assert [key for key in NUMBERS if found[key] is not None and key != "p_value"] == []
    assert found["p_value"] is None or what == "srm"


def test_a_log_answers_so_too(files: dict[str, str], tmp_path: Path) -> None:
    """`quality` and `table` carry the keys; of a log with a gap every question of it is refused with all of them."""
    code, found = run("quality", "--log", files["log"])
    assert (code, found["n"], bool(found["definition"])) == (0, {"HOLDOUT": 12, "TREATMENT": 48}, True)
    assert set(KEYS) <= found.keys()
    assert set(KEYS) <= run("table", "--log", files["log"], "--read-at", "2027-01-01", "--out", str(tmp_path / "x.parquet"))[1].keys()
    for words in (
        ("quality",),
        ("lift",),
        ("srm",),
        ("sequential", "--n-star", "50"),
        ("funnel",),
        ("uplift",),
        ("ope",),
        ("calibration",),
        ("drift",),
    ):
        code, found = run(*words, "--log", files["gap"])
        assert (code, found["what"], found["refusal"]["code"]) == (3, words[0], "log_gaps")
        assert set(KEYS) <= found.keys()


def test_the_whole_answer_is_that_of_its_one_comparison(files: dict[str, str]) -> None:
    """One comparison stands for the whole; of several there is none that does, and each has all the keys itself."""
    for what, parts in (("lift", "results"), ("funnel", "differences"), ("sequential", "comparisons")):
        one, several = (run(*asked(what, files[table]))[1] for table in ("two", "three"))
        each = list(one[parts].values()) if isinstance(one[parts], dict) else one[parts]
        assert {key: one[key] for key in (*NUMBERS, "n")} == {key: each[-1][key] for key in (*NUMBERS, "n")}
        assert [key for key in NUMBERS if several[key] is not None] == []
        each = list(several[parts].values()) if isinstance(several[parts], dict) else several[parts]
        assert all(set(one["n"]) == {one["arm"], "none"} for one in each)
    for part in run("calibration", "--table", files["two"], *SCORED, "--by", "arm")[1]["parts"].values():
        assert set(KEYS) <= part.keys()
