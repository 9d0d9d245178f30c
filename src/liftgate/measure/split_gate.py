"""The gate before every analysis that is told the planned shares: no answer from a split that is not the planned one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from liftgate.measure.refusal import Refused
from liftgate.measure.srm import refusal, srm
from liftgate.measure.srm_table import shares_of


def gate_split(n: Mapping[str, int], share: Sequence[str]) -> dict[str, Any] | None:
    """Return the check of units by arm against ARM=WEIGHT words, None where none are given. Raises Refused on a mismatch, Misused."""
    weights = shares_of(share)
    if weights is None:
        return None
    found = srm(n, weights)
    if (why := refusal(found)) is not None:
        raise Refused(why.code, why.why, why.what_to_do)
    return {"shares": found.shares, "p_value": found.p_value, "e_value": found.e_value, "mismatch": found.mismatch}
