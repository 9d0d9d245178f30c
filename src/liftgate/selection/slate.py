"""Slates: slots filled one after the other without replacement, each from its own logged vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats
from liftgate.selection.draw import draw
from liftgate.selection.limits import Limits
from liftgate.selection.marginal import marginals
from liftgate.selection.policy import Policies, Worth

SCHEME = "sequential_without_replacement"


@dataclass(slots=True)
class Slates:
    """What was drawn, and from what. Not to be changed."""

    probability: Floats
    """[S, N, K] P(offer is chosen for the slot given the slots before it)."""
    choice: NDArray[np.intp]
    """[N, S], -1: nothing left or not asked for."""
    explored: Bools
    """[N] the first slot's draw fell in the explore mass."""
    marginal: Floats | None = None
    """[S, N, K] P(offer is chosen for the slot), whatever stands in the slots before it; NaN rows: too costly to know. None: one slot, or
    left out."""
    joint: Floats | None = None
    """[N] P(the whole slate as drawn): the product of its conditionals; 1 where nothing was drawn. None: one slot."""


def fill(
    worth: Worth,
    allowed: Bools,
    policies: Policies,
    of: NDArray[np.intp],
    slot_count: NDArray[np.intp] | Sequence[int],
    draws: Floats,
    limits: Limits | None = None,
    taken: NDArray[np.intp] | None = None,
    *,
    with_marginals: bool = True,
) -> Slates:
    """Fill up to S slots for N people from `draws` [N, S], by the policies `of` [N] them.

    With `taken` [N, S] slots hold what it says, -1 nothing, and nothing is drawn: a replay of what was done.

    What earlier slots spend of `limits` is no longer there for later ones, so two offers that share a cap's last place never stand in one
    slate. `with_marginals` False leaves them out.
    """
    slots = draws.shape[1]
    if slots == 1:
        explore, exploit = policies.vector(of, worth, allowed)
        chosen, explored = draw(explore, exploit, draws[:, 0])
        return Slates((explore + exploit)[None], chosen[:, None], explored)
    slot_count = np.asarray(slot_count, dtype=np.intp)
    n, k = allowed.shape
    probability = np.zeros((slots, n, k))
    choice = np.full((n, slots), -1, dtype=np.intp)
    explored = np.zeros(n, dtype=np.bool_)
    joint = np.ones(n)
    remaining = allowed
    room = None if limits is None or not limits.room.shape[1] else limits.room
    for s in range(slots):
        asked = remaining if s == 0 else remaining & (slot_count > s)[:, None]
        explore, exploit = policies.vector(of, worth, asked)
        probability[s] = explore + exploit
        chosen, exploring = draw(explore, exploit, draws[:, s])
        if taken is not None:
            chosen = taken[:, s]
        choice[:, s] = chosen
        if s == 0:
            explored = exploring
        rows = np.flatnonzero(chosen >= 0)
        joint[rows] *= probability[s, rows, chosen[rows]]
        if s + 1 < slots:
            remaining = remaining.copy()
            remaining[rows, chosen[rows]] = False
            if room is not None and limits is not None:
                room = room.copy()
                room[rows] -= limits.spends[chosen[rows]]
                remaining &= ((room <= 0).astype(np.int64) @ limits.holds.T) == 0
    marginal = marginals(worth, allowed, policies, of, slot_count, probability, limits) if with_marginals else None
    return Slates(probability, choice, explored, marginal, joint)
