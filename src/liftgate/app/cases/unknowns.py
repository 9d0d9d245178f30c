"""Whether a condition can fail to be told at all: then a case should show what happens."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product

import numpy as np

from liftgate.bundle.compiled import Condition
from liftgate.bundle.conditions import parse
from liftgate.bundle.conditions_parser import Literal, Name, walk
from liftgate.domain.input import Input, InputSchema, InputType

_MOST = 20_000
"""Combinations tried; a condition with more is taken to be able."""
_NOW_MS = 1_767_225_600_000.0


def can_be_unknown(condition: Condition, text: str, schema: InputSchema) -> bool:
    """Say whether some combination of missing and present inputs leaves the condition unknown.

    Inputs that are never missing, because they declare a default, stay present. Only combinations around the numbers in the
    condition are tried, so a condition that is unknown only for numbers beyond all measure counts as one that is not.
    """
    nodes = list(walk(parse(text)))
    numbers = sorted({float(node.value) for node in nodes if isinstance(node, Literal) and type(node.value) in (int, float)})
    names = {node.text for node in nodes if isinstance(node, Name)}
    columns = [i for i, column in enumerate(schema.inputs) if column.name in names]
    choices = [list(_values(schema.inputs[i], numbers, i < schema.profile_count)) for i in columns]
    total = int(np.prod([len(some) for some in choices], dtype=np.float64)) if choices else 1
    if total > _MOST:
        return any(np.isnan(value) for some in choices for value in some)
    rows = np.full((total, len(schema.inputs)), np.nan)
    rows[:, columns] = np.array(list(islice(product(*choices), _MOST)), dtype=np.float64).reshape(total, len(columns))
    _, unknown = condition.evaluate(rows, np.full(total, _NOW_MS))
    return bool(unknown.any())


def _values(column: Input, numbers: list[float], of_profile: bool) -> Iterator[float]:
    if not of_profile or np.isnan(column.default):
        yield np.nan
    if column.type is InputType.STRING:
        yield from range(-1, len(column.values))
    elif column.type is InputType.BOOL:
        yield from (0.0, 1.0)
    elif column.type is InputType.TIMESTAMP:
        yield from (_NOW_MS, _NOW_MS - 86_400_000.0, 0.0)
    else:
        yield from sorted({shifted for number in (0.0, *numbers) for shifted in (number - 1, number, number + 1)})
