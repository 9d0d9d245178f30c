"""What arms change is exactly what they say, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftgate.adapters.onnx_models import OnnxModels
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import Branch, Reason
from tests.properties.arm_bundles import ABLATIONS, Counting, arms_of, document, everyone_in, guarded, vector, walked, written

SEEDS = range(8)
ARMS = ("control", "newer", "other", "fewer", "dearer", "seeking", "even", "picky")


@pytest.mark.parametrize("seed", SEEDS)
def test_every_arms_vector_is_that_of_the_long_way(seed: int, tmp_path: Path) -> None:
    """Whatever arms a row is in, its vector is the one that a plain reading of the bundle gives, and sums to 1 or to 0."""
    said = document(seed)
    bundle = written(tmp_path, said)
    seen = set()
    for placement in said["placements"]:
        walk = walked(bundle, placement, people=400)
        for row in range(walk.batch.n):
            got, want = walk.batch.probability[0, row], vector(said, walk, row)
            assert np.allclose(got, list(want.values()), rtol=0, atol=1e-6), (arms_of(walk, row), got, want)
            assert np.isclose(got.sum(), 1.0, atol=1e-12) or not got.any()
            assert not got[~walk.batch.allowed[row]].any()
            seen |= {(layer, arm) for layer, arm in arms_of(walk, row).items()}
    assert {("tried", arm) for arm in ARMS} | {("impact", arm) for arm in ABLATIONS} <= seen


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_flipping_an_arm_changes_nobodys_eligibility(seed: int, tmp_path: Path) -> None:
    """The same people, all of them in one arm and then in another: the guardrails say the same of every offer, and nobody's arm moves."""
    bundle = written(tmp_path, document(seed))
    usual = walked(bundle, "here")
    differing = 0
    for layer, arms in (("tried", ARMS), ("impact", (*ABLATIONS, "treatment"))):
        for arm in arms:
            walk = walked(everyone_in(bundle, layer, arm), "here")
            for row in range(walk.batch.n):
                assert guarded(walk, row) == guarded(usual, row)
                others = {name: its for name, its in arms_of(usual, row).items() if name != layer}
                assert {name: its for name, its in arms_of(walk, row).items() if name != layer} == others
                assert arms_of(walk, row)[layer] == arm
            assert walk.batch.held_out.tolist() == usual.batch.held_out.tolist()
            differing += bool((walk.batch.probability != usual.batch.probability).any())
    assert differing >= 8


def test_a_held_out_persons_would_offer_is_that_of_their_arms(tmp_path: Path) -> None:
    """Held out of everything or not, in every arm: what is chosen, by which vector, is the same."""
    bundle = written(tmp_path, document(3))
    shown, kept = (walked(everyone_in(bundle, "universal", arm), "here", people=400) for arm in ("treatment", "holdout"))
    assert kept.batch.held_out.all()
    assert not shown.batch.held_out.any()
    assert (shown.batch.probability == kept.batch.probability).all()
    assert [one.offered for one in shown.decisions] == [one.would_offer for one in kept.decisions]
    assert not any(one.offered for one in kept.decisions)
    assert {one.branch for one in kept.decisions} <= {Branch.HOLDOUT, Branch.FALLBACK}
    assert {one.branch for one in shown.decisions} >= {Branch.ABLATION, Branch.EXPLOIT}


def test_a_model_scores_nobody_whose_arms_do_not_use_it(tmp_path: Path) -> None:
    """Of two models for the same offers each is asked for the rows of its own arms, and for no other."""
    said = document(1)
    said["offers"] = {name: offer | {"propensity": "likes"} for name, offer in said["offers"].items()}
    for offer in said["offers"].values():
        for key in ("eligible_if", "suitable_if", "suppress_if"):
            offer.pop(key, None)
    bundle = written(tmp_path, said)
    models = Counting(OnnxModels.load(bundle))
    walk = walked(bundle, "here", people=300, models=models)
    by_arm = [arms_of(walk, row).get("tried", "") for row in range(walk.batch.n)]
    known = np.asarray(walk.batch.profile_state == ProfileState.FOUND)
    able = (np.any(walk.batch.allowed, axis=1) & known).tolist()
    count = {arm: sum(fine and one == arm for one, fine in zip(by_arm, able, strict=True)) for arm in ("newer", "other")}
    assert min(count.values()) > 10
    wanted = {("likes", 1): sum(able) - sum(count.values()), ("likes", 2): count["newer"], ("fond", 1): count["other"]}
    assert models.rows == wanted


def test_an_arms_record_names_what_it_changed(tmp_path: Path) -> None:
    """A variant says exactly the arms that change something at its placement, in the order of the layers."""
    bundle = written(tmp_path, document(2))
    for placement in ("here", "there"):
        walk = walked(bundle, placement, people=400)
        assert walk.batch.in_force is not None
        for row in range(walk.batch.n):
            arms = arms_of(walk, row)
            changing = [(layer, arm) for layer, arm in arms.items() if layer == "impact" and arm in ABLATIONS]
            changing += [(layer, arm) for layer, arm in arms.items() if layer == "tried" and arm != "control"]
            said = walk.batch.in_force[walk.batch.variant[row]]
            assert [(one.layer, one.arm) for one in said.changes] == changing
            assert said.ablation == (arms.get("impact") if arms.get("impact") in ABLATIONS else None)


def test_an_offer_that_an_arm_leaves_out_passed_everything_else(tmp_path: Path) -> None:
    """NOT_IN_ARM stands where the other arm's reason is none: a trigger is read from the record of either arm alike."""
    bundle = written(tmp_path, document(5))
    wide, narrow = (walked(everyone_in(bundle, "tried", arm), "here", people=200) for arm in ("control", "fewer"))
    out = narrow.batch.reason == Reason.NOT_IN_ARM
    assert out.any()
    assert set(np.unique(wide.batch.reason[out]).tolist()) <= {int(Reason.ALLOWED), int(Reason.NOT_IN_ARM)}


def test_layers_of_one_namespace_may_change_the_same_thing(tmp_path: Path) -> None:
    """Two experiments with the same offer's value and one namespace: each row has the value of the one that it is in, or the bundle's."""
    said = document(4)
    arms = {"control": 0.5, "dear": {"share": 0.5, "values": {"o0": 7.0}}}
    said["layers"] = {
        "first": {"kind": "experiment", "salt": "f", "exclusive": {"name": "n", "from": 0.0, "to": 0.5}, "arms": arms},
        "second": {
            "kind": "experiment",
            "salt": "s",
            "exclusive": {"name": "n", "from": 0.5, "to": 1.0},
            "arms": arms | {"dear": {"share": 0.5, "values": {"o0": 8.0}}},
        },
    }
    walk = walked(written(tmp_path, said), "there", people=200)
    values = walk.batch.value
    assert values is not None
    for row in range(walk.batch.n):
        in_force = [layer for layer, arm in arms_of(walk, row).items() if arm == "dear"]
        assert len(arms_of(walk, row)) == 1
        assert values[row, 0] == {"first": 7.0, "second": 8.0}.get("".join(in_force), said["offers"]["o0"]["value"])
    assert len(np.unique(values[:, 0])) == 3
