"""An answer that is remembered for retries, in words that people can read."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from liftgate.client.plain import plain
from liftgate.v1.decision_pb2 import DecideResponse


def readable(value: bytes) -> dict[str, Any]:
    """Return what was answered, from a value as `lua/reserve.lua` stores it; what cannot be read is shown as it is."""
    size = int.from_bytes(value[9:13], "little") if len(value) >= 13 else 0
    try:
        answer: dict[str, Any] = plain(DecideResponse.FromString(value[13 : 13 + size]))
    except DecodeError:
        return {"hexadecimal": value.hex()}
    return answer
