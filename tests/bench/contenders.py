"""What is measured: each contender is a command line that serves `Decide` on a port."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from . import every_guardrail, shop


@dataclass(frozen=True, slots=True)
class Place:
    """Where one round happens."""

    port: int
    metrics_port: int
    redis_port: int
    shops: Path
    """Holds `<offers>/bundle` and `<offers>/models`, and the like for a shop with a name."""
    log: Path
    """Empty directory of this round."""
    collector_port: int = 0
    """Where traces go; 0: nowhere."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to serve."""

    name: str
    label: str
    command: Callable[[Place], list[str]]
    decides: bool = True
    """Gives real answers; the empty servers do not."""
    mode: str = "closed"
    """Of the load generator: closed or batch."""
    in_flight: int = 0
    """Calls; 0: as many as usual."""
    connections: int = 0
    two_cores: bool = False
    """The server may use the core of load and store, too."""
    says_ready: str = ""
    """What its output holds when all of it serves; empty: it serves as soon as it listens."""
    traced: float = 0.0
    """Share of requests whose spans have to arrive at the collector."""


def _module(name: str, *flags: str) -> list[str]:
    return [sys.executable, "-m", f"tests.bench.{name}", *flags]


def empty(transport: str, loop: str) -> Contender:
    """Return an empty Decide."""
    package = {"grpcio": "grpc.aio", "native": "pygrpc-native"}[transport]
    return Contender(
        f"empty-{transport}-{loop}",
        f"empty, {package}, {loop}",
        lambda place: _module("empty_server", "--port", str(place.port), "--transport", transport, "--loop", loop),
        decides=False,
    )


def plain(offers: int) -> Contender:
    """Return N0."""
    return Contender(
        f"plain-{offers}",
        f"N0: plain server, {offers} offers",
        lambda place: _module(
            "plain_server",
            *("--port", str(place.port), "--shop", str(place.shops / str(offers))),
            *("--redis-port", str(place.redis_port), "--log", str(place.log / "decisions.jsonl")),
        ),
    )


def liftgate(
    transport: str,
    offers: int,
    note: str = "",
    flags: tuple[str, ...] = (),
    *,
    metrics: bool = True,
    traced: float = 0.01,
    workers: int = 1,
    budgets: bool = False,
    folder_name: str = "",
) -> Contender:
    """Return the full Decide; `note` says what `flags` change. `budgets`: of the store as it comes, instead of `PATIENT_MS`.

    `folder_name`: the shop's, where it is not that of so many offers."""

    def command(place: Place) -> list[str]:
        folder = place.shops / (folder_name or str(offers))
        return [
            *(str(Path(sys.executable).with_name("liftgate")), "serve"),
            *("--bundle", str(folder / shop.BUNDLE), "--models", str(folder / shop.MODELS)),
            *("--redis", f"redis://127.0.0.1:{place.redis_port}/0", "--log", str(place.log), "--port", str(place.port)),
            *("--transport", transport, "--workers", str(workers), "--metrics-port", str(place.metrics_port if metrics else 0)),
            *("--lame-duck-s", "0", "--pseudonym-key", "0123456789abcdef0123456789abcdef"),
            *(() if budgets else ("--fetch-budget-ms", PATIENT_MS, "--reserve-budget-ms", PATIENT_MS)),
            *(("--otlp-endpoint", f"http://127.0.0.1:{place.collector_port}") if traced and place.collector_port else ()),
            *("--trace-sample-ratio", f"{traced:g}"),
            *flags,
        ]

    return Contender(
        f"liftgate-{transport}-{offers}{'-' + note.replace(' ', '-') if note else ''}",
        f"Liftgate, {transport}, {offers} offers{', ' + note if note else ''}",
        command,
        says_ready="" if workers == 1 else "serving_all",
        traced=traced,
    )


PATIENT_MS = "400"
"""Budgets of the store where CPU is counted: with the 8 ms that the service comes with, a pause of a busy machine turns decisions into
fallbacks, which cost something else. Percentiles and overload are measured with 8 ms."""
E_ASYNCIO = empty("grpcio", "asyncio")
E_UVLOOP = empty("grpcio", "uvloop")
E_NATIVE = empty("native", "uvloop")
N0 = plain(20)
NATIVE = liftgate("native", 20)
DEEP = replace(liftgate("native", 20, "256 in flight"), in_flight=256, connections=8)
"""What it can do at most: batches are as large as they get."""
AS_SHIPPED = liftgate("native", 20, "8 ms budgets", budgets=True)
"""For percentiles and overload; takes part in no round."""
EVERY = liftgate("native", 20, "every guardrail", folder_name=every_guardrail.NAME)
GRPCIO = liftgate("grpcio", 20)
NATIVE_10, NATIVE_100, NATIVE_500 = (liftgate("native", offers) for offers in (10, 100, 500))
BATCH_PEOPLE = 256
BATCH = replace(liftgate("native", 20, "DecideBatch of 256"), mode="batch", in_flight=3)
FSYNC = liftgate("native", 20, "fsync log", ("--durability", "fsync"))
ASYNC = liftgate("native", 20, "async log", ("--durability", "async"))
BARE = liftgate("native", 20, "all off", ("--durability", "async"), metrics=False, traced=0.0)
NO_TRACES = liftgate("native", 20, "no traces", traced=0.0)
ALL_TRACES = liftgate("native", 20, "every request traced", traced=1.0)
WORKERS_1 = replace(liftgate("native", 20, "16 connections"), connections=16)
WORKERS_2 = replace(liftgate("native", 20, "2 workers on 2 cores", workers=2), in_flight=128, connections=32, two_cores=True)
"""As many calls and connections a worker as WORKERS_1."""
USUAL = (E_ASYNCIO, E_UVLOOP, N0, NATIVE)
QUICK = (*USUAL, EVERY, DEEP, GRPCIO, NATIVE_100, BATCH)
# Those that a goal compares stand side by side.
FULL = (
    *(E_ASYNCIO, E_UVLOOP, N0, NATIVE, EVERY, BARE, DEEP, FSYNC, ASYNC, NO_TRACES, ALL_TRACES, WORKERS_1, WORKERS_2),
    *(NATIVE_10, NATIVE_500, NATIVE_100, BATCH, GRPCIO, E_NATIVE),
)
