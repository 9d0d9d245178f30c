"""What works in levers, weights and smoothing, and is probably not meant."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.schema import Group, OfferRule
from liftgate.bundle.sections import Draft

WIDE = 10.0
"""From here on levers and weights rank, and the model hardly does: propensities of one placement seldom differ more."""


def worth_cautions(draft: Draft, bundle: Bundle) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (path, caution)."""
    groups, credible = draft.section("groups", Group), bundle.worth.credibility
    for k, (name, offer) in enumerate(draft.section("offers", OfferRule).items()):
        rules = [rule for rule in (groups.get(offer.group or ""), offer) if rule is not None]
        times = widest(rules)
        if times >= WIDE:
            key = next(key for key in ("levers", "context_weight") for rule in (offer, *rules) if getattr(rule, key))
            text = f"levers and weights move its worth up to {times:.3g} times: what the model says will hardly matter"
            yield ("offers", name, key), text
        if credible is not None and credible[k] == 0.0:
            yield ("offers", name), "is smoothed and has no evidence: it ranks by its prior alone, whatever the model says"


def widest(rules: list[Group | OfferRule]) -> float:
    """Return the largest ratio by which levers and weights can move an offer's worth, up or down; 1: not at all."""
    factors = [lever.multiple for rule in rules for lever in rule.levers] + [one.weight for rule in rules for one in rule.context_weight]
    return max(prod(max(factor, 1.0) for factor in factors), 1.0 / prod(min(factor, 1.0) for factor in factors))
