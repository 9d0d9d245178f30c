"""What is in force: one bundle, its models, and everything that is compiled from them once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle, ModelSpec
from liftgate.domain.bucketing import Salt
from liftgate.domain.input import Floats
from liftgate.domain.offer import Indices, Placement
from liftgate.guardrails.chain import Chain
from liftgate.pipeline.ports import Models, Watch
from liftgate.record.codec import constant_part
from liftgate.selection.layers import Layers
from liftgate.selection.slate import SCHEME


class ModelPlan:
    """How one model is fed and where its scores go, as index arrays."""

    __slots__ = ("columns", "equals", "in_order", "missing", "offers", "one_hot", "outputs", "personal", "span", "spec")

    def __init__(self, bundle: Bundle, index: int) -> None:
        self.spec: ModelSpec = bundle.models[index]
        inputs = self.spec.inputs
        self.columns: Indices = np.array([column.input for column in inputs], dtype=np.intp)
        self.one_hot = np.array([column.equals is not None for column in inputs], dtype=np.bool_)
        self.equals: Floats = np.array([column.equals for column in inputs if column.equals is not None], dtype=np.float64)
        self.missing: Floats = np.array([column.missing for column in inputs], dtype=np.float64)
        self.offers: Indices = np.flatnonzero(bundle.offer_model == index)
        self.outputs: Indices = bundle.offer_output[self.offers]
        first, last = int(self.offers.min(initial=0)), int(self.offers.max(initial=-1))
        together = len(self.offers) == last - first + 1
        self.span: Indices | slice = slice(first, last + 1) if together else self.offers
        """The offers, as a slice where they lie together."""
        self.in_order = together and self.outputs.tolist() == list(range(len(self.spec.outputs)))
        """The model's outputs are the span's offers, one for one."""
        self.personal = bool((self.columns < bundle.schema.profile_count).any())
        """Reads profile features: people whose profile may not be read, or is not there, are not scored by it."""

    def matrix(self, inputs: Floats) -> Floats:
        """Return [N, F] model rows from [N, I] inputs: numbers, one-hot columns, missing values filled."""
        rows: Floats = inputs[:, self.columns]
        missing = np.isnan(rows)
        if self.equals.size:
            rows[:, self.one_hot] = rows[:, self.one_hot] == self.equals
        np.copyto(rows, self.missing, where=missing)
        return rows


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """Taken once at a request's entry and swapped whole on reload; nothing in it changes."""

    bundle: Bundle
    models: Models
    chain: Chain = field(init=False)
    layers: Layers = field(init=False)
    plans: tuple[ModelPlan, ...] = field(init=False)
    epsilon: Floats = field(init=False)
    """[placements]"""
    draw_salts: tuple[tuple[Salt, ...], ...] = field(init=False)
    """By placement and slot."""
    cap_limits: NDArray[np.int64] = field(init=False)
    """[caps]"""
    capped_by: NDArray[np.int64] = field(init=False)
    """[K, caps] 1 where the cap counts the offer."""
    placement_caps: tuple[Indices, ...] = field(init=False)
    """By placement: the caps that count any of its offers."""
    watches: tuple[tuple[Watch, ...], ...] = field(init=False)
    """By placement and number of slots: what to watch while every cap has room for all of them."""
    record_parts: tuple[bytes, ...] = field(init=False)
    """By placement: what is constant in its records."""

    def __post_init__(self) -> None:
        bundle = self.bundle
        set_once = object.__setattr__
        set_once(self, "chain", Chain(bundle))
        set_once(self, "layers", Layers(bundle.layers))
        set_once(self, "plans", tuple(plan for plan in (ModelPlan(bundle, i) for i in range(len(bundle.models))) if plan.offers.size))
        set_once(self, "epsilon", np.array([placement.epsilon for placement in bundle.placements], dtype=np.float64))
        salts = tuple(
            tuple(Salt("select", bundle.name, placement.placement_id, str(slot)) for slot in range(placement.slots))
            for placement in bundle.placements
        )
        set_once(self, "draw_salts", salts)
        limits = np.array([cap.limit for cap in bundle.caps], dtype=np.int64)
        capped_by = np.zeros((len(bundle.offers), len(bundle.caps)), dtype=np.int64)
        for c, cap in enumerate(bundle.caps):
            capped_by[cap.offers, c] = 1
        placement_caps = tuple(np.flatnonzero(capped_by[placement.offers].any(axis=0)) for placement in bundle.placements)
        watches = tuple(
            tuple(Watch(tuple((bundle.caps[c].cap_id, int(limits[c]) - slots) for c in caps)) for slots in range(placement.slots + 1))
            for placement, caps in zip(bundle.placements, placement_caps, strict=True)
        )
        set_once(self, "cap_limits", limits)
        set_once(self, "capped_by", capped_by)
        set_once(self, "placement_caps", placement_caps)
        set_once(self, "watches", watches)
        set_once(self, "record_parts", tuple(_record_part(bundle, placement) for placement in bundle.placements))


def _record_part(bundle: Bundle, placement: Placement) -> bytes:
    return constant_part(
        placement_id=placement.placement_id,
        bundle=bundle.name,
        bundle_digest=bundle.digest,
        models=[(model.name, model.version, model.sha256) for model in bundle.models],
        slate_scheme=SCHEME,
        candidate_offer_id=[bundle.offers[offer].offer_id for offer in placement.offers],
        inputs=[(column.name, column.type.value, column.values) for column in bundle.schema.inputs],
        purpose=bundle.purposes,
    )
