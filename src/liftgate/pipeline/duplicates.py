"""Duplicates: a request_id that comes again is told what was decided, byte for byte, and the log has it once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress

from liftgate.domain.errors import RequestIdReused, StoreUnavailable
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.ports import ClaimStatus
from liftgate.pipeline.reserve import request_id_reused
from liftgate.pipeline.walk import Pending, Ports
from liftgate.record.codec import mark_recovered

PAUSE_S = 0.005
PAUSES = 20
"""0.1 s in all: far longer than a healthy worker takes from its reservation to its log."""


async def settle(pending: Pending, ports: Ports) -> bytes | RequestIdReused:
    """Answer a duplicate whose first decision may not be in a log yet.

    Wait for the worker that made it to say that it is; if it does not, it has died or stands still: then write its
    record, marked as recovered, and answer. Raises LogUnavailable when that write fails.
    """
    response, record = pending.outcome.response, pending.outcome.record
    for _ in range(PAUSES):
        await asyncio.sleep(PAUSE_S)
        try:
            outcome = (await ports.reservations.look([pending.claim]))[0]
        except StoreUnavailable:
            continue
        if outcome.status is ClaimStatus.DUPLICATE_LOGGED:
            ports.observer.joined(recovered=False)
            return outcome.response
        if outcome.status is ClaimStatus.MISMATCH:
            return request_id_reused()
    await ports.log.append([mark_recovered(record)])
    ports.observer.joined(recovered=True)
    with suppress(StoreUnavailable):  # then the next duplicate recovers it again, under the same decision_id
        await ports.reservations.confirm([pending.claim])
    return response


class Memory:
    """Answers given while Redis could not remember them, for the retry horizon, in this worker alone, until `Amends` gets through."""

    def __init__(self, horizon_s: float, limit: int = 100_000) -> None:
        self._horizon_s = horizon_s
        self._limit = limit
        self._answers: OrderedDict[tuple[str, str], tuple[float, bytes, bytes]] = OrderedDict()

    @property
    def empty(self) -> bool:
        """Say that nothing is remembered."""
        return not self._answers

    def put(self, request: DecideRequest, response: bytes, now: float) -> None:
        """Remember an answer; `now` is in seconds on any clock that `get` shares. The oldest go first when full."""
        self._answers[request.person_id, request.request_id] = (now + self._horizon_s, request.fingerprint, response)
        while len(self._answers) > self._limit:
            self._answers.popitem(last=False)
        self._let_go(now)

    def _let_go(self, now: float) -> None:
        while self._answers and next(iter(self._answers.values()))[0] <= now:
            self._answers.popitem(last=False)

    def get(self, request: DecideRequest, now: float) -> bytes | None:
        """Return what was answered. Raises RequestIdReused when the body was another."""
        if not self._answers:
            return None
        # Here, too: once Redis is back nothing is put any more.
        self._let_go(now)
        known = self._answers.get((request.person_id, request.request_id))
        if known is None or known[0] <= now:
            return None
        if known[1] != request.fingerprint:
            raise request_id_reused()
        return known[2]
