"""Many conditions as one program: equal steps of all of them are computed once, steps of one kind in one numpy call.

A bundle's conditions are much alike: hundreds of comparisons of a few inputs with constants. Their steps are levelled (a step's level is
one above its operands'), and all steps of a level that do the same to operands of the same kinds become one call over [steps, N].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.conditions_program import NOW, OPERATIONS, QUIET, ColumnCondition
from liftgate.domain.batch import Bools
from liftgate.domain.input import Floats

_TO_BOOL = frozenset({"equal", "less", "less_equal", "and", "or", "and_not", "not", "is_in"})
_CHUNK = 512
"""Rows at once: what they need stays in the processor's cache."""
_FALSE, _TRUE = 0, 1
"""Rows of the bool registers that hold constants."""

Rows = NDArray[np.intp] | slice


@dataclass(frozen=True, slots=True)
class _Value:
    """Where a value lives: row `at` of the float or bool registers, or a constant."""

    kind: str
    """f: float row, b: bool row, c: float constant, t: table."""
    at: int = -1
    constant: Any = None
    level: int = 0


@dataclass(frozen=True, slots=True)
class _Call:
    """One numpy call for many steps."""

    operation: str
    operands: tuple[tuple[str, Any], ...]
    """(kind, rows | column of constants | table), one for each operand."""
    out: slice
    to_bool: bool


