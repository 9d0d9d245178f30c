"""What the arms that somebody is in had to do with a decision, in words."""

from __future__ import annotations

from collections.abc import Mapping

from liftgate.domain.variant import Ablation
from liftgate.v1.record_pb2 import DecisionRecord

ABLATED: Mapping[Ablation, str] = {
    "random_allowed": "every allowed offer was as likely as any other, whatever it is worth",
    "propensity_only": "offers ranked by propensity alone: values, context weights, levers and tiers did not count",
    "no_levers": "levers did not count",
    "eligibility_only": "applicable_if, suitable_if, context weights, levers and tiers did not count",
    "random_propensity": "propensities were random numbers, so no model had a say",
}
"""What each ablation means for a decision."""


def of_arms(record: DecisionRecord) -> str:
    """Return the sentences about arms that changed how the decision was made, each with a space before it; empty: none did."""
    found = []
    for change in record.arm_changes:
        where = f"arm {change.arm} of layer {change.layer}"
        told = [ABLATED[name] for name in ABLATED if name in change.changed]
        if told:
            found.append(f" The person is in {where}, which leaves a part of deciding out: {'; '.join(told)}.")
        else:
            found.append(f" The person is in {where}, which changed {'; '.join(change.changed)}.")
    return "".join(found)
