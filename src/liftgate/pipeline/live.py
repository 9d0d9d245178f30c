"""What is in force: one bundle, its models, and everything that is compiled from them once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from liftgate.bundle.compiled import Bundle, ModelSpec
from liftgate.bundle.variant import Replacement
from liftgate.domain import consent
from liftgate.domain.bucketing import Salt
from liftgate.domain.input import Floats
from liftgate.domain.layer import Layer
from liftgate.domain.offer import Indices, Mode, Placement
from liftgate.guardrails.chain import Chain
from liftgate.pipeline.cap_plan import CapPlan
from liftgate.pipeline.contexts import ContextRows
from liftgate.pipeline.kinds import Kinds
from liftgate.pipeline.ports import Models
from liftgate.pipeline.slate_limits import SlateLimits
from liftgate.pipeline.slot_default import SlotDefaults
from liftgate.pipeline.variants import Variants
from liftgate.record.codec import assignment_part, constant_part
from liftgate.selection.layers import Layers
from liftgate.selection.slate import SCHEME
from liftgate.signals.evaluate import Evaluation
from liftgate.signals.plan import FeaturePlan


class ModelPlan:
    """How one model is fed and where its scores go, as index arrays."""

    __slots__ = (
        "by",
        "columns",
        "contested",
        "equals",
        "in_order",
        "index",
        "missing",
        "offers",
        "one_hot",
        "outputs",
        "personal",
        "skipped_by",
        "skips",
        "span",
        "spec",
        "untreated",
        "untreated_outputs",
    )

    def __init__(self, bundle: Bundle, index: int, instead: Replacement | None = None) -> None:
        """`index` says which model the offers rank by, `instead` what scores in its place for some arms."""
        self.index = index
        self.by = index if instead is None else instead.by
        """Which model scores."""
        self.contested = any(one.model == index for one in bundle.variation.replacements)
        """Another plan is for the same offers and other arms."""
        self.spec: ModelSpec = bundle.models[self.by]
        inputs = self.spec.inputs
        self.columns: Indices = np.array([column.input for column in inputs], dtype=np.intp)
        one_hot = np.array([column.equals is not None for column in inputs], dtype=np.bool_)
        self.one_hot = one_hot if one_hot.any() else None
        self.equals: Floats = np.array([0.0 if column.equals is None else column.equals for column in inputs], dtype=np.float64)
        self.missing: Floats = np.array([column.missing for column in inputs], dtype=np.float64)
        self.offers: Indices = np.flatnonzero(bundle.offer_model == index)
        self.outputs: Indices = (bundle.offer_output if instead is None else instead.treated)[self.offers]
        first, last = int(self.offers.min(initial=0)), int(self.offers.max(initial=-1))
        together = len(self.offers) == last - first + 1
        self.span: Indices | slice = slice(first, last + 1) if together else self.offers
        """The offers, as a slice where they lie together."""
        self.in_order = together and self.outputs.tolist() == list(range(len(self.spec.outputs)))
        """The model's outputs are the span's offers, one for one."""
        second = bundle.worth.untreated
        self.untreated: Indices = np.flatnonzero(second.model == index) if second is not None else np.zeros(0, dtype=np.intp)
        """Offers of which it says how likely the outcome is without them."""
        outputs = second.output if second is not None else bundle.offer_output
        self.untreated_outputs: Indices = (outputs if instead is None else instead.untreated)[self.untreated]
        self.skipped_by: Indices = np.array(sorted(bundle.schema.skips_model.intersection(self.columns.tolist())), dtype=np.intp)
        """Inputs whose staleness keeps it from scoring."""
        self.skips = len(self.skipped_by) > 0
        self.personal = bool((self.columns < bundle.schema.profile_count).any())
        """Reads profile features: people whose profile may not be read, or is not there, are not scored by it."""

    def matrix(self, inputs: Floats) -> Floats:
        """Return [N, F] model rows from [N, I] inputs: numbers, one-hot columns, missing values filled."""
        rows: Floats = inputs.take(self.columns, axis=1)
        missing = np.isnan(rows)
        if self.one_hot is not None:
            np.copyto(rows, rows == self.equals, where=self.one_hot)
        if True in missing.tobytes():
            np.copyto(rows, self.missing, where=missing)
        return rows


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """Taken once at a request's entry and swapped whole on reload; nothing in it changes, but what it remembers."""

    bundle: Bundle
    models: Models
    chain: Chain = field(init=False)
    layers: Layers = field(init=False)
    assignment_parts: tuple[tuple[bytes, ...], ...] = field(init=False)
    """By layer and arm: what its records say; last, at -1, nothing."""
    plans: tuple[ModelPlan, ...] = field(init=False)
    variants: Variants = field(init=False)
    """What is in force for each row, by the arms that it is in."""
    narrows: bool = field(init=False)
    """Allowed offers may be out of the draw: not worth showing, or of a lower tier."""
    modes: tuple[Mode, ...] = field(init=False)
    """By placement: what it answers; empty: every one what is chosen."""
    valid_for_ms: tuple[int, ...] = field(init=False)
    """By placement: how long its answers may be shown."""
    ends_at_ms: tuple[float, ...] = field(init=False)
    """By offer: when it ends, inf: it does not."""
    draw_salts: tuple[tuple[Salt | None, ...], ...] = field(init=False)
    """By slot and placement; None: the placement has no such slot."""
    caps: CapPlan = field(init=False)
    """The bundle's caps, pauses and contact policies as columns."""
    slate_limits: SlateLimits = field(init=False)
    """What earlier slots of an answer leave to later ones."""
    slot_defaults: SlotDefaults = field(init=False)
    """What stands in later slots for which nothing is left."""
    features: FeaturePlan | None = field(init=False)
    """What events change of people's features; None: the bundle has no features from events."""
    evaluation: Evaluation | None = field(init=False)
    """What those features are."""
    reads: tuple[bool, ...] = field(init=False)
    """What is read of people, see `PersonKey`: `both` of who is held out (whether they agreed to experiments, and so are held out at all,
    is known only afterwards), `certain`, `account_id`, `verdicts`, `lists`, `features`."""
    consents: consent.Reader = field(init=False)
    """Reads consent documents, and remembers what they say of the bundle's purposes."""
    contexts: ContextRows = field(init=False)
    """Reads contexts, and remembers their rows."""
    record_parts: tuple[bytes, ...] = field(init=False)
    """By placement: what is constant in its records."""
    factored: bool = field(init=False)
    """Worth has factors that records have columns of."""
    bare: bool = field(init=False)
    """Nothing in the bundle but arms gives records fields that most have not."""
    kinds: Kinds = field(init=False, default_factory=Kinds)
    """What rows that are alike come to, as far as it came up."""
    outcome_parts: dict[int, bytes] = field(init=False, default_factory=dict)
    """What records of decisions of one kind have in common, as far as it came up: `pipeline/heads.py`."""

    def __post_init__(self) -> None:
        bundle = self.bundle
        set_once = object.__setattr__
        set_once(self, "chain", Chain(bundle))
        set_once(self, "layers", Layers(bundle.layers))
        set_once(self, "assignment_parts", tuple(map(_assignment_parts, bundle.layers)))
        plans = [ModelPlan(bundle, i) for i in range(len(bundle.models))]
        plans += [ModelPlan(bundle, one.model, one) for one in bundle.variation.replacements]
        set_once(self, "plans", tuple(plan for plan in plans if plan.offers.size or plan.untreated.size))
        set_once(self, "variants", Variants(bundle))
        set_once(self, "narrows", bundle.worth.narrows or _minima_vary(bundle))
        salts = tuple(
            tuple(Salt("select", bundle.name, place.placement_id, str(slot)) if slot < place.slots else None for place in bundle.placements)
            for slot in range(max((place.slots for place in bundle.placements), default=0))
        )
        learns = any(placement.mode != "online" for placement in bundle.placements)
        set_once(self, "modes", tuple(placement.mode for placement in bundle.placements) if learns else ())
        set_once(self, "draw_salts", salts)
        set_once(self, "valid_for_ms", tuple(placement.valid_for_ms for placement in bundle.placements))
        set_once(self, "ends_at_ms", tuple(bundle.ends_at_ms.tolist()))
        set_once(self, "caps", CapPlan(bundle))
        set_once(self, "slate_limits", SlateLimits(bundle, self.caps))
        set_once(self, "slot_defaults", SlotDefaults(bundle))
        set_once(self, "features", _feature_plan(bundle))
        set_once(self, "evaluation", None if self.features is None else Evaluation(self.features))
        rules = bundle.consent
        reads = rules.experiment_purpose >= 0, rules.jurisdictions, self.caps.by_account, bundle.each_decision, bundle.suppressions.lists
        set_once(self, "consents", consent.Reader(bundle.purposes))
        set_once(self, "contexts", ContextRows(bundle.schema))
        set_once(self, "reads", (*map(bool, reads), self.evaluation is not None))
        worth = bundle.worth
        set_once(self, "factored", any(one is not None for one in (worth.context_weight, worth.lever, worth.untreated, worth.prior)))
        set_once(self, "bare", not self.layers.by_visit and not self.modes and not self.slot_defaults.any)
        set_once(self, "record_parts", tuple(_record_part(bundle, placement) for placement in bundle.placements))


def _feature_plan(bundle: Bundle) -> FeaturePlan | None:
    if not bundle.streams:
        return None
    return FeaturePlan(bundle.streams, {offer.offer_id: offer.group for offer in bundle.offers}, bundle.currency)


def _minima_vary(bundle: Bundle) -> bool:
    effects = bundle.variation.effects.values()
    return any(one.minimum_value is not None or one.minimum_propensity is not None for one in effects)


def _assignment_parts(layer: Layer) -> tuple[bytes, ...]:
    arms = [assignment_part(layer.name, arm.name, layer.phase, layer.share_of(i), layer.unit) for i, arm in enumerate(layer.arms)]
    return *arms, b""


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
        policy=placement.policy.kind,
    )
