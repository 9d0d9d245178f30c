"""A plain lift: treatment against holdout, everyone counted where they were assigned, whatever they saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

Z95 = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Group:
    """One arm: how many people were assigned to it, and how many of them bought."""

    people: int
    buyers: int

    @property
    def rate(self) -> float:
        """Buyers per assigned person, 0 to 1."""
        return self.buyers / self.people

    @property
    def variance(self) -> float:
        """Of the rate; one outcome a person, so the person is the unit of both chance and analysis."""
        return self.rate * (1 - self.rate) / max(self.people - 1, 1)


@dataclass(frozen=True, slots=True)
class Lift:
    """Treatment minus holdout, in buyers per assigned person."""

    treatment: Group
    holdout: Group
    difference: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    relative: float
    """Difference over the holdout's rate."""


def lift(treatment: Group, holdout: Group) -> Lift:
    """Return the difference with its large-sample 95 % interval.

    Raises ValueError where an arm has under 100 people, or 5 buyers or non-buyers: the interval would be a guess.
    """
    for name, group in (("treatment", treatment), ("holdout", holdout)):
        if group.people < 100 or not 5 <= group.buyers <= group.people - 5:
            raise ValueError(f"the {name} has {group.people} people and {group.buyers} buyers: too few for an interval")
    difference = treatment.rate - holdout.rate
    margin = Z95 * sqrt(treatment.variance + holdout.variance)
    return Lift(treatment, holdout, difference, difference - margin, difference + margin, difference / holdout.rate)


def share_fits(held_out: int, people: int, share: float) -> bool:
    """Say whether the holdout's size fits its declared share: off by less than 3.3 standard errors (p > 0.001)."""
    return abs(held_out - people * share) < 3.29 * sqrt(max(people * share * (1 - share), 1.0))


def percentile(ordered: Sequence[float], p: float) -> float:
    """Return the value below which `p` (0 to 1) of an ascending sequence lies (nearest rank). NaN when it is empty."""
    if not ordered:
        return float("nan")
    return ordered[min(int(p * len(ordered)), len(ordered) - 1)]
