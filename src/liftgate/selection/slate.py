"""Slates: slots filled one after the other without replacement, each from its own logged vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats
from liftgate.selection.draw import draw
from liftgate.selection.epsilon_greedy import epsilon_greedy

SCHEME = "sequential_without_replacement"


@dataclass(frozen=True, slots=True)
class Slates:
    """What was drawn, and from what."""

    probability: Floats
    """[S, N, K] P(offer is chosen for the slot given the slots before it)."""
    choice: NDArray[np.intp]
    """[N, S], -1: nothing left or not asked for."""
    explored: Bools
    """[N] the first slot's draw fell in the explore mass."""


def fill(
    expected: Floats,
    allowed: Bools,
    epsilon: Floats,
    slot_count: NDArray[np.intp],
    draws: Floats,
    cap_room: NDArray[np.int64],
    spends: NDArray[np.int64],
    holds: NDArray[np.int64],
) -> Slates:
    """Fill up to S slots for N people from `draws` [N, S].

    `cap_room` [N, C] says how many more each cap allows, `spends` [K, C] is 1 where a chosen offer is charged to a cap and `holds` [K, C]
    where a full cap holds an offer back: what earlier slots spend is no longer there for later ones, so two offers that share a cap's
    last place never stand in one slate.
    """
    n, k = expected.shape
    slots = draws.shape[1]
    if slots == 1:
        explore, exploit = epsilon_greedy(expected, allowed, epsilon)
        chosen, explored = draw(explore, exploit, draws[:, 0])
        return Slates((explore + exploit)[None], chosen[:, None], explored)
    probability = np.zeros((slots, n, k))
    choice = np.full((n, slots), -1, dtype=np.intp)
    explored = np.zeros(n, dtype=np.bool_)
    remaining = allowed
    for s in range(slots):
        asked = remaining if s == 0 else remaining & (slot_count > s)[:, None]
        explore, exploit = epsilon_greedy(expected, asked, epsilon)
        probability[s] = explore + exploit
        chosen, exploring = draw(explore, exploit, draws[:, s])
        choice[:, s] = chosen
        if s == 0:
            explored = exploring
        if s + 1 < slots:
            rows = np.flatnonzero(chosen >= 0)
            remaining = remaining.copy()
            remaining[rows, chosen[rows]] = False
            if spends.shape[1]:
                cap_room = cap_room.copy()
                cap_room[rows] -= spends[chosen[rows]]
                remaining &= ((cap_room <= 0).astype(np.int64) @ holds.T) == 0
    return Slates(probability, choice, explored)
