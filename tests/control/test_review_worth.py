"""Levers and the like are part of what reviewers approve of a sensitive offer; a placement's minima are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from liftgate.adapters.review_words import words
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.domain.review import Review

MODELS = Path(__file__).parents[1] / "cases" / "bundles" / "worth" / "models"
TEXT = """
bundle: loans
currency: EUR
time_zone: UTC
profile_purpose: none
features: {age: {type: int}, spend: {type: float}}
context: {basket: {type: float}, weather: {type: float}}
models:
  buys: {version: 1, outcome: purchase, horizon: 7d}
  buys_anyway: {version: 1, outcome: purchase, horizon: 7d}
groups:
  credit: {sensitive: true, levers: [{name: season, percent: 20}]}
offers:
  loan:
    group: credit
    value: 9.0
    uplift: [buys, buys_anyway]
    levers: [{name: push, percent: 50, if: 'context.basket > 50.0'}]
    context_weight: [{if: 'context.basket < 5.0', weight: 0.5}]
    tier: 2
  plain: {value: 1.0, levers: [{name: push, percent: 50, if: 'context.weather > 5.0'}]}
placements:
  home: {offers: all, minimum_value: 0.5, select: {policy: epsilon_greedy, epsilon: 0.1}}
"""


def bundle(tmp_path: Path, before: str = "", after: str = "") -> Bundle:
    """Return the bundle with a text replaced, which must be there once."""
    assert not before or TEXT.count(before) == 1
    folder = tmp_path / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "bundle.yaml").write_text(TEXT.replace(before, after) if before else TEXT, encoding="utf-8")
    return load_bundle(folder, MODELS)


def review(of: Bundle) -> Review:
    """Return what is approved of the loan."""
    return of.reviews[of.offer_index["loan"]]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("percent: 50, if: 'context.basket > 50.0'", "percent: 60, if: 'context.basket > 50.0'"),
        ("'context.basket > 50.0'", "'context.basket > 40.0'"),
        ("weight: 0.5", "weight: 0.6"),
        ("percent: 20", "percent: 30"),
        ("    tier: 2\n", "    tier: 1\n"),
        ("[buys, buys_anyway]", "{treated: buys, untreated: buys_anyway, allow_negative: true}"),
        ("[buys, buys_anyway]", "[buys_anyway, buys]"),
    ],
)
def test_an_edit_of_worth_ends_the_approval(tmp_path: Path, before: str, after: str) -> None:
    """Any change of a lever, weight, tier or model of the offer or its group is another text."""
    assert review(bundle(tmp_path)).digest != review(bundle(tmp_path, before, after)).digest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("minimum_value: 0.5", "minimum_value: 0.7"),
        ("percent: 50, if: 'context.weather > 5.0'", "percent: 90, if: 'context.weather > 5.0'"),
        ("'context.basket > 50.0'", "'context.basket>50.0'"),
        ("weather: {type: float}", "weather: {type: float}, wind: {type: float}"),
    ],
)
def test_what_does_not_concern_the_offer_leaves_it(tmp_path: Path, before: str, after: str) -> None:
    """A placement's minimum, another offer's lever, the layout of a condition and inputs that nothing reads change no approval."""
    assert review(bundle(tmp_path)).digest == review(bundle(tmp_path, before, after)).digest


def test_reviewers_read_every_lever(tmp_path: Path) -> None:
    """The words of the text say the group's and the offer's levers, the weight, the tier and both models."""
    said = "\n".join(words(review(bundle(tmp_path)).text))
    for part in (
        "lever season: counts for 20 % more (from group credit)",
        "lever push: counts for 50 % more while the request's basket is more than 50",
        "counts for 0.5 times as much while the request's basket is less than 5",
        "priority 2 of 1 (first) to 9",
        "times how much more likely that is with it (model buys version 1",
        "without (model buys_anyway version 1",
        "the request's basket (a number)",
    ):
        assert part in said, part
    assert "weather" not in said
