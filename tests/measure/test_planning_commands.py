"""`liftgate measure power`, `sequential` and `funnel` as people and schedulers call them: JSON, words, and exit codes."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftgate.app.cli.main import main


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["measure", *words])
    code = ended.value.code
    assert isinstance(code, int)
    return code, capsys.readouterr().out


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code, out = _run(capsys, *words, "--json")
    return code, json.loads(out) if out else {}


def _written(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


@pytest.fixture
def experiment(tmp_path: Path) -> str:
    """20 days of 200 units, 3 in 10 against 4 in 10."""
    dice = np.random.default_rng(3)
    rows = []
    for i in range(4_000):
        treated = bool(dice.integers(2))
        rows.append(
            [f"{i:05d}", "mail" if treated else "none", int(dice.random() < 0.3 + 0.1 * treated), f"2026-01-{1 + i // 200:02d} 08:00:00"]
        )
    return _written(tmp_path / "x.csv", ["id", "arm", "bought", "at"], rows)


_TABLE = ["--unit", "id", "--arm", "arm", "--control", "none", "--metric", "bought", "--time", "at"]


def test_power_answers_in_units_days_and_conventions(capsys: pytest.CaptureFixture[str]) -> None:
    """The plan carries units by arm, days rounded up, its convention and the others'; people read the same numbers."""
    words = ["power", "--baseline", "0.1", "--lift", "10%", "--per-day", "1000"]
    code, found = _json(capsys, *words)
    assert code == 0
    assert (found["needs"][0]["n_control"], found["total_units"], found["days"]) == (14_749, 29_498, 30)
    assert found["needs"][0]["n_treatment"] + found["needs"][0]["n_control"] == found["total_units"]
    assert found["other_conventions"]["n_control"]["pooled_null"] == 14_751
    assert "29,498" in _run(capsys, *words)[1]


def test_power_with_units_gives_the_smallest_effect(capsys: pytest.CaptureFixture[str]) -> None:
    """Nine in ten treated: the small arm drives the deviation, as the formula says."""
    words = ["power", "--baseline", "12.5", "--sd", "40", "--units", "20000", "--share", "treatment=9", "--share", "control=1"]
    code, found = _json(capsys, *words)
    assert code == 0
    assert found["with_units"]["arms"][0]["mde"] == pytest.approx(2.801585 * 40 * (1 / 18_000 + 1 / 2_000) ** 0.5, rel=1e-6)


def test_power_deals_whole_units_that_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 10,001 units in three arms each arm has a whole number, and together they are all."""
    words = ["power", "--baseline", "0.1", "--units", "10001", "--share", "control=1", "--share", "a=1", "--share", "b=1"]
    code, found = _json(capsys, *words)
    assert code == 0
    arms = found["with_units"]["arms"]
    counts = [found["with_units"]["units"], arms[0]["n_control"], *(one["n_treatment"] for one in arms)]
    assert all(type(one) is int for one in counts)
    assert counts[0] == sum(counts[1:]) == 10_001


def test_power_takes_its_baseline_from_a_table(experiment: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A column of 0 and 1 is a rate; --where chooses the rows; `:mean` keeps its deviation."""
    code, found = _json(capsys, "power", "--table", experiment, "--metric", "bought", "--where", "arm = 'none'", "--lift", "5%")
    assert code == 0
    assert found["metric"]["kind"] == "binary"
    assert found["metric"]["baseline"] == pytest.approx(0.3, abs=0.03)
    assert _json(capsys, "power", "--table", experiment, "--metric", "bought:mean", "--lift", "5%")[1]["metric"]["kind"] == "mean"


@pytest.mark.parametrize(
    "words",
    [
        ["--baseline", "0.1"],
        ["--lift", "5%"],
        ["--baseline", "0.5", "--lift", "150%"],
        ["--baseline", "5", "--lift", "5%"],
        ["--baseline", "0.1", "--lift", "lots"],
        ["--baseline", "0.1", "--lift", "5%", "--effect", "0.1"],
        ["--baseline", "0.1", "--lift", "5%", "--control", "other"],
        ["--baseline", "0.1", "--days", "5"],
        ["--baseline", "9", "--sd", "2", "--lift", "5%", "--convention", "arcsine"],
    ],
)
def test_power_asked_wrongly_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What makes no sense is a misuse, with words and no numbers."""
    assert _run(capsys, "power", *words) == (2, "")


def test_sequential_says_plainly_whether_it_may_stop(experiment: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A large effect may stop before the end; the same looks as cumulative statistics give the same bounds."""
    code, found = _json(capsys, "sequential", "--table", experiment, *_TABLE, "--n-star", "4000")
    one = found["comparisons"]["mail"]
    assert code == 0
    assert found["may_stop"]
    assert one["direction"] == "up"
    assert one["ci_low"] < 0.1 < one["ci_high"]
    assert len(one["looks"]) == 20
    assert "MAY STOP" in _run(capsys, "sequential", "--table", experiment, *_TABLE, "--n-star", "4000")[1]
    weekly = _json(capsys, "sequential", "--table", experiment, *_TABLE, "--n-star", "4000", "--every", "1w")[1]
    assert len(weekly["comparisons"]["mail"]["looks"]) < 5
    assert weekly["comparisons"]["mail"]["ci_low"] == pytest.approx(one["ci_low"])


