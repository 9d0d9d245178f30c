"""A person's feature state: cells of sixteen bytes, and the few ways in which an event changes them.

Layout (little endian): a header cell, then cells in no order, each `series u32, slot u32, value f64`. A series is one number that one
definition keeps, named by a hash over what it means, so that a changed definition never reads what another one wrote. A slot is a bucket
(its number since the epoch), a hash, or 0. Every change gives the same state in whatever order changes come, as far as it can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from math import log
from struct import Struct

import numpy as np

CELL = Struct("<IId")
CELLS = np.dtype([("series", "<u4"), ("slot", "<u4"), ("value", "<f8")])
HEADER = b"\0\0\0\0\1\0\0\0"
"""Series 0, version 1; its value is the length of the state after it was last pruned."""
KEY = Struct("<II")
CHANGE = Struct("<B8sd8sd")
BOUND = Struct("<IBd")
_LONGEST = Struct("<d")
MOST = 2**53 - 1
"""Sums end here: beyond it a float64 is no longer exact."""
REGISTERS = 256
"""Of the estimate of distinct values."""


class Op(IntEnum):
    """How a change combines with what is there."""

    ADD = 0
    """Add to the cell."""
    MAX = 1
    """Keep the larger."""
    LAST = 2
    """A time and a value, kept where the time is later; at the same time the larger value."""
    FIRST = 3
    """A time and a value, kept where the time is earlier; at the same time the smaller value."""
    DISTINCT = 4
    """The newest K hashes with their newest bucket; registers of all hashes once there were more."""


class Until(IntEnum):
    """What says when a cell of a series is of no more use."""

    SLOT = 0
    VALUE = 1
    NEVER = 2


@dataclass(frozen=True, slots=True)
class Bound:
    """Cells of a series whose slot, or value, lies below are of no more use."""

    series: int
    until: Until
    least: float


State = dict[tuple[int, int], float]
"""Cells by series and slot."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What of a whole state is of no more use."""

    most_bytes: float
    """A state that is longer loses what no bound names."""
    bounds: dict[int, Bound]


def packed_upkeep(most_bytes: float, bounds: bytes) -> bytes:
    """Return an upkeep as `adapters/lua/features.lua` reads it. `bounds`: packed as `BOUND`."""
    return _LONGEST.pack(most_bytes) + bounds


def unpacked_upkeep(raw: bytes) -> Upkeep:
    """Return a packed upkeep."""
    bounds = {series: Bound(series, Until(how), least) for series, how, least in BOUND.iter_unpack(raw[_LONGEST.size :])}
    return Upkeep(_LONGEST.unpack_from(raw)[0], bounds)


def changes(raw: bytes) -> Iterator[tuple[Op, bytes, float, bytes, float]]:
    """Yield packed changes: how, a cell and its number, another cell and its number."""
    for how, cell, number, other, more in CHANGE.iter_unpack(raw):
        yield Op(how), cell, number, other, more


def apply(state: State, raw: bytes) -> None:
    """Change a state. `adapters/lua/features.lua` does the same on the server."""
    for how, cell, number, other, more in changes(raw):
        key: tuple[int, int] = KEY.unpack(cell)
        second: tuple[int, int] = KEY.unpack(other)
        before = state.get(key)
        if how is Op.ADD:
            state[key] = min(max((before or 0.0) + number, -float(MOST)), float(MOST))
        elif how is Op.MAX:
            state[key] = number if before is None else max(before, number)
        elif how is Op.DISTINCT:
            _distinct(state, key, number, second[0], int(more))
        elif before is None or _wins(how, (number, more), (before, state.get(second, more))):
            state[key], state[second] = number, more


def _wins(how: Op, new: tuple[float, float], old: tuple[float, float]) -> bool:
    return new > old if how is Op.LAST else new < old


def _distinct(state: State, key: tuple[int, int], bucket: float, registers: int, most: int) -> None:
    series, value_hash = key
    mine = [found for found in state if found[0] == series]
    kept = any(found[0] == registers for found in state)
    if key in state:
        state[key] = max(state[key], bucket)
    else:
        state[key] = bucket
        if len(mine) >= most:
            if not kept:
                for found in mine:
                    _register(state, registers, found[1], state[found])
                kept = True
            oldest = min((state[found], found[1], found) for found in [*mine, key])[2]
            del state[oldest]
    if kept:
        _register(state, registers, value_hash, bucket)


def _register(state: State, registers: int, value_hash: int, bucket: float) -> None:
    place = (registers, value_hash % REGISTERS)
    state[place] = max(state.get(place, bucket), bucket)


def estimate(live_registers: int) -> int:
    """Return how many distinct values are likely, by linear counting; 256 registers tell no more than 1,420 apart."""
    empty = REGISTERS - live_registers
    return round(REGISTERS * log(REGISTERS / max(empty, 1)))


def pruned(state: State, bounds: dict[int, Bound]) -> State:
    """Return a state without what is of no more use. Series that no bound names stay."""
    kept = {}
    for (series, slot), value in state.items():
        bound = bounds.get(series)
        if bound is None or bound.until is Until.NEVER or (slot if bound.until is Until.SLOT else value) >= bound.least:
            kept[series, slot] = value
    return kept


def packed(state: State) -> bytes | None:
    """Return a state as it is stored; None: nothing is kept."""
    if not state:
        return None
    cells = b"".join([CELL.pack(series, slot, value) for (series, slot), value in state.items()])
    return HEADER + Struct("<d").pack(len(cells) + CELL.size) + cells


def unpacked(raw: bytes | None) -> State | None:
    """Return a stored state; None: it cannot be read. Nothing stored is an empty one."""
    if raw is None:
        return {}
    if not readable(raw):
        return None
    return {(series, slot): value for series, slot, value in CELL.iter_unpack(raw[CELL.size :])}


def readable(raw: bytes) -> bool:
    """Say whether stored bytes can be a state."""
    return len(raw) % CELL.size == 0 and raw.startswith(HEADER)
