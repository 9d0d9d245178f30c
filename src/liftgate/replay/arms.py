"""Which arms logged decisions were in, and what is known of it under another bundle's layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Bools
from liftgate.domain.layer import OUTSIDE, Layer
from liftgate.replay.logged import Logged


def arms_of(logged: Logged, own: Bundle, bundle: Bundle) -> tuple[NDArray[np.int16], Bools]:
    """Return ([N, L] the arms of `bundle`'s layers as the log has them, [N] an arm that changes something cannot be told).

    `own` is the bundle that the decisions were made under; the placement is in both. Holdouts are looked at elsewhere: here only what arms
    change matters.
    """
    arms = np.full((logged.n, len(bundle.layers)), OUTSIDE, dtype=np.int16)
    lost = np.zeros(logged.n, dtype=np.bool_)
    before = {layer.name: (index, layer) for index, layer in enumerate(own.layers)}
    for index, layer in enumerate(bundle.layers):
        names = {arm.name: number for number, arm in enumerate(layer.arms)}
        if layer.name in logged.arms:
            arms[:, index] = [names.get(name, OUTSIDE) for name in logged.arms[layer.name]]
        here = layer.placements is None or bundle.placement_index[logged.placement_id] in layer.placements
        if bundle is own or not here or not any(key[0] == index for key in bundle.variation.effects):
            continue
        was = before.get(layer.name)
        if was is None or not _alike(layer, was[1]) or _condition(bundle, index) != _condition(own, was[0]):
            lost[:] = True
    return arms, lost


def _alike(one: Layer, other: Layer) -> bool:
    """Say whether two layers put everybody into the same arms."""
    told = {"owner": "", "hypothesis": "", "metric": "", "n_star": 0, "source": "", "share": 0.0, "answer": "none", "withholds": None}
    # Placements are indices of their own bundle: where a decision is not in the layer, the log says so.
    return replace(one, placements=None, **told) == replace(other, placements=None, **told)  # type: ignore[arg-type]


def _condition(bundle: Bundle, index: int) -> str:
    condition = bundle.layer_if.get(index)
    return "" if condition is None else condition.text
