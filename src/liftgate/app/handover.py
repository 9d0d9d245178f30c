"""A loaded bundle as bytes, from the process that loaded it to the one that serves it: what was compiled there is not compiled again."""

from __future__ import annotations

import copyreg
import pickle
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import Any

from liftgate.adapters.operators import Known
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.conditions_program import ColumnCondition, Truth
from liftgate.bundle.mistake import Mistake


@dataclass(frozen=True, slots=True)
class Handed:
    """What a loader found. The bytes are taken from a process of our own alone: whoever writes them may have any code run."""

    bundle: Bundle | None
    """None: it has mistakes, or could not be read."""
    known: Known | None
    """Operators; None: their file has mistakes."""
    mistakes: tuple[Mistake, ...] = ()
    cause: str = ""
    """Why nothing was found where no file is wrong: the class of an exception, and where it was raised."""


def pack(handed: Handed) -> bytes:
    """Return it as bytes for `unpack`, of the same version of this program."""
    out = BytesIO()
    pickler = pickle.Pickler(out, protocol=5)
    pickler.dispatch_table = _OURS
    pickler.dump(handed)
    return out.getvalue()


def unpack(raw: bytes) -> Handed:
    """Return what `pack` had. Raises ValueError when the bytes are not whole."""
    try:
        handed = pickle.loads(raw)  # noqa: S301  # written by our own process, over a pipe that nobody else has
    except Exception as err:  # half of a pickle may raise anything
        raise ValueError(type(err).__name__) from None
    if not isinstance(handed, Handed):
        raise ValueError(type(handed).__name__)
    return handed


def _view(values: Mapping[Any, Any]) -> tuple[Any, ...]:
    return _viewed, (dict(values),)


def _viewed(values: dict[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(values)


def _condition(condition: ColumnCondition) -> tuple[Any, ...]:
    program = condition.program
    return _conditioned, (condition.text, program.columns, dict(program.constants), program.steps, program.result)


def _conditioned(text: str, columns: Any, constants: Any, steps: Any, result: Truth) -> ColumnCondition:
    return ColumnCondition(text, dict(columns), constants, steps, result)


_OURS: Any = ChainMap({MappingProxyType: _view, ColumnCondition: _condition}, copyreg.dispatch_table)
"""What pickle cannot take by itself: views of mappings, and conditions, which hold functions."""
