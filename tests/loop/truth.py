"""Who comes to the shop, what they would do anyway, and what an offer does to them: the truth, worked out apart from the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.loop.shop import DAY_MS, Floats, Ints

KINDS = ("rich", "plain", "none")
SHARE = {"rich": 0.3, "plain": 0.5, "none": 0.2}
ALLOWED = {"rich": ("loan", "card", "gift"), "plain": ("card", "gift"), "none": ()}
BASE = {"rich": 0.30, "plain": 0.15, "none": 0.10}
"""P(a purchase) of a person of middling keenness who is shown nothing."""
EFFECT = {"loan": 0.40, "card": 0.25, "gift": 0.05}
"""What seeing an offer adds to it."""
SEEN = 0.8
DELAY_DAYS, WINDOW_DAYS, ARRIVAL_DAYS = 2.0, 7, 5
WORTH = 10.0
"""Mean value of a purchase."""
IN_WINDOW = 1 - np.exp(-WINDOW_DAYS / DELAY_DAYS)
VALUES = {"loan": 3.0, "card": 2.0, "gift": 1.0}
TEMPERATURE = 1.0

HEAD = """
bundle: loop
currency: EUR
time_zone: UTC
profile_purpose: none
context:
  rich: {type: float}
  open: {type: float}
"""
CATALOG = """
offers:
  loan: {value: 3.0, eligible_if: 'context.rich > 0.5'}
  card: {value: 2.0, eligible_if: 'context.open > 0.5'}
  gift: {value: 1.0, eligible_if: 'context.open > 0.5'}
placements:
  hero: {offers: [loan, card, gift], select: {policy: softmax, temperature: 1.0}}
"""


def softmax(values: Mapping[str, float], offers: Sequence[str], temperature: float = TEMPERATURE) -> dict[str, float]:
    """Return the probability of each offer."""
    weight = np.exp(np.array([values[one] for one in offers]) / temperature)
    return dict(zip(offers, weight / weight.sum(), strict=True))


def gain(policy: Mapping[str, Mapping[str, float]]) -> float:
    """Return what a policy adds to P(a purchase within the window) of a person: by kind, the probability of each offer."""
    added = (SHARE[kind] * p * EFFECT[offer] for kind, vector in policy.items() for offer, p in vector.items())
    return float(sum(added)) * SEEN * float(IN_WINDOW)


def by_kind(values: Mapping[str, float], temperature: float = TEMPERATURE) -> dict[str, dict[str, float]]:
    """Return the softmax policy over what each kind of people may be shown."""
    return {kind: softmax(values, offers, temperature) for kind, offers in ALLOWED.items()}


def evenly() -> dict[str, dict[str, float]]:
    """Return the policy that shows any allowed offer."""
    return {kind: dict.fromkeys(offers, 1 / max(len(offers), 1)) for kind, offers in ALLOWED.items()}


USUAL = gain(by_kind(VALUES))
BASELINE = sum(SHARE[kind] * BASE[kind] for kind in KINDS) * float(IN_WINDOW)
"""P(a purchase within the window) of a person who is shown nothing."""


@dataclass(frozen=True)
class People:
    """Those of one run, and their dice."""

    names: list[str]
    kinds: list[str]
    keen: Floats
    """0 to 1: what they do at all, before and after."""
    moments: Ints
    """When they come, over `ARRIVAL_DAYS`."""
    dice: np.random.Generator


def people(run: int, n: int, start_ms: int, world: str, days: float = ARRIVAL_DAYS) -> People:
    """Return the people of a run, the same every time."""
    dice = np.random.default_rng([run, n, *world.encode()])
    kinds = dice.choice(len(KINDS), n, p=[SHARE[kind] for kind in KINDS])
    moments = start_ms + np.sort(dice.integers(0, int(days * DAY_MS), n)) // 1000 * 1000 + run
    return People([f"{world}-{run}-{i}" for i in range(n)], [KINDS[i] for i in kinds], dice.random(n), moments, dice)


def chances(some: People, seen: Sequence[str]) -> Floats:
    """Return P(a purchase), ever, of each: `seen` is the offer that they saw, empty: none."""
    base = np.array([BASE[kind] for kind in some.kinds]) * (0.5 + some.keen)
    return np.asarray(base + np.array([EFFECT.get(offer, 0.0) for offer in seen]), dtype=np.float64)
