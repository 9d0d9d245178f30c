"""What a record says of a slate as a whole, encoded, for the end of a record."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from liftgate.record.wire import ahead, tag
from liftgate.v1.record_pb2 import SlotProbabilities

_JOINT, _MARGINALS = tag("slate_joint_probability", 1), tag("slot_marginals")
_PROBABILITY = tag("probability", message=SlotProbabilities)


def slate_part(joint: float, marginals: NDArray[np.float64] | None) -> bytes:
    """Return the probability of the slate as drawn and the [S, C] marginals of its slots; None: they are not known."""
    part = _JOINT + struct.pack("<d", joint)
    if marginals is None:
        return part
    candidates = marginals.shape[1]
    before = ahead(_PROBABILITY, 8 * candidates)
    before = ahead(_MARGINALS, len(before) + 8 * candidates) + before
    raw = np.ascontiguousarray(marginals, dtype="<f8").tobytes()
    return part + b"".join([before + raw[at : at + 8 * candidates] for at in range(0, len(raw), 8 * candidates)])
