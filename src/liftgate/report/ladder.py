"""The layers of a log, and what each says about the engine: which arm is held against which, and what its difference is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from liftgate.measure.experiment import HELD_OUT
from liftgate.measure.log import Log

MOST_LAYERS = 20
"""Layers that are measured; each reads the log once more."""
LEFT_OUT = {
    "random_allowed": "any offer that is allowed, by lot, instead of a chosen one: what choosing is worth",
    "propensity_only": "the likeliest offer, whatever it is worth: what values and levers are worth",
    "no_levers": "without levers: what the levers are worth",
    "eligibility_only": "only eligibility, consent and caps: what the rules of taste and ranking are worth",
    "random_propensity": "random scores in place of the models': what the models are worth",
}
"""Arms of an ablation, and what a difference to the whole engine says."""
PARTS = {
    "random_allowed": "choosing",
    "propensity_only": "ranking by value",
    "no_levers": "the levers",
    "eligibility_only": "the rules of taste and ranking",
    "random_propensity": "the models",
}
"""The part of the engine that each leaves out."""
_WHOLE, _CONTROL = "treatment", "control"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as the log has it."""

    name: str
    arms: tuple[str, ...]
    units: tuple[str, ...]
    """What it randomises; several where that changed."""
    universal: bool
    """Who is held out in it is shown nothing at all."""

    @property
    def kind(self) -> str:
        """holdout, ablation, or experiment (a control of models is one, too)."""
        if HELD_OUT in self.arms:
            return "holdout"
        return "ablation" if set(self.arms) <= {_WHOLE, *LEFT_OUT} and len(self.arms) > 1 else "experiment"

    @property
    def control(self) -> str:
        """The arm that the others are held against."""
        if self.kind == "ablation":
            return _WHOLE
        return next((arm for arm in (HELD_OUT, _CONTROL) if arm in self.arms), self.arms[0])

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"layer": self.name, "kind": self.kind, "control": self.control, "arms": list(self.arms), "units": list(self.units)}


def layers_of(log: Log) -> list[Layer]:
    """Return the layers of a log, universal holdouts first, then by kind and name."""
    rows = log.decisions.filter(log.decisions.mode.fill_null("") == "")
    flat = rows.mutate(one=rows.assignments.unnest())
    flat = flat.select("arm", layer=flat.one.layer, branch=flat.one.arm, unit=flat.one.unit.fill_null(""))
    found: dict[str, list[dict[str, Any]]] = {}
    for row in log.fetch(flat.group_by("layer", "branch", "unit", "arm").aggregate(n=flat.count())):
        found.setdefault(row["layer"], []).append(row)
    layers = []
    for name, seen in found.items():
        held = [row for row in seen if row["branch"] == HELD_OUT]
        universal = bool(held) and all(row["arm"] == "HOLDOUT" for row in held)
        arms, units = ({row[key] for row in seen} for key in ("branch", "unit"))
        layers.append(Layer(name, tuple(sorted(arms)), tuple(sorted(unit or "person" for unit in units)), universal))
    order = {"holdout": 0, "ablation": 1, "experiment": 2}
    return sorted(layers, key=lambda one: (not one.universal, order[one.kind], one.name))
