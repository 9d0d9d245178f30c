"""Context columns of requests, made once for each context: most come again and again."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from operator import attrgetter
from struct import Struct
from typing import Any

import numpy as np

from liftgate.domain.input import Floats, InputSchema
from liftgate.domain.request import Context, DecideRequest

_KNOWN = 4096
"""Contexts remembered for a schema; one more, and all are forgotten."""
_BUILT_IN = "channel", "device", "locale", "time_zone"
_CONTEXT, _ATTRIBUTES, _KEY = attrgetter("context"), attrgetter("attributes"), attrgetter(*_BUILT_IN)


class ContextRows:
    """Reads contexts as a schema wants them, and remembers those without attributes of their own."""

    def __init__(self, schema: InputSchema) -> None:
        names = [column.name.removeprefix("context.") for column in schema.context]
        self._columns = [(name, name in _BUILT_IN, code) for name, code in zip(names, schema.code[schema.profile_count :], strict=True)]
        """Name, whether it is a field of the context's own, and codes of texts."""
        self._pack = Struct(f"={len(names)}d").pack
        self._known: dict[tuple[str, str, str, str], bytes] = {}

    def matrix(self, requests: Sequence[DecideRequest]) -> Floats:
        """Return [N, context inputs], NaN missing. Not to be written to."""
        contexts = list(map(_CONTEXT, requests))
        rows: list[Any] = list(map(self._known.get, map(_KEY, contexts)))
        if None in rows or any(map(_ATTRIBUTES, contexts)):
            rows = list(map(self._row, contexts))
        return np.frombuffer(b"".join(rows), dtype=np.float64).reshape(len(requests), len(self._columns))

    def _row(self, context: Context) -> bytes:
        if context.attributes:
            return self._read(context)
        key = _KEY(context)
        row = self._known.get(key)
        if row is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            row = self._known[key] = self._read(context)
        return row

    def _read(self, context: Context) -> bytes:
        row = []
        for name, built_in, code in self._columns:
            value = getattr(context, name) if built_in else context.attributes.get(name, "")
            if isinstance(value, str):
                row.append(code.get(value, -1.0) if value else nan)
            else:
                row.append(float(value))
        return self._pack(*row)
