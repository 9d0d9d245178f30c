"""The bench's shop once more, with every kind of guardrail and layer that a bundle can declare: the first goal is about such a bundle.

`shop.py` has the first version's: purposes, channels, dates, eligibility, suppression, caps of offers and groups, a holdout. Hardly
anything here binds, like the caps there, so that as many people are offered something; all of it is judged for everybody.
"""

from __future__ import annotations

from typing import Any

from . import shop

NAME = "20-every-guardrail"
"""Of its folder."""
_AMPLE = 10**9


def bundle(offers: int) -> dict[str, Any]:
    """Return `shop.bundle` of that many offers with all the rest.

    Lists, a contact policy, quiet hours, exclusions, pauses, a stale feature that skips its offers, reviewed offers, all four kinds of
    condition, total caps, an experiment with values of its own and a programme's holdout.
    """
    found = shop.bundle(offers)
    ample = {"max": 400, "per": "7d"}
    found["contact_policy"] = {
        "quiet_hours": {"from": "02:00", "to": "02:01", "channels": ["email"]},
        "channels": {"web": ample, "app": ample},
    }
    found["lists"] = {"blocked": {"offers": ["offer-001", "offer-002"]}, "no-email": {"channels": ["email"]}}
    found["exclusions"] = {"pair": {"offers": ["offer-003", "offer-004"], "within": "1h"}}
    for group in found["groups"].values():
        group["pauses"] = [{"of": "dismiss", "after": 2, "within": "7d", "for": "30d", "scope": "group"}]
    found["features"]["days_since_purchase"]["on_stale"] = "skip_offer"
    found["review_policy"] = {"value_above": 500.0}
    for i, (name, offer) in enumerate(found["offers"].items()):
        if name != "welcome":
            offer |= _more(i)
            offer["caps"] = [*offer.get("caps", ()), *([{"max": _AMPLE, "per": "day", "scope": "total"}] if i % 6 == 0 else ())]
    found["layers"]["hero-values"] = {
        **{"kind": "experiment", "unit": "person", "salt": "bench-values", "placements": list(found["placements"])},
        **{"coverage": 1.0, "metric": "purchase", "n_star": 1000},
        "arms": {"control": 0.5, "dearer": {"share": 0.5, "values": {"offer-003": 9.0}}},
    }
    found["layers"]["programme"] = {
        **{"kind": "holdout", "unit": "person", "salt": "bench-programme", "share": 0.05},
        **{"offers": ["offer-005", "offer-006"], "answer": "next_best"},
    }
    return found


def _more(i: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if i % 4 == 1:
        found["applicable_if"] = "profile.orders_90d < 12"
    if i % 4 == 2:
        found["suitable_if"] = "profile.price_sensitivity > 0.01 || profile.has_app"
    if i == 7:
        found["sensitive"] = True
    return found
