"""A compiled condition as a straight run of numpy calls over columns; equal sub-expressions are computed once.

Numbers are float64 columns with NaN for unknown, so unknown passes through arithmetic by itself. A truth is a pair of
columns (true, false); neither set is unknown, which gives Kleene's logic in one `and` and one `or` per operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from liftgate.bundle.conditions_row import ROW_OPERATIONS, Judge, Steps, judge
from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats

Register = int
NOW: Register = 0
LIMIT = 2.0**53
"""Results of whole-number arithmetic must lie below it to be exact."""
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""Year 1 to 9999, CEL's range of timestamps."""
LONGEST_MS = 2**63 // 1_000_000
"""292 years: CEL computes durations in 64-bit nanoseconds."""


def _whole(result: Floats) -> Floats:
    return np.where(np.abs(result) < LIMIT, result, np.nan)


def _finite(result: Floats) -> Floats:
    return np.where(np.isfinite(result), result, np.nan)


def _moment(result: Floats) -> Floats:
    return np.where((result >= FIRST_MS) & (result <= LAST_MS), result, np.nan)


def _span(result: Floats) -> Floats:
    return np.where(np.abs(result) <= LONGEST_MS, result, np.nan)


def _int_divide(a: Floats, b: Floats) -> Floats:
    # Subtracting the remainder first makes the division exact; a plain quotient could round up to the next integer.
    return _whole((a - np.fmod(a, b)) / b)


def _lookup(table: Floats, index: Floats) -> Floats:
    """`table` has one extra NaN at its end, which a NaN index reads."""
    return table[np.where(np.isnan(index), len(table) - 1, index).astype(np.intp)]


def _choose(true: Bools, false: Bools, yes: Floats, no: Floats) -> Floats:
    return np.where(true, yes, np.where(false, no, np.nan))


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "equal": np.equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "and_not": np.greater,
    "not": np.logical_not,
    "is_in": np.isin,
    "lookup": _lookup,
    "choose": _choose,
    "negative_int": lambda a: _whole(np.negative(a)),
    "negative_double": np.negative,
    "add": np.add,
    "multiply": np.multiply,
    "int_add": lambda a, b: _whole(a + b),
    "int_subtract": lambda a, b: _whole(a - b),
    "int_multiply": lambda a, b: _whole(a * b),
    "int_divide": _int_divide,
    "int_modulo": np.fmod,
    "double_add": lambda a, b: _finite(a + b),
    "double_subtract": lambda a, b: _finite(a - b),
    "double_multiply": lambda a, b: _finite(a * b),
    "double_divide": lambda a, b: _finite(a / b),
    "moment_add": lambda a, b: _moment(a + b),
    "moment_subtract": lambda a, b: _moment(a - b),
    "span_add": lambda a, b: _span(a + b),
    "span_subtract": lambda a, b: _span(a - b),
    "truncate": lambda a: _whole(np.trunc(a)),
}

QUIET = frozenset({"equal", "less", "less_equal", "and", "or", "and_not", "not", "is_in", "lookup", "choose", "negative_double"})
"""Operations that raise no floating-point flag, so that numpy's error state need not be touched."""


@dataclass(frozen=True, slots=True)
class Truth:
    """A pair of bool registers; neither set is unknown."""

    true: Register
    false: Register


class Builder:
    """Collects a program. Constants are folded as they come, equal steps share one register."""

    def __init__(self) -> None:
        self.columns: dict[int, Register] = {}
        self.steps: list[tuple[str, tuple[Register, ...], Register]] = []
        self.constants: dict[Register, Any] = {}
        self._count = 1
        self._known: dict[Any, Register] = {}

    def _fresh(self) -> Register:
        self._count += 1
        return self._count - 1

    def column(self, index: int) -> Register:
        """Return the register of an input column."""
        if index not in self.columns:
            self.columns[index] = self._fresh()
        return self.columns[index]

    def constant(self, value: bool | float | tuple[float, ...]) -> Register:
        """Return the register of a constant; a tuple is a table."""
        key = ("constant", type(value).__name__, repr(value))
        if key not in self._known:
            self._known[key] = self._fresh()
            self.constants[self._known[key]] = np.array(value, dtype=np.float64) if isinstance(value, tuple) else value
        return self._known[key]

    def truth(self, value: bool) -> Truth:
        """Return a constant truth."""
        return Truth(self.constant(value), self.constant(not value))

    def emit(self, operation: str, *operands: Register) -> Register:
        """Return the register of an operation's result."""
        if operation in ("and", "or"):
            for one, other in (operands, operands[::-1]):
                if one in self.constants:
                    return other if bool(self.constants[one]) is (operation == "and") else one
            if operands[0] == operands[1]:
                return operands[0]
        if all(register in self.constants for register in operands):
            # As arrays, so that a division by zero is numpy's and not Python's.
            with np.errstate(all="ignore"):
                result = np.asarray(OPERATIONS[operation](*(np.asarray(self.constants[register]) for register in operands)))
            return self.constant(bool(result) if result.dtype == np.bool_ else float(result))
        key = (operation, operands)
        if key not in self._known:
            self._known[key] = self._fresh()
            self.steps.append((operation, operands, self._known[key]))
        return self._known[key]

    def finish(self, text: str, result: Truth) -> ColumnCondition:
        """Return the condition whose value is `result`: only the steps that it needs, registers numbered as they are met."""
        # Never both are set, so they are equal exactly where neither is.
        unknown = self.emit("equal", result.true, result.false)
        live = {result.true, unknown}
        steps: list[tuple[str, tuple[Register, ...], Register]] = []
        for step in reversed(self.steps):
            if step[2] in live:
                live.update(step[1])
                steps.append(step)
        steps.reverse()
        number = {NOW: NOW}
        for register in (*(r for _, operands, out in steps for r in (*operands, out)), result.true, unknown):
            number.setdefault(register, len(number))
        return ColumnCondition(
            text,
            {number[register]: index for index, register in self.columns.items() if register in number},
            {number[register]: value for register, value in self.constants.items() if register in number},
            [(name, tuple(number[r] for r in operands), number[out]) for name, operands, out in steps],
            Truth(number[result.true], number[unknown]),
        )


