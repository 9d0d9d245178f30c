"""A loop that is never idle lends a loader some of its time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest

from liftgate.app.aside import Aside, LoadFailed
from liftgate.app.handover import unpack
from liftgate.app.lending import EVERY_S, MOST_S, SHARE, Lender
from liftgate.app.loading import Files
from tests.app.conftest import SMALL


class Time:
    """A clock on which every look comes `turn_s` after the one before, and rests take as long as they are asked to."""

    def __init__(self, turn_s: float) -> None:
        self.now_s, self.turn_s = 0.0, turn_s
        self.rests: list[float] = []

    def look(self) -> float:
        self.now_s += self.turn_s
        return self.now_s

    def rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.now_s += seconds


async def rests_of(time: Time, count: int) -> list[float]:
    """Lend until there were that many rests, and return them."""
    lender = Lender(asyncio.get_running_loop(), time.rest, time.look)
    lender.begin()
    while len(time.rests) < count:
        await asyncio.sleep(EVERY_S)
    lender.end()
    return time.rests[:count]


@pytest.mark.parametrize("turn_s", [0.001, 0.004, 0.1])
async def test_a_rest_is_a_share_of_the_turn_before_it_and_never_long(turn_s: float) -> None:
    """A fifth of all time, and two milliseconds where a turn took longer than eight: calls wait for the end of a rest."""
    for rest in await rests_of(Time(turn_s), 3):
        assert rest == pytest.approx(min(MOST_S, SHARE * (turn_s + rest)) if rest < MOST_S else MOST_S)
        assert rest == pytest.approx(min(MOST_S, turn_s / 4))


async def test_who_lends_no_more_rests_no_more() -> None:
    """Beginning twice is beginning once, ending without a beginning is nothing, and after the end there is no rest."""
    time = Time(0.004)
    lender = Lender(asyncio.get_running_loop(), time.rest, time.look)
    lender.end()
    lender.begin()
    lender.begin()
    while not time.rests:
        await asyncio.sleep(EVERY_S)
    lender.end()
    lender.end()
    # What was told comes first in the loop's queue.
    await asyncio.sleep(0)
    told = len(time.rests)
    await asyncio.sleep(EVERY_S * 10)
    assert len(time.rests) == told


def test_a_closed_loop_has_nothing_to_lend() -> None:
    """A load that ends after its server does says nothing."""
    loop = asyncio.new_event_loop()
    loop.close()
    lender = Lender(loop)
    lender.begin()
    lender.end()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """What a server of the small bundle reads."""
    return Files(SMALL, None, None, None, tmp_path / "log", False)


@pytest.fixture
def never_idle() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that always has something to do, on the one processor that it and everything that is started from here may use."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    loop = asyncio.new_event_loop()

    def work() -> None:
        sum(range(1000))
        loop.call_soon(work)

    loop.call_soon(work)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        os.sched_setaffinity(0, before)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_loader_beside_a_loop_that_is_never_idle_gets_on(files: Files, never_idle: asyncio.AbstractEventLoop) -> None:
    """With what is lent it comes to its end in spare time: endless patience, and no second loader."""
    found = unpack(Aside(files, starved_s=inf, lender=Lender(never_idle)).load())
    assert found.bundle is not None


@pytest.mark.usefixtures("never_idle")
def test_control_where_nobody_lends_it_does_not(files: Files) -> None:
    """The same without a lender: its time runs out."""
    with pytest.raises(LoadFailed, match=r"^loading did not end within 4 s"):
        Aside(files, longest_s=4.0, starved_s=inf).load()
