"""Batches and decisions of the hand-made shop, as the walk leaves them."""

from __future__ import annotations

from typing import Any

import numpy as np

from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.domain.request import DecideRequest
from tests.adapters.shop import OFFERS, shop

SHOP = shop()


def walked(n: int = 1, slots: int = 1, **request: Any) -> Batch:
    """Return a batch of `n` people, every candidate allowed, the probability of offer k in slot s being (k + 1 + s) / 100."""
    fields: dict[str, Any] = {"request_id": "r-1", "person_id": "person-1", "placement_id": "home.hero", "slot_count": slots} | request
    batch = Batch([DecideRequest(**fields) for _ in range(n)], np.full(n, 1000, dtype=np.int64))
    k = len(OFFERS)
    batch.placement = np.zeros(n, dtype=np.intp)
    batch.allowed = SHOP.candidates[batch.placement]
    batch.reason = batch.allowed.astype(np.uint8)
    batch.masked = np.zeros(n, dtype=np.bool_)
    batch.consent_version = [""] * n
    batch.propensity = np.where(batch.allowed, np.arange(k) / 10, np.nan)
    batch.probability = np.stack([np.where(batch.allowed, (np.arange(k) + 1 + s) / 100, 0.0) for s in range(slots)])
    return batch


def decided(**changes: Any) -> Decision:
    """Return an ordinary decision for row 0, with changes."""
    fields: dict[str, Any] = {
        "row": 0,
        "decision_id": "0" * 31 + "1",
        "arm": Arm.TREATMENT,
        "branch": Branch.EXPLOIT,
        "reason": Reason.OFFERED,
        "degraded": False,
        "fallback_reason": Reason.UNSPECIFIED,
        "chosen": (3,),
        "offered": (3,),
        "default_served": False,
        "would_offer": (),
        "valid_until_ms": 61_000,
        "would_offer_default": False,
    }
    if "offered" in changes and "chosen" not in changes:
        fields["chosen"] = () if changes.get("default_served") else changes["offered"]
    decision = Decision(**fields)
    for name, value in changes.items():
        setattr(decision, name, value)
    return decision


def held_out(**changes: Any) -> Decision:
    """Return a held-out person's decision: offer 3 would have been offered, nothing is."""
    fields: dict[str, Any] = {"arm": Arm.HOLDOUT, "branch": Branch.HOLDOUT, "reason": Reason.HELD_OUT, "chosen": (3,), "offered": ()}
    fields["would_offer"] = changes.get("chosen", (3,))
    return decided(**(fields | changes))
