"""Slates: slots filled one after the other without replacement, each from its own logged vector."""

from __future__ import annotations

from collections.abc import Sequence
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


def fill(expected: Floats, allowed: Bools, lost: Sequence[Bools], epsilon: Floats, slot_count: NDArray[np.intp], draws: Floats) -> Slates:
    """Fill up to S slots for N people.

    `allowed` is the first attempt's set. `lost[a]` [N, K] holds the offers whose reservation has failed by the end of
    attempt a, each including the one before; `draws` is [A, N, S] with one more attempt than `lost`. A slot whose draw
    hits a lost offer is drawn again without all lost ones, and its probabilities are the compound of all attempts:
    p <- p restricted to what is left + (mass of what was lost) x (vector over what is left).
    """
    n, k = expected.shape
    slots = draws.shape[2]
    probability = np.zeros((slots, n, k))
    choice = np.full((n, slots), -1, dtype=np.intp)
    explored = np.zeros(n, dtype=np.bool_)
    rows = np.arange(n)
    remaining = allowed
    for s in range(slots):
        asked = remaining if s == 0 else remaining & (slot_count > s)[:, None]
        explore, exploit = epsilon_greedy(expected, asked, epsilon)
        vector = explore + exploit
        chosen, exploring = draw(explore, exploit, draws[0, :, s])
        for a, gone in enumerate(lost):
            explore, exploit = epsilon_greedy(expected, asked & ~gone, epsilon)
            mass = (vector * gone).sum(axis=1)
            vector = vector * ~gone + mass[:, None] * (explore + exploit)
            again, exploring_again = draw(explore, exploit, draws[a + 1, :, s])
            hit = (chosen >= 0) & gone[rows, chosen]
            chosen, exploring = np.where(hit, again, chosen), np.where(hit, exploring_again, exploring)
        probability[s], choice[:, s] = vector, chosen
        if s == 0:
            explored = exploring
        if s + 1 < slots:
            remaining = remaining.copy()
            remaining[rows[chosen >= 0], chosen[chosen >= 0]] = False
    return Slates(probability, choice, explored)
