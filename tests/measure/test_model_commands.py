"""`liftgate measure calibration`, `drift` and `uplift`: from files to answers, refusals, alarms and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from liftgate.app.cli.main import main
from liftgate.measure import calibration, uplift

Run = Callable[..., tuple[int, str, str]]
N = 4_000


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `liftgate measure ...` and gives its exit code, output and errors."""

    def runs(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["measure", *map(str, arguments)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return runs


def write(path: Path, **columns: Any) -> Path:
    """Write columns to a Parquet file."""
    pq.write_table(pa.table(columns), path)
    return path


def scored(seed: int, factor: float = 1.0, shift: float = 0.0) -> dict[str, Any]:
    """Return people with an age, a country, a score and an outcome that happens `factor` times as often as the score says."""
    dice = np.random.default_rng(seed)
    p = dice.uniform(0.05, 0.45, N)
    y = (dice.random(N) < factor * p).astype(np.float64)
    return {"age": dice.normal(40 + shift, 10, N), "country": dice.choice(["NL", "BE"], N), "p": p, "y": y}


def test_calibration_says_what_is_wrong(tmp_path: Path, run: Run) -> None:
    """The JSON of a file is the closed form of its columns, and the page ends with a verdict in words."""
    table = scored(1, factor=2.0)
    path = write(tmp_path / "scored.parquet", **table)
    code, out, _ = run("calibration", "--table", path, "--score", "p", "--outcome", "y", "--json")
    assert code == 0
    found, want = json.loads(out), calibration.measure(table["p"], table["y"])
    assert found["estimate"] == pytest.approx(want.observed_over_expected.estimate, rel=1e-12)
    assert found["measures"]["ece_quantile"] == pytest.approx(want.ece_quantile, rel=1e-12)
    assert found["calibrated"] is False
    assert found["refusal"] is None
    assert found["definition"]
    code, out, _ = run("calibration", "--table", path, "--score", "p", "--outcome", "y")
    assert code == 0
    assert "Not calibrated: scores are too low" in out


def test_calibration_refuses_and_is_asked_wrongly(tmp_path: Path, run: Run) -> None:
    """Too few outcomes end with 3, a column that is not there with 2."""
    path = write(tmp_path / "scored.parquet", p=np.full(100, 0.1), y=np.zeros(100))
    code, out, _ = run("calibration", "--table", path, "--score", "p", "--outcome", "y", "--json")
    assert (code, json.loads(out)["refusal"]["code"]) == (3, "too_few_events")
    assert run("calibration", "--table", path, "--score", "q", "--outcome", "y")[0] == 2


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """Return the reference of the drift tests."""
    return write(tmp_path / "trained.parquet", **scored(2))


COLUMNS = ("--column", "age", "--column", "country", "--score", "p")


def test_steady_columns_end_with_0(tmp_path: Path, run: Run, trained: Path) -> None:
    """Another week of the same people is steady: no alarm, do not train, exit 0, for numbers and categories."""
    now = write(tmp_path / "now.parquet", **scored(3))
    code, out, _ = run("drift", "--reference", trained, "--current", now, *COLUMNS, "--outcome", "y", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["alarm"], found["retrain"], found["refusal"]) == (False, False, None)
    assert {one["column"]: one["level"] for one in found["columns"]} == {"age": "steady", "country": "steady", "p": "steady"}
    code, out, _ = run("drift", "--reference", trained, "--current", now, *COLUMNS)
    assert code == 0
    assert "No: no column is beyond the alarm level" in out


@pytest.mark.parametrize(
    ("factor", "shift", "outcome", "retrain", "words"),
    [
        (1.0, 8.0, False, True, "Train again: age moved"),
        (1.0, 8.0, True, False, "Not yet: age moved"),
        (1.8, 0.0, True, True, "Train again: the scores no longer say what happens"),
    ],
)
def test_alarms_end_with_4(
    tmp_path: Path, run: Run, trained: Path, factor: float, shift: float, outcome: bool, retrain: bool, words: str
) -> None:
    """A moved input alarms, and asks for training unless outcomes show that scores still hold; lost calibration asks for it alone."""
    now = write(tmp_path / "now.parquet", **scored(4, factor, shift))
    asked = ("drift", "--reference", trained, "--current", now, *COLUMNS, *(("--outcome", "y") if outcome else ()))
    code, out, _ = run(*asked, "--json")
    found = json.loads(out)
    assert code == 4
    assert found["alarm"] is True
    assert found["retrain"] is retrain
    assert found["why"].startswith(words)
    code, out, _ = run(*asked)
    assert code == 4
    assert words in out


def test_rows_are_chosen_on_each_side(tmp_path: Path, run: Run) -> None:
    """One log split by a condition on each side compares two bundle versions."""
    a, b = scored(5), scored(6, shift=10)
    both = {name: np.concatenate([a[name], b[name]]) for name in a} | {"bundle": ["old"] * N + ["new"] * N}
    path = write(tmp_path / "log.parquet", **both)
    asked = ("drift", "--reference", path, "--current", path, "--column", "age", "--reference-where", "bundle = 'old'")
    assert run(*asked, "--current-where", "bundle = 'new'")[0] == 4
    assert run(*asked, "--current-where", "bundle = 'old'")[0] == 0


def test_missing_values_alarm_and_few_rows_are_refused(tmp_path: Path, run: Run, trained: Path) -> None:
    """Nulls and NaN both count as missing, and a comparison that chance would decide ends with 3 and no advice."""
    now = scored(7)
    ages = [None if i % 6 == 0 else float("nan") if i % 6 == 1 else age for i, age in enumerate(now["age"].tolist())]
    code, out, _ = run("drift", "--reference", trained, "--current", write(tmp_path / "now.parquet", age=ages), "--column", "age", "--json")
    assert code == 4
    assert json.loads(out)["columns"][0]["missing_current"] == pytest.approx(1 / 3, abs=1e-3)
    few = write(tmp_path / "few.parquet", age=now["age"][:60])
    code, out, _ = run("drift", "--reference", trained, "--current", few, "--column", "age", "--json")
    found = json.loads(out)
    assert (code, found["refusal"]["code"], found["retrain"]) == (3, "too_few_rows", None)


def test_names_of_inputs_stay_whole_at_80_columns(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long name is printed in one piece, figures that do not fit are left out by name; a wide terminal has them all."""
    dice = np.random.default_rng(80)
    name = "profile.app_installed_days"
    paths = [write(tmp_path / f"{i}.parquet", **{name: np.append(dice.normal(size=900), np.full(100, np.nan))}) for i in range(2)]
    for width, whole in (("80", False), ("160", True)):
        monkeypatch.setenv("COLUMNS", width)
        _, out, _ = run("drift", "--reference", paths[0], "--current", paths[1], "--column", name)
        assert f" {name} " in out
        assert ("Left out to fit: distance" in out) is not whole


def test_calibration_by_prints_figures(tmp_path: Path, run: Run) -> None:
    """Each value of the column has its rows and its observed over expected beside its verdict; JSON says what it is."""
    table = scored(21)
    table["version"] = np.where(np.arange(len(table["p"])) % 2, "v1", "v2")
    asked = ("calibration", "--table", write(tmp_path / "x.parquet", **table), "--score", "p", "--outcome", "y", "--by", "version")
    found = json.loads(run(*asked, "--json")[1])
    out = run(*asked)[1]
    assert found["what"] == "calibration"
    for one in found["parts"].values():
        assert str(one["measures"]["n"]) in out
        assert f"{one['estimate']:.3g} (" in out


def test_drift_is_asked_wrongly(run: Run, trained: Path) -> None:
    """No column, a column that is not there, and an outcome without a score end with 2."""
    both = ("drift", "--reference", trained, "--current", trained)
    assert run(*both)[0] == 2
    assert run(*both, "--column", "nowhere")[0] == 2
    assert run(*both, "--column", "age", "--outcome", "y")[0] == 2


def trial() -> dict[str, Any]:
    """Return a trial with two treatments; `gain` foresees the effect of the first."""
    dice = np.random.default_rng(8)
    arm, gain = dice.choice(["none", "mail", "call"], N), dice.random(N)
    return {"arm": arm, "gain": gain, "y": (dice.random(N) < 0.1 + 0.4 * gain * (arm == "mail")).astype(np.float64)}


def test_uplift_ranks_people(tmp_path: Path, run: Run) -> None:
    """The JSON of a file is the closed form of the two arms asked for, and the page says whether the order is worth anything."""
    table = trial()
    path = write(tmp_path / "trial.parquet", **table)
    asked = ("uplift", "--table", path, "--score", "gain", "--outcome", "y", "--arm", "arm", "--control", "none")
    code, out, _ = run(*asked, "--treatment", "mail", "--at", "0.2", "--json")
    assert code == 0
    found, kept = json.loads(out), table["arm"] != "call"
    want = uplift.measure(table["gain"][kept], table["arm"][kept] == "mail", table["y"][kept], at=(0.2,))
    assert (found["estimate"], found["ci_low"]) == pytest.approx((want.qini.estimate, want.qini.ci_low), rel=1e-9)
    assert len(found["measures"]["at"]) == 1
    assert len(found["measures"]["deciles"]) == 10
    assert "treated people" in found["definition"]
    assert "moves more than others" in run(*asked, "--treatment", "mail")[1]
    assert "cannot be told from a random one" in run(*asked, "--treatment", "call")[1]


def test_uplift_refuses_and_is_asked_wrongly(tmp_path: Path, run: Run) -> None:
    """A score that knows the arm ends with 3; an unknown or ambiguous arm and a share of 0 end with 2."""
    table = trial()
    path = write(tmp_path / "trial.parquet", **table, knows=table["gain"] + (table["arm"] == "mail"))
    asked = ("uplift", "--table", path, "--outcome", "y", "--arm", "arm", "--score")
    code, out, _ = run(*asked, "knows", "--control", "none", "--treatment", "mail", "--json")
    assert (code, json.loads(out)["refusal"]["code"]) == (3, "arm_depends_on_score")
    assert run(*asked, "gain", "--control", "nobody")[0] == 2
    assert run(*asked, "gain", "--control", "none")[0] == 2
    assert run(*asked, "gain", "--control", "none", "--treatment", "mail", "--at", "0")[0] == 2
