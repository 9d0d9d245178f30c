"""Amends: what claims left behind that came to nothing is put right once Redis answers again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.ports import Amendment, Claim
from liftgate.pipeline.walk import Ports

PAUSE_S = 0.25
AT_ONCE = 64


class Amends:
    """Amendments waiting for Redis, each for the retry horizon at most. One event loop."""

    def __init__(self, ports: Ports, horizon_s: float, limit: int = 100_000) -> None:
        """`limit`: the oldest are given up when more wait; their charges end with their windows or leases."""
        self._ports = ports
        self._horizon_s = horizon_s
        self._waiting: deque[tuple[float, Amendment]] = deque(maxlen=limit)
        self._task: asyncio.Task[None] | None = None

    def put(self, amendment: Amendment, now: float) -> None:
        """Add one; `now` is on the event loop's clock."""
        # Nobody asks for its record again, which is most of what would wait for a minute while Redis is late.
        amendment.claim.record = b""
        self._waiting.append((now + self._horizon_s, amendment))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def give_back(self, claims: Sequence[Claim]) -> None:
        """Undo claims whose walk broke, now if Redis answers, else when it does."""
        if not claims:
            return
        amendments = [Amendment(claim, b"") for claim in claims]
        try:
            away = await self._ports.reservations.amend(amendments)
        except StoreUnavailable:
            away = range(len(amendments))
        now = asyncio.get_running_loop().time()
        for i in away:
            self.put(amendments[i], now)

    async def close(self) -> None:
        """Try once more and give up the rest."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        with suppress(StoreUnavailable):
            await self._send()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            try:
                await self._send()
            except StoreUnavailable:
                await asyncio.sleep(PAUSE_S)
            while self._waiting and self._waiting[0][0] <= loop.time():
                self._waiting.popleft()

    async def _send(self) -> None:
        """Send all that waits now. Raises StoreUnavailable when some wait on, which holds up none of the others."""
        kept: list[tuple[float, Amendment]] = []
        try:
            for _ in range(0, len(self._waiting), AT_ONCE):
                some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                known = len(kept)
                kept += some
                away = await self._ports.reservations.amend([amendment for _, amendment in some])
                kept[known:] = [some[i] for i in sorted(away)]
        finally:
            self._waiting.extendleft(reversed(kept))
        if kept:
            raise StoreUnavailable("the servers of some are away")
