"""What the policy was worth on the half that no model saw, as numbers, as a table, and in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from campaign import OFFERS, OUTCOMES, Campaign
from numpy.typing import NDArray
from policy_value import Z_95, Estimate, Refused, Support, always, difference, ips, snips, support, weights
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

Floats = NDArray[np.float64]
CHANCE = np.full(len(OFFERS), 1.0 / len(OFFERS))
"""The campaign sent each customer one of the three with equal chances, by design."""
POLICY, GREEDY = "the policy", "... not exploring"
SINGLE = {"mens-email": "men's to everyone", "womens-email": "women's to everyone", "no-email": "nothing to anyone"}
IN_WORDS = {
    "men's to everyone": "the men's e-mail to everyone",
    "women's to everyone": "the women's e-mail to everyone",
    "nothing to anyone": "sending nothing",
}


@dataclass(frozen=True, slots=True)
class Valued:
    """One way to send, and what it brings per customer."""

    name: str
    ips: dict[str, Estimate]
    """By outcome; inverse propensity weighting."""
    snips: dict[str, Estimate]
    """The same, self-normalised."""
    policy_minus_this: dict[str, Estimate]
    """The policy as decided minus this, self-normalised, on the same customers."""
    support: Support


def value(campaign: Campaign, probability: Floats) -> list[Valued]:
    """Return the values on the untouched half: the policy, without its exploring, and each offer for everyone.

    Raises policy_value.Refused where the campaign cannot carry an estimate.
    """
    held = ~campaign.trained_on
    sent, outcome, policy = campaign.sent[held], campaign.outcome[held], probability[held]
    best = policy == policy.max(axis=1, keepdims=True)
    ways = {POLICY: policy, GREEDY: best / best.sum(axis=1, keepdims=True)}
    ways |= {SINGLE[offer]: always(k, len(sent), len(OFFERS)) for k, offer in enumerate(OFFERS)}
    weight = {name: weights(way, sent, CHANCE) for name, way in ways.items()}
    if abs((carried := support(weight[POLICY])).mean_weight - 1.0) > 4 * carried.mean_weight_error:
        raise Refused(f"the mean weight is {carried.mean_weight:.3f}: the chances are not what the campaign drew with")
    found = []
    for name, mine in weight.items():
        columns = [(what, outcome[:, j]) for j, what in enumerate(OUTCOMES)]
        found.append(
            Valued(
                name,
                {what: ips(mine, column) for what, column in columns},
                {what: snips(mine, column) for what, column in columns},
                {what: difference(weight[POLICY], mine, column) for what, column in columns},
                support(mine),
            )
        )
    return found


def as_json(values: list[Valued]) -> list[dict[str, Any]]:
    """Return plain data."""
    return [asdict(each) for each in values]


def show(console: Console, values: list[Valued]) -> None:
    """Print the table and what it means."""
    carried = values[0].support
    console.print(f"On the {carried.customers:,} customers that no model has seen; ± is a 95 % interval", highlight=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("sending", "visits\nper 100", "the policy\nminus this", "spend,\nUS dollars", "the policy\nminus this"):
        table.add_column(heading, justify="left" if heading == "sending" else "right", no_wrap=True)
    for each in values:
        table.add_row(
            f"[bold]{each.name}[/bold]" if each.name == POLICY else each.name,
            _about(each.ips["visit"], 100.0),
            "" if each.name == POLICY else _about(each.policy_minus_this["visit"], 100.0, "+"),
            _about(each.ips["spend"]),
            "" if each.name == POLICY else _about(each.policy_minus_this["spend"], sign="+"),
        )
    console.print(table)
    console.print(
        "Values: inverse propensity weighting by the campaign's own chances, 1/3 each by design. Differences: the same, "
        f"self-normalised, on the same customers. The policy is carried by {carried.effective_customers:,.0f} effective customers; its "
        f"mean weight is {carried.mean_weight:.3f} ± {Z_95 * carried.mean_weight_error:.3f} (1 expected), the largest "
        f"{carried.largest_weight:.2f}.\n",
        highlight=False,
    )
    console.print(sentence(values), style="bold", highlight=False)


def sentence(values: list[Valued]) -> str:
    """Return what it means, in plain words."""
    policy, rest = values[0], [each for each in values if each.name in IN_WORDS]
    visits = policy.ips["visit"]
    parts = [f"Under the policy {visits.value:.1%} of the customers visit the shop ({visits.low:.1%} to {visits.high:.1%})."]
    for each in sorted(rest, key=lambda each: each.snips["visit"].value):
        gap = each.policy_minus_this["visit"]
        other = IN_WORDS[each.name]
        near, far = sorted((abs(gap.low), abs(gap.high)))
        if gap.low <= 0 <= gap.high:
            parts.append(f"Against {other} these customers show no difference that chance could not make.")
        else:
            kind = "more" if gap.value > 0 else "fewer"
            parts.append(f"That is {abs(gap.value) * 100:.1f} {kind} in 100 than {other} ({near * 100:.1f} to {far * 100:.1f}).")
    explored = -next(each for each in values if each.name == GREEDY).policy_minus_this["visit"].value
    parts.append(f"Exploring, so that the next policy can learn, costs it {explored * 100:.1f} in 100.")
    return " ".join(parts)


def _about(estimate: Estimate, scale: float = 1.0, sign: str = "") -> str:
    return f"{estimate.value * scale:{sign}.2f} ± {Z_95 * estimate.standard_error * scale:.2f}"
