"""What another policy would have earned, from the log of this one: its true value lies in the intervals, and without support in none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftgate.measure import ope, ope_trust
from liftgate.measure.ope_table import value_decisions
from liftgate.measure.simulate import value_bundle
from tests.loop.ledger import REFUSE, RUNS, Row, note
from tests.loop.off_policy_world import BUNDLE, HOLDOUT, READ_AT, RULE, Target, target_of, walk_off_policy_world
from tests.loop.parts import walked
from tests.loop.reading import Found, check_mean_one, check_weights, found, long, slow
from tests.loop.shop import written
from tests.loop.truth import ALLOWED, BASE, CATALOG, EFFECT, HEAD, KINDS, SHARE, VALUES, by_kind, softmax

pytestmark = [slow, long]
OTHER = {"loan": 4.0, "card": 1.0, "gift": 2.0}
TEMPERATURE = 1.5
OTHER_BUNDLE = (
    HEAD
    + HOLDOUT
    + CATALOG.replace("temperature: 1.0", "temperature: 1.5")
    .replace("value: 3.0", "value: 4.0")
    .replace("card: {value: 2.0", "card: {value: 1.0")
    .replace("gift: {value: 1.0", "gift: {value: 2.0")
)
NEW = "  villa: {value: 2.0, eligible_if: 'context.rich > 0.5'}\nplacements:"
NEW_BUNDLE = BUNDLE.replace("placements:", NEW).replace("[loan, card, gift]", "[loan, card, gift, villa]")
VILLA = 0.5
"""What the new offer, which nobody was ever shown, would add."""


def value(policy: dict[str, dict[str, float]], effect: dict[str, float]) -> float:
    """Return the mean purchases a decision of a policy."""
    return sum(SHARE[kind] * (BASE[kind] + sum(p * effect[offer] for offer, p in policy[kind].items())) for kind in KINDS)


LOGGED = value(by_kind(VALUES), EFFECT)
TRUTH = value(by_kind(OTHER, TEMPERATURE), EFFECT)
_WITH_VILLA = {kind: softmax(VALUES | {"villa": 2.0}, (*offers, "villa") if kind == "rich" else offers) for kind, offers in ALLOWED.items()}
NEW_TRUTH = value(_WITH_VILLA, EFFECT | {"villa": VILLA})


@pytest.fixture(scope="module")
def log(shared: Path) -> Path:
    """Give the log of the policy that ran."""
    made = walked("off-policy", walk_off_policy_world, shared / "off-policy", RUNS)
    check_weights(made, "off-policy world")
    return made


@pytest.fixture(scope="module")
def other(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """Give the log under a bundle that ranks otherwise."""
    folder = tmp_path_factory.mktemp("loop")
    return target_of(log, written(OTHER_BUNDLE, folder / "bundle"), folder)


@pytest.fixture(scope="module")
def new(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """Give the log under a bundle with an offer that the log never shows."""
    folder = tmp_path_factory.mktemp("loop")
    return target_of(log, written(NEW_BUNDLE, folder / "bundle"), folder)


def valued(logged: ope.Logged, limits: ope_trust.Limits | None = None) -> dict[str, Any]:
    """Return what the command says of these decisions."""
    return value_decisions(logged, np.zeros(len(logged.reward), dtype=np.intp), ["any"], limits or ope_trust.Limits(), replicates=0)


def estimates(answers: list[dict[str, Any]], estimator: str) -> Found:
    """Return the intervals of one estimator over all runs; a refused run has none."""
    rows = []
    for one in answers:
        refused = {"refusal": None if one["refusal"] is None else {"code": one["refusal"].code}}
        mine = next((e for e in one.get("estimates", ()) if e.estimator == estimator), None)
        rows.append(refused | ({} if mine is None else {name: getattr(mine, name) for name in ("estimate", "ci_low", "ci_high")}))
    return found(rows)


def test_another_policys_value_is_recovered(other: Target) -> None:
    """IPS and SNIPS of the other bundle's policy: the intervals hold its true value, and not the value of the policy that ran."""
    assert other.again.found.differing == 0
    assert other.found.unsupported_mass == 0
    answers = [valued(logged) for logged, _ in other.runs()]
    for estimator in ("ips", "snips"):
        one = estimates(answers, estimator)
        assert one.runs == RUNS
        one.covers("another policy", estimator.upper(), TRUTH)
        # The control: an interval wide enough for anything would hold what was logged.
        one.misses("another policy", f"{estimator.upper()}, held against what ran", LOGGED, -8)
    gap = found([_difference(a) for a in answers])
    gap.covers("another policy", "difference to what ran, SNIPS", TRUTH - LOGGED)


