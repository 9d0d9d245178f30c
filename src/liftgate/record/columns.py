"""What the writer of a decision record hands in: one value or one column for each field that differs between decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(slots=True)
class BatchColumns:
    """What differs from decision to decision, as columns of N decisions of one placement and slot count.

    C candidates, S slots, I inputs, P purposes; codes below 128.
    """

    candidate_reason: Codes
    """[N, C]"""
    candidate_propensity: Floats
    """[N, C]"""
    candidate_value: Floats
    """[N, C]"""
    slots: Floats
    """[S, N, C]"""
    draws: Floats
    """[N, attempts x slots], attempts outermost."""
    input_value: Floats
    """[N, I]"""
    input_age_s: Floats
    """[N, I]"""
    input_state: Codes
    """[N, I]"""
    consent_reason: Codes
    """[N, P]"""
    candidate_shadow_reason: Codes | None = None
    """[N, C]; None: nothing runs in shadow, and the record has no such column."""
    candidate_context_weight: Floats | None = None
    """[N, C]; None, as for the factors below: the bundle does not use it, and the record has no such column."""
    candidate_lever: Floats | None = None
    """[N, C]"""
    candidate_untreated_propensity: Floats | None = None
    """[N, C]"""
    candidate_smoothed_propensity: Floats | None = None
    """[N, C]"""
