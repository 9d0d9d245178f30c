"""A worker's end of the socket to its supervisor: orders come in, events go out, and its end says that the supervisor is gone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from liftgate.adapters.fleet import Outcome
from liftgate.app.control import MAX_LINE_BYTES, Line, decode, encode

_ANSWER_S = 90.0
"""How long to wait for the supervisor's answer; it gives up on a worker sooner."""


class Link:
    """Lines to and from the supervisor. Sending works at any time, hearing on one event loop."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._rest = b""
        self._asked: dict[str, asyncio.Future[list[Outcome]]] = {}
        self._count = 0

    def send(self, line: Line) -> None:
        """Send one line; a supervisor that is gone hears nothing."""
        with suppress(OSError):
            self._end.sendall(encode(line))

    def listen(self, hear: Callable[[Line], None], gone: Callable[[], None]) -> None:
        """Hand every order to `hear`, on the running loop; call `gone` once when the supervisor is gone."""
        loop = asyncio.get_running_loop()

        def readable() -> None:
            try:
                received = self._end.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                received = b""
            self._rest += received
            if not received or len(self._rest) > MAX_LINE_BYTES:
                loop.remove_reader(self._end)
                gone()
                return
            *lines, self._rest = self._rest.split(b"\n")
            for raw in lines:
                self._take(decode(raw), hear)

        loop.add_reader(self._end, readable)

    async def reload_all(self, actor: str, role: str, reason: str) -> Sequence[Outcome]:
        """Ask the supervisor to have every worker reload, this one too, and return what each said. Raises TimeoutError."""
        self._count += 1
        call = str(self._count)
        asked: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._asked[call] = asked
        try:
            self.send({"event": "reload", "call": call, "actor": actor, "role": role, "reason": reason})
            async with asyncio.timeout(_ANSWER_S):
                return await asked
        finally:
            del self._asked[call]

    def _take(self, line: Line, hear: Callable[[Line], None]) -> None:
        if line.get("order") != "outcomes":
            hear(line)
            return
        asked = self._asked.get(str(line["call"]))
        if asked is not None and not asked.done():
            asked.set_result([Outcome.read(one) for one in line["outcomes"]])
