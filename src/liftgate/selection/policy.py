"""Every policy as one whole probability vector, exploration included, over exactly the allowed offers. Rows may have different policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats
from liftgate.domain.policy import GroupPolicy, Policy, PolicyKind
from liftgate.selection.epsilon_greedy import epsilon_greedy
from liftgate.selection.random_propensity import random_propensity
from liftgate.selection.softmax import proportional, softmax
from liftgate.selection.thompson import spread_of, thompson

__all__ = ["GroupPolicy", "Policies", "Policy", "PolicyKind", "Worth"]

Vector = tuple[Floats, Floats]
"""[N, K] explore and [N, K] exploit mass: together a row sums to 1, or to 0 where nothing is allowed."""
_BLIND = ("uniform", "fixed", "random_propensity")
"""Kinds that do not look at what offers are expected to be worth: all of their mass explores."""


@dataclass(slots=True)
class Worth:
    """What policies look at: columns of N rows and K offers. Not to be changed; freezing it would cost more than a column does."""

    expected: Floats
    """[N, K] what choosing the offer is expected to be worth, in the bundle's currency."""
    certain: Floats | None = None
    """[N, K] what the outcome itself is worth: `expected` without the response; for thompson and random_propensity."""
    propensity: Floats | None = None
    """[N, K] P(outcome); for thompson."""
    untreated: Floats | None = None
    """[N, K] P(outcome without the offer), for thompson in uplift mode; None: offers are ranked by the outcome itself."""
    observations: Floats | None = None
    """[N, K] how many trials the propensity is known from, for thompson; NaN: as many as the policy says; None: of no offer."""

    def rows(self, some: NDArray[np.intp]) -> Worth:
        """Return the columns of some rows."""
        return Worth(self.expected[some], *(None if one is None else one[some] for one in self._more()))

    def cells(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Worth:
        """Return the columns of [M] rows at [M, C] offers of each."""
        some = rows[:, None], columns
        return Worth(self.expected[some], *(None if one is None else one[some] for one in self._more()))

    def _more(self) -> tuple[Floats | None, Floats | None, Floats | None, Floats | None]:
        return self.certain, self.propensity, self.untreated, self.observations


class Policies:
    """The policies that rows of a batch refer to by number, compiled once. Immutable."""

    def __init__(self, each: Sequence[Policy], groups: Sequence[GroupPolicy] = (), offers: int = 0) -> None:
        """`groups` select by themselves wherever a policy is not flat; `offers` is how many the bundle has."""
        self.each = tuple(each)
        self.groups = tuple(groups)
        grouped = [bool(groups) and not policy.flat for policy in each]
        self._mass: Floats = np.array([policy.even_mass for policy in each], dtype=np.float64)
        self._floor: Floats = np.array([policy.floor if policy.even else 0.0 for policy in each], dtype=np.float64)
        # Even policies without groups are one family: a batch of them is one pass, whatever their numbers.
        families = [0 if policy.even and not within else 1 + p for p, (policy, within) in enumerate(zip(each, grouped, strict=True))]
        self._family = np.array(families, dtype=np.intp)
        self._grouped = tuple(grouped)
        self._plain = not any(families)
        self._floored = bool(self._floor.any())
        self.by_part = any(policy.kind in ("thompson", "random_propensity") for policy in (*each, *(one.policy for one in groups)))
        """Some of them look at what worth is made of."""
        self.group_of: NDArray[np.int64] = np.full(offers, -1, dtype=np.int64)
        """[K] which of `groups` an offer is in, -1: none."""
        for g, one in enumerate(groups):
            self.group_of[list(one.offers)] = g
        self._weights = tuple(_weights(policy) for policy in each)
        self._group_weights = tuple(_weights(one.policy) for one in groups)

    def even(self, p: int) -> bool:
        """Say whether policy `p` only looks at which offers are worth most, groups left aside."""
        return not self._family[p]

    def vector(self, of: NDArray[np.intp], worth: Worth, allowed: Bools, columns: NDArray[np.intp] | None = None) -> Vector:
        """Return the vectors' two parts of [N] rows with the policies `of` them; `columns` [N, C]: which offers the columns are.

        Offers that are not allowed have 0; rows that allow none are 0.
        """
        if self._plain:
            return self._even(of, worth.expected, allowed)
        families = self._family[of]
        first = int(families[0]) if len(families) else 0
        if (families == first).all():
            return self._of_family(first, of, worth, allowed, columns)
        explore, exploit = np.zeros(allowed.shape), np.zeros(allowed.shape)
        for family in np.unique(families).tolist():
            rows = np.flatnonzero(families == family)
            there = None if columns is None else columns[rows]
            explore[rows], exploit[rows] = self._of_family(family, of[rows], worth.rows(rows), allowed[rows], there)
        return explore, exploit

    def _of_family(self, family: int, of: NDArray[np.intp], worth: Worth, allowed: Bools, columns: NDArray[np.intp] | None) -> Vector:
        if not family:
            return self._even(of, worth.expected, allowed)
        p = family - 1
        weights = _at(self._weights[p], columns)
        if not self._grouped[p]:
            return _one(self.each[p], worth, allowed, weights)
        return self._two_levels(self.each[p], worth, allowed, weights, columns)

    def _even(self, of: NDArray[np.intp], expected: Floats, allowed: Bools) -> Vector:
        mass = self._mass.take(of)
        if self._floored:
            floors = np.minimum(np.add.reduce(allowed, axis=1, dtype=np.float64) * self._floor[of], 1.0)
            mass = floors + (1.0 - floors) * mass
        return epsilon_greedy(expected, allowed, mass)

    def _two_levels(self, policy: Policy, worth: Worth, allowed: Bools, weights: Floats | None, columns: NDArray[np.intp] | None) -> Vector:
        """Return P(group) x P(offer | group): each group stands in the policy's own vector by its best allowed offer."""
        group = np.broadcast_to(self.group_of, allowed.shape) if columns is None else self.group_of[columns]
        entries = allowed.copy()
        every = np.arange(len(allowed))
        if weights is not None:
            weights = np.broadcast_to(weights, allowed.shape).copy()
        inside: list[tuple[Bools, NDArray[np.intp], Vector]] = []
        for g, one in enumerate(self.groups):
            own = allowed & (group == g)
            some = own.any(axis=1)
            if not some.any():
                continue
            best = np.where(own, worth.expected, -np.inf).argmax(axis=1)
            entries &= ~own
            entries[every, best] |= some
            if weights is not None:
                weights[every[some], best[some]] = np.where(own, weights, 0.0).sum(axis=1)[some]
            inside.append((own, best, _one(one.policy, worth, own, _at(self._group_weights[g], columns))))
        explore, exploit = _one(policy, worth, entries, weights)
        for own, best, (seeking, using) in inside:
            some = own.any(axis=1)
            exploring, exploiting = (np.where(some, part[every, best], 0.0)[:, None] for part in (explore, exploit))
            for part in (explore, exploit):
                part[own] = 0.0
            # Exploits where both levels do.
            exploit += exploiting * using
            explore += exploring * (seeking + using) + exploiting * seeking
        return explore, exploit


def _weights(policy: Policy) -> Floats | None:
    return np.array(policy.weights, dtype=np.float64) if policy.kind == "fixed" else None


def _at(weights: Floats | None, columns: NDArray[np.intp] | None) -> Floats | None:
    return weights if weights is None or columns is None else weights[columns]


def _one(policy: Policy, worth: Worth, allowed: Bools, weights: Floats | None) -> Vector:
    """Return the vectors of rows that all have one policy, groups left aside."""
    count = np.add.reduce(allowed, axis=1, dtype=np.float64)
    floor = np.minimum(policy.floor, 1.0 / np.maximum(count, 1.0))
    if policy.even:
        return epsilon_greedy(worth.expected, allowed, count * floor + (1.0 - count * floor) * policy.even_mass)
    base = (1.0 - count * floor)[:, None] * _shares(policy, worth, allowed, weights)
    least: Floats = allowed * floor[:, None]
    if policy.kind in _BLIND:
        return least + base, np.zeros(allowed.shape)
    masked = np.where(allowed, worth.expected, -np.inf)
    top = masked == np.maximum.reduce(masked, axis=1, keepdims=True)
    exploit = np.where(top, base, 0.0)
    return least + (base - exploit), exploit


def _shares(policy: Policy, worth: Worth, allowed: Bools, weights: Floats | None) -> Floats:
    """Return a policy's [N, K] vectors without its floor."""
    if policy.kind == "softmax":
        return softmax(worth.expected, allowed, policy.temperature, policy.relative)
    if policy.kind == "fixed" and weights is not None:
        return proportional(weights, allowed)
    if policy.kind == "thompson" and worth.certain is not None and worth.propensity is not None:
        seen: float | Floats = policy.evidence
        if worth.observations is not None:
            seen = np.where(np.isnan(worth.observations), policy.evidence, worth.observations)
        spread = spread_of(worth.certain, seen, worth.propensity, worth.untreated)
        return thompson(worth.expected, spread, allowed)
    if policy.kind == "random_propensity" and worth.certain is not None:
        return random_propensity(worth.certain, allowed)
    raise ValueError(f"policy {policy.kind} lacks what it looks at")
