"""Memory stays flat: what Python holds after thirty thousand more decisions is what it held before. `make soak` looks at all of it."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from liftgate.adapters.embedded_valkey import EmbeddedValkey

from . import people, shop
from .stages import driving
from .traffic import PEOPLE

_BATCH = 64
_ROUND = -(-PEOPLE // _BATCH)
"""Batches in which everybody is asked for once."""
_ROUNDS = 3
_A_DECISION = 0.4
"""Blocks that may stay for each decision, as some batches are still being confirmed. An object kept for each decision is 1."""
_SETTLE_S = 0.3


async def _growth(folder: Path, url: str, beside: Callable[[], None]) -> float:
    """Return blocks of memory that a decision leaves behind, once everybody has been seen twice."""

    async def held() -> int:
        await asyncio.sleep(_SETTLE_S)
        gc.collect()
        return sys.getallocatedblocks()

    async with driving(folder, url, _BATCH) as drive:
        for _ in range(2):
            await drive(_ROUND)
        before = await held()
        for _ in range(_ROUNDS * _ROUND):
            await drive(1)
            beside()
        return (await held() - before) / _ROUNDS / _ROUND / _BATCH


@pytest.mark.slow
def test_a_decision_leaves_nothing_behind(tmp_path: Path) -> None:
    """Thirty thousand decisions leave no objects behind, and the control, which keeps one small object for each, is seen."""
    shop.write(tmp_path, 10)
    stored = people.image(shop.compiled(tmp_path))
    kept: list[object] = []
    with EmbeddedValkey(tcp=True) as valkey, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        people.restore(valkey.port, stored)
        assert runner.run(_growth(tmp_path, valkey.url, lambda: None)) < _A_DECISION
        people.restore(valkey.port, stored)
        assert runner.run(_growth(tmp_path, valkey.url, lambda: kept.extend(object() for _ in range(_BATCH)))) > _A_DECISION
