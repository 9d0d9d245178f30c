"""The explanation that goes out with an answer: the decision's columns as the record that will be kept, explained like any other.

A caller who asks for the explanation of a held-out person's decision is told what would have been offered: support and analysts need it.
It stands in the explanation alone, never in `slots`, so a front end that shows slots cannot leak it. Values of profile features are left
out: whoever may decide for a person may not read their profile for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from liftgate.adapters.bundle_archive import Rulebook, rulebook_of
from liftgate.adapters.explanation_of_record import explain_record
from liftgate.adapters.explanation_rules import Conditions
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.rules import KINDS
from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.domain.reason import Reason
from liftgate.domain.variant import InForce
from liftgate.record.answer_part import ONLINE
from liftgate.v1.decision_pb2 import Explanation
from liftgate.v1.record_pb2 import DecisionRecord, InputColumn, ModelPin, SlotProbabilities


class LiveExplanations:
    """Explains decisions of the bundle in force; what is made of a bundle is made once. One event loop."""

    def __init__(self) -> None:
        self._bundle: Bundle | None = None
        self._rulebook: Rulebook
        self._conditions: Conditions

    def explain(self, batch: Batch, bundle: Bundle, decision: Decision) -> Explanation:
        """Return the explanation of one decision. Columns of stages that did not run count as empty; never raises for them."""
        if bundle is not self._bundle:
            self._rulebook = rulebook_of(bundle)
            rules = (rule for kind in KINDS for rule in getattr(bundle, kind))
            self._conditions = Conditions(self._rulebook, bundle.schema, (rule.condition for rule in rules))
            self._bundle = bundle
        return explain_record(record_of(batch, bundle, decision), self._rulebook, self._conditions, live=True)


def explain(batch: Batch, bundle: Bundle, decision: Decision) -> Explanation:
    """Return the explanation of one decision; see `LiveExplanations`, which remembers what it makes of a bundle."""
    return LiveExplanations().explain(batch, bundle, decision)


def record_of(batch: Batch, bundle: Bundle, decision: Decision) -> DecisionRecord:
    """Return what an explanation needs of a decision's record, in the record's own form. No person, no pseudonym."""
    row, request = decision.row, batch.requests[decision.row]
    record = DecisionRecord(
        decision_id="" if request.dry_run else decision.decision_id,
        decided_at_ms=int(batch.now_ms[row]),
        placement_id=request.placement_id,
        bundle=bundle.name,
        bundle_digest=bundle.digest,
        models=[ModelPin(model=model.name, version=model.version, sha256=model.sha256) for model in bundle.models],
        arm=int(decision.arm),  # type: ignore[arg-type]
        branch=int(decision.branch),  # type: ignore[arg-type]
        reason=int(decision.reason),  # type: ignore[arg-type]
        degraded=decision.degraded,
        fallback_reason=int(decision.fallback_reason),  # type: ignore[arg-type]
        offered=_names(bundle, decision.offered),
        default_served=decision.default_served,
        would_offer=_names(bundle, decision.would_offer),
        would_offer_default=decision.would_offer_default,
        slot_count=request.slot_count,
        default_slot=decision.default_slots,
        withheld_offer=_names(bundle, decision.withheld),
        mode="" if decision.mode == ONLINE else decision.mode,
    )
    # Unset columns raise AttributeError: a stage before them failed.
    arms = getattr(batch, "layer_arm", None)
    enrolled = batch.enrolled is None or bool(batch.enrolled[row])
    for layer, arm in zip(bundle.layers, arms[row].tolist() if arms is not None else (), strict=arms is not None):
        if arm >= 0:
            assignment = record.assignments.add(layer=layer.name, arm=layer.arms[arm].name, phase=layer.phase, unit=layer.unit)
            assignment.share = layer.share_of(arm)
    masked, scored = getattr(batch, "masked", None), getattr(batch, "scored", None)
    if masked is not None and masked[row]:
        record.masked_paths.append("profile.*")
    if not enrolled:
        record.masked_paths.append("layers.*")
    record.scored = bool(scored[row]) if scored is not None else False
    versions = getattr(batch, "consent_version", None)
    record.consent_version = versions[row] if versions is not None else ""
    _columns(record, batch, bundle, decision)
    record.policy = bundle.placements[bundle.placement_index[request.placement_id]].policy.kind
    if batch.in_force is not None:
        _arms(record, batch.in_force[batch.variant[row]], bundle)
    return record


def _arms(record: DecisionRecord, said: InForce, bundle: Bundle) -> None:
    record.ablation = said.ablation or ""
    record.policy = said.policy or record.policy
    for change in said.changes:
        record.arm_changes.add(layer=change.layer, arm=change.arm, changed=change.changed)
    if said.models:
        record.candidate_model.extend(said.models[bundle.offer_index[offer_id]] for offer_id in record.candidate_offer_id)


def _names(bundle: Bundle, offers: Iterable[int]) -> list[str]:
    return [bundle.offers[k].offer_id for k in offers]


def _columns(record: DecisionRecord, batch: Batch, bundle: Bundle, decision: Decision) -> None:
    row = decision.row
    inputs: Any = getattr(batch, "inputs", None)
    if inputs is not None:
        columns = bundle.schema.inputs
        record.inputs.extend(InputColumn(name=column.name, type=column.type.value, values=column.values) for column in columns)
        record.input_value.extend(inputs[row].tolist())
        record.input_age_s.extend(batch.input_age_s[row].tolist())
        record.input_state.extend(batch.input_state[row].tolist())
    consent: Any = getattr(batch, "consent", None)
    if consent is not None:
        record.purpose.extend(bundle.purposes)
        record.consent_reason.extend(consent[row].tolist())
    if batch.by_default is not None:
        record.jurisdiction = batch.jurisdiction[row]
        record.purpose_by_default.extend(name for name, used in zip(bundle.purposes, batch.by_default[row].tolist(), strict=True) if used)
    reasons: Any = getattr(batch, "reason", None)
    if reasons is None:
        return
    codes = reasons[row].tolist()
    offers = [k for k, code in enumerate(codes) if code != Reason.UNSPECIFIED]
    chosen = set(decision.chosen)
    allowed = [codes[k] == Reason.ALLOWED for k in offers]
    record.candidate_offer_id.extend(_names(bundle, offers))
    became: list[Any] = [int(Reason.CHOSEN) if fine and k in chosen else codes[k] for k, fine in zip(offers, allowed, strict=True)]
    record.candidate_reason.extend(became)
    if batch.shadow_reason is not None:
        record.candidate_shadow_reason.extend(batch.shadow_reason[row, offers].tolist())
    nan = float("nan")
    value: Any = bundle.value if batch.value is None else batch.value[row]
    record.candidate_value.extend(value.item(k) if fine else nan for k, fine in zip(offers, allowed, strict=True))
    if batch.not_shown is not None:
        for i, code in enumerate(batch.not_shown[row, offers].tolist()):
            if code:
                record.candidate_reason[i] = code
    factors = {
        "context_weight": batch.context_weight,
        "lever": batch.lever,
        "untreated_propensity": batch.untreated,
        "smoothed_propensity": batch.smoothed,
    }
    for name, column in factors.items():
        if column is not None:
            numbers = [column.item(row, k) if fine else nan for k, fine in zip(offers, allowed, strict=True)]
            getattr(record, f"candidate_{name}").extend(numbers)
    propensity: Any = getattr(batch, "propensity", None)
    if propensity is not None:
        record.candidate_propensity.extend(propensity[row, offers].tolist())
    probability: Any = getattr(batch, "probability", None)
    draws: Any = getattr(batch, "draws", None)
    slots = min(record.slot_count, 0 if probability is None else len(probability)) or (0 if probability is None else len(probability))
    for s in range(slots):
        record.slots.append(SlotProbabilities(probability=probability[s, row, offers].tolist()))
        if draws is not None:
            record.draws.append(draws.item(row, s))
    if slots > 1 and batch.slate_joint is not None:
        record.slate_joint_probability = batch.slate_joint.item(row)
    if slots > 1 and batch.slate_marginal is not None:
        marginals = batch.slate_marginal[:slots, row][:, offers]
        if not np.isnan(marginals).any():
            record.slot_marginals.extend(SlotProbabilities(probability=one) for one in marginals.tolist())
