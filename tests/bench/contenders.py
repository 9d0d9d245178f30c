"""What is measured: each contender is a command line that serves `Decide` on a port."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import shop


@dataclass(frozen=True, slots=True)
class Place:
    """Where one round happens."""

    port: int
    metrics_port: int
    redis_port: int
    shops: Path
    """Holds `<offers>/bundle` and `<offers>/models`."""
    log: Path
    """Empty directory of this round."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to serve."""

    name: str
    label: str
    command: Callable[[Place], list[str]]
    decides: bool = True
    """Gives real answers; the empty servers do not."""


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


def liftgate(transport: str, offers: int, note: str = "", flags: tuple[str, ...] = (), metrics: bool = True) -> Contender:
    """Return the full Decide; `note` says what `flags` change."""
    return Contender(
        f"liftgate-{transport}-{offers}{'-' + note.replace(' ', '-') if note else ''}",
        f"Liftgate, {transport}, {offers} offers{', ' + note if note else ''}",
        lambda place: [
            str(Path(sys.executable).with_name("liftgate")),
            "serve",
            *("--bundle", str(place.shops / str(offers) / shop.BUNDLE), "--models", str(place.shops / str(offers) / shop.MODELS)),
            *("--redis", f"redis://127.0.0.1:{place.redis_port}/0", "--log", str(place.log), "--port", str(place.port)),
            *("--transport", transport, "--workers", "1", "--metrics-port", str(place.metrics_port if metrics else 0)),
            *("--lame-duck-s", "0", "--pseudonym-key", "0123456789abcdef0123456789abcdef"),
            *flags,
        ],
    )


E_ASYNCIO = empty("grpcio", "asyncio")
E_UVLOOP = empty("grpcio", "uvloop")
E_NATIVE = empty("native", "uvloop")
N0 = plain(20)
NATIVE = liftgate("native", 20)
GRPCIO = liftgate("grpcio", 20)
NATIVE_10, NATIVE_100, NATIVE_500 = (liftgate("native", offers) for offers in (10, 100, 500))
FSYNC = liftgate("native", 20, "fsync log", ("--durability", "fsync"))
BARE = liftgate("native", 20, "all off", ("--durability", "async", "--trace-sample-ratio", "0"), metrics=False)
QUICK = (E_ASYNCIO, E_UVLOOP, N0, NATIVE, GRPCIO)
FULL = (*QUICK, E_NATIVE, NATIVE_10, NATIVE_100, NATIVE_500, FSYNC, BARE)
