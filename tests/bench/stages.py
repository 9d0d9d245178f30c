"""Where a decision's CPU goes, stage by stage, without the wire: `python -m tests.bench.stages [--offers K] [--batch N] [--flame DIR]`.

One worker's real objects, Valkey and log, driven in one process by batches of N concurrent requests; CPU of the event
loop's thread. One batch at a time, so what a stage costs includes what the loop does for it while it waits.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import functools
import itertools
import os
import pstats
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import thread_time_ns
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.grpc_service import DecisionService
from liftgate.adapters.system import TimeOrderedIds
from liftgate.adapters.telemetry import Telemetry
from liftgate.adapters.telemetry_metrics import LAYOUT
from liftgate.adapters.telemetry_page import Page
from liftgate.app import settings
from liftgate.app.keys import pseudonym_key
from liftgate.app.loading import load_live
from liftgate.app.wiring import Worker, files_of, wire
from liftgate.pipeline import decide as walk
from liftgate.pipeline.live import Live
from liftgate.pipeline.stages import Stage

from . import people, shop, traffic
from .flame import Sampler, write
from .processes import cores, scratch
from .tables import rows_of

STAGES = tuple(stage.label for stage in Stage)


class _Call:
    """As much of a call's context as the service reads."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def time_remaining(self) -> float | None:
        return None


def _timed(spent: dict[str, int], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the stage with its CPU time added to `spent`, ns."""

    @functools.wraps(function)
    def plain(*args: Any) -> Any:
        start = thread_time_ns()
        try:
            return function(*args)
        finally:
            spent[name] += thread_time_ns() - start

    @functools.wraps(function)
    async def waiting(*args: Any) -> Any:
        start = thread_time_ns()
        try:
            return await function(*args)
        finally:
            spent[name] += thread_time_ns() - start

    return waiting if asyncio.iscoroutinefunction(function) else plain


def bench_settings(bundle: Path, models: Path | None, log: Path, url: str) -> settings.Settings:
    """Return settings under which a slow machine turns nothing into a fallback."""
    flags = {"bundle": bundle, "redis": url, "log": log, "fetch_budget_ms": 1000.0} | ({"models": models} if models else {})
    return settings.read({**flags, "reserve_budget_ms": 1000.0, "pseudonym_key": "0123456789abcdef0123456789abcdef"})


@contextlib.asynccontextmanager
async def wired(chosen: settings.Settings) -> AsyncIterator[tuple[Worker, Live, Telemetry]]:
    """Wire one worker; the log is sealed in the end."""
    live, telemetry = load_live(files_of(chosen)), Telemetry(Page(LAYOUT))
    worker = wire(chosen, live, pseudonym_key(chosen), telemetry)
    for _, log in worker.logs:
        log.open()
    await worker.redis.fill(2.0)
    # Until it knows what is stopped, a worker offers nothing, and scores nobody.
    await worker.controls.watch.refresh()
    try:
        yield worker, live, telemetry
    finally:
        await worker.batcher.drain()
        for _, log in worker.logs:
            await log.close()
        await worker.redis.close()


Drive = Callable[[int], Awaitable[int]]
"""Runs so many batches and returns the CPU of this thread, ns."""


@contextlib.asynccontextmanager
async def driving(folder: Path, url: str, batch: int) -> AsyncIterator[Drive]:
    """Wire one worker and yield what drives it by batches of that size."""
    async with wired(bench_settings(folder / shop.BUNDLE, folder / shop.MODELS, folder / "log", url)) as (worker, live, telemetry):
        service = DecisionService(lambda: live, worker.batcher, TimeOrderedIds(), telemetry)
        bodies = traffic.bodies()

        async def drive(count: int) -> int:
            start = thread_time_ns()
            for _ in range(count):
                await asyncio.gather(*[service.decide(body, _Call()) for body in itertools.islice(bodies, batch)])
            return thread_time_ns() - start

        yield drive


async def measure(folder: Path, url: str, batch: int, batches: int, profile: Path | None, flame: Path | None = None) -> dict[str, float]:
    """Return CPU us a decision: each stage, `rest` (reading requests, batching, futures, confirming), and `all`."""
    spent = dict.fromkeys(STAGES, 0)
    usual = {name: getattr(walk, name) for name in STAGES}
    async with driving(folder, url, batch) as drive:
        try:
            await drive(batches // 4 + 1)
            if profile is not None:
                with cProfile.Profile() as profiler:
                    await drive(batches)
                profiler.dump_stats(profile)
            if flame is not None:
                with Sampler() as sampler:
                    await drive(batches)
                write(sampler.stacks, f"CPU of a decision, {batch} in flight", flame / f"flame-{batch}.svg")
            for name, function in usual.items():
                setattr(walk, name, _timed(spent, name, function))
            whole = await drive(batches)
        finally:
            for name, function in usual.items():
                setattr(walk, name, function)
    found = {name: ns / 1000 / batch / batches for name, ns in spent.items()}
    whole_us = whole / 1000 / batch / batches
    return {**found, "rest": whole_us - sum(found.values()), "all": whole_us}


def main() -> None:
    """Print one column for each size of batch."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stages", description=__doc__)
    parser.add_argument("--offers", type=int, default=20)
    parser.add_argument("--distinct", action="store_true", help="every offer has four conditions that no other has")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--decisions", type=int, default=6_400, help="for each size of batch")
    parser.add_argument("--profile", action="store_true", help="also print cProfile's view of the last size, by own time")
    parser.add_argument("--flame", type=Path, metavar="DIR", help="also write a flame graph for each size of batch, and the table, there")
    args = parser.parse_args()
    if args.flame is not None:
        args.flame.mkdir(parents=True, exist_ok=True)
    server_core, other_core = cores()
    columns = {}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch()) as name, EmbeddedValkey(tcp=True) as valkey:
        folder = Path(name)
        shop.write(folder, args.offers, args.distinct)
        stored = people.image(shop.compiled(folder))
        os.sched_setaffinity(valkey.pid, {other_core})
        os.sched_setaffinity(0, {server_core})
        for batch in args.batch:
            people.restore(valkey.port, stored)
            profile = folder / "profile" if args.profile and batch == args.batch[-1] else None
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                columns[batch] = runner.run(measure(folder, valkey.url, batch, args.decisions // batch, profile, args.flame))
        if args.profile:
            pstats.Stats(str(folder / "profile")).sort_stats("tottime").print_stats(45)
    table = Table(title=f"CPU us a decision, {args.offers} offers, by batch size", title_justify="left")
    table.add_column("")
    for batch in columns:
        table.add_column(str(batch), justify="right")
    for row in (*STAGES, "rest", "all"):
        table.add_row(row, *[f"{column[row]:.1f}" for column in columns.values()])
    Console().print(table)
    if args.flame is not None:
        said = f"`make profile`, {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, load average {os.getloadavg()[0]:.1f}."
        (args.flame / "stages.md").write_text(f"{said}\n\n{rows_of(table).markdown()}\n", encoding="utf-8")
        print(f"wrote {', '.join(f'flame-{batch}.svg' for batch in columns)} and stages.md to {args.flame}")


if __name__ == "__main__":
    main()
