"""Protobuf's wire format, as far as the record needs it: varints, tags, and what stands before a column."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from liftgate.v1.record_pb2 import DecisionRecord, SlotProbabilities

_UINT64 = 2**64 - 1


@lru_cache(maxsize=16_384)
def varint(number: int) -> bytes:
    """Return an unsigned number of up to 64 bits as a varint, remembered: lengths and counts come again. Raises ValueError outside it."""
    if not 0 <= number <= _UINT64:
        raise ValueError("number out of range for the record")
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def varint_of(number: int) -> bytes:
    """Return the same for a number that comes once, a time in ms: what is above its lowest 14 bits comes for 16 s, and is remembered."""
    if not 0 <= number <= _UINT64:
        raise ValueError("number out of range for the record")
    high = number >> 14
    return bytes((number & 127 | 128, number >> 7 & 127 | 128)) + varint(high) if high else varint(number)


def tag(name: str, wire_type: int = 2, message: type = DecisionRecord) -> bytes:
    """Return the tag of a message's field; wire type 0 is a varint, 2 has a length."""
    return varint(message.DESCRIPTOR.fields_by_name[name].number << 3 | wire_type)  # type: ignore[attr-defined]


@lru_cache(maxsize=4096)
def ahead(tag: bytes, length: int) -> bytes:
    """Return a tag and the length of what follows."""
    return tag + varint(length)


class Layout(NamedTuple):
    """What stands before each column: tag and length."""

    candidate_reason: bytes
    candidate_propensity: bytes
    candidate_value: bytes
    slot: bytes
    draws: bytes
    input_value: bytes
    input_age_s: bytes
    input_state: bytes
    consent_reason: bytes


@lru_cache(maxsize=4096)
def layout(candidates: int, draws: int, inputs: int, purposes: int) -> Layout:
    """Return the layout for counts of candidates, inputs and purposes, and for the bytes of the draws."""
    probability = ahead(tag("probability", message=SlotProbabilities), 8 * candidates)
    return Layout(
        candidate_reason=ahead(tag("candidate_reason"), candidates),
        candidate_propensity=ahead(tag("candidate_propensity"), 8 * candidates),
        candidate_value=ahead(tag("candidate_value"), 8 * candidates),
        slot=ahead(tag("slots"), len(probability) + 8 * candidates) + probability,
        draws=ahead(tag("draws"), draws),
        input_value=ahead(tag("input_value"), 8 * inputs),
        input_age_s=ahead(tag("input_age_s"), 8 * inputs),
        input_state=ahead(tag("input_state"), inputs),
        consent_reason=ahead(tag("consent_reason"), purposes),
    )