@dataclass(frozen=True, slots=True)
class Program:
    """What a condition computes."""

    columns: tuple[tuple[Register, int], ...]
    """(register, input)."""
    constants: Mapping[Register, Any]
    """Bool, float, or a table as an array."""
    steps: tuple[tuple[str, tuple[Register, ...], Register], ...]
    """(operation, operands, result), in order."""
    result: Truth
    """The registers of true and of unknown."""

    @property
    def by_row(self) -> Steps:
        """The same for `conditions_row`."""
        return self.columns, self.constants, self.steps, NOW, (self.result.true, self.result.false)


_Step = tuple[Callable[..., Any], tuple[Register, ...], Register]


class ColumnCondition:
    """A condition over columns. Safe to share between threads."""

    __slots__ = ("_columns", "_judge", "_quiet", "_start", "_steps", "_true", "_unknown", "by_row", "key", "program", "text")

    def __init__(
        self,
        text: str,
        columns: Mapping[Register, int],
        constants: Mapping[Register, Any],
        steps: Sequence[tuple[str, tuple[Register, ...], Register]],
        result: Truth,
    ) -> None:
        """`result` holds the registers of true and of unknown."""
        self.text = text
        count = 1 + max((NOW, *columns, *constants, *(out for _, _, out in steps)))
        self._start = [constants.get(register) for register in range(count)]
        self._columns = tuple(sorted(columns.items()))
        self._steps = tuple((OPERATIONS[name], operands, out) for name, operands, out in steps)
        self.by_row = all(name in ROW_OPERATIONS for name, _, _ in steps)
        """`evaluate_row` may be called."""
        self._judge: Judge | None = None
        self._quiet = all(name in QUIET for name, _, _ in steps)
        self._true, self._unknown = result.true, result.false
        values = tuple(
            (register, value.tobytes() if isinstance(value, np.ndarray) else repr(value)) for register, value in sorted(constants.items())
        )
        self.key = (self._columns, values, tuple(steps), result)
        """Equal for conditions that compute the same thing in the same way."""
        self.program = Program(self._columns, dict(constants), tuple(steps), result)

    @property
    def always(self) -> bool | None:
        """The condition's value if it depends on nothing; None: it depends on something, or is always unknown."""
        true, unknown = self._start[self._true], self._start[self._unknown]
        return None if true is None or unknown is None or unknown else bool(true)

    def evaluate(self, inputs: Floats, now_ms: Floats) -> tuple[Bools, Bools]:
        """Return ([N] true, [N] unknown) from [N, I] inputs and [N] times. Neither set: false. Never both."""
        registers: list[Any] = self._start.copy()
        registers[NOW] = now_ms
        for register, index in self._columns:
            registers[register] = inputs[:, index]
        if self._quiet:
            _run(self._steps, registers)
        else:
            with np.errstate(all="ignore"):
                _run(self._steps, registers)
        true, unknown = registers[self._true], registers[self._unknown]
        n = len(inputs)
        return (
            np.full(n, true, dtype=np.bool_) if isinstance(true, bool) else true,
            np.full(n, unknown, dtype=np.bool_) if isinstance(unknown, bool) else unknown,
        )

    def evaluate_row(self, inputs: Sequence[float], now_ms: float) -> tuple[bool, bool]:
        """Return (true, unknown) for one person, as `evaluate` does, where `by_row` says that it can be had so."""
        found = self._judge
        if found is None:
            found = self._judge = judge(*self.program.by_row)
        return found(inputs, now_ms)


def _run(steps: Sequence[_Step], registers: list[Any]) -> None:
    for function, operands, out in steps:
        if len(operands) == 2:
            registers[out] = function(registers[operands[0]], registers[operands[1]])
        else:
            registers[out] = function(*[registers[register] for register in operands])
