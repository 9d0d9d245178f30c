"""From the service's decisions to the lift: no effect reads as none and a planted one as what it is, by every estimator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from liftgate.measure.experiment import Asked
from liftgate.measure.lift import measure_lift
from liftgate.measure.lift_question import metric_of
from tests.loop.holdout_world import ARM, TREATED
from tests.loop.ledger import RUNS
from tests.loop.reading import Table, by_run, check_weights, found, long, question, slow, table
from tests.loop.shop import DAY_MS, START_MS
from tests.loop.truth import ARRIVAL_DAYS, SEEN, SHARE, WINDOW_DAYS, WORTH

pytestmark = [slow, long]
READ_AT = START_MS + (ARRIVAL_DAYS + WINDOW_DAYS + 1) * DAY_MS
ASKED = Asked(layer="universal", window_ms=WINDOW_DAYS * DAY_MS, before_ms=DAY_MS, read_at_ms=READ_AT)
TRIGGERED = 1 - SHARE["none"]
CUPED = (metric_of("click_count_before"),)


@pytest.fixture(scope="module")
def people(holdout_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Give everybody against the holdout."""
    return table(holdout_log, ASKED, tmp_path_factory.mktemp("loop") / "people.parquet")


@pytest.fixture(scope="module")
def triggered(people: Table) -> Table:
    """Give those for whom something would have been shown, held out or not."""
    return people.where(pc.field("triggered") == 1, "triggered")


def test_the_logged_probabilities_are_those_of_the_draws(holdout_log: Path) -> None:
    """Importance weights over the log average 1."""
    check_weights(holdout_log, "holdout world")


@pytest.mark.parametrize(
    ("name", "metric", "options"),
    [
        ("clicked", "click:binary", {}),
        ("clicks", "click_count:mean", {}),
        ("clicks, CUPED", "click_count:mean", {"covariates": CUPED}),
        ("carts a click, ratio", "cart_action_count:ratio:click_count", {}),
        ("clicks, stratified", "click_count:mean", {"strata": ("noon",)}),
    ],
    ids=["binary", "count", "cuped", "ratio", "stratified"],
)
@pytest.mark.parametrize("analysis", ["ITT", "triggered"])
def test_no_effect_reads_as_none(people: Table, triggered: Table, analysis: str, name: str, metric: str, options: dict[str, Any]) -> None:
    """A/A: of clicks, which no offer changes, as many intervals hold 0 as they promise."""
    rows = people if analysis == "ITT" else triggered
    by_run(rows, metric, **options).covers("zero effect", f"{analysis}, {name}", 0.0)


def test_the_planted_effect_is_recovered(people: Table, triggered: Table) -> None:
    """Purchases and what they are worth, by intention to treat and triggered: the intervals hold what was planted, and not 0."""
    for rows, name, share in ((people, "ITT", 1.0), (triggered, "triggered", TRIGGERED)):
        one = by_run(rows, "purchase:binary")
        one.covers("planted effect", f"{name}, purchase", TREATED / share)
        by_run(rows, "purchase_value:mean").covers("planted effect", f"{name}, value", WORTH * TREATED / share)
        by_run(rows, "purchase:binary", covariates=CUPED).covers("planted effect", f"{name}, purchase, CUPED", TREATED / share)
        # The control: an interval that held anything would hold 0, too.
        one.misses("planted effect", f"{name}, purchase, read as 0", 0.0, 8)
        assert one.holds(0.0) < 0.6 * RUNS


def test_the_effect_on_those_who_saw_is_recovered(people: Table) -> None:
    """CACE divides by the share that saw something: its intervals hold what seeing an offer does."""
    report = measure_lift(question(people, "purchase:binary", segments=("run",), exposed="exposed"))
    answers = [
        {"refusal": None, **{name: getattr(one["cace"], name) for name in ("estimate", "ci_low", "ci_high")}}
        for one in report["results"]
        if one["segment"]
    ]
    found(answers).covers("planted effect", "CACE, purchase", TREATED / TRIGGERED / SEEN)


@pytest.mark.parametrize(("layer", "arm", "control"), [("trial", "other", "control"), ("ablation", "random_allowed", "treatment")])
def test_an_arm_is_worth_what_its_policy_is(holdout_log: Path, tmp_path: Path, layer: str, arm: str, control: str) -> None:
    """An experiment's arm and an ablation arm against those who have the usual policy: the intervals hold the difference of the two."""
    asked = Asked(layer=layer, window_ms=WINDOW_DAYS * DAY_MS, read_at_ms=READ_AT)
    rows = table(holdout_log, asked, tmp_path / "arms.parquet")
    truth = ARM[arm] - ARM[control]
    for part, name, share in ((rows, "ITT", 1.0), (rows.where(pc.field("triggered") == 1, "triggered"), "triggered", TRIGGERED)):
        one = by_run(part, "purchase:binary", control, arm)
        one.covers("planted effect", f"{layer}, {name}, {arm} against {control}", truth / share)
        # The control: all runs together are far from 0, which single ones of few people are not.
        assert abs(one.mean_error(0.0)) > 4
        by_run(part, "click:binary", control, arm).covers("zero effect", f"{layer}, {name}, {arm} against {control}", 0.0)


def test_a_trigger_from_one_arm_alone_is_found_out(people: Table) -> None:
    """The control: with only those who saw something on the treated side, no effect reads as one, and the gate refuses the trigger."""
    columns = people.columns()
    assert columns["exposed"][columns["arm"] == "holdout"].sum() == 0
    lone = people.where((pc.field("arm") == "holdout") | (pc.field("exposed") == 1), "lone")
    wrong = by_run(lone, "purchase:binary", shares=("unknown",))
    wrong.misses("planted effect", "exposed against everybody held out", TREATED, 8)
    assert wrong.holds(TREATED) < 0.93 * RUNS
    assert measure_lift(question(lone, "purchase:binary"))["refusal"]["code"] == "sample_ratio_mismatch"
    report = measure_lift(question(people, "purchase:binary", triggered="exposed"))
    (exposed,) = (one for one in report["results"] if one["analysis"] == "triggered")
    assert exposed["refusal"]["code"] == "trigger_differs_by_arm"


def test_runs_read_together_are_runs_read_alone(people: Table) -> None:
    """What a segment's answer says of a run is what the run's own table says."""
    together = by_run(people, "purchase:binary")
    names = sorted(str(run) for run in range(RUNS))
    for at in (0, 7, 21):
        alone = people.where(pc.field("run") == names[at], f"run-{names[at]}")
        one = measure_lift(question(alone, "purchase:binary", triggered="triggered"))["results"][0]
        assert one["estimate"] == pytest.approx(together.estimate[at], abs=1e-12)
        assert (one["ci_low"], one["ci_high"]) == pytest.approx((together.low[at], together.high[at]), abs=1e-12)
