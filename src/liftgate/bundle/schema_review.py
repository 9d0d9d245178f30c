"""What may stand in a bundle about review: what is sensitive, and who must approve it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, RootModel, StringConstraints

from liftgate.bundle.duration import duration_ms
from liftgate.bundle.field_types import DurationMs, Name, Strict, refuse
from liftgate.domain.review import DEFAULT_ROLE

CLASSES = ("credit", "health", "minors", "price", "reach")
"""Classes that need no definition; `price` and `reach` are also given by `review_policy`."""
MAX_APPROVERS = 10
Role = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class ReviewRule(Strict):
    """Who must approve, and for how long that counts."""

    approvers: int = Field(1, ge=1, le=MAX_APPROVERS, description="Different people who must approve, 1 to 10.", examples=[2])
    role: Role = Field(DEFAULT_ROLE, description="Role that each of them must have.", examples=["compliance"])
    valid_for: DurationMs = Field(duration_ms("90d"), description="How long an approval counts; default 90d.", examples=["90d"])


def _sensitive(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list) or not value:
        raise refuse(f"wants true or a list of classes, not {value!r}", "write, for example, `sensitive: [credit]`")
    if len(set(map(str, value))) != len(value):
        raise refuse("names a class twice", "keep one")
    return value


Sensitive = Annotated[bool | list[Name], BeforeValidator(_sensitive)]
"""true, or the classes of sensitive things that it belongs to."""


class ValueAbove(RootModel[Annotated[float, Field(gt=0, allow_inf_nan=False)]]):
    """Offers worth more are sensitive, class `price`."""


class ReachAbove(RootModel[Annotated[int, Field(ge=1)]]):
    """Offers whose total cap allows more, or that have none, are sensitive, class `reach`."""


class ReviewPolicy(Strict):
    """What is sensitive without being marked."""

    value_above: ValueAbove | None = Field(None, description="Offers worth more are sensitive, class price.", examples=[500.0])
    reach_above: ReachAbove | None = Field(
        None, description="Offers whose total cap allows more, or that have no total cap, are sensitive, class reach.", examples=[100000]
    )
