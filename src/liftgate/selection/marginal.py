"""Per-slot marginals of slates drawn without replacement: P(offer stands in a slot), whatever stands before it. Exact, or not given.

What a slot is drawn from depends on the set of offers chosen before it and on nothing else, so the marginal of slot s + 1 is the sum over
sets R of s offers of P(R) times the vector that is left after R. Policies that only look at which offer is worth most need no sets: an
offer's chances depend on its rank and on how many better ones are gone. Other slates are enumerated up to BUDGET.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats
from liftgate.selection.limits import Limits
from liftgate.selection.policy import Policies, Worth

BUDGET = 2_000
"""Probabilities that one decision's marginals may be made of. Above it they are not given."""
_THOMPSON = 10
"""What one of its probabilities costs, in others."""
_CELLS = 1_000_000
"""Numbers worked on at once, about."""


def marginals(
    worth: Worth,
    allowed: Bools,
    policies: Policies,
    of: NDArray[np.intp],
    slot_count: NDArray[np.intp],
    probability: Floats,
    limits: Limits | None,
) -> Floats:
    """Return [S, N, K]: rows that cost more than BUDGET are NaN after the first slot, slots that are not asked for are 0.

    `probability` [S, N, K] are the conditionals, of which the first slot's are marginals already.
    """
    out = np.zeros(probability.shape)
    out[0] = probability[0]
    count = np.count_nonzero(allowed, axis=1)
    several = (slot_count > 1) & (count > 0)
    bound = np.zeros(len(allowed), dtype=np.bool_) if limits is None else limits.bind(allowed, slot_count)
    even = np.array([policies.even(p) for p in range(len(policies.each))], dtype=np.bool_)[of]
    simple = np.flatnonzero(several & even & ~bound)
    if simple.size:
        _by_rank(out, simple, worth.expected, allowed, policies, of, slot_count, count)
    rest = np.flatnonzero(several & ~(even & ~bound))
    if rest.size:
        keys = np.stack([of[rest], count[rest], slot_count[rest], bound[rest]], axis=1)
        for key in np.unique(keys, axis=0):
            rows = rest[(keys == key).all(axis=1)]
            p, n, slots, within = key.tolist()
            if cost(policies, p, n, slots) > BUDGET:
                out[1:slots, rows] = np.nan
                continue
            at_once = max(1, _CELLS // max(n * comb(n, min(slots - 1, n // 2)), 1))
            for start in range(0, len(rows), at_once):
                _by_set(out, rows[start : start + at_once], worth, allowed, policies, of, slots, n, limits if within else None)
    return out


def cost(policies: Policies, p: int, count: int, slots: int) -> int:
    """Return how many probabilities the marginals of a slate cost that must be enumerated, in the unit of BUDGET."""
    kinds = (policies.each[p], *(() if policies.each[p].flat else (group.policy for group in policies.groups)))
    each = _THOMPSON if any(policy.kind == "thompson" for policy in kinds) else 1
    return each * count * sum(comb(count, chosen) for chosen in range(1, min(slots, count + 1)))


def _by_rank(
    out: Floats,
    rows: NDArray[np.intp],
    expected: Floats,
    allowed: Bools,
    policies: Policies,
    of: NDArray[np.intp],
    slot_count: NDArray[np.intp],
    count: NDArray[np.intp],
) -> None:
    masked = np.where(allowed[rows], -expected[rows], np.inf)
    most = int(count[rows].max())
    order = np.argsort(masked, axis=1, kind="stable")[:, :most]
    ranked = np.take_along_axis(masked, order, axis=1)
    chance = np.zeros((len(out), len(rows), most))
    keys = (of[rows] * (allowed.shape[1] + 1) + count[rows]) * (len(out) + 1) + np.minimum(slot_count[rows], len(out))
    for key in set(keys.tolist()):
        rest, slots = divmod(key, len(out) + 1)
        p, n = divmod(rest, allowed.shape[1] + 1)
        policy = policies.each[p]
        chance[:slots, keys == key, :n] = ladder(policy.even_mass, policy.floor, n, slots)[:, None]
    tied = (ranked[:, 1:] == ranked[:, :-1]) & np.isfinite(ranked[:, 1:])
    if tied.any():
        # Sharing among equals is the same as drawing their order by lot first: each has the mean of their ranks.
        first = np.ones(ranked.shape, dtype=np.bool_)
        first[:, 1:] = ~tied
        run = np.add.accumulate(first.ravel(), dtype=np.intp) - 1
        size = np.bincount(run)
        for s in range(1, len(out)):
            chance[s] = (np.bincount(run, chance[s].ravel()) / size)[run].reshape(ranked.shape)
    for s in range(1, len(out)):
        out[s, rows[:, None], order] = chance[s]


@lru_cache(maxsize=1024)
def ladder(mass: float, floor: float, count: int, slots: int) -> Floats:
    """Return [slots, count] P(the offer of each rank stands in each slot), best first, without ties.

    `mass` is spread evenly and the rest goes to the best that is left, each offer having `floor` at least; all allowed offers are `count`.
    """
    out = np.zeros((slots, count))
    rank = np.arange(count, dtype=np.float64)[:, None]
    # Of the better ones a are gone, of the others s - a: P of that and of not being chosen yet.
    state = np.zeros((count, slots + 1))
    state[:, 0] = 1.0
    gone = np.arange(slots + 1, dtype=np.float64)[None, :]
    for s in range(min(slots, count)):
        left = count - s
        least = min(floor, 1.0 / left)
        evenly = least + (1.0 - left * least) * mass / left
        best = (1.0 - left * least) * (1.0 - mass)
        above, below = np.maximum(rank - gone, 0.0), np.maximum(count - 1 - rank - (s - gone), 0.0)
        first = above == 0
        out[s] = (state * (evenly + best * first)).sum(axis=1)
        moved = np.zeros_like(state)
        moved[:, 1:] = (state * (evenly * above + best * ~first))[:, :-1]
        state = moved + state * evenly * below
    out.setflags(write=False)
    return out


@lru_cache(maxsize=256)
def _sets(count: int, size: int) -> tuple[Bools, NDArray[np.intp], NDArray[np.intp]]:
    """Return every set of `size` out of `count`: [R, count] membership, [R, size] members, [R, size] the set without each member."""
    members = np.array(list(combinations(range(count), size)), dtype=np.intp).reshape(-1, size)
    inside = np.zeros((len(members), count), dtype=np.bool_)
    inside[np.arange(len(members))[:, None], members] = True
    place = {one: i for i, one in enumerate(combinations(range(count), size - 1))}
    without = np.array([[place[one[:i] + one[i + 1 :]] for i in range(size)] for one in combinations(range(count), size)], dtype=np.intp)
    return inside, members, without.reshape(-1, size)


def _by_set(
    out: Floats,
    rows: NDArray[np.intp],
    worth: Worth,
    allowed: Bools,
    policies: Policies,
    of: NDArray[np.intp],
    slots: int,
    count: int,
    limits: Limits | None,
) -> None:
    """Enumerate the slates of rows that allow `count` offers each."""
    columns = np.argsort(~allowed[rows], axis=1, kind="stable")[:, :count]
    vector = out[0, rows[:, None], columns][:, None, :]
    chance = np.ones((len(rows), 1))
    for size in range(1, min(slots, count)):
        inside, members, without = _sets(count, size)
        chance = (chance[:, without] * vector[:, without, members]).sum(axis=2)
        open_ = np.broadcast_to(~inside, (len(rows), *inside.shape))
        if limits is not None:
            used = np.matmul(inside.astype(np.int64), limits.spends[columns])
            full = (limits.room[rows][:, None, :] - used <= 0).astype(np.int64)
            open_ = open_ & (np.matmul(full, limits.holds[columns].transpose(0, 2, 1)) == 0)
        again = np.repeat(np.arange(len(rows)), len(inside))
        flat = columns[again]
        found = policies.vector(of[rows][again], worth.cells(rows[again], flat), open_.reshape(-1, count), flat)
        vector = (found[0] + found[1]).reshape(len(rows), len(inside), count)
        out[size, rows[:, None], columns] = np.matmul(chance[:, None, :], vector)[:, 0]
