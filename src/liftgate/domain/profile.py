"""Packed profiles: one fixed-width value a person, so a batch decodes as one matrix.

Layout (little endian): `b"LG"`, version 1, five zero bytes, eight bytes of schema digest, then float64
values (see `Input` for their meaning, NaN missing) and uint32 times in seconds since the epoch (0: not known), one each for
every feature that events do not keep fresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import repeat
from operator import eq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.input import Floats, InputSchema


class ProfileState(IntEnum):
    """What was found for a person."""

    FOUND = 0
    MISSING = 1
    UNREADABLE = 2
    UNAVAILABLE = 3


_FOUND, _MISSING, _UNREADABLE = int(ProfileState.FOUND), int(ProfileState.MISSING), int(ProfileState.UNREADABLE)
_starts = bytes.startswith
_UNKNOWN = np.array(0, dtype=np.uint32)


@dataclass(slots=True)
class Profiles:
    """Decoded profiles of N people with F features."""

    state: NDArray[np.uint8]
    """[N] of ProfileState."""
    value: Floats
    """[N, F], NaN missing; NaN everywhere unless FOUND. Not to be written to where all features are stored: it may be read-only."""
    at_s: Floats
    """[N, F], seconds since the epoch, NaN not known."""


def pack(schema: InputSchema, values: Sequence[float], at_s: Sequence[int] | int) -> bytes:
    """Return one packed profile. `values` has one column number for each feature; `at_s` one time for all or one each.

    What they say of features that events keep fresh is passed over.
    """
    row, stored = np.zeros(1, dtype=schema.profile_dtype), schema.stored_count
    row["value"][0] = values[:stored]
    row["at_s"][0] = at_s if isinstance(at_s, int) else at_s[:stored]
    return schema.profile_header + row.tobytes()[len(schema.profile_header) :]


def unpack(schema: InputSchema, raws: Sequence[bytes | None]) -> Profiles:
    """Decode N stored values. None is MISSING; a wrong length, magic, version or schema is UNREADABLE, never a guess."""
    size, header, filler = schema.profile_dtype.itemsize, schema.profile_header, schema.profile_missing
    found: Sequence[Any] = raws
    whole = None not in found and all(map(eq, map(len, found), repeat(size))) and all(map(_starts, found, repeat(header)))
    if not whole:
        found = [raw if raw is not None and len(raw) == size and raw.startswith(header) else filler for raw in raws]
    rows = np.frombuffer(b"".join(found), schema.profile_dtype)
    value, when = rows["value"], rows["at_s"]
    at_s, unknown = when.astype(np.float64), when == _UNKNOWN
    if True in unknown.tobytes():
        at_s[unknown] = np.nan
    # An infinity can only be damage: writers refuse it.
    infinite = np.isinf(value)
    if True in infinite.tobytes():
        value = np.where(infinite, np.nan, value)
    if schema.stored_count < schema.profile_count:
        value, at_s = widened(schema, value), widened(schema, at_s)
    state = np.zeros(len(found), dtype=np.uint8)  # FOUND is 0
    if not whole:
        state[:] = [_FOUND if one is not filler else _MISSING if raw is None else _UNREADABLE for raw, one in zip(raws, found, strict=True)]
    return Profiles(state, value, at_s)


def widened(schema: InputSchema, stored: Floats) -> Floats:
    """Return [N, F] with NaN for what events keep fresh, from [N, stored features]."""
    every = np.full((len(stored), schema.profile_count), np.nan)
    every[:, : schema.stored_count] = stored
    return every


def unavailable(schema: InputSchema, n: int) -> Profiles:
    """Return N profiles as they are when the store is away."""
    nan = np.full((n, schema.profile_count), np.nan)
    return Profiles(np.full(n, ProfileState.UNAVAILABLE, dtype=np.uint8), nan, nan.copy())
