"""What the arms of layers change for a row, as the record and an explanation name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Ablation = Literal["random_allowed", "propensity_only", "no_levers", "eligibility_only", "random_propensity"]
"""A part of deciding that is taken out for a few, to learn what it is worth."""
ABLATIONS: tuple[Ablation, ...] = get_args(Ablation)


@dataclass(frozen=True, slots=True)
class ArmChange:
    """One arm that changes something where a row was decided."""

    layer: str
    arm: str
    changed: tuple[str, ...]
    """What it changes, as the bundle says it: `models.purchase_7d: 4`, `offers`, `random_allowed`."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What a row's record says of its arms."""

    ablation: Ablation | None
    changes: tuple[ArmChange, ...]
    models: tuple[int, ...]
    """[K] 1 + the index of the model that gives each offer's propensity, 0: none; empty where no arm changes models."""
    policy: str = ""
    """The kind of policy that its slots are drawn by, where it is not the placement's."""
