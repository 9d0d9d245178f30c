"""The shop's people: who they truly are, what the shop has stored about them, and what they have agreed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.demo.dice import Dice, dice
from liftgate.domain.input import Floats

TEXTS: Mapping[str, tuple[str, ...]] = {
    "country": ("DE", "FR", "NL", "AT"),
    "loyalty_tier": ("none", "silver", "gold"),
    "favourite_category": ("fashion", "home", "electronics", "sports"),
}
"""Text features; a trait is the index into its tuple."""
WHOLE = frozenset(
    {
        "age",
        "tenure_days",
        "days_to_birthday",
        "email_opens_30d",
        "email_clicks_30d",
        "purchases_365d",
        "views_1h",
        "views_7d",
        "cart_adds_7d",
        "returns_365d",
    }
)

PERSONALIZATION: Mapping[str, float] = {
    "granted": 0.80,
    "denied": 0.08,
    "withdrawn": 0.02,
    "pending": 0.01,
    "lapsed": 0.04,
    "silent": 0.045,
    "garbled": 0.005,
}
"""Share of people by what stands in their consent record. lapsed: a grant that ran out. silent: nothing is on record.
garbled: the record cannot be read."""
CONSENTS = tuple(PERSONALIZATION)

_MISSING: Mapping[str, float] = {"age": 0.08, "days_to_birthday": 0.30, "favourite_category": 0.05, "spend_365d": 0.02}
"""Share of known people about whom a feature is not stored."""
_STALE: Mapping[str, float] = {"views_1h": 0.60, "cart_value": 0.15, "days_since_visit": 0.05}
"""Share of known people whose stored value is older than the bundle allows."""
FRESH_AGE_S = 900
STALE_AGE_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class People:
    """N people. Row i of every column is `person_id(i)`."""

    traits: Mapping[str, Floats]
    """What is true of each, by feature name, [N]; texts as index into `TEXTS`, booleans as 0 or 1."""
    hole: Mapping[str, NDArray[np.bool_]]
    """[N] the shop has not stored this feature."""
    stale: Mapping[str, NDArray[np.bool_]]
    """[N] what is stored is `STALE_AGE_S` old."""
    known: NDArray[np.bool_]
    """[N] anything is stored at all."""
    outdated: NDArray[np.bool_]
    """[N] the stored profile was packed under another schema and cannot be read."""
    consent: NDArray[np.intp]
    """[N] index into `CONSENTS`, for the purpose `personalization`."""
    mail_consent: NDArray[np.bool_]
    """[N] `marketing_email` is granted."""

    def __len__(self) -> int:
        """Number of people."""
        return len(self.known)


def person_id(index: int) -> str:
    """Return the id of a person: `shopper-00042`."""
    return f"shopper-{index:05d}"


def people(n: int, seed: int) -> People:
    """Return N people, a pure function of the seed."""
    throw = dice(seed, 1)
    traits = _traits(throw, n)
    consent = throw.choice(len(CONSENTS), size=n, p=list(PERSONALIZATION.values()))
    return People(
        traits=traits,
        hole={name: throw.random(n) < share for name, share in _MISSING.items()},
        stale={name: throw.random(n) < share for name, share in _STALE.items()},
        known=throw.random(n) >= 0.03,
        outdated=throw.random(n) < 0.003,
        consent=consent,
        mail_consent=throw.random(n) < 0.65,
    )


def _traits(throw: Dice, n: int) -> dict[str, Floats]:
    """Draw true traits; three hidden tendencies make them hang together as they do in a real shop."""
    keen, thrifty, young = throw.normal(size=(3, n))
    purchases = throw.poisson(np.exp(0.8 + 0.5 * keen))
    basket = np.clip(np.exp(3.7 + 0.35 * throw.normal(size=n) - 0.15 * thrifty), 8, 250)
    since_purchase = np.where(purchases > 0, np.clip(throw.exponential(110 * np.exp(-0.4 * keen)), 0.2, 365), 365)
    views = throw.poisson(np.exp(1.4 + 0.6 * keen))
    adds = throw.binomial(views, 0.18)
    loyalty = np.clip(np.floor(0.7 + 0.6 * keen + 0.7 * throw.normal(size=n)), 0, 2)
    opens = throw.poisson(np.exp(0.9 + 0.3 * keen + 0.3 * thrifty))
    traits = {
        "age": np.clip(np.round(42 - 12 * young + 6 * throw.normal(size=n)), 16, 85),
        "country": throw.choice(len(TEXTS["country"]), size=n, p=[0.55, 0.2, 0.15, 0.1]),
        "tenure_days": np.clip(throw.gamma(2, 350, size=n), 1, 3_650),
        "loyalty_tier": loyalty,
        "days_to_birthday": throw.integers(0, 365, size=n),
        "favourite_category": throw.choice(len(TEXTS["favourite_category"]), size=n, p=[0.4, 0.25, 0.2, 0.15]),
        "app_installed": throw.random(n) < 1 / (1 + np.exp(0.6 - 0.9 * young)),
        "has_open_dispute": throw.random(n) < 0.02,
        "email_opens_30d": opens,
        "email_clicks_30d": throw.binomial(opens, 0.25),
        "days_since_visit": np.clip(throw.exponential(12 * np.exp(-0.5 * keen)), 0, 120),
        "days_since_purchase": since_purchase,
        "purchases_365d": purchases,
        "spend_90d": basket * throw.binomial(purchases, 0.3),
        "spend_365d": basket * purchases,
        "avg_basket": basket,
        "views_1h": throw.binomial(views, 0.1),
        "views_7d": views,
        "cart_adds_7d": adds,
        "cart_value": np.where(throw.random(n) < 0.6, adds * basket * 0.6, 0),
        "returns_365d": throw.binomial(purchases, 0.2),
        "discount_share": 1 / (1 + np.exp(1.0 - 0.9 * thrifty + 0.4 * throw.normal(size=n))),
        "shipping_sensitivity": 1 / (1 + np.exp(0.3 - 0.7 * thrifty + 0.7 * throw.normal(size=n))),
        "churn_risk": 1 / (1 + np.exp(0.5 + 0.8 * keen + 0.5 * throw.normal(size=n))),
    }
    return {name: np.floor(column) if name in WHOLE else np.asarray(column, dtype=np.float64) for name, column in traits.items()}
