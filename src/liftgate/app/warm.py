"""Warming what is to be in force: everything that is made at first use is made before its first caller, beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any

from liftgate.adapters.grpc_answers import GrpcAnswers
from liftgate.adapters.memory_stores import MemoryProfileStore, MemoryReservations
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.batching import Batcher
from liftgate.pipeline.live import Live
from liftgate.pipeline.walk import Ports

_ROWS = 32
_MOST = 256
"""Placements that are walked."""


def warm(live: Live, now_ms: int) -> None:
    """Walk its placements dry, for nobody, over empty stores in memory: alone, then in batches. Blocks; reaches nothing outside."""
    asyncio.run(_walk(live, now_ms))


async def _walk(live: Live, now_ms: int) -> None:
    profiles, beside = MemoryProfileStore(), _Beside(now_ms)
    ports = Ports(
        profiles=profiles,
        reservations=MemoryReservations(history=profiles.history, accounts=profiles.accounts, totals=profiles.totals),
        log=beside,
        answers=GrpcAnswers(),
        observer=beside,
        ids=beside,
        clock=beside,
        pseudonym=lambda _: bytes(16),
        pseudonym_key_id="",
    )
    batcher = Batcher(ports)
    requests = [DecideRequest("", "", placement.placement_id, placement.slots, dry_run=True) for placement in live.bundle.placements]
    await batcher.submit_many(requests[:1], live)
    for start in range(0, min(len(requests), _MOST), _ROWS):
        await batcher.submit_many(requests[start : start + _ROWS], live)
    await batcher.drain()


class _Beside:
    """A log that keeps nothing, an observer that sees nothing, a clock that stands still, and ids that count."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms, self._ids = now_ms, count(1)

    async def append(self, records: Sequence[bytes]) -> None:
        """See `pipeline.ports.Log`."""

    def decided(self, *_: Any) -> None:
        """See `pipeline.ports.Observer`."""

    def fell_back(self, *_: Any) -> None:
        """See `pipeline.ports.Observer`."""

    def joined(self, recovered: bool) -> None:
        """See `pipeline.ports.Observer`."""

    def now_ms(self) -> int:
        """See `pipeline.ports.Clock`."""
        return self._now_ms

    def decision_id(self) -> str:
        """See `pipeline.ports.Ids`."""
        return f"{next(self._ids):032x}"

    def decision_ids(self, count: int) -> list[str]:
        """See `pipeline.ports.Ids`."""
        return [self.decision_id() for _ in range(count)]
