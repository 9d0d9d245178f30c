"""How rarely each policy of a bundle tries its offers. `liftgate bundle check` and `layers check` print it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.variant import variant_of
from liftgate.domain.input import Floats
from liftgate.domain.policy import GroupPolicy, Policy, least

RARE = 0.005
"""Below it importance weights exceed 200 and few decisions carry most of an estimate."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """How rarely a policy tries its offers, if all of its candidates are allowed; with fewer of them it is no rarer."""

    placement_id: str
    candidates: int
    policy: Policy
    smallest_probability: float
    """Of the least likely candidate for the first slot, as far as the policy guarantees one, 0..1."""
    layer: str = ""
    """The layer whose arm selects so; empty: the placement itself does."""
    arm: str = ""

    @property
    def largest_weight(self) -> float:
        """Largest importance weight in an off-policy estimate: the reciprocal, inf where nothing is guaranteed."""
        return 1 / self.smallest_probability if self.smallest_probability else float("inf")

    @property
    def where(self) -> str:
        """The placement, and the arm if one selects."""
        return f"{self.placement_id} in {self.layer}/{self.arm}" if self.layer else self.placement_id


def exploration(bundle: Bundle) -> tuple[Exploration, ...]:
    """Return one entry for each placement, then one for each arm that selects otherwise or among other offers, by placement."""
    return (*_placements(bundle), *_arms(bundle))


def smallest_probability(policy: Policy, offers: Sequence[int], groups: Iterable[GroupPolicy], certain: Floats) -> float:
    """Return the smallest probability that a policy guarantees any of the `offers` (indices) while all of them are allowed.

    `certain` [K]: what each outcome is worth, above 0; for random_propensity.
    """
    if not offers:
        return 0.0
    if policy.kind == "random_propensity":
        logs = np.sort(np.log(certain[list(offers)]))
        # See selection/random_propensity.py: the first term of its sum.
        return float(np.exp(len(logs) * logs[0] - logs.sum()) / len(logs))
    entries: list[tuple[list[int], Policy | None]] = []
    rest = set(offers)
    for one in () if policy.flat else groups:
        own = [k for k in one.offers if k in rest]
        if own:
            entries.append((own, one.policy))
            rest -= set(own)
    entries += [([k], None) for k in sorted(rest)]
    found = []
    for own, within in entries:
        inside = _least(within, [[k] for k in own], own) if within is not None else 1.0
        found.append(inside * _least(policy, [one for one, _ in entries], own))
    return min(found)


def _least(policy: Policy, entries: list[list[int]], own: list[int]) -> float:
    if policy.kind != "fixed":
        return least(policy, len(entries))
    weights = [sum(policy.weights[k] for k in one) for one in entries]
    mine = sum(policy.weights[k] for k in own) if own in entries else min(weights)
    return least(policy, len(entries), mine / sum(weights))


def _placements(bundle: Bundle) -> Iterator[Exploration]:
    for place in bundle.placements:
        offers = place.offers.tolist()
        smallest = smallest_probability(place.policy, offers, bundle.group_policies, bundle.value)
        yield Exploration(place.placement_id, len(offers), place.policy, smallest)


def _arms(bundle: Bundle) -> Iterator[Exploration]:
    for (layer, arm), effect in bundle.variation.effects.items():
        if effect.policy is None and effect.offers is None and effect.ablation not in ("random_allowed", "random_propensity"):
            continue
        where = bundle.layers[layer].placements
        for p in range(len(bundle.placements)) if where is None else where:
            variant = variant_of(bundle, p, ((layer, arm),))
            offers = np.flatnonzero(variant.candidates).tolist()
            smallest = smallest_probability(variant.policy, offers, bundle.group_policies, variant.value)
            name, arms = bundle.layers[layer].name, bundle.layers[layer].arms
            yield Exploration(bundle.placements[p].placement_id, len(offers), variant.policy, smallest, name, arms[arm].name)
