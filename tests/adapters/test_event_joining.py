"""Calls about events that come together are taken together, and each is answered for its own events alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from liftgate.adapters.event_joining import LARGE, UNDER_WAY
from liftgate.domain.errors import LogUnavailable
from liftgate.v1.event_service_pb2 import Event, EventKind
from tests.adapters.event_desk import EventDesk, event_desk
from tests.adapters.test_event_features import LIVE, NOW_MS

CLICK = EventKind.EVENT_KIND_CLICK


def click(event_id: str, person: str = "ada", kind: EventKind = CLICK) -> Event:
    """Return an event."""
    return Event(event_id=event_id, kind=kind, person_id=person)


class _Counted:
    """A log that counts its writes, and waits for `go` before each."""

    def __init__(self, desk: EventDesk) -> None:
        self.writes: list[int] = []
        self.go = asyncio.Event()
        self.go.set()
        inner = desk.log.inner
        self._append = inner.append
        inner.append = self.append  # type: ignore[method-assign]

    async def append(self, records: Sequence[bytes]) -> None:
        """See `Log`."""
        self.writes.append(len(records))
        await self.go.wait()
        await self._append(records)


async def test_calls_that_come_together_are_one_write(tmp_path: Path) -> None:
    """Twenty callers of one event each: one write, and everybody's answer is about their own."""
    async with event_desk(tmp_path, LIVE, now_ms=NOW_MS) as desk:
        log = _Counted(desk)
        answers = await asyncio.gather(*(desk.record(click(f"e{i}"), click("")) for i in range(20)))
    assert log.writes == [20]
    assert all((answer.accepted, answer.duplicates, [one.index for one in answer.rejections]) == (1, 0, [1]) for answer in answers)


async def test_one_event_told_by_two_callers_counts_for_the_first(tmp_path: Path) -> None:
    """It is one row; the second caller hears of a duplicate."""
    async with event_desk(tmp_path, LIVE, now_ms=NOW_MS) as desk:
        first, second = await asyncio.gather(desk.record(click("a"), click("b")), desk.record(click("c"), click("a"), click("c")))
        assert [row.event_id for row in desk.log.rows] == ["a", "b", "c"]
    assert (first.accepted, first.duplicates) == (2, 0)
    assert (second.accepted, second.duplicates) == (3, 2)


async def test_small_calls_gather_while_batches_are_under_way(tmp_path: Path) -> None:
    """What comes while as many batches as may be are written is one write after them."""
    async with event_desk(tmp_path, LIVE, now_ms=NOW_MS) as desk:
        log = _Counted(desk)
        log.go.clear()
        calls = []
        for i in range(UNDER_WAY + 5):
            calls.append(asyncio.create_task(desk.record(click(f"e{i}"))))
            for _ in range(20):
                await asyncio.sleep(0)
        assert log.writes == [1] * UNDER_WAY
        log.go.set()
        answers = await asyncio.gather(*calls)
    assert log.writes == [*[1] * UNDER_WAY, 5]
    assert {answer.accepted for answer in answers} == {1}


async def test_a_large_call_waits_for_nobody(tmp_path: Path) -> None:
    """It begins while small ones gather, and is joined with none."""
    async with event_desk(tmp_path, LIVE, now_ms=NOW_MS) as desk:
        log = _Counted(desk)
        log.go.clear()
        small = [asyncio.create_task(desk.record(click(f"s{i}"))) for i in range(2)]
        large = asyncio.create_task(desk.record(*(click(f"l{i}") for i in range(LARGE))))
        for _ in range(20):
            await asyncio.sleep(0)
        assert sorted(log.writes) == [2, LARGE]
        log.go.set()
        await asyncio.gather(*small, large)


async def test_a_caller_who_leaves_takes_nobody_along(tmp_path: Path) -> None:
    """Others of its batch are answered; its own event may be in the log, and told again it is a duplicate there."""
    async with event_desk(tmp_path, LIVE, now_ms=NOW_MS) as desk:
        log = _Counted(desk)
        log.go.clear()
        stays, leaves = (asyncio.create_task(desk.record(click(name))) for name in ("stays", "leaves"))
        for _ in range(20):
            await asyncio.sleep(0)
        leaves.cancel()
        log.go.set()
        assert (await stays).accepted == 1
        with pytest.raises(asyncio.CancelledError):
            await leaves
        assert (await desk.record(click("leaves"))).duplicates == 1


async def test_a_log_that_is_away_fails_the_whole_batch(tmp_path: Path) -> None:
    """Nobody is told that their event is kept; the next batch finds a log that is back."""
    async with event_desk(tmp_path, LIVE, now_ms=NOW_MS) as desk:
        desk.log.full = True
        failed = await asyncio.gather(*(desk.record(click(f"e{i}")) for i in range(3)), return_exceptions=True)
        assert [type(one) for one in failed] == [LogUnavailable] * 3
        desk.log.full = False
        assert (await desk.record(click("e0"))).accepted == 1
