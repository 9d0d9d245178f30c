"""Holdout layers: salted, stable, taken from the person alone before anything else is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liftgate.domain.batch import Bools
from liftgate.domain.bucketing import Salt
from liftgate.domain.offer import HoldoutLayer


class Layers:
    """The bundle's layers, salted once at load."""

    def __init__(self, layers: Sequence[HoldoutLayer]) -> None:
        self._layers = tuple((Salt("layer", layer.salt), layer.boundary) for layer in layers)

    def held_out(self, people: Sequence[str]) -> Bools:
        """Return [N, L]: who is held out in which layer. A larger share keeps everyone who was in: buckets grow from 0."""
        out = np.zeros((len(people), len(self._layers)), dtype=np.bool_)
        for i, (salt, boundary) in enumerate(self._layers):
            out[:, i] = [salt.bucket(person) < boundary for person in people]
        return out
