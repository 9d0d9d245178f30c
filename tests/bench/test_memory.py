"""Memory stays flat: thirty thousand decisions leave no objects behind, what a burst needed is given back. `make soak` sees all."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
import uvloop

from liftgate.adapters.embedded_valkey import EmbeddedValkey

from . import contenders, people, shop
from .contenders import Place
from .processes import cores, free_ports, load, serving
from .soak_chores import resident_mb
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


_KEEPS = """
import sys
from liftgate.app import giving_back, parting
parting.give_back = lambda: None
giving_back.LOOK_S = 1e9
from liftgate.app.cli.main import main
sys.exit(main())
"""
"""A server that gives nothing back."""
_AT_ONCE, _STOPPED_S = 1_500, 1.5
_MORE_MB = 8.0
"""What may stay of a burst and a reload, beside caches that fill up. A burst needs 20 MB and more."""
_PATIENCE_S = 60.0


@contextmanager
def _server(folder: Path, valkey: EmbeddedValkey, keeps: bool) -> Iterator[tuple[int, int]]:
    """Serve; give port and process id."""
    (folder / "log").mkdir(parents=True)
    shop.write(folder / "20", 20)
    people.restore(valkey.port, people.image(shop.compiled(folder / "20")))
    place = Place(*free_ports(), valkey.port, folder, folder / "log")
    command = contenders.liftgate("native", 20).command(place)
    if keeps:
        command = [sys.executable, "-c", _KEEPS, *command[1:]]
    with serving(command, place.port, cores(), folder / "output") as server:
        yield server.port, server.pid


def _stays_mb(folder: Path, valkey: EmbeddedValkey, keeps: bool) -> float:
    """Return how much more a server holds after a burst while it stood still, and a reload, than before."""

    def ask(port: int, seconds: int, in_flight: int) -> None:
        flags = ("--port", str(port), "--seconds", str(seconds), "--warm-up", "0.2", "--connections", "8", "--in-flight", str(in_flight))
        load(cores()[1], "closed", *flags, tolerate=True)

    with _server(folder, valkey, keeps) as (port, pid):
        ask(port, 3, 64)
        before = resident_mb(pid)[0]
        burst = Thread(target=ask, args=(port, 4, _AT_ONCE))
        burst.start()
        time.sleep(2.0)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(_STOPPED_S)
        os.kill(pid, signal.SIGCONT)
        burst.join()
        path = folder / "20" / shop.BUNDLE / "bundle.yaml"
        path.write_text(path.read_text().replace('Offer number 1"', 'Offer number one"'))
        os.kill(pid, signal.SIGHUP)
        until = time.monotonic() + _PATIENCE_S
        while b'"reloaded"' not in (folder / "output").read_bytes():
            assert time.monotonic() < until, "no reload"
            time.sleep(0.1)
        # What was in force before is parted with a second later at the earliest, bit by bit.
        until = time.monotonic() + (10.0 if keeps else _PATIENCE_S)
        while (more := resident_mb(pid)[0] - before) > _MORE_MB and time.monotonic() < until:
            time.sleep(0.2)
        return more


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_a_burst_needed_is_given_back(tmp_path: Path) -> None:
    """After 1,500 calls at once to a server that stood still, and a reload, it holds what it held; the control keeps it."""
    with EmbeddedValkey(tcp=True) as valkey:
        assert _stays_mb(tmp_path / "gives", valkey, keeps=False) <= _MORE_MB
        assert _stays_mb(tmp_path / "keeps", valkey, keeps=True) > _MORE_MB
