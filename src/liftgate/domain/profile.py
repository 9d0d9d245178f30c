"""Packed profiles: one fixed-width value a person, so a batch decodes as one matrix.

Layout (little endian): `b"LG"`, version 1, flags 0, four spare bytes, eight bytes of schema digest, then F float64
values (see `Input` for their meaning, NaN missing) and F uint32 times in seconds since the epoch (0: not known).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from liftgate.domain.input import Floats, InputSchema

_MAGIC = int.from_bytes(b"LG", "little")
VERSION = 1


class ProfileState(IntEnum):
    """What was found for a person."""

    FOUND = 0
    MISSING = 1
    UNREADABLE = 2
    UNAVAILABLE = 3


@dataclass(slots=True)
class Profiles:
    """Decoded profiles of N people with F features."""

    state: NDArray[np.uint8]
    """[N] of ProfileState."""
    value: Floats
    """[N, F], NaN missing; NaN everywhere unless FOUND."""
    at_s: Floats
    """[N, F], seconds since the epoch, NaN not known."""


def pack(schema: InputSchema, values: Sequence[float], at_s: Sequence[int] | int) -> bytes:
    """Return one packed profile. `values` has one column number for each feature; `at_s` one time for all or one each."""
    row = np.zeros(1, dtype=schema.profile_dtype)
    row["magic"], row["version"], row["schema"] = _MAGIC, VERSION, schema.profile_digest_u64
    row["value"][0] = values
    row["at_s"][0] = at_s
    return row.tobytes()


def unpack(schema: InputSchema, raws: Sequence[bytes | None]) -> Profiles:
    """Decode N stored values. None is MISSING; a wrong length, magic, version or schema is UNREADABLE, never a guess."""
    size = schema.profile_dtype.itemsize
    filler = b"\0" * size
    joined = b"".join([raw if raw is not None and len(raw) == size else filler for raw in raws])
    rows = np.frombuffer(joined, dtype=schema.profile_dtype)
    # numpy's bytes type drops trailing zeros, so magic and digest are compared as integers.
    good = (rows["magic"] == _MAGIC) & (rows["version"] == VERSION) & (rows["schema"] == schema.profile_digest_u64)
    state = np.where(good, ProfileState.FOUND, ProfileState.UNREADABLE).astype(np.uint8)
    missing = [i for i, raw in enumerate(raws) if raw is None]
    if missing:
        state[missing] = ProfileState.MISSING
    value = np.where(good[:, None], rows["value"], np.nan)
    at_s = np.where(good[:, None] & (rows["at_s"] > 0), rows["at_s"].astype(np.float64), np.nan)
    # An infinity can only be damage: writers refuse it.
    value[np.isinf(value)] = np.nan
    return Profiles(state, value, at_s)


def unavailable(schema: InputSchema, n: int) -> Profiles:
    """Return N profiles as they are when the store is away."""
    nan = np.full((n, schema.profile_count), np.nan)
    return Profiles(np.full(n, ProfileState.UNAVAILABLE, dtype=np.uint8), nan, nan.copy())
