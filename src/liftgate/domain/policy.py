"""Ways to select, as data: what turns what offers are worth into one whole probability vector. `selection/policy.py` computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PolicyKind = Literal["greedy", "epsilon_greedy", "softmax", "thompson", "uniform", "fixed", "random_propensity"]

DEFAULT_EVIDENCE = 100.0
"""Observations that a propensity counts for in Thompson sampling where nothing better is known."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One way to select. Everything that does not belong to its kind keeps its default."""

    kind: PolicyKind
    epsilon: float = 0.0
    """epsilon_greedy: mass spread evenly over the allowed offers, 0..1."""
    temperature: float = 0.0
    """softmax: above 0, see `relative`."""
    relative: bool = False
    """softmax: the temperature is a part of what the best allowed offer is expected to be worth; False: it is in the bundle's currency."""
    floor: float = 0.0
    """Least probability of every allowed offer, 0..1 / the number of candidates; what is left is shared as the policy says. Of an offer
    in a group that selects by itself: the group's."""
    evidence: float = DEFAULT_EVIDENCE
    """thompson: observations that a propensity counts for where its offer's trials are not declared, above 0."""
    weights: tuple[float, ...] = ()
    """fixed: [K] by the bundle's offers, above 0, 0 where none is declared."""
    flat: bool = False
    """Chooses among offers alone: groups that select by themselves do not."""

    @property
    def even(self) -> bool:
        """All that it needs of an offer's worth is whether it is the highest: greedy, epsilon_greedy and uniform."""
        return self.kind in ("greedy", "epsilon_greedy", "uniform")

    @property
    def blind(self) -> bool:
        """Does not look at what offers are expected to be worth: all of its mass explores."""
        return self.kind in ("uniform", "fixed", "random_propensity")

    @property
    def even_mass(self) -> float:
        """Mass that an even policy spreads over the allowed offers, its floor apart, 0..1."""
        return 1.0 if self.kind == "uniform" else self.epsilon


def in_words(policy: Policy, currency: str = "") -> str:
    """Return a policy with its numbers, in a few words: `softmax, temperature 0.2 EUR, floor 0.01`."""
    words = [f"epsilon {policy.epsilon:g}" if policy.kind == "epsilon_greedy" else policy.kind.replace("_", " ")]
    if policy.kind == "softmax":
        unit = "of the best" if policy.relative else currency
        words.append(f"temperature {policy.temperature:g} {unit}".rstrip())
    if policy.kind == "thompson":
        words.append(f"evidence {policy.evidence:g}")
    return ", ".join([*words, *([f"floor {policy.floor:g}"] if policy.floor else [])])


def least(policy: Policy, candidates: int, share: float | None = None) -> float:
    """Return the smallest probability of any of `candidates` allowed offers; 0: the policy guarantees none.

    With fewer allowed it is no smaller. `share`: for fixed, the smallest weight's part of all of them.
    """
    if candidates == 1:
        return 1.0
    floor = min(policy.floor, 1 / candidates)
    base = policy.even_mass / candidates if policy.even else (share or 0.0)
    return floor + (1 - candidates * floor) * base


@dataclass(frozen=True, slots=True)
class GroupPolicy:
    """A group that selects by itself: placements see it as one entry, worth what its best allowed offer is worth."""

    group: str
    offers: tuple[int, ...]
    """Indices into the bundle's offers."""
    policy: Policy
