"""How many bytecode instructions a decision takes: a figure that a busy machine does not move.

What C does (numpy, ONNX, orjson, protobuf) is one instruction here, however long it takes; loops and calls in Python are what is counted.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import uvloop

from liftgate.adapters.embedded_valkey import EmbeddedValkey

from . import people, shop
from .stages import driving

_WARM_UP, _COUNTED = 3, 12


class Counter:
    """Counts what this thread executes in functions that are entered, or gone on with, while it is on."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Counter:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            self.count += 1
        elif event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._trace


async def _count(folder: Path, url: str, batch: int) -> float:
    async with driving(folder, url, batch) as drive:
        await drive(_WARM_UP)
        with Counter() as counter:
            await drive(_COUNTED)
    return counter.count / _COUNTED / batch


def measure(folder: Path, offers: int, batches: Sequence[int]) -> dict[int, float]:
    """Return instructions a decision by size of batch, in a shop of so many offers that is written to the folder."""
    shop.write(folder, offers)
    stored = people.image(shop.compiled(folder))
    found = {}
    with EmbeddedValkey(tcp=True) as valkey:
        for batch in batches:
            people.restore(valkey.port, stored)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found[batch] = runner.run(_count(folder, valkey.url, batch))
    return found
