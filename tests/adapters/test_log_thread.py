"""A log's thread: jobs in order, their ends on the event loop, errors handed over, nothing lost at the end."""

from __future__ import annotations

import asyncio
import threading

from liftgate.adapters.log_thread import LogThread


async def test_jobs_run_in_order_in_one_other_thread() -> None:
    """Jobs run one after the other off the event loop; each end is told on it, in the same order."""
    thread, ran, told = LogThread("test-log"), list[tuple[int, int]](), list[tuple[int, int]]()
    for i in range(50):
        thread.run(
            lambda i=i: ran.append((i, threading.get_ident())),  # type: ignore[misc]
            lambda cause, i=i: told.append((i, threading.get_ident())),  # type: ignore[misc]
        )
    await thread.idle()
    here = threading.get_ident()
    assert [i for i, _ in ran] == [i for i, _ in told] == list(range(50))
    assert len({where for _, where in ran}) == 1
    assert {where for _, where in ran} != {here}
    assert {where for _, where in told} == {here}
    thread.stop()


async def test_errors_are_handed_over_and_jobs_go_on() -> None:
    """A job that raises is told with its error, and the next one runs."""
    thread, causes = LogThread("test-log"), list[BaseException | None]()
    error = OSError(5, "broken")

    def broken() -> None:
        raise error

    thread.run(broken, causes.append)
    thread.run(lambda: None, causes.append)
    await thread.idle()
    assert causes == [error, None]
    thread.stop()


async def test_idle_waits_for_jobs_that_ends_ask_for() -> None:
    """A job that the end of another asks for is waited for, and a stopped thread has run what it had."""
    thread, ran = LogThread("test-log"), list[str]()
    gate = threading.Event()
    thread.run(gate.wait, lambda cause: thread.run(lambda: ran.append("second"), lambda cause: None))
    waiting = asyncio.create_task(thread.idle())
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    await waiting
    assert ran == ["second"]
    thread.run(lambda: ran.append("last"), lambda cause: None)
    thread.stop()
    await thread.idle()
    assert ran == ["second", "last"]
