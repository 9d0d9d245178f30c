"""What works and is probably not meant: cautions about a compiled bundle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from liftgate.bundle.compiled import Bundle, Rule
from liftgate.bundle.conditions_program import ColumnCondition
from liftgate.bundle.layer_advice import advise_layers
from liftgate.bundle.mistake import Caution
from liftgate.bundle.rules import KINDS
from liftgate.bundle.sections import Draft
from liftgate.domain.batch import Bools

RARE = 0.005
"""Below it importance weights exceed 200 and few decisions carry most of an estimate."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """How rarely a placement tries its offers, if all of its candidates are allowed."""

    placement_id: str
    candidates: int
    epsilon: float

    @property
    def smallest_probability(self) -> float:
        """Probability of the least likely candidate: epsilon / candidates."""
        return self.epsilon / self.candidates if self.candidates > 1 else 1.0

    @property
    def largest_weight(self) -> float:
        """Largest importance weight in an off-policy estimate: its reciprocal, inf without exploration."""
        return 1 / self.smallest_probability if self.smallest_probability else float("inf")


def exploration(bundle: Bundle) -> tuple[Exploration, ...]:
    """Return one entry for each placement."""
    return tuple(Exploration(p.placement_id, len(p.offers), p.epsilon) for p in bundle.placements)


def advise(draft: Draft, bundle: Bundle) -> Iterator[Caution]:
    """Yield every caution about a bundle."""

    def caution(path: tuple[str, ...], text: str) -> Caution:
        file, line = draft.place(path)
        return Caution(file, line, ".".join(path), text)

    for each in exploration(bundle):
        path = ("placements", each.placement_id, "select", "epsilon")
        if each.candidates < 2:
            continue
        if not each.epsilon:
            yield caution(path, "0 explores nothing: what is not chosen today can never be learned about")
        elif each.smallest_probability < RARE:
            text = f"shows each of {each.candidates} offers with probability {each.smallest_probability:.4g} at least"
            yield caution(path, f"{text}: importance weights up to {each.largest_weight:,.0f}")
    if not any(layer.boundary for layer in bundle.layers):
        yield caution(("layers",), "nobody is held out: what the offers achieve cannot be measured")
    yield from advise_layers(draft, bundle)
    shown: Bools = np.array(bundle.candidates.any(axis=0))
    shown[[p.default_offer for p in bundle.placements if p.default_offer >= 0]] = True
    for k in np.flatnonzero(~shown):
        yield caution(("offers", bundle.offers[k].offer_id), "is in no placement and is never shown")
    used = {offer.group for offer in bundle.offers}
    for group in draft.entries["groups"]:
        if group not in used:
            yield caution(("groups", group), "has no offer")
    for kind in KINDS:
        never = kind == "suppress_if"
        rules: tuple[Rule, ...] = getattr(bundle, kind)
        for rule in rules:
            if isinstance(rule.condition, ColumnCondition) and rule.condition.always is never:
                for k in rule.offers:
                    yield caution(("offers", bundle.offers[k].offer_id), f"`{kind}` is always {str(never).lower()}: it is never shown")
