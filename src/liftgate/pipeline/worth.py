"""Worth: a batch's factors, what they make of each offer, and which offers they leave out of the draw. Pure.

Score fills the factors in, once a batch; a live walk and a replay read them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.worth import Worth
from liftgate.domain.batch import Batch, Bools, Codes
from liftgate.domain.input import Floats
from liftgate.pipeline.live import Live
from liftgate.selection.value import below_threshold, expected_value, not_shown, smoothed


def weigh(batch: Batch, worth: Worth, propensity: Floats, untreated: Floats | None) -> None:
    """Fill in untreated, smoothed, context_weight and lever, as far as the bundle uses them, from [N, K] propensities."""
    batch.untreated = untreated
    if worth.prior is not None and worth.credibility is not None:
        batch.smoothed = smoothed(propensity, worth.prior, worth.credibility)
    if worth.context_weight is None and worth.lever is None:
        return
    now_ms = batch.now_ms.astype(np.float64)
    true = worth.holding(batch.inputs, now_ms)
    if worth.context_weight is not None:
        batch.context_weight = worth.context_weight.columns(true, now_ms)
    if worth.lever is not None:
        batch.lever = worth.lever.columns(true, now_ms)


def pair(bundle: Bundle, propensity: Floats, untreated: Floats, rates: tuple[Floats, Floats], heard: Mapping[int, Bools]) -> None:
    """Put both base rates where one model of an uplift pair did not score a row: a score less a base rate is no difference.

    `rates`: [N, K] base rates of both; `heard`: model to [N] whom it scored.
    """
    second = bundle.worth.untreated
    if second is None:
        return
    nobody = np.zeros(len(propensity), dtype=np.bool_)
    offers = np.flatnonzero(second.model >= 0)
    pairs = np.unique(np.stack((bundle.offer_model[offers], second.model[offers])), axis=1)
    for first, other in pairs.T.tolist():
        alone = np.flatnonzero(~(heard.get(first, nobody) & heard.get(other, nobody)))
        if alone.size:
            at = np.ix_(alone, offers[(bundle.offer_model[offers] == first) & (second.model[offers] == other)])
            propensity[at], untreated[at] = rates[0][at], rates[1][at]


def response(batch: Batch, propensity: Floats) -> Floats:
    """Return [N, K] what ranks as propensity: smoothed where the bundle smooths, less what happens without the offer in uplift mode."""
    found = propensity if batch.smoothed is None else batch.smoothed
    return found if batch.untreated is None else found - batch.untreated


def expected(batch: Batch, live: Live, propensity: Floats) -> Floats:
    """Return [N, K] expected worth as offers are ranked by it, in the bundle's currency."""
    value = live.bundle.value if batch.value is None else batch.value
    return expected_value(response(batch, propensity), value, batch.context_weight, batch.lever)


def in_full(batch: Batch, live: Live, propensity: Floats) -> Floats:
    """Return [N, K] expected worth by all factors, those that ablation arms leave out of the ranking included."""
    return expected(batch, live, propensity) if batch.in_full is None else expected_value(response(batch, propensity), *batch.in_full)


def left_out(batch: Batch, live: Live, propensity: Floats, worth: Floats, allowed: Bools) -> Codes:
    """Return [N, K] why allowed offers are out of the draw, see `Batch.not_shown`. Only for a bundle that narrows."""
    columns, variants = live.bundle.worth, live.variants
    tier, found = columns.tier, response(batch, propensity)
    if batch.in_full is not None:
        worth = in_full(batch, live, propensity)
        if tier is not None:
            tier = np.where(variants.tierless[batch.variant][:, None], 0, tier)
    minimum_propensity, minimum_value = variants.minimum_propensity[batch.variant], variants.minimum_value[batch.variant]
    below = below_threshold(found, worth, minimum_propensity, minimum_value, columns.must_help)
    return not_shown(below, tier, allowed)
