"""Packed profiles: one fixed-width value a person, so a batch decodes as one matrix.

Layout (little endian): `b"LG"`, version 1, five zero bytes, eight bytes of schema digest, then float64
values (see `Input` for their meaning, NaN missing) and uint32 times in seconds since the epoch (0: not known), one each for
every feature that events do not keep fresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

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
    """Return one packed profile. `values` has one column number for each feature; `at_s` one time for all or one each.

    What they say of features that events keep fresh is passed over.
    """
    row, stored = np.zeros(1, dtype=schema.profile_dtype), schema.stored_count
    row["value"][0] = values[:stored]
    row["at_s"][0] = at_s if isinstance(at_s, int) else at_s[:stored]
    return schema.profile_header + row.tobytes()[len(schema.profile_header) :]


def unpack(schema: InputSchema, raws: Sequence[bytes | None]) -> Profiles:
    """Decode N stored values. None is MISSING; a wrong length, magic, version or schema is UNREADABLE, never a guess."""
    size, header = schema.profile_dtype.itemsize, schema.profile_header
    good = [raw is not None and len(raw) == size and raw.startswith(header) for raw in raws]
    filler = schema.profile_missing
    joined = b"".join([raw if fine and raw is not None else filler for raw, fine in zip(raws, good, strict=True)])
    rows = np.frombuffer(joined, schema.profile_dtype)
    # Copies: the bytes are read-only.
    value, at_s = np.array(rows["value"]), rows["at_s"].astype(np.float64)
    np.copyto(at_s, np.nan, where=at_s == 0)
    # An infinity can only be damage: writers refuse it.
    infinite = np.isinf(value)
    if np.count_nonzero(infinite):
        value[infinite] = np.nan
    if schema.stored_count < schema.profile_count:
        value, at_s = widened(schema, value), widened(schema, at_s)
    if all(good):
        return Profiles(np.zeros(len(raws), dtype=np.uint8), value, at_s)
    state = [_FOUND if fine else _MISSING if raw is None else _UNREADABLE for raw, fine in zip(raws, good, strict=True)]
    return Profiles(np.array(state, dtype=np.uint8), value, at_s)


def widened(schema: InputSchema, stored: Floats) -> Floats:
    """Return [N, F] with NaN for what events keep fresh, from [N, stored features]."""
    every = np.full((len(stored), schema.profile_count), np.nan)
    every[:, : schema.stored_count] = stored
    return every


def unavailable(schema: InputSchema, n: int) -> Profiles:
    """Return N profiles as they are when the store is away."""
    nan = np.full((n, schema.profile_count), np.nan)
    return Profiles(np.full(n, ProfileState.UNAVAILABLE, dtype=np.uint8), nan, nan.copy())
