"""The variants of one bundle as tables, made when the first row needs them: a row's number finds everything that it is decided by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.variant import Variant, variant_of
from liftgate.domain.batch import Batch, Bools
from liftgate.domain.input import Floats
from liftgate.domain.offer import Indices
from liftgate.domain.reason import Reason
from liftgate.domain.variant import Ablation, InForce
from liftgate.record.codec import variant_part
from liftgate.selection.policy import Policies

_NOT_IN_ARM = np.uint8(Reason.NOT_IN_ARM)


class Variants:
    """Tables over V variants, the placements as they are first. They grow on first use, in the one thread that decides."""

    candidates: Bools
    """[V, K]"""
    value: Floats
    """[V, K]"""
    model: Indices
    """[V, M]"""
    base_rate: Floats
    """[V, K]"""
    untreated_rate: Floats
    """[V, K]"""
    policies: Policies
    """By variant."""
    minimum_value: Floats
    """[V] -inf: none."""
    minimum_propensity: Floats
    """[V] -inf: none."""
    ablated: Bools
    """[V]"""
    excused: Bools
    """[V] applicable_if and suitable_if deny nothing."""
    valueless: Bools
    """[V] offers rank as if all were worth the same."""
    weightless: Bools
    """[V] context weights do not count."""
    leverless: Bools
    """[V] levers do not count."""
    tierless: Bools
    """[V] tiers do not count."""

    in_force: list[InForce]
    """By variant."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.plain = not bundle.variation.effects
        """No arm changes anything: variants are placements."""
        effects = bundle.variation.effects.values()
        self.offers_vary = bundle.variation.own_candidates is not None
        self.values_vary = any(effect.values is not None for effect in effects)
        self.ablates = any(effect.ablation is not None for effect in effects)
        self.models_vary = bool(bundle.variation.replacements)
        self.rules_vary = any(effect.ablation == "eligibility_only" for effect in effects)
        self._layers: Indices = np.array(sorted({layer for layer, _ in bundle.variation.effects}), dtype=np.intp)
        self._digits_at: list[dict[str, list[tuple[int, int]]]] = [{} for _ in bundle.placements]
        """By placement, digit by digit: the arms, (layer, arm) each, that it tells apart."""
        self._digits = self._numbering()
        self._rows = np.arange(len(self._layers))
        self.each = [variant_of(bundle, placement, ()) for placement in range(len(bundle.placements))]
        self._number = {placement: placement for placement in range(len(self.each))}
        """By key: the placement, and what its arms add."""
        self.record_parts: list[bytes] = []
        """By variant: what its records say of it."""
        self._stack()

    def place(self, batch: Batch) -> None:
        """Fill in which variant each row is, and what it changes for the stages to come; needs placement and arms."""
        if self.plain:
            batch.variant = batch.placement
            return
        arms = batch.layer_arm.take(self._layers, axis=1)
        keys = batch.placement + np.add.reduce(self._digits[self._rows, batch.placement[:, None], arms], axis=1)
        number = self._number
        batch.variant = np.array([number[key] if key in number else self._make(key) for key in keys.tolist()], dtype=np.intp)
        batch.in_force = self.in_force
        if self.values_vary:
            batch.value = self.value[batch.variant]
        if self.rules_vary:
            batch.excused = self.excused[batch.variant]

    def narrow(self, batch: Batch) -> None:
        """Take out what a row's arms do not show. Last, so that NOT_IN_ARM means: nothing else was against it, whatever the arm."""
        if self.offers_vary:
            out = batch.allowed & ~self.candidates[batch.variant]
            batch.reason[out] = _NOT_IN_ARM
            batch.allowed &= ~out

    def _numbering(self) -> NDArray[np.int64]:
        """Return what each layer's arm adds to the key of a row at each placement, [layers that change something, P, arms + 1].

        Keys are numbers of mixed radix. Layers of one exclusive namespace share a digit, for nobody is in two of them. The last arm stands
        for none.
        """
        bundle, places = self._bundle, len(self._bundle.placements)
        widest = max((len(bundle.layers[layer].arms) for layer in self._layers), default=0)
        digits = np.zeros((len(self._layers), places, widest + 1), dtype=np.int64)
        for i, layer in enumerate(self._layers.tolist()):
            part = bundle.layers[layer].exclusive
            name = f"layer {layer}" if part is None else f"namespace {part.namespace}"
            at = bundle.layers[layer].placements
            for place in range(places) if at is None else at:
                arms = [(layer, arm) for arm in range(len(bundle.layers[layer].arms)) if (layer, arm) in bundle.variation.effects]
                self._digits_at[place].setdefault(name, []).extend(arms)
                digits[i, place, [arm for _, arm in arms]] = 1
        for place, named in enumerate(self._digits_at):
            stride = places
            for changing in named.values():
                for rank, (layer, arm) in enumerate(changing, start=1):
                    digits[int(np.searchsorted(self._layers, layer)), place, arm] *= rank * stride
                stride *= len(changing) + 1
        return digits

    def _arms(self, key: int) -> list[tuple[int, int]]:
        """Return the arms, (layer, arm) each, that a key stands for."""
        rest, place = divmod(key, len(self._bundle.placements))
        found = []
        for changing in self._digits_at[place].values():
            rest, rank = divmod(rest, len(changing) + 1)
            found += changing[rank - 1 : rank] if rank else []
        return found

    def _make(self, key: int) -> int:
        number = len(self.each)
        self.each.append(variant_of(self._bundle, key % len(self._bundle.placements), self._arms(key)))
        self._number[key] = number
        self._stack()
        return number

    def _stack(self) -> None:
        """Make the tables anew."""
        each, k, models = self.each, len(self._bundle.offers), len(self._bundle.models)
        self.candidates = np.array([one.candidates for one in each], dtype=np.bool_).reshape(len(each), k)
        self.value = np.array([one.value for one in each], dtype=np.float64).reshape(len(each), k)
        self.model = np.array([one.model for one in each], dtype=np.intp).reshape(len(each), models)
        self.base_rate = np.array([one.base_rate for one in each], dtype=np.float64).reshape(len(each), k)
        self.untreated_rate = np.array([one.untreated_rate for one in each], dtype=np.float64).reshape(len(each), k)
        self.policies = Policies([one.policy for one in each], self._bundle.group_policies, k)
        self.minimum_value = np.array([one.minimum_value for one in each], dtype=np.float64)
        self.minimum_propensity = np.array([one.minimum_propensity for one in each], dtype=np.float64)
        self.ablated = np.array([one.ablation is not None for one in each], dtype=np.bool_)
        self.excused = self._with("eligibility_only")
        self.valueless = self._with("propensity_only")
        self.weightless = self._with("propensity_only", "eligibility_only")
        self.leverless = self._with("propensity_only", "eligibility_only", "no_levers")
        self.tierless = self._with("propensity_only", "eligibility_only", "random_allowed")
        self.in_force = [one.in_force for one in each]
        self.record_parts += [self._part(one) for one in each[len(self.record_parts) :]]

    def _with(self, *ablations: Ablation) -> Bools:
        """Return [V] where one of some ablations is in force."""
        return np.array([one.ablation in ablations for one in self.each], dtype=np.bool_)

    def _part(self, one: Variant) -> bytes:
        said, offers = one.in_force, self._bundle.placements[one.placement].offers.tolist()
        models = [said.models[k] for k in offers] if said.models else []
        return variant_part(
            models, said.ablation or "", [(change.layer, change.arm, change.changed) for change in said.changes], said.policy
        )
