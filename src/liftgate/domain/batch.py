"""N people x K offers as columns: what the stages fill in, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.control import CLEAR_COLUMNS, ControlColumns
from liftgate.domain.input import Floats
from liftgate.domain.request import DecideRequest
from liftgate.domain.variant import InForce
from liftgate.domain.verdict import Verdict

Bools = NDArray[np.bool_]
Codes = NDArray[np.uint8]
"""Reason, Arm, Branch, InputState or ProfileState numbers."""


class Batch:
    """Columns of one walk. N requests, I inputs, P purposes, K offers (all of the bundle), S slots.

    Every column is made by the stage named above it and only read by later ones.
    """

    requests: Sequence[DecideRequest]
    n: int
    """Number of requests."""
    now_ms: NDArray[np.int64]
    """[N]; one reading for a live batch, the logged ones in a replay."""
    placement: NDArray[np.intp]
    """[N] index into the bundle's placements."""

    controls: ControlColumns = CLEAR_COLUMNS
    """What is stopped and approved, taken once for the batch."""

    verdicts: Sequence[Mapping[str, Verdict]] | None = None
    """[N] what reviewers said of showing offers to the person, by offer; None: no offer asks for it."""
    requested: NDArray[np.intp] | None = None
    """[N] the offer that would have come first, had its decision been reviewed, -1: none; None: no offer asks for it."""

    # assign
    held_out: Bools
    """[N] of everything, by some layer."""
    layer_held_out: Bools
    """[N, L] held out of everything, by which layer."""
    layer_arm: NDArray[np.int16]
    """[N, L] index into the layer's arms, -1: not in the layer."""
    withheld: Bools | None = None
    """[N, K] the person is in a holdout of the offer, or of its programme; None: nobody here is in any."""

    # fetch
    profile_state: Codes
    """[N] ProfileState."""
    inputs: Floats
    """[N, I] as used by conditions and models, defaults filled in, NaN missing."""
    input_age_s: Floats
    """[N, I] seconds, NaN not known."""
    input_state: Codes
    """[N, I] InputState."""
    stale: Bools | None = None
    """[N, F] the profile feature was too old and its default took its place; None: nobody's was."""
    consent: Codes
    """[N, P] Reason.ALLOWED or a CONSENT_ reason."""
    consent_until_ms: Floats
    """[N, P] when a grant ends, inf: it does not."""
    consent_version: Sequence[str]
    """[N] policy version of the stored consent, empty: none."""
    masked: Bools
    """[N] profile withheld for want of consent."""
    by_default: Bools | None = None
    """[N, P] consent is a jurisdiction's default and stands on no record; None: the bundle declares none."""
    jurisdiction: Sequence[str] = ()
    """[N] the jurisdiction that was asked for a default, empty where none was needed or known; empty with `by_default` None."""
    contact_needs: Bools | None = None
    """[N, P] purposes that the request's channel needs, for every offer; None: the bundle's channels need none."""
    enrolled: Bools | None = None
    """[N] consented to experiments; nobody else is in a layer. None: the bundle asks for no such consent."""
    cap_room: NDArray[np.int64]
    """[N, caps] how many more each cap allows, 0 or less: used up; by ghost history for held-out people. A huge number where the cap
    does not concern the request's channel."""
    cap_channel: Sequence[int] | None = None
    """[N] the request's channel as the bundle's caps number them; None: not looked up yet."""
    cap_paced: Bools | None = None
    """[N, caps] a total cap without room is only ahead of its pace; None: the bundle paces nothing."""

    listed: Bools | None = None
    """[N, lists] on the do-not-contact list; None: the bundle has no lists."""
    listed_unknown: Bools | None = None
    """[N] which lists the person is on cannot be told."""

    # guard
    variant: NDArray[np.intp]
    """[N] index into the live bundle's variants: the placement as the row's arms change it."""
    in_force: Sequence[InForce] | None = None
    """By variant: what records say of it; None: no arm of the bundle changes anything."""
    value: Floats | None = None
    """[N, K] worth of the outcome in the row's arms; None: the bundle's for everyone."""
    excused: Bools | None = None
    """[N] applicable_if and suitable_if deny nothing and are noted as in shadow; None: they hold for everyone."""
    allowed: Bools
    """[N, K]"""
    reason: Codes
    """[N, K] the first reason against, or ALLOWED; UNSPECIFIED for offers that are no candidates."""
    shadow_reason: Codes | None = None
    """[N, K] the first reason that a guardrail in shadow would have given, UNSPECIFIED: none; None: nothing runs in shadow."""
    default_allowed: Bools
    """[N] the placement's default offer passes the whole chain."""
    later_default_allowed: Bools | None = None
    """[N, slots - 1] the default of slot 2, slot 3, ... passes the whole chain; None: no placement has any."""

    # score
    propensity: Floats
    """[N, K] P(outcome), NaN where not allowed."""
    untreated: Floats | None = None
    """[N, K] P(outcome without the offer), 0 for offers that do not rank by uplift; None: none does."""
    smoothed: Floats | None = None
    """[N, K] the propensity after smoothing; None: the bundle smooths nothing."""
    context_weight: Floats | None = None
    """[N, K] above 0; None: the bundle has no weights. Not to be written to."""
    lever: Floats | None = None
    """[N, K] above 0; None: the bundle has no levers. Not to be written to."""
    scored: Bools
    """[N] by models; False: declared base rates."""
    model_failed: Bools
    """[N]"""

    model_stopped: Bools
    """[N] a stopped model would have scored the person."""
    in_full: tuple[Floats, Floats | None, Floats | None] | None = None
    """Value, context_weight and lever as they were before ablation arms put 1 in their place; None: no layer of the bundle ablates."""
    silent: dict[str, Bools]
    """Model to [N] whom it should have scored and did not, stopped or failing."""
    mute: Mapping[str, Bools]
    """Of a replay: model to [N] whom it was silent on then. Empty for a live batch."""

    # select
    not_shown: Codes | None = None
    """[N, K] why an allowed offer is out of the draw: BELOW_THRESHOLD or LOWER_TIER, 0: it is in, or not allowed; None: nothing can be."""
    probability: Floats
    """[S, N, K] P(offer is chosen for the slot given the slots before it); rows sum to 1 or are 0."""
    choice: NDArray[np.intp]
    """[N, S] offer index, -1: nothing for that slot."""
    explored: Bools
    """[N] the first slot's draw fell in the explore mass."""
    draws: Floats
    """[N, S] uniform draws."""
    slate_marginal: Floats | None = None
    """[S, N, K] P(offer is chosen for the slot), whatever stands before it; NaN: too costly to know. None: all asked for one slot."""
    shown_already: Bools | None = None
    """[N, K] what answers show beside what is still to be drawn; None: nothing. Diversity counts it."""
    slate_joint: Floats | None = None
    """[N] P(the slate as drawn); None as above."""

    stage_us: NDArray[np.int64] | None = None
    """[8] wall time in each stage; None: the batch has not walked."""

    def __init__(self, requests: Sequence[DecideRequest], now_ms: NDArray[np.int64]) -> None:
        # No dataclass: columns that the bundle does not need cost a batch nothing.
        self.requests, self.now_ms, self.n = requests, now_ms, len(requests)
        self.silent, self.mute = {}, {}

    def deny_defaults(self, row: int) -> None:
        """Let no default be shown in a row."""
        self.default_allowed[row] = False
        if self.later_default_allowed is not None:
            self.later_default_allowed[row] = False

    def default_passes(self, row: int, slot: int) -> bool:
        """Say whether the default of a slot, from 0, passes the whole chain."""
        if slot == 0:
            return bool(self.default_allowed[row])
        return self.later_default_allowed is not None and bool(self.later_default_allowed[row, slot - 1])
