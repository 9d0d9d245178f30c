"""An approval covers what arms do with an offer: no experiment shows somebody a thing that nobody approved."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from liftgate.adapters.review_words import words
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from tests.properties.arm_bundles import MODELS

TEXT = """\
bundle: bank
currency: EUR
time_zone: UTC
profile_purpose: none
features:
  age: {type: int}
  spend: {type: float, default: 10.0}
models:
  likes: {version: 1, outcome: click, horizon: 1d}
review_policy: {value_above: 500.0}
offers:
  loan: {value: 9.0, sensitive: true, propensity: likes, suitable_if: 'profile.age > 25'}
  other: {value: 1.0}
placements:
  hero: {offers: [loan, other], select: {policy: epsilon_greedy, epsilon: 0.1}}
  side: {offers: [other], select: {policy: epsilon_greedy, epsilon: 0.1}}
layers:
  universal: {kind: holdout, salt: u, share: 0.1, answer: none}
"""
EXPERIMENT = "  tried: {{kind: experiment, salt: t, placements: [{place}], arms: {{control: 0.5, changed: {{share: 0.5, {changes}}}}}}}\n"
CONCERNS = {
    "offers: [loan]": "shown at side",
    "values: {loan: 20.0}": "worth 20 EUR",
    "models: {likes: 2}": "scored by likes@2 instead of likes",
}
ELSEWHERE = ("offers: [other]", "values: {other: 5.0}", "select: {policy: uniform}", "minimum_value: 0.1")


def bundle_of(text: str, tmp_path: Path) -> Bundle:
    """Return a bundle beside the models of the golden cases of arms."""
    (tmp_path / "bank").mkdir(exist_ok=True)
    (tmp_path / "bank" / "bank.yaml").write_text(text, encoding="utf-8")
    if not (tmp_path / "models").exists():
        shutil.copytree(MODELS, tmp_path / "models")
    return load_bundle(tmp_path / "bank")


def digest(text: str, tmp_path: Path) -> str:
    """Return what an approval of the loan is bound to."""
    bundle = bundle_of(text, tmp_path)
    return bundle.reviews[bundle.offer_index["loan"]].digest


@pytest.mark.parametrize("changes", CONCERNS)
def test_an_arm_that_does_something_with_the_offer_voids_its_approval(changes: str, tmp_path: Path) -> None:
    """Shown elsewhere, at another worth, or scored by another model: that is to be approved anew, and stands in the words."""
    text = TEXT + EXPERIMENT.format(place="side", changes=changes)
    assert digest(text, tmp_path) != digest(TEXT, tmp_path)
    bundle = bundle_of(text, tmp_path)
    said = "\n".join(words(bundle.reviews[bundle.offer_index["loan"]].text))
    assert f"in arm changed of layer tried: {CONCERNS[changes]}" in said


@pytest.mark.parametrize("changes", ELSEWHERE)
def test_an_arm_that_does_not_keeps_it(changes: str, tmp_path: Path) -> None:
    """What an arm does with other offers, or how it chooses, is no part of an approval."""
    assert digest(TEXT + EXPERIMENT.format(place="hero", changes=changes), tmp_path) == digest(TEXT, tmp_path)


def test_setting_suitability_aside_is_to_be_approved(tmp_path: Path) -> None:
    """An arm with eligibility only shows a sensitive offer to people whom it does not suit: nobody does that unasked."""
    aside = TEXT + "  impact: {kind: ablation, salt: i, arms: {eligibility_only: 0.1}}\n"
    assert digest(aside, tmp_path) != digest(TEXT, tmp_path)
    bundle = bundle_of(aside, tmp_path)
    said = "\n".join(words(bundle.reviews[bundle.offer_index["loan"]].text))
    assert "in arm eligibility_only of layer impact: shown to people for whom suitable_if does not hold" in said
    others = TEXT + "  impact: {kind: ablation, salt: i, arms: {random_allowed: 0.1, no_levers: 0.1}}\n"
    assert digest(others, tmp_path) == digest(TEXT, tmp_path)
    away = TEXT + "  impact: {kind: ablation, salt: i, placements: [side], arms: {eligibility_only: 0.1}}\n"
    assert digest(away, tmp_path) == digest(TEXT, tmp_path)


def test_an_arm_does_not_raise_a_worth_past_review(tmp_path: Path) -> None:
    """An offer that an arm makes worth more than the limit of `value_above` is sensitive."""
    bundle = bundle_of(TEXT + EXPERIMENT.format(place="hero", changes="values: {other: 900.0}"), tmp_path)
    assert bundle.offer_index["other"] in bundle.reviews
    assert bundle_of(TEXT, tmp_path).offer_index["other"] not in bundle_of(TEXT, tmp_path).reviews
