"""Pre-encoded `DecideRequest`s: the same people for every server under test, a fresh request_id for each call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from liftgate.load import requests
from liftgate.load.requests import DECIDE as PATH
from liftgate.v1 import decision_pb2

__all__ = ["PATH", "PEOPLE", "PLACEMENT", "bodies", "person_id", "person_number", "request", "shares"]
PEOPLE = 10_000
PLACEMENT = "home.hero"
_CHANNELS = ("web", "app", "email")


def person_id(number: int) -> str:
    """Return the id of one of the bench's people."""
    return f"person-{number:06d}"


def person_number(step: int) -> int:
    """Return whose turn it is: every person once in 10,000 steps, neighbours far apart."""
    return step * 7919 % PEOPLE


def request(number: int, request_id: str) -> decision_pb2.DecideRequest:
    """Return a person's request."""
    return decision_pb2.DecideRequest(
        request_id=request_id,
        person_id=person_id(number),
        placement_id=PLACEMENT,
        slot_count=1,
        context=decision_pb2.Context(
            channel=_CHANNELS[number % 10 == 9],
            device="mobile" if number % 3 else "desktop",
            locale="de-DE",
            time_zone="Europe/Berlin",
        ),
    )


def bodies() -> Iterator[bytes]:
    """Yield encoded requests for ever; no request_id comes twice, in this process or another."""
    return requests.bodies([request(number, "").SerializeToString() for number in range(PEOPLE)])


def shares(messages: Sequence[bytes]) -> tuple[float, float]:
    """Return the shares of answers that offer something and that are degraded. Raises ValueError on one without id, reason or arm."""
    offered = degraded = 0
    for message in messages:
        answer = decision_pb2.DecideResponse.FromString(message)
        if not answer.decision_id or not answer.reason or not answer.arm:
            raise ValueError("an answer without decision_id, reason or arm")
        offered += bool(answer.slots)
        degraded += answer.degraded
    return offered / max(1, len(messages)), degraded / max(1, len(messages))
