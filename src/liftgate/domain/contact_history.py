"""Contact history: what counts against a person's frequency caps, as fixed 32-byte entries in one value.

Entry (little endian): cap id, 8 bytes; reservation id, 8 bytes; `live_until_ms` float64; `until_ms` float64. An entry
counts while now < live_until_ms. A lease lives until its lease ends; a commit moves live_until_ms to until_ms, the end
of the cap's window. Redis scripts read and write the same layout; the contract suite holds both to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from struct import Struct

import numpy as np

ENTRY = Struct("<8s8sdd")
DTYPE = np.dtype([("cap", "<u8"), ("reservation", "<u8"), ("live_until_ms", "<f8"), ("until_ms", "<f8")])


def reservation_of(decision_id: str, own: bytes | None = None) -> bytes:
    """Return the eight bytes by which a decision's entries are known. `own`: the person's key, where they have one.

    Histories of accounts outlive their people. With the key an entry leads to no decision of a log once the person is erased.
    """
    tail = bytes.fromhex(decision_id[16:])
    return tail if own is None else blake2b(tail, digest_size=8, key=own).digest()


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
