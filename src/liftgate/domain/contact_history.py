"""Contact history: what counts against a person's frequency caps, as fixed 32-byte entries in one value.

Entry (little endian): cap id, 8 bytes; reservation id, 8 bytes; `live_until_ms` float64; `until_ms` float64. An entry
counts while now < live_until_ms. A lease lives until its lease ends; a commit moves live_until_ms to until_ms, the end
of the cap's window. Redis scripts read and write the same layout; the contract suite holds both to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

import numpy as np

ENTRY = Struct("<8s8sdd")
DTYPE = np.dtype([("cap", "<u8"), ("reservation", "<u8"), ("live_until_ms", "<f8"), ("until_ms", "<f8")])


def live_counts(raws: Sequence[bytes | None], cap_ids: np.ndarray, now_ms: np.ndarray) -> np.ndarray:
    """Return [N, C] counts of live entries of each cap for N people.

    `cap_ids` is [C] uint64 (little-endian reading of the 8 bytes), `now_ms` [N]. A value whose length is no multiple of
    32 is damaged: its caps count as infinitely used (numpy int64 max), so that they fail closed.
    """
    n, c = len(raws), len(cap_ids)
    sizes: list[int] = []
    parts: list[bytes] = []
    damaged: list[int] = []
    for row, raw in enumerate(raws):
        if raw and len(raw) % ENTRY.size == 0:
            sizes.append(len(raw) // ENTRY.size)
            parts.append(raw)
        else:
            sizes.append(0)
            if raw:
                damaged.append(row)
    if parts and c:
        entries = np.frombuffer(b"".join(parts), dtype=DTYPE)
        who = np.repeat(np.arange(n), sizes)
        live = entries["live_until_ms"] > now_ms[who]
        entry, cap = np.nonzero((entries["cap"][:, None] == cap_ids) & live[:, None])
        counts = np.bincount(who[entry] * c + cap, minlength=n * c).reshape(n, c)
    else:
        counts = np.zeros((n, c), dtype=np.int64)
    if damaged:
        counts[damaged] = np.iinfo(np.int64).max
    return counts
