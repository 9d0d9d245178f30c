"""What reads a feature whose staleness takes offers out: `on_stale: skip_offer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from liftgate.bundle.conditions import input_names
from liftgate.bundle.rules import Written
from liftgate.bundle.sections import Draft
from liftgate.domain.batch import Bools
from liftgate.domain.input import InputSchema


def stale_offers(
    schema: InputSchema, conditions: Sequence[Written], read_by_models: Sequence[Sequence[frozenset[int]]], offers: int
) -> Mapping[int, Bools]:
    """Return, by input that takes offers out when it is stale, the offers [K] whose conditions, levers, weights or models read it.

    `read_by_models`: for each offer, the inputs of each of its models.
    """
    found: dict[int, Bools] = {index: np.zeros(offers, dtype=np.bool_) for index in sorted(schema.skips_offer)}
    if not found:
        return {}
    for item in conditions:
        if item.index >= 0:
            for index in {schema.index[name] for name in input_names(item.node) if name in schema.index} & schema.skips_offer:
                found[index][item.index] = True
    for k, models in enumerate(read_by_models):
        for index in frozenset().union(*models) & schema.skips_offer:
            found[index][k] = True
    return {index: column for index, column in found.items() if column.any()}


def stale_sources(draft: Draft, schema: InputSchema, stale: Mapping[int, Bools]) -> dict[tuple[str, int], str]:
    """Return the places of the features that may take an offer out, by (`features`, offer)."""
    places: dict[tuple[str, int], list[str]] = {}
    for index, readers in stale.items():
        where = draft.where(("features", schema.inputs[index].name.removeprefix("profile.")))
        for k in np.flatnonzero(readers).tolist():
            places.setdefault(("features", k), []).append(where)
    return {key: ", ".join(dict.fromkeys(found)) for key, found in places.items()}
