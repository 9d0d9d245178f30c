"""Errands: coroutines that go on within the very callback that ends their wait, and not some turns of the loop later.

A task goes on when its turn comes, behind whatever became ready before: beside batches of decisions that is most of what an event waits
for. An errand goes on at once where what it awaits is a `Prompt`; for anything else a task takes over. Nobody cancels an errand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_client import Calling, guarded
from liftgate.adapters.redis_node import NodeClient
from liftgate.adapters.redis_pack import Command

T = TypeVar("T")


class Prompt(asyncio.Future[list[Any]]):
    """A future whose errand goes on before whoever ends it does. Awaited by a task it is like any other."""

    then: Callable[[], None] | None = None
    """What goes on; None: no errand waits."""

    def set_result(self, result: list[Any]) -> None:
        """End the wait."""
        super().set_result(result)
        self._go_on()

    def set_exception(self, exception: type | BaseException) -> None:
        """End the wait."""
        super().set_exception(exception)
        self._go_on()

    def _go_on(self) -> None:
        then, self.then = self.then, None
        if then is not None:
            then()


def run(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, T],
    ended: Callable[[T | None, Exception | None], None],
    tasks: set[asyncio.Task[T]],
) -> None:
    """Begin an errand at once, and call `ended` with its result or its error: perhaps before this returns. `tasks` keeps its task."""

    def step() -> None:
        try:
            waited = work.send(None)
        except StopIteration as end:
            found, error = end.value, None
        except Exception as failure:
            found, error = None, failure
        else:
            if type(waited) is Prompt:
                # As a task does: it has heard that somebody waits.
                waited._asyncio_future_blocking = False
                waited.then = step
            else:
                task: asyncio.Task[T] = loop.create_task(_rest(work, waited))
                tasks.add(task)
                task.add_done_callback(over)
            return
        ended(found, error)

    def over(task: asyncio.Task[T]) -> None:
        tasks.discard(task)
        if task.cancelled():
            ended(None, RuntimeError("the errand's task was cancelled"))
            return
        error = task.exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        ended(None if error is not None else task.result(), error)

    step()


@coroutine
def _rest(work: Coroutine[Any, Any, T], waited: Any) -> Generator[Any, None, T]:
    """Go on with work that waits for something, as a task's coroutine."""
    try:
        yield waited
    except BaseException:
        work.close()
        raise
    found: T = yield from work.__await__()
    return found


async def promptly(client: Calling, breaker: Breaker, commands: list[Command], budget_s: float, hurried: bool = False) -> list[Any]:
    """Do what `redis_client.guarded` does; an errand goes on as soon as the replies are there."""
    if not breaker.failures and isinstance(client, NodeClient):
        replies = client.at_once(commands, budget_s, None if hurried else breaker, Prompt)
        if replies is not None:
            return await replies
    # Waiting for a connection wants a task: there is one from here on.
    await asyncio.sleep(0)
    return await guarded(client, breaker, commands, budget_s, hurried)
