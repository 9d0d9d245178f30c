"""How long each layer must run: units and days for the effect that it is to show, by the closed forms of `liftgate measure power`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from liftgate.app.counted import counted
from liftgate.bundle.compiled import Bundle
from liftgate.domain.layer import CONTROL, HOLDOUT, TREATMENT, Layer
from liftgate.measure.hypotheses import Hypothesis
from liftgate.measure.power import Metric, days_needed, plan, smallest_effect


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for. Without a baseline nothing can be said."""

    baseline: float | None = None
    """What the control has: a rate, or a mean with `sd`."""
    sd: float | None = None
    lift: float | None = None
    """Relative effect; None: what each layer's hypothesis expects."""
    effect: float | None = None
    """Absolute effect, before `lift`."""
    units_a_day: float | None = None
    """Units that the layer's placements see in a day for the first time, all of them, in an arm or not."""
    alpha: float = 0.05
    power: float = 0.8


def control_of(layer: Layer) -> str:
    """Return the arm that the others are held against."""
    if layer.kind == "ablation":
        return TREATMENT
    names = [arm.name for arm in layer.arms]
    return HOLDOUT if layer.kind == "holdout" else CONTROL if CONTROL in names else names[0]


def plans(bundle: Bundle, wanted: Wanted, hypotheses: Mapping[str, Hypothesis]) -> list[dict[str, Any]]:
    """Return what each layer needs, with notes on what is missing or does not agree. Raises ValueError for numbers that cannot be."""
    return [_plan(layer, wanted, hypotheses) for layer in bundle.layers]


def _plan(layer: Layer, wanted: Wanted, hypotheses: Mapping[str, Hypothesis]) -> dict[str, Any]:
    shares = {arm.name: layer.share_of(i) for i, arm in enumerate(layer.arms) if arm.used}
    control, notes = control_of(layer), []
    hypothesis = hypotheses.get(layer.hypothesis)
    if hypothesis is not None:
        notes += _disagreements(layer, hypothesis)
    lift = wanted.lift if wanted.lift is not None else hypothesis.expected_lift if hypothesis is not None else None
    found: dict[str, Any] = {
        "layer": layer.name,
        "control": control,
        "shares": shares,
        "in_arms": sum(shares.values()),
        "effect": None,
        "needs": [],
        "units": None,
        "days": None,
        "n_star": layer.n_star or None,
        "effect_at_n_star": None,
        "notes": notes,
    }
    if len(shares) < 2 or control not in shares:
        notes.append("nobody is in two arms: nothing can be compared")
        return found
    if wanted.baseline is None:
        notes.append("needs --baseline to say how long")
        return found
    metric = Metric.proportion(wanted.baseline) if wanted.sd is None else Metric.mean(wanted.baseline, wanted.sd)
    within = {arm: share / found["in_arms"] for arm, share in shares.items()}
    if layer.n_star:
        n = {arm: layer.n_star * share for arm, share in within.items()}
        smallest = max(smallest_effect(metric.sd, n[arm], n[control], wanted.alpha, wanted.power) for arm in n if arm != control)
        found["effect_at_n_star"] = smallest
    effect = wanted.effect if wanted.effect is not None else lift * metric.baseline if lift is not None else None
    if effect is None:
        notes.append("needs --lift or --effect, or a hypothesis that says what to expect")
        return found
    needs = plan(metric, effect, within, control, wanted.alpha, wanted.power)
    units = max(need.total for need in needs)
    found |= {"effect": effect, "units": units, "needs": [{"arm": n.arm, "n": n.n_treatment, "n_control": n.n_control} for n in needs]}
    if wanted.units_a_day is not None:
        found["days"] = days_needed(units, wanted.units_a_day * found["in_arms"])
    if layer.n_star and units > layer.n_star:
        notes.append(f"n_star {layer.n_star:,} is below the {counted(units, 'unit')} that this effect needs")
    return found


def _disagreements(layer: Layer, hypothesis: Hypothesis) -> list[str]:
    said = []
    if layer.metric and layer.metric != hypothesis.metric:
        said.append(f"metric is {layer.metric}, and hypothesis {hypothesis.id} says {hypothesis.metric}")
    if layer.n_star and hypothesis.n_star and layer.n_star != hypothesis.n_star:
        said.append(f"n_star is {layer.n_star:,}, and hypothesis {hypothesis.id} has {hypothesis.n_star:,} frozen")
    if hypothesis.experiment_id and hypothesis.experiment_id != layer.name:
        said.append(f"hypothesis {hypothesis.id} is tied to experiment {hypothesis.experiment_id}")
    return said
