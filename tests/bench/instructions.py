"""How many bytecode instructions a decision takes: a figure that a busy machine does not move.

What C does (numpy, ONNX, orjson, protobuf) is one instruction here, however long it takes; loops and calls in Python are what is counted.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
import uvloop

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.app.settings import Settings

from . import events, load_batch, people, shop, traffic
from .processes import BenchError
from .stages import bench_settings, driving, wired

_WARM_UP, _COUNTED = 3, 12
SETTLED = 60
"""Batches or calls of warm-up after which hardly any kind of decision is met for the first time, with 500 offers, too."""
_CALLS = 2


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


async def _count(folder: Path, url: str, batch: int, warm_up: int) -> float:
    async with driving(folder, url, batch) as drive:
        await drive(warm_up)
        with Counter() as counter:
            await drive(_COUNTED)
    return counter.count / _COUNTED / batch


def measure(
    folder: Path, offers: int, batches: Sequence[int], declared: dict[str, Any] | None = None, warm_up: int = _WARM_UP
) -> dict[int, float]:
    """Return instructions a decision by size of batch, in a shop of so many offers written to the folder; `declared`: its bundle."""
    shop.write(folder, offers, declared=declared)
    stored = people.image(shop.compiled(folder))
    found = {}
    with EmbeddedValkey(tcp=True) as valkey:
        for batch in batches:
            people.restore(valkey.port, stored)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found[batch] = runner.run(_count(folder, valkey.url, batch, warm_up))
    return found


async def _count_calls(chosen: Settings, method: str, calls: Sequence[bytes], warm_up: int = _WARM_UP) -> float:
    """Return instructions of the server a call: through the wire and one after the other, from a thread that is not counted."""
    async with wired(chosen) as (worker, _, _):
        port = await worker.server.start()
        try:
            with Counter() as counter:
                await asyncio.to_thread(_call, port, method, calls[:warm_up])
                counter.count = 0
                await asyncio.to_thread(_call, port, method, calls[warm_up:])
        finally:
            await worker.server.stop(1.0)
    return counter.count / len(calls[warm_up:])


def _call(port: int, method: str, calls: Sequence[bytes]) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)]) as channel:
        ask = channel.unary_unary(method)
        for raw in calls:
            if not ask(raw, timeout=60):
                raise BenchError("an empty answer")


def of_batch_calls(folder: Path, offers: int, people_a_call: int, warm_up: int = _WARM_UP) -> float:
    """Return instructions a decision of `DecideBatch` for so many people."""
    shop.write(folder, offers)
    bodies = traffic.bodies()
    calls = [load_batch.request(list(islice(bodies, people_a_call))) for _ in range(warm_up + _CALLS)]
    with EmbeddedValkey(tcp=True) as valkey, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        people.restore(valkey.port, people.image(shop.compiled(folder)))
        chosen = bench_settings(folder / shop.BUNDLE, folder / shop.MODELS, folder / "log", valkey.url)
        return runner.run(_count_calls(chosen, "/liftgate.v1.DecisionService/DecideBatch", calls, warm_up)) / people_a_call


def of_events(folder: Path, size: int = events.BATCH) -> float:
    """Return instructions an event, in calls of so many, with ten features and a cap that events change."""
    events.write(folder)
    # As many events of every kind alone as together.
    counted = _CALLS if size > 1 else events.BATCH
    calls = list(events.bodies("counted", _WARM_UP + counted, time.time_ns() // 1_000_000, size))
    with EmbeddedValkey(tcp=True) as valkey, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(events.agree(valkey.url))
        chosen = bench_settings(folder / "bundle", None, folder / "log", valkey.url)
        return runner.run(_count_calls(chosen, "/liftgate.v1.EventService/Record", calls)) / size
