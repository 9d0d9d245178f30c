"""Parts of a record that only a replay needs: what changed since, what did not answer, what slots shared."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from liftgate.v1.record_pb2 import CapRoom, DecisionRecord

FEW = 6
"""From so many rows on, pairs of columns cost less than a reduction."""


def input_check(value: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return [N, I] the exclusive or of the four 16-bit words of each value: no change within one word leaves it as it was."""
    n, inputs = value.shape
    value = np.ascontiguousarray(value)
    check: NDArray[np.uint16]
    if n < FEW:
        check = np.bitwise_xor.reduce(value.view(np.uint16).reshape(n, inputs, 4), axis=2)
    else:
        halves = value.view(np.uint32)
        words = (halves[:, 0::2] ^ halves[:, 1::2]).view(np.uint16)
        check = words[:, 0::2] ^ words[:, 1::2]
    return check


@lru_cache(maxsize=256)
def silent_part(models: tuple[str, ...]) -> bytes:
    """Return which models did not answer, encoded, for the end of a record."""
    return DecisionRecord(silent_model=models).SerializeToString()


def cap_room_part(room: Iterable[tuple[bytes, int]]) -> bytes:
    """Return (cap id, room) of caps that had less room than slots, encoded, for the end of a record."""
    return DecisionRecord(cap_room=[CapRoom(cap_id=cap_id, room=left) for cap_id, left in room]).SerializeToString()
