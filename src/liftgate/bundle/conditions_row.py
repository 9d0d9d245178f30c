"""The steps of conditions over one person's inputs as plain numbers: numpy's cost a step is ten times Python's when a column has one row.

Only operations that Python's operators compute exactly as numpy does, for every float: those that raise, round or look up otherwise are
left out, and conditions that need them stay with columns. Steps become one function of Python, compiled when it is first needed; what
several steps or conditions read is computed once, anything else where it is read, if it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

Judge = Callable[[Sequence[float], float], tuple[bool, bool]]
"""Takes one person's inputs and the time, gives (true, unknown)."""
JudgeAll = Callable[[Sequence[float], float], tuple[int, ...]]
"""Takes one person's inputs and the time, gives each condition's code, and 0 behind them."""
Step = tuple[str, tuple[int, ...], int]
"""Operation, registers of its operands, register of its result."""
Steps = tuple[Sequence[tuple[int, int]], Mapping[int, Any], Sequence[Step], int, tuple[int, int]]
"""Of one condition: (register, input) of each column; registers of constants; steps; the time's register; those of true and unknown."""

ROW_OPERATIONS: Mapping[str, str] = {
    "equal": "{} == {}",
    "less": "{} < {}",
    "less_equal": "{} <= {}",
    "and": "{} and {}",
    "or": "{} or {}",
    "and_not": "{} and not {}",
    "not": "not {}",
    "choose": "{2} if {0} else {3} if {1} else nan",
    "negative_double": "-{}",
    "add": "{} + {}",
    "multiply": "{} * {}",
}
"""As expressions of their operands. Truth values are Python's own, so `and` and `or` give one."""


def judge(
    columns: Sequence[tuple[int, int]], constants: Mapping[int, Any], steps: Sequence[Step], now: int, result: tuple[int, int]
) -> Judge:
    """Return one condition's steps as a function; see `Steps`."""
    text = _Text()
    true, unknown = text.add((columns, constants, steps, now, result))
    made: Judge = text.function(f"{true}, {unknown}")
    return made


def judge_all(conditions: Sequence[Steps], outcomes: Sequence[Sequence[int]]) -> JudgeAll:
    """Return many conditions' steps as one function that gives one of three codes for each, and 0 behind them.

    `outcomes`: each condition's codes where it is false, where it is true, and where that is unknown.
    """
    text, codes = _Text(), []
    for (yes, cannot_tell), (false, true, unknown) in zip(map(text.add, conditions), outcomes, strict=True):
        codes.append(f"{int(true)} if {yes} else {int(unknown)} if {cannot_tell} else {int(false)}, ")
    made: JudgeAll = text.function(f"{''.join(codes)}0")
    return made


@dataclass(slots=True)
class _Text:
    """A function's text. Nothing of what people write in a bundle gets into it: inputs are numbers, and constants are given by name."""

    names: dict[str, Any] = field(default_factory=lambda: {"nan": nan})
    _known: dict[str, str] = field(default_factory=dict)
    """Expression to the name of its value, in the order in which they are computed. Names are in braces, to be told from other words."""
    _constants: dict[tuple[type, str], str] = field(default_factory=dict)

    def add(self, condition: Steps) -> tuple[str, str]:
        """Take a condition in. Returns the names of true and of unknown."""
        columns, constants, steps, now, result = condition
        at = {now: "now"} | {register: self._value(f"inputs[{index}]") for register, index in columns}
        at |= {register: self._constant(value) for register, value in constants.items()}
        for name, operands, out in steps:
            at[out] = self._value(ROW_OPERATIONS[name].format(*(at[register] for register in operands)))
        return at[result[0]], at[result[1]]

    def _value(self, expression: str) -> str:
        return self._known.setdefault(expression, f"{{r{len(self._known)}}}")

    def _constant(self, value: Any) -> str:
        # repr tells 0.0 from -0.0 and finds NaN equal to itself.
        name = self._constants.setdefault((type(value), repr(value)), f"c{len(self._constants)}")
        self.names[name] = value
        return name

    def function(self, answer: str) -> Any:
        """Return the function that answers so."""
        uses = Counter(_NAME.findall(" ".join([answer, *self._known])))
        text: dict[str, str] = {}
        lines = ["def judge(inputs, now):"]
        for expression, name in self._known.items():
            plain, inside = name[1:-1], expression.format(**text)
            if uses[plain] > 1 or inside.count("(") > _NESTED:
                lines.append(f"    {plain} = {inside}")
                text[plain] = plain
            else:
                text[plain] = f"({inside})"
        lines.append(f"    return {answer.format(**text)}")
        exec(compile("\n".join(lines), "<condition>", "exec"), self.names)  # noqa: S102  # our own words and numbers alone, see above
        # Taken out: names that held the function that holds them would be a cycle, which outlives its bundle until a full collection.
        return self.names.pop("judge")


_NAME = re.compile(r"r\d+")
_NESTED = 50
"""Parentheses in one expression; Python reads 200 one within the other."""
