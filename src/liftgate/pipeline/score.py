"""Score: one run per model for everyone who may be scored; declared base rates for the rest."""

from __future__ import annotations

import numpy as np

from liftgate.domain.errors import ModelFailed
from liftgate.domain.profile import ProfileState
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Walk


def score(walk: Walk) -> None:
    """Fill in propensity, scored and model_failed.

    Nobody without an allowed offer of a model is scored by it, nor is anyone by a model of profile features when their
    profile may not be read or is not there: for them the model's base rate stands in, as it does when a model fails.
    """
    batch, bundle = walk.batch, walk.live.bundle
    propensity = np.broadcast_to(bundle.base_rate, batch.allowed.shape).copy()
    batch.scored = np.ones(batch.n, dtype=np.bool_)
    batch.model_failed = np.zeros(batch.n, dtype=np.bool_)
    readable = (batch.profile_state == ProfileState.FOUND) & ~batch.masked
    for plan in walk.live.plans:
        wanted = batch.allowed[:, plan.offers].any(axis=1)
        able = wanted & readable if plan.personal else wanted
        batch.scored &= ~wanted | able
        rows = np.flatnonzero(able)
        if not rows.size:
            continue
        try:
            scores = walk.live.models.score(plan.spec, plan.matrix(batch.inputs[rows]))
        except ModelFailed as error:
            walk.ports.observer.fell_back(Stage.SCORE, type(error).__name__, [batch.requests[row] for row in rows.tolist()])
            batch.scored[rows] = False
            batch.model_failed[rows] = True
            continue
        propensity[rows[:, None], plan.offers] = scores[:, plan.outputs]
    batch.propensity = np.where(batch.allowed, propensity, np.nan)
