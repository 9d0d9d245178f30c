"""Score: one run per model for everyone who may be scored; declared base rates for the rest."""

from __future__ import annotations

import numpy as np

from liftgate.domain.batch import Batch, Bools
from liftgate.domain.errors import ModelFailed
from liftgate.domain.input import Floats
from liftgate.domain.offer import Indices
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import InputState, Reason
from liftgate.pipeline.ablate import ablate
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Walk
from liftgate.pipeline.worth import expected, left_out, pair, weigh

_FOUND, _STALE = np.array(ProfileState.FOUND, dtype=np.uint8), np.array(InputState.DEFAULT_STALE, dtype=np.uint8)


def score(walk: Walk) -> None:
    """Fill in propensity, scored, model_failed and model_stopped.

    Nobody without an allowed offer of a model is scored by it, nor is anyone by a model of profile features when their
    profile may not be read or is not there: for them the model's base rate stands in, as it does when a model fails or is stopped.
    """
    batch, bundle = walk.batch, walk.live.bundle
    allowed = scorable = batch.allowed
    if bundle.each_decision:
        # Who waits for a reviewer is scored too: would the offer have come first?
        awaiting = batch.reason == Reason.AWAITING_REVIEW
        if walk.live.variants.offers_vary:
            awaiting &= walk.live.variants.candidates[batch.variant]
        scorable = allowed | awaiting
    propensity = np.empty(allowed.shape)
    variants = walk.live.variants
    propensity[:] = variants.base_rate[batch.variant] if variants.models_vary else bundle.base_rate
    untreated: Floats | None = None
    heard: dict[int, Bools] = {}
    if bundle.worth.untreated is not None:
        untreated = np.empty(allowed.shape)
        untreated[:] = variants.untreated_rate[batch.variant] if variants.models_vary else bundle.worth.untreated.base_rate
        rates = propensity.copy(), untreated.copy()
    batch.model_failed = np.zeros(batch.n, dtype=np.bool_)
    batch.model_stopped = np.zeros(batch.n, dtype=np.bool_)
    batch.scored = ~batch.model_failed
    stopped = batch.controls.stopped_models
    # On booleans, greater: the one and not the other; less or equal: the one only with the other.
    readable = (batch.profile_state == _FOUND) > batch.masked
    for plan in walk.live.plans:
        able: Bools = np.logical_or.reduce(scorable[:, plan.span], axis=1)
        if untreated is not None:
            able |= np.logical_or.reduce(scorable[:, plan.untreated], axis=1)
        if plan.contested:
            able &= variants.model[batch.variant, plan.index] == plan.by
        if plan.personal:
            batch.scored &= able <= readable
            able &= readable
        if batch.mute and plan.spec.name in batch.mute:
            able &= ~batch.mute[plan.spec.name]
        if plan.skips:
            # Its base rate stands in, as where a profile may not be read.
            stale = able & np.any(batch.input_state[:, plan.skipped_by] == _STALE, axis=1)
            if True in stale.tobytes():
                batch.scored &= ~stale
                able &= ~stale
                _silenced(batch, plan.spec.name, stale)
        if stopped and plan.spec.name in stopped:
            batch.scored &= ~able
            batch.model_stopped |= able
            _silenced(batch, plan.spec.name, able)
            continue
        count = able.tobytes().count(1)
        if not count:
            continue
        # A slice is a view; most batches need every row.
        rows: Indices | slice = slice(None) if count == batch.n else np.flatnonzero(able)
        try:
            scores = walk.live.models.score(plan.spec, plan.matrix(batch.inputs[rows]))
        except ModelFailed as error:
            walk.ports.observer.fell_back(Stage.SCORE, type(error).__name__, [batch.requests[row] for row in np.flatnonzero(able).tolist()])
            batch.scored[rows] = False
            batch.model_failed[rows] = True
            _silenced(batch, plan.spec.name, able)
            continue
        if plan.in_order:
            propensity[rows, plan.span] = scores
        else:
            every = np.arange(batch.n)[rows]
            propensity[every[:, None], plan.offers] = scores[:, plan.outputs]
        if untreated is not None:
            # Rows of different arms.
            heard[plan.index] = heard[plan.index] | able if plan.index in heard else able
            untreated[np.arange(batch.n)[rows][:, None], plan.untreated] = scores[:, plan.untreated_outputs]
    if untreated is not None:
        pair(bundle, propensity, untreated, rates, heard)
    weigh(batch, bundle.worth, propensity, untreated)
    if variants.ablates:
        ablate(batch, walk.live)
    if bundle.each_decision:
        worth = expected(batch, walk.live, propensity)
        if walk.live.narrows:
            scorable = scorable & (left_out(batch, walk.live, propensity, worth, scorable) == 0)
        worth = np.where(scorable, worth, -np.inf)
        first = worth.argmax(axis=1)
        batch.requested = np.where((awaiting & scorable)[np.arange(batch.n), first], first, -1)
    propensity[~allowed] = np.nan
    batch.propensity = propensity


def _silenced(batch: Batch, model: str, able: Bools) -> None:
    """Note whom a model should have scored; arms may pin several versions of it."""
    batch.silent[model] = batch.silent[model] | able if model in batch.silent else able
