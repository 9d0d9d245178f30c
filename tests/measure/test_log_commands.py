"""Every question that can be asked of a log alone: the command's answer is that of the table which the log becomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from liftgate.app.cli.measure import app
from liftgate.record.frame import Stream
from liftgate.v1.reason_pb2 import Branch
from liftgate.v1.record_pb2 import DecisionRecord, InputColumn, SlotProbabilities
from tests.measure.log_files import HOUR_MS, START_MS, decided, happened, write

DAY_MS = 24 * HOUR_MS
LATE = ("--read-at", "2026-02-01")
SHARES = ("--share", "treatment=4", "--share", "holdout=1")
PEOPLE = 2_000


def run(*words: str) -> tuple[int, dict[str, Any]]:
    """A command's exit code and JSON."""
    result = CliRunner().invoke(app, [*words, "--json"])
    return result.exit_code, json.loads(result.stdout or result.stderr)


def write_log(log: Path, versions: int = 1, *, older: float = 0.0, factor: float = 1.0, picked: float = 1.0, rare: float = 0.5) -> Path:
    """Write a log: a fifth is held out; a score of 0.1 to 0.5 foretells who buys; under a second bundle inputs and outcomes may move.

    `picked`: outcomes of decisions that were not explored for each foretold; `rare`: the part that is explored.
    """
    dice, decisions, events = np.random.default_rng(8), [], []
    for i in range(PEOPLE):
        held, second = i % 5 == 0, versions > 1 and i >= PEOPLE // 2
        score, explored = float(dice.uniform(0.1, 0.5)), bool(dice.random() < rare)
        age, device = float(dice.normal(40, 10)) + older * second, float(dice.integers(0, 2))
        shown = "ab"[int(dice.random() < 0.5)]
        arm = "holdout" if held else "treatment"
        record = DecisionRecord.FromString(decided(i, i, arm, START_MS + i * 60_000, shown=(shown,), version="de"[second]))
        record.branch = Branch.BRANCH_EXPLORE if explored else Branch.BRANCH_EXPLOIT
        record.slot_count, record.scored = 1, True
        record.candidate_offer_id.extend(["a", "b"])
        record.candidate_propensity.extend([float("nan") if i == 1 else score] * 2)
        record.slots.append(SlotProbabilities(probability=[0.5, 0.5]))
        record.inputs.extend([InputColumn(name="profile.age", type="float")])
        record.inputs.append(InputColumn(name="context.device", type="string", values=["phone", "desk"]))
        record.input_value.extend([float("nan") if i % 50 == 0 else age, device])
        decisions.append(record.SerializeToString())
        at = START_MS + i * 60_000 + HOUR_MS
        if dice.random() < (score * (factor if second else 1.0) * (1.0 if explored else picked)) - 0.05 * held:
            events += [happened(10 * i, i, "purchase", at, 10.0), happened(10 * i + 1, i, "click", at)]
            events += [happened(10 * i + 2, i, "purchase", at + DAY_MS, 5.0)] if i % 4 == 1 else []
        if not held:
            events.append(happened(10 * i + 3, i, "exposure", at - 5, decision=i))
    write(log, Stream.DECISION, decisions)
    write(log, Stream.EVENT, events, writer=2)
    return log


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of one bundle."""
    return write_log(tmp_path_factory.mktemp("one") / "log")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of two bundles alike."""
    return write_log(tmp_path_factory.mktemp("two") / "log", 2)


ON_PEOPLE = {
    "sequential": (
        ("--metric", "purchase", "--n-star", "1000", "--every", "6h", *SHARES),
        ("--unit", "row", "--arm", "arm", "--control", "holdout", "--time", "assigned_at"),
    ),
    "funnel": (
        ("--step", "triggered", "--step", "exposure", "--step", "click", "--step", "purchase", "--step", "purchase_again", *SHARES),
        ("--unit", "row", "--arm", "arm", "--control", "holdout"),
    ),
}


@pytest.mark.parametrize("what", ON_PEOPLE)
def test_a_log_is_asked_as_its_table_of_people_is(what: str, one: Path, tmp_path: Path) -> None:
    """`--log` gives what `measure table` and the same question to that table give, and says of which log it speaks."""
    asked, roles = ON_PEOPLE[what]
    out = tmp_path / "people.parquet"
    assert run("table", "--log", str(one), *LATE, "--out", str(out))[0] == 0
    code, direct = run(what, "--log", str(one), *LATE, *asked)
    assert (code, direct.pop("log")["people"]) == (0, PEOPLE)
    assert direct == run(what, "--table", str(out), *roles, *asked)[1]


