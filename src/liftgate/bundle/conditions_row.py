"""The steps of a condition over one person's inputs as plain numbers: numpy's cost a step is ten times Python's when a column has one row.

Only operations that Python's operators compute exactly as numpy does, for every float: those that raise, round or look up otherwise are
left out, and conditions that need them stay with columns. Steps become one straight line of Python, compiled when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Any

Judge = Callable[[Sequence[float], float], tuple[bool, bool]]
"""Takes one person's inputs and the time, gives (true, unknown)."""
Step = tuple[str, tuple[int, ...], int]
"""Operation, registers of its operands, register of its result."""

ROW_OPERATIONS: Mapping[str, str] = {
    "equal": "{} == {}",
    "less": "{} < {}",
    "less_equal": "{} <= {}",
    "and": "{} & {}",
    "or": "{} | {}",
    "and_not": "{} > {}",
    "not": "not {}",
    "choose": "{2} if {0} else {3} if {1} else nan",
    "negative_double": "-{}",
    "add": "{} + {}",
    "multiply": "{} * {}",
}
"""As expressions of registers."""


def judge(
    columns: Sequence[tuple[int, int]], constants: Mapping[int, Any], steps: Sequence[Step], now: int, result: tuple[int, int]
) -> Judge:
    """Return the steps as one function. `columns`: (register, input) each; `now`: the time's register; `result`: those of the answer.

    Nothing of what people write in a bundle gets into the text: registers are numbers, and constants are given by name.
    """
    lines = [f"    r{register} = inputs[{index}]" for register, index in columns]
    lines += [f"    r{out} = " + ROW_OPERATIONS[name].format(*(f"r{register}" for register in operands)) for name, operands, out in steps]
    text = "\n".join([f"def judge(inputs, r{now}):", *lines, f"    return r{result[0]}, r{result[1]}"])
    names: dict[str, Any] = {"nan": nan} | {f"r{register}": value for register, value in constants.items()}
    exec(compile(text, "<condition>", "exec"), names)  # noqa: S102  # our own words and numbers alone, see above
    made: Judge = names["judge"]
    return made
