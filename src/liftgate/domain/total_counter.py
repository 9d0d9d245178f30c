"""Total counters: how much of a cap over everybody is used, as a few buckets in one value, however many people share it.

Bucket (little endian): `until_ms` float64, when what is in it counts no more; `count` float64. A calendar window is one bucket. A rolling
window, and the leases of a cap that counts exposures, are counted in 64ths of their length, rounded up: a place comes back late by a 64th
at most, and never early.
"""

from __future__ import annotations

from struct import Struct

BUCKET = Struct("<dd")
STEPS = 64
"""Parts of a rolling window, which has fewer than twice as many buckets; leases have as many of their own."""
DAMAGED = 2**53
"""Used by a counter that cannot be read: more than any limit."""


def bucket_until(at_ms: int, length_ms: int) -> int:
    """Return the end of the bucket for something that counts from `at_ms` for `length_ms`: that late, or up to a 64th later."""
    step = max(length_ms // STEPS, 1)
    return -(-(at_ms + length_ms) // step) * step


def total_count(raw: bytes | None, now_ms: int) -> int:
    """Return what counts now. A value whose length is no multiple of 16 is damaged and counts as used up."""
    if not raw:
        return 0
    if len(raw) % BUCKET.size:
        return DAMAGED
    return int(sum(count for until, count in BUCKET.iter_unpack(raw) if until > now_ms))


def paced(limit: int, start_ms: int, end_ms: int, now_ms: int) -> int:
    """Return how much of a limit an even pace allows by now, 1 at the least: the part of the window that has passed, and one."""
    passed = min(max(now_ms - start_ms, 0), end_ms - start_ms)
    return min(limit, limit * passed // (end_ms - start_ms) + 1)
