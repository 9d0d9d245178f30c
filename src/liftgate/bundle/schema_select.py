"""What a bundle says about choosing among allowed offers: `select:` of placements, groups and experiment arms, and `diversity:`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from liftgate.bundle.field_types import Name, Strict, refuse

PolicyName = Literal["greedy", "epsilon_greedy", "softmax", "thompson", "uniform", "fixed"]

TAKES: Mapping[str, frozenset[str]] = {
    "greedy": frozenset({"floor"}),
    "epsilon_greedy": frozenset({"epsilon", "floor"}),
    "softmax": frozenset({"temperature", "temperature_unit", "floor"}),
    "thompson": frozenset({"floor", "evidence"}),
    "uniform": frozenset(),
    "fixed": frozenset({"weights", "floor"}),
}
"""What each policy can be told."""
_NEEDS: Mapping[str, Mapping[str, str]] = {
    "epsilon_greedy": {"epsilon": "0.1"},
    "softmax": {"temperature": "0.2"},
    "thompson": {"floor": "0.01"},
    "fixed": {"weights": "{welcome: 1, gift: 2}"},
}
"""What each policy must be told, with an example."""

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False, examples=[1])]


class Select(Strict):
    """How an offer is chosen among those allowed."""

    policy: PolicyName = Field(description="Which way; what each needs stands in docs/selection.md.", examples=["epsilon_greedy"])
    epsilon: float | None = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="epsilon_greedy: probability spread evenly over the allowed offers.",
        examples=[0.1],
    )
    temperature: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="softmax: how far apart two offers' worth must be for one to be chosen e times as often; unit: temperature_unit.",
        examples=[0.2],
    )
    temperature_unit: Literal["currency", "best"] | None = Field(
        None,
        description="softmax: currency (the usual): the bundle's currency; best: parts of what the best allowed offer is worth.",
        examples=["currency"],
    )
    floor: float | None = Field(
        None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="Least probability of every allowed offer; at most 1 / number of candidates.",
        examples=[0.01],
    )
    evidence: float | None = Field(
        None,
        gt=0,
        le=1e9,
        allow_inf_nan=False,
        description="thompson: observations that a propensity counts for where no trials of its offer are declared; absent: 100.",
        examples=[200],
    )
    weights: Annotated[dict[Name, Weight], Field(min_length=1)] | None = Field(
        None, description="fixed: how often each candidate is chosen, relative to the others.", examples=[{"welcome": 1, "gift": 2}]
    )

    @field_validator("epsilon", "temperature", "temperature_unit", "floor", "evidence", "weights")
    @classmethod
    def _belongs(cls, value: Any, info: ValidationInfo) -> Any:
        policy = str(info.data.get("policy"))
        if value is not None and policy in TAKES and info.field_name not in TAKES[policy]:
            takes = ", ".join(f"`{name}`" for name in sorted(TAKES[policy]))
            raise refuse(f"means nothing to policy {policy}", f"remove it ({policy} takes {takes or 'nothing'})")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Select:
        for name, example in _NEEDS.get(self.policy, {}).items():
            if getattr(self, name) is None:
                raise refuse(f"policy {self.policy} needs `{name}`", f"add, for example, `{name}: {example}`")
        return self


class Diversity(Strict):
    """How alike the offers of one answer may be."""

    max_per_group: int = Field(
        ge=1, le=10, description="Most offers of one group in one answer; offers without a group do not count.", examples=[1]
    )
