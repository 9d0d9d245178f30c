"""A shop with a holdout of everything, and an experiment and an ablation beside it: one decision a person, and what came of it.

Purchases are what offers change. Clicks and carts are what they do not: whoever is keen clicks, before and after, whatever is shown.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.loop.shop import DAY_MS, START_MS, Shop
from tests.loop.truth import (
    CATALOG,
    DELAY_DAYS,
    HEAD,
    SEEN,
    USUAL,
    WORTH,
    by_kind,
    chances,
    evenly,
    gain,
    people,
)

PEOPLE = 1_000
OTHER = {"loan": 1.0, "card": 2.0, "gift": 3.0}
BUNDLE = (
    HEAD
    + CATALOG
    + """
layers:
  universal: {kind: holdout, salt: loop-universal, share: 0.3, answer: none}
  trial:
    kind: experiment
    salt: loop-trial
    placements: [hero]
    exclusive: {name: hero, from: 0.0, to: 0.5}
    arms: {control: 0.5, other: {share: 0.5, values: {loan: 1.0, gift: 3.0}}}
  ablation:
    kind: ablation
    salt: loop-ablation
    placements: [hero]
    exclusive: {name: hero, from: 0.5, to: 1.0}
    arms: {random_allowed: 0.5}
"""
)
ARM = {"control": USUAL, "other": gain(by_kind(OTHER)), "random_allowed": gain(evenly()), "treatment": USUAL}
"""What each arm's policy adds to a person's P(a purchase)."""
TREATED = sum(ARM.values()) / 4
"""What not being held out adds: the four arms are equally large."""


async def walk_holdout_world(folder: Path, runs: range) -> Path:
    """Walk everybody of these runs, write the log and return its folder."""
    shop = Shop(folder, BUNDLE, runs.start)
    for run in runs:
        some = people(run, PEOPLE, START_MS, "holdout")
        decisions = [one for walk in await shop.decide("visit", some.names, some.kinds, some.moments) for one in walk.decisions]
        offered = [shop.live.bundle.offers[one.offered[0]].offer_id if one.offered else "" for one in decisions]
        seen = [offer if offer and roll < SEEN else "" for offer, roll in zip(offered, some.dice.random(PEOPLE), strict=True)]
        bought = some.dice.random(PEOPLE) < chances(some, seen)
        after = (some.dice.exponential(DELAY_DAYS * DAY_MS, PEOPLE)).astype(np.int64)
        spent = some.dice.exponential(WORTH, PEOPLE)
        before, clicks = some.dice.binomial(3, some.keen, PEOPLE), some.dice.binomial(3, some.keen, PEOPLE)
        carts = some.dice.binomial(clicks, 0.4)
        # Those who were shown nothing are told of nothing: exposures are the treated people's alone.
        events = []
        for i, (name, at) in enumerate(zip(some.names, some.moments.tolist(), strict=True)):
            if seen[i]:
                events.append(shop.event("exposure", name, at + 1_000, decision_id=decisions[i].decision_id))
            if bought[i]:
                events.append(shop.event("purchase", name, at + 2_000 + int(after[i]), float(spent[i])))
            events += [shop.event("click", name, at - 3_600_000 * (j + 1)) for j in range(before[i])]
            events += [shop.event("click", name, at + 3_600_000 * (j + 1)) for j in range(clicks[i])]
            events += [shop.event("cart_action", name, at + 3_600_000 * (j + 1) + 60_000) for j in range(carts[i])]
        await shop.happened.append(events)
    return await shop.close()
