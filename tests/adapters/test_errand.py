"""Errands go on within the callback that ends their wait; for whatever else they wait, a task takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from liftgate.adapters.breaker import Breaker
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.errand import Prompt, promptly, run
from liftgate.adapters.redis_client import connect
from liftgate.domain.errors import StoreUnavailable

Told = tuple[Any, Exception | None]


class Errands:
    """Begins errands and keeps how they ended."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin one."""
        run(asyncio.get_running_loop(), work, lambda found, error: self.told.append((found, error)), self.tasks)


def prompt() -> Prompt:
    """Return one that nobody has ended."""
    return Prompt(loop=asyncio.get_running_loop())


async def test_it_goes_on_before_the_callback_has_returned() -> None:
    """Two waits, one after the other: each is over as soon as its future is, without a turn of the loop."""
    errands, first, second = Errands(), prompt(), prompt()

    async def both() -> list[Any]:
        return [*await first, *await second]

    errands.begin(both())
    assert errands.told == []
    first.set_result([1])
    second.set_result([2])
    assert (errands.told, errands.tasks) == ([([1, 2], None)], set())


async def test_a_task_would_not() -> None:
    """The control: a task that awaits the same future goes on in a later turn."""
    future = prompt()

    async def one() -> list[Any]:
        return await future

    task = asyncio.create_task(one())
    await asyncio.sleep(0)
    future.set_result([1])
    assert not task.done()
    assert await task == [1]


async def test_an_error_goes_where_it_is_awaited() -> None:
    """It can be caught there, and the errand goes on; one that is not caught is its end."""
    errands, first, second = Errands(), prompt(), prompt()

    async def both() -> list[Any]:
        with pytest.raises(StoreUnavailable):
            await first
        return await second

    errands.begin(both())
    first.set_exception(StoreUnavailable("away"))
    second.set_exception(StoreUnavailable("still away"))
    ((found, error),) = errands.told
    assert found is None
    assert str(error) == "still away"


async def test_what_waits_for_nothing_has_ended_at_once() -> None:
    """Neither a turn nor a task."""
    errands = Errands()

    async def nothing() -> int:
        return 7

    errands.begin(nothing())
    assert errands.told == [(7, None)]


async def test_a_task_takes_over_where_it_waits_for_anything_else() -> None:
    """A plain future and a sleep within a timeout, and a prompt one after them: it ends, and its task is not kept."""
    errands, before, plain, after = Errands(), prompt(), asyncio.get_running_loop().create_future(), prompt()

    async def all_three() -> list[Any]:
        found = await before
        found += await plain
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        return found + await after

    errands.begin(all_three())
    before.set_result([1])
    assert len(errands.tasks) == 1
    plain.set_result([2])
    after.set_result([3])
    for _ in range(10):
        await asyncio.sleep(0)
    assert (errands.told, errands.tasks) == ([([1, 2, 3], None)], set())


async def test_an_errand_whose_task_is_cancelled_says_so() -> None:
    """As when the loop ends: whoever waits is told."""
    errands, never = Errands(), asyncio.get_running_loop().create_future()

    async def waits() -> None:
        await never

    errands.begin(waits())
    (task,) = errands.tasks
    await asyncio.sleep(0)
    task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert [type(error) for _, error in errands.told] == [RuntimeError]


async def test_a_call_without_an_idle_connection_waits_for_one() -> None:
    """Three errands on a pool of one connection, which is not open yet, then one on the open connection: all have their replies."""
    with EmbeddedValkey() as valkey:
        errands, client, breaker = Errands(), connect(valkey.url, 10_000, max_connections=1), Breaker()
        for number in range(3):
            errands.begin(promptly(client, breaker, [("ECHO", str(number))], 10.0))
        while len(errands.told) < 3:
            await asyncio.sleep(0.001)
        assert not errands.tasks
        errands.begin(promptly(client, breaker, [("ECHO", "3")], 10.0))
        assert not errands.tasks
        while len(errands.told) < 4:
            await asyncio.sleep(0.001)
        assert sorted(found[0] for found, _ in errands.told) == [b"0", b"1", b"2", b"3"]
        await client.close()
