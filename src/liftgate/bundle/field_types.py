"""Types of single values in a bundle: names, durations, times, shares. Each says what it wants and how to write it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from liftgate.bundle.duration import PATTERN, duration_ms, timestamp_ms
from liftgate.domain.bucketing import SPACE

FEATURE_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
CURRENCY_PATTERN = r"^[A-Z]{3}$"
INPUT_PATTERN = r"^(profile|context)\.[a-z][a-z0-9_]{0,63}$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
VALUE_PATTERN = r"^[^|\x00-\x1f\x7f]+$"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"


class Strict(BaseModel):
    """Base of every part of a bundle: no unknown keys, no conversions, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def refuse(problem: str, mend: str) -> PydanticCustomError:
    """Return an error that says what is wrong and what to write instead."""
    return PydanticCustomError("refused", "{problem}", {"problem": problem, "mend": mend})


def _text_to(read: Callable[[str], int], example: str) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if not isinstance(value, str):
            raise refuse(f"wants text such as {example}, not {value!r}", f"write {example}")
        try:
            return read(value)
        except ValueError as err:
            raise refuse(f"{value!r} {err}", f"write, for example, {example}") from None

    return convert


def _share(value: float) -> float:
    if (Decimal(repr(float(value))) * SPACE) % 1:
        raise refuse(f"{value!r} is finer than one millionth", "round it to six decimal places")
    return value


DurationMs = Annotated[
    int,
    BeforeValidator(_text_to(duration_ms, "7d"), json_schema_input_type=Annotated[str, StringConstraints(pattern=PATTERN)]),
]
"""Written `500ms`, `30s`, `10m`, `2h` or `7d`; kept in milliseconds, 1 and up."""

TimestampMs = Annotated[
    int,
    BeforeValidator(
        _text_to(timestamp_ms, "2026-11-01T00:00:00Z"),
        json_schema_input_type=Annotated[str, Field(json_schema_extra={"format": "date-time"})],
    ),
]
"""Written in ISO 8601 with a zone; kept in milliseconds since the epoch."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), AfterValidator(_share)]
"""Part of all units, 0..1, exact to one millionth."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""Letters, digits, dots, underscores and hyphens; 1..128 characters."""

Channel = Annotated[str, StringConstraints(min_length=1, max_length=64)]

ConditionText = Annotated[str, StringConstraints(min_length=1)]
"""A condition in the subset of CEL of docs/bundle.md; its length is limited by the parser."""
