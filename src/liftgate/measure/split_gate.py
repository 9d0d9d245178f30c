"""The gate before a funnel or a sequence is read: no answer from a split that is not the planned one, as for lift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liftgate.measure.lift_gate import UNKNOWN, nearest_round
from liftgate.measure.refusal import Refused
from liftgate.measure.srm import refusal, srm
from liftgate.measure.srm_table import shares_of


@dataclass(frozen=True, slots=True)
class Checked:
    """The split as it was checked."""

    document: Mapping[str, Any]
    """checked_against (given, equal, round or unknown), shares, p_value, e_value."""
    warning: str
    """Empty where there is none."""


def gate_split(n: Mapping[str, int], share: Sequence[str], control: str) -> Checked:
    """Hold units by arm against ARM=WEIGHT words; without, against equal shares or a round holdout. Raises Refused, Misused."""
    if tuple(share) == UNKNOWN:
        return Checked({"checked_against": "unknown"}, "the split was not checked: nobody said what was planned")
    weights = shares_of(share).whole
    found, against, warning = srm(n, weights), "given" if weights else "equal", ""
    if found.mismatch and not weights and not (near := nearest_round(n, control)).mismatch:
        found, against = near, "round"
        warning = f"the planned shares were read off the data ({found.shares[control]:.0%} in {control}): give them with --share"
    if (why := refusal(found)) is not None:
        raise Refused(why.code, why.why, why.what_to_do)
    return Checked({"checked_against": against, "shares": found.shares, "p_value": found.p_value, "e_value": found.e_value}, warning)
