"""What works and is probably not meant: cautions about a compiled bundle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from liftgate.bundle.compiled import Bundle, Rule
from liftgate.bundle.conditions_program import ColumnCondition
from liftgate.bundle.exploration import RARE, Exploration, exploration
from liftgate.bundle.layer_advice import advise_layers
from liftgate.bundle.mistake import Caution
from liftgate.bundle.rules import KINDS
from liftgate.bundle.sections import Draft
from liftgate.bundle.worth_cautions import worth_cautions
from liftgate.domain.batch import Bools


def advise(draft: Draft, bundle: Bundle) -> Iterator[Caution]:
    """Yield every caution about a bundle."""

    def caution(path: tuple[str, ...], text: str) -> Caution:
        file, line = draft.place(path)
        return Caution(file, line, ".".join(path), text)

    for each in exploration(bundle):
        path, text = _exploring(each)
        if text:
            yield caution(path, text)
    if not any(layer.boundary for layer in bundle.layers):
        yield caution(("layers",), "nobody is held out: what the offers achieve cannot be measured")
    yield from advise_layers(draft, bundle)
    shown: Bools = np.array(bundle.candidates.any(axis=0))
    shown[[k for place in bundle.placements for k in place.defaults]] = True
    for k in np.flatnonzero(~shown):
        yield caution(("offers", bundle.offers[k].offer_id), "is in no placement and is never shown")
    used = {offer.group for offer in bundle.offers}
    for group in draft.entries["groups"]:
        if group not in used:
            yield caution(("groups", group), "has no offer")
    for owner, text in worth_cautions(draft, bundle):
        yield caution(owner, text)
    for kind in KINDS:
        never = kind == "suppress_if"
        rules: tuple[Rule, ...] = getattr(bundle, kind)
        for rule in rules:
            if isinstance(rule.condition, ColumnCondition) and rule.condition.always is never:
                for k in rule.offers:
                    yield caution(("offers", bundle.offers[k].offer_id), f"`{kind}` is always {str(never).lower()}: it is never shown")


def _exploring(each: Exploration) -> tuple[tuple[str, ...], str]:
    """Return where a policy explores too little and what to say of it, empty: nothing."""
    path: tuple[str, ...] = ("placements", each.placement_id, "select")
    if each.layer:
        path = ("layers", each.layer, "arms", each.arm)
    if each.candidates < 2:
        return path, ""
    kind = each.policy.kind
    if not each.layer and kind == "epsilon_greedy" and not each.policy.floor:
        path = (*path, "epsilon")
    at = f" at {each.placement_id}" if each.layer else ""
    if not each.smallest_probability:
        if kind == "epsilon_greedy":
            return path, f"0 explores nothing{at}: what is not chosen today can never be learned about"
        if kind == "greedy":
            return path, f"greedy explores nothing{at}: what is not chosen today can never be learned about; add `floor: 0.01`"
        return path, f"{kind} guarantees no offer{at} a smallest probability: importance weights have no bound; add `floor: 0.01`"
    if each.smallest_probability < RARE:
        text = f"shows each of {each.candidates} offers{at} with probability {each.smallest_probability:.4g} at least"
        return path, f"{text}: importance weights up to {each.largest_weight:,.0f}"
    return path, ""
