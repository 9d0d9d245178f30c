"""What stands behind the two ids of a request, read once: an app sends the same placement and context for many people.

A message's first bytes are its request_id and its person_id, as every encoder writes them, and the rest is a key to what it was read
as. Only a rest that was read in full before, without a mistake, against the same bundle, is ever found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b

from liftgate.adapters.protobuf_wire import Malformed, fields
from liftgate.domain.request import DecideRequest

KNOWN = 4096
"""Rests remembered; one more, and all are forgotten."""
REST_BYTES = 512
"""A longer one is read every time."""
_REQUEST_ID, _PERSON_ID, _ONE_BYTE = 0x0A, 0x12, 0x7F
_IDS = (1, 2)
_ENTRY = 0x0A
_NOT_IDEMPOTENT = b"\0" * 8
_FINGERPRINT = blake2b(digest_size=8)
"""Begun once: a copy costs half of a new one."""


class Rests:
    """Rests that were seen twice, of one bundle. Not thread-safe."""

    __slots__ = ("_known", "_new_id", "_once")

    def __init__(self, new_id: Callable[[], str]) -> None:
        """`new_id` makes the request_id where the caller sent none."""
        self._new_id = new_id
        self._known: dict[bytes, DecideRequest] = {}
        """What rests were read as, for nobody."""
        self._once: set[bytes] = set()

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._once.clear()

    def request(self, raw: bytes) -> DecideRequest | None:
        """Return the request of an encoded message whose rest is known; None: it is to be read."""
        try:
            if raw[0] == _REQUEST_ID:
                end = 2 + raw[1]
                start = end + 2
                stop = start + raw[end + 1]
                # Of a body that is cut short there is no rest, and so none that is known.
                known = self._known.get(raw[stop:])
                if known is None or raw[end] != _PERSON_ID or end > _ONE_BYTE or not 0 < stop - start <= _ONE_BYTE:
                    return None
                request_id = raw[2:end].decode()
                if not request_id.isprintable() or end == 2:
                    return None
                fingerprint = _FINGERPRINT.copy()
                fingerprint.update(raw)
                return known.asked_by(raw[start:stop].decode(), request_id, True, fingerprint.digest())
            stop = 2 + raw[1]
            known = self._known.get(raw[stop:])
            if known is None or raw[0] != _PERSON_ID or not 2 < stop <= 2 + _ONE_BYTE:
                return None
            return known.asked_by(raw[2:stop].decode(), self._new_id(), False, _NOT_IDEMPOTENT)
        except (IndexError, UnicodeDecodeError):
            return None

    @staticmethod
    def rest(raw: bytes) -> bytes:
        """Return what stands behind the ids of an encoded message; empty: nothing, or they are not in front."""
        try:
            end = 2 + raw[1] if raw[0] == _REQUEST_ID else 0
            stop = end + 2 + raw[end + 1]
            usual = raw[end] == _PERSON_ID and end != 2 and end <= _ONE_BYTE and end + 2 < stop <= end + 2 + _ONE_BYTE
        except IndexError:
            return b""
        return raw[stop:] if usual else b""

    def learn(self, rest: bytes, request: DecideRequest) -> None:
        """Remember what a rest was read as, from the second time on. The body's fingerprint must be that of its bytes as they came."""
        if len(rest) > REST_BYTES:
            return
        if rest not in self._once:
            if len(self._once) >= KNOWN:
                self._once.clear()
            self._once.add(rest)
            return
        try:
            if any(number in _IDS for number, _, _ in fields(memoryview(rest))):
                return
        except Malformed:
            return
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known[rest] = replace(
            request, request_id="", person_id="", fingerprint=_NOT_IDEMPOTENT, trace_id=b"", span_id=b"", sampled=False
        )


def entries(raw: bytes) -> list[bytes] | None:
    """Return the encoded requests of a `DecideBatchRequest`; None: it holds anything else, or they are not each within 16 kB."""
    found, at, end = [], 0, len(raw)
    try:
        while at < end:
            if raw[at] != _ENTRY:
                return None
            size, at = raw[at + 1], at + 2
            if size > _ONE_BYTE:
                if raw[at] > _ONE_BYTE:
                    return None
                size, at = size & _ONE_BYTE | raw[at] << 7, at + 1
            found.append(raw[at : at + size])
            at += size
    except IndexError:
        return None
    return found if at == end else None