def _difference(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer's difference to what ran; a refused one has none."""
    if answer["refusal"] is not None:
        return {"refusal": {"code": answer["refusal"].code}}
    return {"refusal": None} | {
        name: answer[f"difference{rest}"] for name, rest in (("estimate", ""), ("ci_low", "_ci_low"), ("ci_high", "_ci_high"))
    }


def test_target_weights_have_mean_one(other: Target) -> None:
    """The weights of the other bundle over the log average 1 within three standard errors."""
    weight = other.rows["target_probability"].to_numpy() / other.rows["logged_probability"].to_numpy()
    check_mean_one(weight, "another policy's, over the whole log")


def test_a_probability_from_before_filtering_reads_wrong(other: Target) -> None:
    """The control: with the probability that an offer had among all three, allowed or not, hardly an interval holds the truth."""
    before = softmax(VALUES, ("loan", "card", "gift"))
    answers = []
    for logged, rows in other.runs():
        wrong = np.array([before.get(action, 1.0) for action in rows["action"].to_pylist()])
        loose = ope_trust.Limits(mean_weight_tolerance=10.0)
        answers.append(valued(replace(logged, logged_probability=wrong), loose))
    one = estimates(answers, "ips")
    one.misses("another policy", "IPS by probabilities from before filtering", TRUTH, 8)
    assert one.holds(TRUTH) < 0.1 * RUNS


def test_without_support_every_run_is_refused(new: Target) -> None:
    """An offer that the log could not show: refused in every run, and what would be read otherwise is wrong in most."""
    answers = [valued(logged) for logged, _ in new.runs()]
    refused = sum(one["refusal"] is not None and one["refusal"].code == "missing_support" for one in answers)
    # The control: nobody says what the log lacks, and limits are loose.
    loose = ope_trust.Limits(mean_weight_tolerance=10.0)
    naive = estimates([valued(replace(logged, unsupported=None), loose) for logged, _ in new.runs()], "snips")
    note(Row("no support", "an offer that the log cannot show", len(answers), REFUSE, refused=refused, truth=NEW_TRUTH))
    naive.misses("no support", "SNIPS, were it not refused", NEW_TRUTH, -8)
    assert refused == RUNS
    assert naive.holds(NEW_TRUTH) < 0.8 * RUNS


def test_the_whole_log_is_valued_by_the_command_alike(log: Path, other: Target, new: Target) -> None:
    """What `liftgate simulate` says of the log is what its decisions, read here, say: one estimate over all runs, and one refusal."""
    said = value_bundle(other.table, log, None, RULE, read_at_ms=READ_AT, replicates=0)
    columns = together(other)
    mine = valued(columns)
    assert said["refusal"] is None
    assert said["decisions"] == len(columns.reward)
    assert (said["estimate"], said["ci_low"]) == pytest.approx((mine["estimate"], mine["ci_low"]), abs=1e-12)
    assert value_bundle(new.table, log, None, RULE, read_at_ms=READ_AT, replicates=0)["refusal"].code == "missing_support"


def together(target: Target) -> ope.Logged:
    """Return the decisions of all runs together."""
    parts = [logged for logged, _ in target.runs()]
    names = ("reward", "logged_probability", "target_probability", "unsupported", "cluster")
    return ope.Logged(**{name: np.concatenate([getattr(one, name) for one in parts]) for name in names})
