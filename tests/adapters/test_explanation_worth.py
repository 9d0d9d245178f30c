"""What explanations say of levers and weights: each with its place, what came of it and what it saw; factors that multiply to the worth."""

from __future__ import annotations

from math import isclose, nan, prod
from pathlib import Path

import pytest

from liftgate.adapters.bundle_archive import rulebook_of
from liftgate.adapters.explanation_of_record import explain_record
from liftgate.bundle.load import load_bundle
from liftgate.v1.decision_pb2 import CandidateExplanation, RuleOutcome
from liftgate.v1.record_pb2 import DecisionRecord, InputColumn, SlotProbabilities

BUNDLE = load_bundle(Path(__file__).parents[1] / "cases" / "bundles" / "worth")
RULES = rulebook_of(BUNDLE)
NOW_MS = 1_781_524_800_000
OFFERS = ["campaign", "gone", "for-the-young", "full-basket", "seasonal", "helps", "new"]


def explained(age: float, basket: float, channel: float) -> dict[str, CandidateExplanation]:
    """Return the explanation of every offer for somebody, the first being chosen."""
    columns = [InputColumn(name=one.name, type=one.type.value, values=one.values) for one in BUNDLE.schema.inputs]
    known = {"profile.age": age, "profile.spend": 12.0, "context.basket": basket, "context.channel": channel}
    record = DecisionRecord(
        decided_at_ms=NOW_MS,
        placement_id="home",
        candidate_offer_id=OFFERS,
        candidate_reason=[2, 1, 1, 1, 1, 55, 1],  # type: ignore[list-item]
        candidate_propensity=[1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5],
        candidate_value=[1.0, 2.0, 1.0, 1.0, 1.0, 4.0, 4.0],
        candidate_lever=[3.0, 1.0, 2.0, 1.0, 0.5, 1.0, 1.0],
        candidate_context_weight=[1.0, 1.0, 1.0, 4.0, 3.0, 1.0, 1.0],
        candidate_untreated_propensity=[0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0],
        candidate_smoothed_propensity=[1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.14],
        slots=[SlotProbabilities(probability=[1.0] + [0.0] * 6)],
        inputs=columns,
        input_value=[known.get(one.name, nan) for one in columns],
        input_state=[1] * len(columns),  # type: ignore[list-item]
    )
    return {one.offer_id: one for one in explain_record(record, RULES).candidates}


def outcomes(entry: CandidateExplanation) -> list[tuple[str, str, list[str]]]:
    """Return (section, outcome, what it saw) of every lever and weight."""
    names = {value: name.removeprefix("RULE_OUTCOME_") for name, value in RuleOutcome.items()}
    return [(rule.section, names[rule.outcome], list(rule.saw)) for rule in entry.rules if rule.section in ("levers", "context_weight")]


def test_levers_count_within_their_dates() -> None:
    """A lever within its dates counted, one that ends at that very moment did not; both saw the clock."""
    entries = explained(40.0, 60.0, 0.0)
    clock = ["now = 2026-06-15T12:00:00.000Z"]
    assert outcomes(entries["campaign"]) == [("levers", "COUNTED", clock)]
    assert outcomes(entries["gone"]) == [("levers", "NOT_COUNTED", clock)]


@pytest.mark.parametrize(
    ("age", "outcome", "saw"),
    [(40.0, "COUNTED", "profile.age = 40"), (50.0, "NOT_COUNTED", "profile.age = 50"), (nan, "NOT_KNOWN", "profile.age is not known")],
)
def test_a_condition_counts_does_not_or_cannot_be_told(age: float, outcome: str, saw: str) -> None:
    """Three things may come of a lever's condition, and what it saw is said."""
    assert outcomes(explained(age, 60.0, 0.0)["for-the-young"]) == [("levers", outcome, [saw])]


def test_a_groups_levers_are_told_with_the_offers_own() -> None:
    """Levers and weights of the group stand first, with the group's name and file and line."""
    entry = explained(40.0, 60.0, 0.0)["seasonal"]
    assert [(rule.section, rule.group) for rule in entry.rules] == [("context_weight", "season"), ("levers", "season"), ("levers", "")]
    assert all(rule.rule.startswith("bundle.yaml:") for rule in entry.rules)
    assert [outcome for _, outcome, _ in outcomes(entry)] == ["COUNTED"] * 3


def test_factors_multiply_to_the_expected_worth() -> None:
    """Each factor has its name and value; the response is the smoothed one, the difference, or the propensity."""
    found = explained(40.0, 60.0, 0.0)
    assert {"helps", "new", "seasonal"} < found.keys()
    for offer, entry in found.items():
        factors = {one.name: one.value for one in entry.factors}
        assert isclose(entry.expected_value, prod(factors.values()))
        response = {"helps": ("uplift", 0.0), "new": ("smoothed_propensity", 0.14)}.get(offer, ("propensity", 1.0))
        assert next(iter(factors.items())) == response
        assert list(factors)[1:] == ["context_weight", "value", "lever"]
        shares = [one.share for one in entry.factors if one.HasField("share")]
        assert shares == [] if offer == "helps" else isclose(sum(shares), 1.0)