class FusedConditions:
    """Conditions over columns, evaluated together. Immutable and safe to share between threads."""

    def __init__(self, conditions: Sequence[ColumnCondition]) -> None:
        plan = _Plan()
        results = [plan.add(condition) for condition in conditions]
        self._columns = np.array(plan.columns, dtype=np.intp)
        self._calls, place_f, place_b = plan.calls()
        self._floats, self._bools = len(place_f), len(place_b)
        self._true = np.array([place_b[true] for true, _ in results], dtype=np.intp)
        self._unknown = np.array([place_b[unknown] for _, unknown in results], dtype=np.intp)
        self._quiet = all(call.operation in QUIET for call in self._calls)
        self._compiled: Callable[[Floats, Bools], None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Handed to another process without its function, which is made there.
        return self.__dict__ | {"_compiled": None}

    def __len__(self) -> int:
        return len(self._true)

    def evaluate(self, inputs: Floats, now_ms: Floats) -> tuple[Bools, Bools]:
        """Return ([R, N] true, [R, N] unknown) of R conditions from [N, I] inputs and [N] times; see `ColumnCondition.evaluate`."""
        n = len(inputs)
        if n <= _CHUNK:
            return self._evaluate(inputs, now_ms)
        true, unknown = np.empty((len(self), n), dtype=np.bool_), np.empty((len(self), n), dtype=np.bool_)
        for start in range(0, n, _CHUNK):
            some = slice(start, start + _CHUNK)
            true[:, some], unknown[:, some] = self._evaluate(inputs[some], now_ms[some])
        return true, unknown

    def _evaluate(self, inputs: Floats, now_ms: Floats) -> tuple[Bools, Bools]:
        n = len(inputs)
        floats, bools = np.empty((self._floats, n)), np.empty((self._bools, n), dtype=np.bool_)
        floats[0] = now_ms
        floats[1 : len(self._columns) + 1] = inputs.T[self._columns]
        bools[_FALSE], bools[_TRUE] = False, True
        if self._quiet:
            self._run(floats, bools)
        else:
            with np.errstate(all="ignore"):
                self._run(floats, bools)
        return bools[self._true], bools[self._unknown]

    def _run(self, floats: Floats, bools: Bools) -> None:
        run = self._compiled
        if run is None:
            # When it is first needed: a bundle that only small batches meet never does.
            run = self._compiled = _compiled(self._calls)
        run(floats, bools)


def _compiled(calls: Sequence[_Call]) -> Callable[[Floats, Bools], None]:
    """Return the calls as one function. Nothing of what people write in a bundle gets into its text: it has numbered names alone."""
    names: dict[str, Any] = {}
    lines = ["def run(floats, bools):", "    pass"]

    named = partial(_name, names)
    for call in calls:
        operands = [f"{_REGISTERS[kind]}[{named(what)}]" if kind in _REGISTERS else named(what) for kind, what in call.operands]
        function, target = OPERATIONS[call.operation], f"{'bools' if call.to_bool else 'floats'}[{named(call.out)}]"
        if isinstance(function, np.ufunc):
            lines.append(f"    {named(function)}({', '.join((*operands, target))})")
        else:
            lines.append(f"    {target} = {named(function)}({', '.join(operands)})")
    exec(compile("\n".join(lines), "<conditions>", "exec"), names)  # noqa: S102  # our own words and numbered names alone
    # Taken out: names that held the function that holds them would be a cycle, which outlives its bundle until a full collection.
    made: Callable[[Floats, Bools], None] = names.pop("run")
    return made


def _name(names: dict[str, Any], value: Any) -> str:
    name = f"v{len(names)}"
    names[name] = value
    return name


_REGISTERS = {"f": "floats", "b": "bools"}


class _Plan:
    """Collects the steps of all conditions, each once."""

    def __init__(self) -> None:
        self.columns: list[int] = []
        """Inputs that are used, in the order of their float rows from 1."""
        self._inputs: dict[int, _Value] = {}
        self._steps: dict[tuple[Any, ...], _Value] = {}
        self._kinds: dict[tuple[Any, ...], list[tuple[_Value, tuple[_Value, ...]]]] = {}
        self._floats, self._bools = 0, 2

    def add(self, condition: ColumnCondition) -> tuple[int, int]:
        """Take a condition in. Returns the bool rows of true and of unknown, before they are put in the order of the calls."""
        program = condition.program
        at: dict[int, _Value] = {NOW: _Value("f", 0)}
        at |= {register: _constant(value) for register, value in program.constants.items()}
        at |= {register: self._input(column) for register, column in program.columns}
        for operation, operands, out in program.steps:
            at[out] = self._step(operation, tuple(at[operand] for operand in operands))
        true, unknown = at[program.result.true], at[program.result.false]
        return true.at, unknown.at

    def _input(self, column: int) -> _Value:
        if column not in self._inputs:
            self.columns.append(column)
            self._inputs[column] = _Value("f", len(self.columns))
        return self._inputs[column]

    def _step(self, operation: str, operands: tuple[_Value, ...]) -> _Value:
        key = (operation, *(_identity(operand) for operand in operands))
        if key not in self._steps:
            level = 1 + max(operand.level for operand in operands)
            to_bool = operation in _TO_BOOL
            if to_bool:
                value = _Value("b", self._bools, level=level)
                self._bools += 1
            else:
                # Numbered apart from the inputs, whose count is not known yet.
                self._floats += 1
                value = _Value("f", -self._floats, level=level)
            self._steps[key] = value
            alike = (level, operation, *(operand.kind if operand.kind != "t" else _identity(operand) for operand in operands))
            self._kinds.setdefault(alike, []).append((value, operands))
        return self._steps[key]

    def calls(self) -> tuple[tuple[_Call, ...], dict[int, int], dict[int, int]]:
        """Return the calls in order, and the final row of every float and every bool register."""
        place_f = {0: 0} | {i + 1: i + 1 for i in range(len(self.columns))}
        place_b = {_FALSE: _FALSE, _TRUE: _TRUE}
        made = []
        for alike in sorted(self._kinds, key=lambda key: key[0]):
            steps = self._kinds[alike]
            operation = str(alike[1])
            place = place_b if operation in _TO_BOOL else place_f
            first = len(place)
            for value, _ in steps:
                place[value.at] = len(place)
            places = {"f": place_f, "b": place_b}
            operands = tuple(_operand([its[i] for _, its in steps], places) for i in range(len(steps[0][1])))
            made.append(_Call(operation, operands, slice(first, len(place)), place is place_b))
        return tuple(made), place_f, place_b


def _constant(value: Any) -> _Value:
    if isinstance(value, bool):
        return _Value("b", _TRUE if value else _FALSE)
    return _Value("t", constant=value) if isinstance(value, np.ndarray) else _Value("c", constant=float(value))


def _identity(value: _Value) -> tuple[Any, ...]:
    # repr tells 0.0 from -0.0 and finds NaN equal to itself.
    return (value.kind, value.at, value.constant.tobytes() if value.kind == "t" else repr(value.constant))


def _operand(values: Sequence[_Value], places: dict[str, dict[int, int]]) -> tuple[str, Any]:
    kind = values[0].kind
    if kind == "t":
        return kind, values[0].constant
    if kind == "c":
        return kind, np.array([[value.constant] for value in values], dtype=np.float64)
    rows = [places[kind][value.at] for value in values]
    return kind, _together(rows)


def _together(rows: list[int]) -> Rows:
    """Return rows as a slice where they lie together, which saves a copy, or as one row where they are all the same."""
    if len(set(rows)) == 1:
        return slice(rows[0], rows[0] + 1)
    if rows == list(range(rows[0], rows[0] + len(rows))):
        return slice(rows[0], rows[-1] + 1)
    return np.array(rows, dtype=np.intp)
