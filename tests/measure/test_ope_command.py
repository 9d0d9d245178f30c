"""`liftgate measure ope`: from a file to an answer, a refusal or a word about what was asked wrongly."""

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
from liftgate.measure.ope import Logged, estimate_all

Run = Callable[..., tuple[int, str, str]]
N = 2_000
COLUMNS = ("--action", "offer", "--reward", "spend", "--logged-probability", "p", "--target-probability", "p_new")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `liftgate measure ...` and gives its exit code, output and errors."""

    def runs(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["measure", *map(str, arguments)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return runs


def columns() -> dict[str, Any]:
    """Return a log of two offers at half each, of which the target prefers the better one, as columns."""
    dice = np.random.default_rng(9)
    better = dice.random(N) < 0.5
    return {
        "person": np.array([f"{i:04d}" for i in dice.integers(0, 900, N)]),
        "offer": np.where(better, "mug", "cap"),
        "spend": (dice.random(N) < np.where(better, 0.4, 0.2)) * 10.0,
        "p": np.full(N, 0.5),
        "p_new": np.where(better, 0.9, 0.1),
        "q": np.where(better, 4.0, 2.0),
        "q_new": np.full(N, 3.8),
        "lost": np.zeros(N),
    }


def write(path: Path, table: dict[str, Any]) -> Path:
    """Write columns to a CSV or Parquet file."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table(table), path)
    else:
        rows = zip(*(np.asarray(column).tolist() for column in table.values()), strict=True)
        path.write_text("\n".join([",".join(table), *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_json_is_the_closed_form(tmp_path: Path, run: Run, kind: str) -> None:
    """Estimates of a file, with clusters and predictions, are those of the same columns in memory, and DR is the headline."""
    table = columns()
    path = write(tmp_path / f"log.{kind}", table)
    more = ("--cluster", "person", "--q-logged", "q", "--q-target", "q_new", "--unsupported", "lost")
    code, out, _ = run("ope", "--table", path, *COLUMNS, *more, "--json")
    assert code == 0
    found = json.loads(out)
    want = estimate_all(
        Logged(table["spend"], table["p"], table["p_new"], cluster=table["person"], q_logged=table["q"], q_target=table["q_new"])
    )
    assert found["refusal"] is None
    assert [one["estimator"] for one in (found["on_log"], *found["estimates"])] == [one.estimator for one in want]
    for ours, theirs in zip((found["on_log"], *found["estimates"]), want, strict=True):
        for key in ("estimate", "se", "ci_low", "ci_high", "difference", "difference_se"):
            assert ours[key] == pytest.approx(getattr(theirs, key), rel=1e-9, abs=1e-9)
    assert found["estimator"] == "dr"
    assert found["estimate"] == pytest.approx(3.8, abs=4 * found["se"])
    assert found["ci_low"] < found["estimate"] < found["ci_high"]
    assert (found["n"], found["units"]) == (N, len(set(table["person"])))
    assert found["definition"]
    assert found["p_value"] < 1e-3
    assert {one["action"] for one in found["actions"]} == {"mug", "cap"}


def test_people_read_a_sentence(tmp_path: Path, run: Run) -> None:
    """Without --json there is a table, the weights, and one sentence that answers."""
    code, out, _ = run("ope", "--table", write(tmp_path / "log.csv", columns()), *COLUMNS)
    assert code == 0
    assert "The other policy would have earned" in out
    assert "more than the" in out
    assert "Mind: actions that the log could never take" in out


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"p": np.where(np.arange(N) == 5, 0.0, 0.5)}, "zero_logged_probability"),
        ({"p": np.where(np.arange(N) == 5, np.nan, 0.5)}, "not_a_number"),
        ({"p_new": np.zeros(N)}, "missing_support"),
        ({"p_new": np.where(np.arange(N) % 2, 0.5, 0.2)}, "missing_support"),
        ({"p_new": np.where(np.arange(N) == 5, 1.0, 0.0), "p": np.where(np.arange(N) == 5, 1 / N, 0.5)}, "low_ess"),
    ],
)
def test_a_refusal_ends_with_3(tmp_path: Path, run: Run, spoil: dict[str, Any], code: str) -> None:
    """What the log cannot carry ends with 3, a code, a reason and what to do, in JSON and in words, and without an estimate."""
    path = write(tmp_path / "log.parquet", columns() | spoil)
    ended, out, _ = run("ope", "--table", path, *COLUMNS, "--json")
    assert ended == 3
    found = json.loads(out)
    assert found["refusal"]["code"] == code
    assert found["refusal"]["why"]
    assert found["refusal"]["what_to_do"]
    assert found.get("estimate") is None
    ended, out, _ = run("ope", "--table", path, *COLUMNS)
    assert ended == 3
    assert f"Refused ({code})" in out
    assert "would have earned" not in out.replace("would have earned a decision", "")


def test_an_empty_cell_and_a_person_without_a_name_are_refused(tmp_path: Path, run: Run) -> None:
    """A missing reward is not 0, and a row without its person is not a person."""
    path = tmp_path / "log.csv"
    lines = write(path, columns()).read_text(encoding="utf-8").splitlines()
    first = lines[1].split(",")
    for place, code in ((2, "not_a_number"), (0, "missing_key")):
        row = [cell if i != place else "" for i, cell in enumerate(first)]
        path.write_text("\n".join([lines[0], ",".join(row), *lines[2:]]) + "\n", encoding="utf-8")
        ended, out, _ = run("ope", "--table", path, *COLUMNS, "--cluster", "person", "--json")
        assert ended == 3
        assert json.loads(out)["refusal"]["code"] == code


def test_what_is_asked_wrongly_ends_with_2(tmp_path: Path, run: Run) -> None:
    """A column or file that is not there, and half a model, end with 2 and name what is wrong."""
    path = write(tmp_path / "log.csv", columns())
    code, _, err = run("ope", "--table", path, *COLUMNS[:-1], "nowhere")
    assert (code, "nowhere" in err) == (2, True)
    code, _, err = run("ope", "--table", tmp_path / "none.csv", *COLUMNS)
    assert (code, "none.csv" in err) == (2, True)
    code, _, err = run("ope", "--table", path, *COLUMNS, "--q-logged", "q")
    assert (code, "--q-target" in err) == (2, True)
    assert run("ope", "--table", path)[0] == 2


def test_limits_and_conditions_are_obeyed(tmp_path: Path, run: Run) -> None:
    """A higher ESS limit refuses what was answered, and --where chooses rows before anything is counted."""
    path = write(tmp_path / "log.csv", columns())
    assert json.loads(run("ope", "--table", path, *COLUMNS, "--min-ess-share", "0.99", "--json")[1])["refusal"]["code"] == "low_ess"
    found = json.loads(run("ope", "--table", path, *COLUMNS, "--where", "offer = 'mug'", "--json")[1])
    assert found["refusal"]["code"] == "mean_weight_off"
    assert [one["action"] for one in found["actions"]] == ["mug"]
