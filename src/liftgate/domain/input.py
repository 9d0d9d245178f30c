"""The typed schema of everything a condition or a model may read: profile features first, then context."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class InputType(Enum):
    """Types of the bundle's `features:` and `context:` sections."""

    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STRING = "string"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class Input:
    """One input column. In matrices it is one float64: numbers as they are (int within +-2**53), bool 0 or 1, string its
    index in `values` (-1: known, but another value), timestamp in milliseconds since the epoch, NaN missing."""

    name: str
    """As conditions say it: `profile.age`, `context.channel`."""
    type: InputType
    values: tuple[str, ...] = ()
    """For STRING: declared values, or (context without declared values) every literal that the bundle compares it with."""
    default: float = float("nan")
    """Used when missing or stale; NaN: none declared, so it stays missing."""
    max_age_s: float = float("inf")
    on_stale: Literal["default", "skip_model", "skip_offer"] = "default"
    """What a stale value does beside being replaced by the default."""

    def encode(self, value: Any) -> float:
        """Return the column number of a Python value (None: NaN). Raises ValueError with what is wanted."""
        if value is None:
            return float("nan")
        if self.type is InputType.STRING:
            if not isinstance(value, str):
                raise ValueError(f"{self.name} wants text, not {_kind(value)}")
            try:
                return float(self.values.index(value))
            except ValueError:
                return -1.0
        if self.type is InputType.BOOL:
            if not isinstance(value, bool):
                raise ValueError(f"{self.name} wants true or false, not {_kind(value)}")
            return float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{self.name} wants a number, not {_kind(value)}")
        number = float(value)
        if not np.isfinite(number):
            raise ValueError(f"{self.name} wants a finite number")
        if self.type is not InputType.FLOAT and (number != int(number) or abs(number) > 2**53):
            raise ValueError(f"{self.name} wants a whole number within 2**53")
        return number

    def decode(self, number: float) -> Any:
        """Return the Python value of a column number; None for missing, `<other>` for undeclared text."""
        if np.isnan(number):
            return None
        if self.type is InputType.STRING:
            return self.values[int(number)] if number >= 0 else "<other>"
        if self.type is InputType.BOOL:
            return bool(number)
        return int(number) if self.type in (InputType.INT, InputType.TIMESTAMP) else number


PROFILE_VERSION = 1


class InputSchema:
    """All inputs in packed order: `profile_count` profile features, then context. Immutable after construction.

    Of the profile features the first `stored_count` are stored as packed profiles; events keep the others fresh.
    """

    __slots__ = (
        "ageless",
        "ages",
        "code",
        "defaults",
        "index",
        "inputs",
        "max_age_s",
        "profile_count",
        "profile_dtype",
        "profile_header",
        "profile_missing",
        "skips_model",
        "skips_offer",
        "stored_count",
    )

    def __init__(self, profile: tuple[Input, ...], context: tuple[Input, ...], streamed: int = 0) -> None:
        """`streamed`: how many of the profile features, the last ones, events keep fresh."""
        self.inputs = profile + context
        self.profile_count = len(profile)
        self.stored_count = len(profile) - streamed
        self.index = {column.name: i for i, column in enumerate(self.inputs)}
        self.defaults: Floats = np.array([column.default for column in self.inputs], dtype=np.float64)
        self.max_age_s: Floats = np.array([column.max_age_s for column in profile], dtype=np.float64)
        self.ageless = np.isinf(self.max_age_s)
        """[F] the feature has no max_age."""
        self.ages = not bool(self.ageless.all())
        """Any feature has a max_age."""
        self.skips_model = frozenset(i for i, column in enumerate(profile) if column.on_stale == "skip_model")
        self.skips_offer = frozenset(i for i, column in enumerate(profile) if column.on_stale == "skip_offer")
        self.code = tuple({text: float(i) for i, text in enumerate(column.values)} for column in self.inputs)
        """For each input, text to column number."""
        layout = "\n".join(f"{c.name}\t{c.type.value}\t{'|'.join(c.values)}" for c in self.stored)
        digest = blake2b(layout.encode(), digest_size=8).digest()
        self.profile_header = b"LG" + bytes([PROFILE_VERSION]) + b"\0" * 5 + digest
        """First sixteen bytes of every packed profile: magic, version, spare, eight bytes over names, types, values and order."""
        self.profile_dtype = np.dtype([("header", "V16"), ("value", "<f8", (self.stored_count,)), ("at_s", "<u4", (self.stored_count,))])
        """Layout of a packed profile: `domain/profile.py`."""
        missing = np.zeros(1, dtype=self.profile_dtype)
        missing["value"] = np.nan
        self.profile_missing = missing.tobytes()
        """A packed profile without a value."""

    @property
    def context(self) -> tuple[Input, ...]:
        """The context inputs."""
        return self.inputs[self.profile_count :]

    @property
    def profile(self) -> tuple[Input, ...]:
        """The profile features: those stored in packed order, then those that events keep fresh."""
        return self.inputs[: self.profile_count]

    @property
    def stored(self) -> tuple[Input, ...]:
        """The profile features that are stored as packed profiles, in order."""
        return self.inputs[: self.stored_count]


def _kind(value: Any) -> str:
    """Return what a value is, as people who write YAML call it; never the value, which may be personal."""
    names = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return names.get(type(value), type(value).__name__)
