"""Everything that `liftgate layers check` says, as plain data. Needs scipy: only the command imports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

from liftgate.app.layers.plan import Wanted, plans
from liftgate.app.layers.randomness import count
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.exploration import exploration
from liftgate.measure.hypotheses import Hypothesis

__all__ = ["Wanted", "checked"]


def checked(
    bundle: Bundle, ids: int, wanted: Wanted, hypotheses: Mapping[str, Hypothesis], progress: Callable[[int], None]
) -> dict[str, Any]:
    """Return shares, independence, exploration and plans. Raises ValueError for numbers that cannot be, such as a rate of 0."""
    planned = plans(bundle, wanted, hypotheses)
    found = count(bundle, ids, progress)
    return {
        "bundle": bundle.name,
        "digest": bundle.digest,
        "ids": ids,
        "limit": found.limit,
        "layers": [asdict(one) for one in found.layers],
        "pairs": [asdict(pair) for pair in found.pairs],
        "objections": list(found.objections),
        "exploration": [
            {
                "where": each.where,
                "placement": each.placement_id,
                "layer": each.layer or None,
                "arm": each.arm or None,
                "candidates": each.candidates,
                "smallest_probability": each.smallest_probability,
                "largest_weight": each.largest_weight if isfinite(each.largest_weight) else None,
            }
            for each in exploration(bundle)
        ],
        "plans": planned,
    }
