"""The steps of a condition over one person's inputs as plain numbers: numpy's cost a step is ten times Python's when a column has one row.

Only operations that Python's operators compute exactly as numpy does, for every float: those that raise, round or look up otherwise are
left out, and conditions that need them stay with columns.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from math import nan
from typing import Any


def _choose(true: bool, false: bool, yes: float, no: float) -> float:
    return yes if true else no if false else nan


ROW_OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "equal": operator.eq,
    "less": operator.lt,
    "less_equal": operator.le,
    "and": operator.and_,
    "or": operator.or_,
    "and_not": operator.gt,
    "not": operator.not_,
    "choose": _choose,
    "negative_double": operator.neg,
    "add": operator.add,
    "multiply": operator.mul,
}
