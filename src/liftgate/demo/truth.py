"""The planted truth: how likely each person is to buy untouched, and what seeing each offer does to that.

    logit P(buy | nothing seen) = BASE_INTERCEPT + weights . z(person) + an interaction that no linear model can learn
    logit P(buy | offer seen)   = the same + effect.at_average + effect.weights . z(person)

Whoever sees several offers buys as likely as under the strongest of them. The service never sees this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liftgate.demo.people import TEXTS, People, person_id
from liftgate.domain.bucketing import Salt
from liftgate.domain.input import Floats

Z: Mapping[str, tuple[float, float]] = {
    "age": (42, 13),
    "tenure_days": (700, 500),
    "days_since_visit": (13, 15),
    "days_since_purchase": (120, 110),
    "purchases_365d": (2.5, 2.1),
    "spend_90d": (30, 45),
    "avg_basket": (43, 17),
    "views_7d": (4.8, 4.0),
    "cart_adds_7d": (0.9, 1.2),
    "cart_value": (13, 25),
    "email_opens_30d": (2.7, 2.0),
    "discount_share": (0.3, 0.17),
    "shipping_sensitivity": (0.44, 0.2),
    "churn_risk": (0.4, 0.2),
    "app_installed": (0.38, 0.48),
}
"""Centre and scale of a trait: z = (trait - centre) / scale, cut off at -3 and 3. `trait=text` is 1 or 0."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What seeing an offer does, in logits."""

    at_average: float
    """For a person with every z at 0."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Change for each unit of z."""


BASE_INTERCEPT = -2.85
BASE: Mapping[str, float] = {
    "days_since_visit": -0.20,
    "purchases_365d": 0.22,
    "views_7d": 0.15,
    "cart_adds_7d": 0.20,
    "email_opens_30d": 0.08,
    "churn_risk": -0.15,
    "loyalty_tier=gold": 0.15,
}
INTERACTION = 0.15
"""Times z(views_7d) x z(discount_share)."""

EFFECTS: Mapping[str, Effect] = {
    "free-shipping": Effect(0.50, {"shipping_sensitivity": 0.30, "cart_value": 0.12}),
    "express-upgrade": Effect(0.30, {"shipping_sensitivity": -0.25, "avg_basket": 0.15, "age": -0.08}),
    "ten-percent-off": Effect(0.50, {"discount_share": 0.35, "churn_risk": 0.08}),
    "basket-booster": Effect(0.45, {"cart_value": 0.20, "discount_share": 0.20}),
    "win-back": Effect(0.35, {"days_since_purchase": 0.25, "churn_risk": 0.20}),
    "last-summer-sale": Effect(0.20, {"discount_share": 0.15}),
    "join-club": Effect(0.35, {"tenure_days": 0.20, "purchases_365d": 0.15}),
    "double-points": Effect(0.40, {"loyalty_tier=gold": 0.30, "purchases_365d": 0.12}),
    "early-access": Effect(0.45, {"spend_90d": 0.20, "discount_share": -0.20}),
    "birthday-gift": Effect(0.70, {"email_opens_30d": 0.10}),
    "pay-later": Effect(0.45, {"age": -0.25, "avg_basket": 0.20}),
    "mail-new-in": Effect(0.30, {"email_opens_30d": 0.25, "favourite_category=fashion": 0.25}),
    "mail-price-drop": Effect(0.40, {"discount_share": 0.30, "views_7d": 0.12}),
    "mail-win-back": Effect(0.30, {"churn_risk": 0.25, "days_since_purchase": 0.20}),
    "gift-card": Effect(0.25, {"age": 0.15}),
    "click-and-collect": Effect(0.30, {"shipping_sensitivity": 0.15}),
    "app-install": Effect(0.20, {"app_installed": -0.15, "age": -0.10}),
    "welcome": Effect(0.10),
}
SEEN = 0.90
"""Share of shown offers that the person does see."""


class Truth:
    """The world of one population. Pure: every throw is a function of seed, person and visit."""

    def __init__(self, people: People, seed: int) -> None:
        self.offers = tuple(EFFECTS)
        self.index = {offer: k for k, offer in enumerate(self.offers)}
        base = base_logit(people)
        self.untouched: Floats = sigmoid(base)
        """[N] P(buy | nothing seen)."""
        self.seen: Floats = sigmoid(base[:, None] + effect_logits(people))
        """[N, offers] P(buy | that offer seen)."""
        self._sees = Salt("demo", "sees", str(seed))
        self._buys = Salt("demo", "buys", str(seed))

    def sees(self, visit: str) -> bool:
        """Say whether what is shown on a visit is seen, from the visit's request_id."""
        return self._sees.uniform(visit) < SEEN

    def probability(self, person: int, offers: Sequence[str]) -> float:
        """Return P(buy) of a person who has seen these offers."""
        if not offers:
            return float(self.untouched[person])
        return float(max(self.seen[person, self.index[offer]] for offer in offers))

    def buys(self, person: int, offers: Sequence[str]) -> bool:
        """Say whether a person who has seen these offers buys: one throw a person, the same whatever was seen."""
        return self._buys.uniform(person_id(person)) < self.probability(person, offers)

    def lift(self, seen: Mapping[int, Sequence[str]]) -> tuple[float, float]:
        """Return mean P(buy) of these people after what they would all have seen, and untouched."""
        treated = [self.probability(person, offers) for person, offers in seen.items()]
        untouched = self.untouched[list(seen)]
        return float(np.mean(treated)), float(np.mean(untouched))


def sigmoid(logits: Floats) -> Floats:
    """Return probabilities of logits."""
    result: Floats = 1.0 / (1.0 + np.exp(-logits))
    return result


def z(people: People, term: str) -> Floats:
    """Return [N] of one term: a standardised trait, or 1 and 0 for `trait=text`."""
    name, _, text = term.partition("=")
    if text:
        return np.asarray(people.traits[name] == TEXTS[name].index(text), dtype=np.float64)
    centre, scale = Z[name]
    return np.clip((people.traits[name] - centre) / scale, -3.0, 3.0)


def base_logit(people: People) -> Floats:
    """Return [N] logits of buying untouched."""
    return BASE_INTERCEPT + _sum(people, BASE) + INTERACTION * z(people, "views_7d") * z(people, "discount_share")


def effect_logits(people: People) -> NDArray[np.float64]:
    """Return [N, offers] of what seeing each offer adds, in logits."""
    return np.stack([effect.at_average + _sum(people, effect.weights) for effect in EFFECTS.values()], axis=1)


def _sum(people: People, weights: Mapping[str, float]) -> Floats:
    total: Floats = np.zeros(len(people))
    for term, weight in weights.items():
        total = total + weight * z(people, term)
    return total
