"""The only hash: salted, length-prefixed, 64 bits, integer multiply-shift. Frozen vectors: `tests/cases/bucketing.csv`.

Another language needs four lines: concatenate every part of the salt and then the unit, each as UTF-8 behind its byte
length as four little-endian bytes; take BLAKE2b with an 8-byte digest; read it as a little-endian unsigned integer h;
the bucket is (h * n) >> 64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from itertools import repeat
from operator import add
from struct import iter_unpack

import numpy as np
from numpy.typing import NDArray

SPACE = 1_000_000
"""Buckets of an allocation: shares are exact to one millionth."""

_TO_BYTES: Callable[[int, int, str], bytes] = int.to_bytes  # type: ignore[assignment]  # of the two byte orders
_UTF_8, _SURROGATES, _FOUR, _LITTLE = repeat("utf-8"), repeat("surrogatepass"), repeat(4), repeat("little")


def _prefixed(part: str) -> bytes:
    raw = part.encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(4, "little") + raw


class Salt:
    """A namespace of randomness: two salts with different parts give independent buckets for the same unit.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ. Immutable and safe to share between threads.
    """

    __slots__ = ("_state", "parts")

    def __init__(self, *parts: str) -> None:
        if not parts or not all(parts):
            raise ValueError("a salt needs at least one part and no empty ones")
        self.parts = parts
        self._state = blake2b(b"".join(map(_prefixed, parts)), digest_size=8)

    def hash64(self, *unit: str) -> int:
        """Return 64 bits for the unit, uniform in [0, 2**64). A unit of several parts is none of a single one."""
        state = self._state.copy()
        for part in unit:
            # As `_prefixed`, without a call.
            raw = part.encode("utf-8", "surrogatepass")
            state.update(len(raw).to_bytes(4, "little") + raw)
        return int.from_bytes(state.digest(), "little")

    def bucket(self, unit: str, n: int = SPACE) -> int:
        """Return the unit's bucket, uniform in [0, n)."""
        # As `hash64`, without a call and a turn of its loop.
        raw, state = unit.encode("utf-8", "surrogatepass"), self._state.copy()
        state.update(len(raw).to_bytes(4, "little") + raw)
        return (int.from_bytes(state.digest(), "little") * n) >> 64

    def buckets(self, units: Iterable[str], n: int = SPACE) -> list[int]:
        """Return `bucket` of each unit."""
        return [(one * n) >> 64 for (one,) in iter_unpack("<Q", self.digests(prefixed(units)))]

    def digests(self, raws: Iterable[bytes]) -> bytes:
        """Return `hash64` of units as `prefixed` makes them, eight little-endian bytes each, one behind the other."""
        begun, found = self._state.copy, []
        for raw in raws:
            state = begun()
            state.update(raw)
            found.append(state.digest())
        return b"".join(found)

    def uniform(self, *unit: str) -> float:
        """Return a draw in [0, 1) with 53 bits, a pure function of salt and unit."""
        return (self.hash64(*unit) >> 11) / 9007199254740992.0


def prefixed(units: Iterable[str]) -> list[bytes]:
    """Return units as they are hashed, each behind its length."""
    raws = list(map(str.encode, units, _UTF_8, _SURROGATES))
    return list(map(add, map(_TO_BYTES, map(len, raws), _FOUR, _LITTLE), raws))


def columns_of(digests: bytes, rows: int, n: int = SPACE) -> NDArray[np.uint64]:
    """Return [rows, ...] buckets, uniform in [0, n), of digests one behind the other; `n` up to 2**32."""
    hashes, space = np.frombuffer(digests, dtype=_HASH).reshape(rows, -1), np.uint64(n)
    # (h * n) >> 64 by halves, for the product has more than 64 bits.
    found: NDArray[np.uint64] = ((hashes >> _HALF) * space + (((hashes & _LOWER) * space) >> _HALF)) >> _HALF
    return found


def uniforms(salts: Iterable[Salt | None], firsts: Iterable[bytes], seconds: Iterable[str]) -> NDArray[np.float64]:
    """Return [N] draws: `Salt.uniform` of each salt and its unit of two parts, the first as UTF-8; 0 where there is no salt."""
    digests = []
    for salt, first, second in zip(salts, firsts, prefixed(seconds), strict=True):
        if salt is None:
            digests.append(_ZERO)
            continue
        state = salt._state.copy()
        state.update(len(first).to_bytes(4, "little") + first + second)
        digests.append(state.digest())
    hashes = np.frombuffer(b"".join(digests), dtype=_HASH)
    drawn: NDArray[np.float64] = (hashes >> _SPARE) / _DRAWS
    return drawn


_HASH = np.dtype("<u8")
_ZERO = bytes(8)
# Arrays, for numpy takes longer over a number of Python's than over a column.
_HALF, _LOWER = np.array(32, dtype=_HASH), np.array(2**32 - 1, dtype=_HASH)
_SPARE, _DRAWS = np.array(11, dtype=_HASH), np.array(9007199254740992.0)


def bucket(salt: str, unit: str, n: int) -> int:
    """Return the bucket of a unit under a one-part salt; see `Salt` for more parts."""
    return Salt(salt).bucket(unit, n)