def test_cumulative_statistics_give_the_bounds_of_their_table(experiment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Means and variances kept at each look are as good as the rows."""
    with open(experiment) as file:
        rows = list(csv.DictReader(file))
    looks = []
    for day in range(1, 21):
        for arm in ("mail", "none"):
            seen = [int(row["bought"]) for row in rows if row["arm"] == arm and int(row["at"][8:10]) <= day]
            looks.append([day, arm, len(seen), repr(float(np.mean(seen))), repr(float(np.var(seen, ddof=1)))])
    path = _written(tmp_path / "looks.csv", ["look", "arm", "n", "mean", "variance"], looks)
    from_looks = _json(capsys, "sequential", "--cumulative", path, "--control", "none", "--n-star", "4000")[1]
    from_rows = _json(capsys, "sequential", "--table", experiment, *_TABLE, "--n-star", "4000")[1]
    assert len(from_rows["comparisons"]["mail"]["looks"]) > 10
    for one, other in zip(from_looks["comparisons"]["mail"]["looks"], from_rows["comparisons"]["mail"]["looks"], strict=True):
        assert [one[key] for key in ("ci_low", "ci_high", "p_value")] == pytest.approx(
            [other[key] for key in ("ci_low", "ci_high", "p_value")]
        )


@pytest.mark.parametrize(
    ("words", "code", "refused"),
    [
        (["--fixed-horizon", "5000"], 3, "peeking"),
        (["--fixed-horizon", "4000"], 0, None),
        (["--n-star", "4000", "--share", "mail=3", "--share", "none=1"], 3, "sample_ratio_mismatch"),
        (["--n-star", "4000", "--where", "id < '00020'"], 3, "too_few_events"),
        ([], 2, None),
        (["--n-star", "4000", "--every", "7"], 2, None),
        (["--n-star", "0"], 2, None),
    ],
)
def test_sequential_refuses(words: list[str], code: int, refused: str | None, experiment: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Peeking, a wrong split and too little are refused; no N*, a wrong span or N* 0 are misuse; a horizon that is reached is answered."""
    ended, found = _json(capsys, "sequential", "--table", experiment, *_TABLE, *words)
    assert ended == code
    assert ((found.get("refusal") or {}).get("code")) == refused


def test_the_relative_lift_holds_at_every_look_too(experiment: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its interval is Fieller's at the sequence's width: on the same side of 0 as that of the difference, and about as wide, relatively."""
    _, found = _json(capsys, "sequential", "--table", experiment, *_TABLE, "--n-star", "4000")
    one = found["comparisons"]["mail"]
    assert one["lift_ci_low"] < one["lift"] < one["lift_ci_high"]
    assert (one["lift_ci_low"] > 0) == (one["ci_low"] > 0)


def test_several_rows_of_a_unit_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A look counts a unit once: a table of orders is not a table of units."""
    path = _written(tmp_path / "x.csv", ["id", "arm", "bought", "at"], [["1", "none", 1, 1], ["1", "none", 0, 2], ["2", "mail", 0, 2]])
    code, found = _json(capsys, "sequential", "--table", path, *_TABLE, "--n-star", "10")
    assert (code, found["refusal"]["code"]) == (3, "several_rows_a_unit")


def test_funnel_answers_for_people_and_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Words name the drop-off and the assumption; JSON holds the same counts; options that belong together are asked for together."""
    rows = [[i, "ab"[i % 2], 1, int(i % 4 < 2), int(i % 8 == 0)] for i in range(400)]
    path = _written(tmp_path / "f.csv", ["id", "arm", "seen", "clicked", "bought"], rows)
    words = [
        "funnel",
        "--table",
        path,
        "--unit",
        "id",
        "--arm",
        "arm",
        "--control",
        "b",
        "--step",
        "seen",
        "--step",
        "clicked",
        "--step",
        "bought",
    ]
    code, found = _json(capsys, *words)
    assert code == 0
    assert {one["arm"]: [step["units"] for step in one["steps"]] for one in found["funnels"]} == {"a": [200, 100, 50], "b": [200, 100, 0]}
    out = _run(capsys, *words)[1]
    assert "not causal" in out
    assert "Assumed" in out
    assert _run(capsys, *words, "--window", "3d")[0] == 2
    assert _run(capsys, *words, "--recover", "seen=much")[0] == 2
    assert _json(capsys, *words, "--share", "a=3", "--share", "b=1")[0] == 3
