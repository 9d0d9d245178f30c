"""What the writer of a decision record hands in: one value or one column for each field that differs between decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]


@dataclass(slots=True)
class Outcome:
    """What comes out the same for many decisions, one value each; names, units and ranges as in `DecisionRecord`."""

    arm: int
    assignments: bytes
    """Concatenated `assignment_part`s, one for each layer."""
    branch: int
    reason: int
    degraded: bool
    fallback_reason: int
    offered: Sequence[str]
    default_served: bool
    would_offer: Sequence[str]
    holdout_answer: str
    slot_count: int
    scored: bool
    reservation_attempts: int
    masked_paths: Sequence[str]
    would_offer_default: bool = False
    consent_version: str = ""
    profile_state: int = 0


class BatchColumns(NamedTuple):
    """What differs from decision to decision, as columns of N decisions of one placement and slot count, in the record's order.

    C candidates, S slots, I inputs, P purposes; codes below 128.
    """

    candidate_reason: Codes
    """[N, C]"""
    candidate_propensity: Floats
    """[N, C]"""
    candidate_value: Floats
    """[N, C]"""
    input_value: Floats
    """[N, I]"""
    input_age_s: Floats
    """[N, I]"""
    input_state: Codes
    """[N, I]"""
    consent_reason: Codes
    """[N, P]"""
    draws: Floats
    """[N, attempts x slots], attempts outermost."""
    slots: Floats
    """[S, N, C]"""
    more: Mapping[str, Floats | Codes] = MappingProxyType({})
    """[N, C] by the record's name, in its order: what is refused in shadow, and factors, as far as the bundle has them."""
