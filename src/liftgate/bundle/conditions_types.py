"""Types of a condition's parts, and what is known while one is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from liftgate.bundle.conditions_program import Register, Truth
from liftgate.domain.input import InputSchema, InputType


class Type(Enum):
    """Types by their CEL names."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    TIMESTAMP = "timestamp"
    DURATION = "duration"


CEL_TYPE: Mapping[InputType, Type] = {
    InputType.BOOL: Type.BOOL,
    InputType.INT: Type.INT,
    InputType.FLOAT: Type.DOUBLE,
    InputType.STRING: Type.STRING,
    InputType.TIMESTAMP: Type.TIMESTAMP,
}


@dataclass(frozen=True, slots=True)
class Bool:
    """A truth value."""

    truth: Truth
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Number:
    """An int, double, timestamp or duration."""

    register: Register
    type: Type


@dataclass(frozen=True, slots=True)
class Text:
    """A string: a constant, or a column of codes over declared values."""

    values: tuple[str, ...]
    """What it can be; for a literal just that."""
    constant: str | None = None
    register: Register = -1
    declared: bool = True
    """False: a context string without declared values, whose codes cover literals only."""
    type: Type = Type.STRING


Value = Bool | Number | Text


@dataclass(frozen=True, slots=True)
class OfferConstants:
    """What `offer.*` stands for in the conditions of one offer."""

    offer_id: str
    group: str
    value: float


@dataclass(frozen=True, slots=True)
class Scope:
    """What conditions may name."""

    schema: InputSchema
    undeclared: frozenset[str] = frozenset()
    """Names of context strings without declared values."""
    offer_ids: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tainted: frozenset[str] = field(default=frozenset())
    """Inputs whose own definition is wrong: conditions that name them are not judged."""