def test_the_funnel_of_a_log_goes_from_decision_to_retention(one: Path) -> None:
    """Left out, the steps are: chosen, shown, clicked, bought, bought again; held-out people are chosen for, too, and shown nothing."""
    code, found = run("funnel", "--log", str(one), *LATE, *SHARES)
    assert (code, found["steps"]) == (0, ["triggered", "exposure", "click", "purchase", "purchase_again"])
    held = next(each for each in found["funnels"] if each["arm"] == "holdout")
    assert [step["units"] for step in held["steps"][:2]] == [PEOPLE // 5, 0]
    assert run("funnel", "--log", str(one), *SHARES, "--window", "14d", "--open-windows", "refuse")[0] == 3
    assert run("funnel", "--log", str(one), "--time", "assigned_at")[0] == 2
    assert run("funnel", "--log", str(one), *LATE, *SHARES, "--segment", "context.device")[0] == 0


ON_DECISIONS = {
    "ope": (
        ("--replicates", "50"),
        ("--action", "offer", "--reward", "reward", "--logged-probability", "probability", "--target-probability", "even", "--cluster",
         "unit"),
    ),
    "calibration": (("--bins", "5"), ("--score", "score", "--outcome", "reward", "--where", "score is not null")),
}  # fmt: skip


@pytest.mark.parametrize("what", ON_DECISIONS)
def test_a_log_is_asked_as_its_table_of_decisions_is(what: str, one: Path, tmp_path: Path) -> None:
    """`--log` gives what `measure table --per decision` and the same question to that table give."""
    asked, roles = ON_DECISIONS[what]
    out = tmp_path / "decisions.parquet"
    assert run("table", "--per", "decision", "--log", str(one), *LATE, "--out", str(out))[0] == 0
    code, direct = run(what, "--log", str(one), *LATE, *asked)
    assert (code, direct.pop("log")["decisions"]) == (0, PEOPLE * 4 // 5)
    assert direct == run(what, "--table", str(out), *roles, *asked)[1]


def test_a_propensity_that_is_nan_is_no_score(one: Path, tmp_path: Path) -> None:
    """A NaN of the record is no value in the table, so that no reading stops at it."""
    code, found = run("table", "--per", "decision", "--log", str(one), *LATE, "--out", str(tmp_path / "d.parquet"))
    assert (code, found["rows"] - found["scored"]) == (0, 1)
    scores = pq.read_table(tmp_path / "d.parquet")["score"].to_pylist()
    assert all(score is None or score == score for score in scores)
    assert scores.count(None) == 1


def test_uplift_of_a_log_ranks_people_by_what_was_foretold_for_both_arms(one: Path) -> None:
    """The score stands for held-out people too, by what would have been shown; a wrong split says nothing."""
    code, found = run("uplift", "--log", str(one), *LATE, *SHARES, "--replicates", "50")
    assert code == 0
    assert found["n"]["holdout"] == PEOPLE // 5
    assert sum(found["n"].values()) >= PEOPLE - 1
    code, found = run("uplift", "--log", str(one), *LATE, "--share", "treatment=1", "--share", "holdout=1")
    assert (code, found["refusal"]["code"]) == (3, "sample_ratio_mismatch")


def test_drift_of_a_log_is_by_bundle_and_covers_inputs_scores_and_outcomes(two: Path) -> None:
    """The second bundle's decisions against the first's: every input, placement, offer, score and outcome, and calibration; all steady."""
    code, found = run("drift", "--log", str(two), *LATE)
    assert (code, found["alarm"], list(found["versions"])) == (0, False, ["e" * 64])
    (answer,) = found["versions"].values()
    assert {each["column"] for each in answer["columns"]} == {"placement", "offer", "outcome", "profile.age", "context.device", "score"}
    assert (answer["calibration"]["judged"], PEOPLE // 6 < answer["calibration"]["n"] < PEOPLE // 4) == ("explored", True)
    assert found["retrain"] is False


@pytest.mark.parametrize(("change", "retrain"), [({"older": 15.0}, False), ({"factor": 0.3}, True)], ids=["inputs", "outcomes"])
def test_drift_of_a_log_alarms_a_scheduler(change: dict[str, float], retrain: bool, tmp_path: Path) -> None:
    """Inputs that moved alarm and, where scores still hold, ask for no training; scores that hold no more ask for it. Both end with 4."""
    log = write_log(tmp_path / "log", 2, **change)
    code, found = run("drift", "--log", str(log), *LATE)
    assert (code, found["alarm"], found["retrain"]) == (4, True, retrain)
    assert "eeee" in found["why"]


@pytest.mark.parametrize(
    ("made", "code", "judged"),
    [
        ({"picked": 0.5}, 0, "explored"),
        ({"picked": 0.5, "versions": 2}, 0, "explored"),
        ({"picked": 0.5, "rare": 0.06}, 0, "explored"),
        ({"picked": 0.5, "rare": 0.01}, 4, "all"),
        ({"picked": 1 / 0.3, "factor": 0.3, "versions": 2}, 4, "explored"),
    ],
    ids=["halves", "bundles", "both halves", "too few", "explored ones are off"],
)
def test_drift_of_a_log_judges_scores_by_what_no_score_picked(made: dict[str, Any], code: int, judged: str, tmp_path: Path) -> None:
    """Picked decisions of which half as many buy as foretold ask for no training where explored ones are as foretold; of too few, all."""
    ended, found = run("drift", "--log", str(write_log(tmp_path / "log", **made)), *LATE, "--column", "device")
    (one,) = found["versions"].values()
    assert (ended, one["retrain"], one["calibration"]["judged"]) == (code, code == 4, judged)
    assert f"{one['calibration']['n']:,} explored decisions" in one["why"] if judged == "explored" else "too few are explored" in one["why"]


def test_drift_of_a_log_against_training_a_past_window_or_its_first_half(one: Path, two: Path, tmp_path: Path) -> None:
    """A table of what was trained on, rows of the log itself, and of one bundle the first half of the time can be the reference."""
    out = tmp_path / "trained.parquet"
    assert run("table", "--per", "decision", "--log", str(one), *LATE, "--input", "profile.age", "--out", str(out))[0] == 0
    code, found = run("drift", "--log", str(two), *LATE, "--reference", str(out))
    assert (code, len(found["versions"])) == (0, 2)
    assert all("profile.age" in {each["column"] for each in answer["columns"]} for answer in found["versions"].values())
    past = ("--reference-where", "decided_at < date '2026-01-02'", "--current-where", "decided_at >= date '2026-01-02'")
    code, found = run("drift", "--log", str(one), *LATE, *past)
    assert (code, found["reference"]) == (0, past[1])
    code, found = run("drift", "--log", str(one), *LATE, "--column", "age")
    (answer,) = found["versions"].values()
    assert (code, found["reference"]) == (0, "half = 'first'")
    assert {each["column"] for each in answer["columns"]} == {"placement", "offer", "outcome", "age", "score"}
    assert run("drift", "--log", str(one), *LATE, "--column", "nope")[0] == 2


@pytest.mark.parametrize(
    "words",
    [("lift",), ("sequential", "--n-star", "1000"), ("funnel",), ("uplift",), ("calibration",)],
    ids=lambda words: words[0],
)
def test_bundles_are_not_mixed(words: tuple[str, ...], two: Path) -> None:
    """Two bundles refuse; one of them, chosen by its version, is answered; so are strata, segments and parts where there are such."""
    shares = () if words[0] == "calibration" else SHARES
    asked = (*words, "--log", str(two), *LATE, *shares)
    code, found = run(*asked)
    assert (code, found["refusal"]["code"]) == (3, "mixed_versions")
    one = f"version = '{'d' * 64}'"
    assert run(*asked, "--where", one)[0] == 0
    apart = {"lift": "--stratum", "funnel": "--segment", "calibration": "--by"}.get(words[0])
    if apart:
        assert run(*asked, apart, "version")[0] == 0
    if words[0] == "calibration":
        assert set(run(*asked, "--by", "version")[1]["parts"]) == {"d" * 64, "e" * 64}


@pytest.mark.parametrize("what", ["lift", "sequential", "funnel", "ope", "uplift", "calibration", "drift", "srm"])
def test_a_question_has_one_source(what: str, one: Path) -> None:
    """Neither a table nor a log, or both, is asked wrongly."""
    table = "--reference" if what == "drift" else "--table"
    assert run(what)[0] == 2
    if what != "drift":
        assert run(what, "--log", str(one), table, "x.csv")[0] == 2
