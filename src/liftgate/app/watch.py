"""Has anything changed in the bundle's folder?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from liftgate.app.fingerprint import Fingerprint

LOOK_S = 0.5
"""How often to look. What has changed is read when two looks in a row agree."""


async def watch(look: Callable[[], Fingerprint], changed: Callable[[], Awaitable[object]], before: Fingerprint) -> None:
    """Call `changed` after each change, once the files have come to rest. Runs until cancelled; looks in a thread."""

    def glance() -> Fingerprint:
        try:
            return look()
        except (OSError, RuntimeError):  # a link that leads to itself; the load says so
            return ()

    while True:
        await asyncio.sleep(LOOK_S)
        now = await asyncio.to_thread(glance)
        if now == before:
            continue
        while True:
            await asyncio.sleep(LOOK_S)
            again = await asyncio.to_thread(glance)
            if again == now:
                break
            now = again
        before = now
        await changed()
