"""Parts of a record that only decisions have whose answer is not what was chosen."""

from __future__ import annotations

from functools import lru_cache

from liftgate.v1.record_pb2 import DecisionRecord

ONLINE = "online"
"""The mode that is not written."""


@lru_cache(maxsize=4096)
def answer_part(
    withheld: tuple[str, ...], deferred: bool, mode: str, baseline: tuple[str, ...], default_slots: tuple[int, ...] = ()
) -> bytes:
    """Return what was withheld, whether it is deferred, the learning mode, the caller's own choice and single slots' defaults.

    For the end of a record.
    """
    return DecisionRecord(
        withheld_offer=withheld,
        deferred=deferred,
        mode="" if mode == ONLINE else mode,
        baseline_offer=baseline,
        default_slot=default_slots,
    ).SerializeToString()
