"""Keeps a worker's ControlPanel true to the store: a push brings every change at once, a heartbeat whatever a push did not.

push        a message on the channel: read everything
reconnect   the channel was joined (again): read everything, for messages may have been missed
heartbeat   the version alone, twice a second: read everything where it is another
silence     no answer for longer than `max_age_s`: unknown, until there is one
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from liftgate.adapters.redis_subscription import ended
from liftgate.domain.control import UNKNOWN, Controls, Stop
from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.controls import ControlPanel, ControlStore

HEARTBEAT_S = 0.5
DEFAULT_MAX_AGE_S = 60.0


class ControlWatch:
    """One worker's watch over the store. One event loop. `told` is what a subscription calls."""

    def __init__(
        self,
        store: ControlStore,
        panel: ControlPanel,
        *,
        max_age_s: float = DEFAULT_MAX_AGE_S,
        heartbeat_s: float = HEARTBEAT_S,
        say: Callable[[str, Mapping[str, object]], None] = lambda event, fields: None,
        changed: Callable[[Controls], None] = lambda controls: None,
    ) -> None:
        """`say` takes a log line's event and fields; `changed` is called with every snapshot put in force."""
        self._store = store
        self._panel = panel
        self._max_age_s = max_age_s
        self._heartbeat_s = heartbeat_s
        self._say = say
        self._changed = changed
        self._pushed = asyncio.Event()
        self._answered_at = float("-inf")
        self._version = 0
        """The store's, when it was last read."""
        self._stops: tuple[Stop, ...] = ()
        """In force last, whatever is known now."""
        self._kept: dict[str, Stop] = {}
        """Stops that the store has lost, by subject: in force until somebody stops the same thing anew, or this worker ends."""
        self._task: asyncio.Task[None] | None = None

    def told(self) -> None:
        """Something may have changed: read at once."""
        self._pushed.set()

    async def refresh(self) -> Controls:
        """Read everything now and put it in force. Raises StoreUnavailable; then what was in force stays."""
        began = asyncio.get_running_loop().time()
        controls = await self._store.read()
        self._answered_at = max(self._answered_at, began)
        before = self._panel.controls
        if controls.version < self._version:
            # A failover lost changes, or the store was emptied: no stop that was known is lifted by that, nor by any change after it.
            self._say("controls_went_back", {"version": controls.version, "known": self._version, "meaning": "known stops are kept"})
            self._kept |= {stop.subject: stop for stop in self._stops}
        self._version = controls.version
        if self._kept:
            # What is stopped anew is the store's again, and can be started.
            self._kept = {key: stop for key, stop in self._kept.items() if controls.stop(stop.kind, stop.name) is None}
            stops = {stop.subject: stop for stop in (*controls.stops, *self._kept.values())}
            controls = replace(controls, stops=tuple(stops[key] for key in sorted(stops)))
        self._stops = controls.stops
        # The version alone does not tell: a store that lost changes counts on from before them.
        if before.known and _same(before, controls):
            return before
        self._panel.put(controls)
        self._say("controls", {"version": controls.version, "stopped": [stop.subject for stop in controls.stops]})
        self._changed(controls)
        return controls

    def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop watching; what was in force last stays."""
        if self._task is not None:
            await ended(self._task)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    await self._pushed.wait()
            except TimeoutError:
                pass
            pushed = self._pushed.is_set()
            self._pushed.clear()
            try:
                began = loop.time()
                if pushed or not self._panel.controls.known or await self._store.version() != self._panel.controls.version:
                    await self.refresh()
                else:
                    self._answered_at = began
            except StoreUnavailable as err:
                if pushed:
                    # Nothing told is forgotten: the next heartbeat reads everything.
                    self._pushed.set()
                    await asyncio.sleep(min(0.05, self._heartbeat_s))
                self._judge_age(loop.time(), err)

    def _judge_age(self, now: float, err: StoreUnavailable) -> None:
        if self._panel.controls.known and now - self._answered_at > self._max_age_s:
            self._panel.put(UNKNOWN)
            self._changed(UNKNOWN)
            self._say("controls_unknown", {"cause": str(err), "meaning": "nothing is offered until the store answers"})


def _same(one: Controls, other: Controls) -> bool:
    return (one.version, one.stops, one.items) == (other.version, other.stops, other.items)
