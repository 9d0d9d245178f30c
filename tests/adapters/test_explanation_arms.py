"""Arms in words: whoever asks why is told which arm of which layer had a hand in it."""

from __future__ import annotations

from typing import get_args

import pytest

from liftgate.adapters.explanation_arms import ABLATED
from liftgate.adapters.explanation_live import explain, record_of
from liftgate.adapters.explanation_words import summary
from liftgate.bundle.load import load_bundle
from liftgate.domain.variant import Ablation
from tests.pipeline.workbench import BUNDLES
from tests.properties.arm_bundles import everyone_in, walked

PLACES = {
    "random": "random_allowed",
    "unvalued": "propensity_only",
    "unlevered": "no_levers",
    "unruled": "eligibility_only",
    "unmodelled": "random_propensity",
}
CHANGES = {"newer-model": "models.likes: 2", "fewer": "offers: plain, extra", "dearer": "values.plain: 5", "explored": "select: uniform"}


def test_every_ablation_has_its_words() -> None:
    """No ablation goes unexplained."""
    assert set(ABLATED) == set(get_args(Ablation)) == set(PLACES.values())


@pytest.mark.parametrize("placement", PLACES)
def test_an_ablation_is_told(placement: str) -> None:
    """A decision in an ablation arm says in words what was left out, and as data which."""
    walk = walked(load_bundle(BUNDLES / "arms"), placement, people=3)
    for decision in walk.decisions:
        message = explain(walk.batch, walk.live.bundle, decision)
        assert message.ablation == PLACES[placement]
        assert f"layer {placement}" in message.summary
        assert ABLATED[PLACES[placement]] in message.summary  # type: ignore[index]


@pytest.mark.parametrize("placement", CHANGES)
def test_an_experiments_arm_is_told_with_what_it_changed(placement: str) -> None:
    """A decision in an experiment's arm names the arm, its layer and what it changed."""
    walk = walked(load_bundle(BUNDLES / "arms"), placement, people=3)
    (change,) = explain(walk.batch, walk.live.bundle, walk.decisions[0]).arm_changes
    assert (change.layer, list(change.changed)) == (placement, [CHANGES[placement]])
    assert f"arm {change.arm} of layer {placement}, which changed {CHANGES[placement]}." in summary(
        record_of(walk.batch, walk.live.bundle, walk.decisions[0])
    )


def test_a_held_out_person_is_told_the_arms_too() -> None:
    """What would have been offered to a held-out person came from their arms, and the explanation says so."""
    walk = walked(everyone_in(load_bundle(BUNDLES / "arms"), "universal", "holdout"), "random", people=3)
    message = explain(walk.batch, walk.live.bundle, walk.decisions[0])
    assert message.summary.startswith("The person is in a holdout")
    assert ABLATED["random_allowed"] in message.summary


def test_no_arm_no_word() -> None:
    """Where no arm changed anything, nothing is said of arms."""
    walk = walked(load_bundle(BUNDLES / "arms"), "control", people=3)
    assert "layer" not in explain(walk.batch, walk.live.bundle, walk.decisions[0]).summary
