"""A fixed number of calls in flight: what a server can do at most, and nothing about its latency below that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter_ns

from liftgate.load.connection import Peer
from liftgate.load.connections import Connections, Unreachable
from liftgate.load.ctrl_c import NEVER, CtrlC
from liftgate.load.tally import Tally

_GREETING_S = 10.0
_SILENCE_NS = 10_000_000_000
_TURN_NS = 1_000_000_000


class ClosedLoop:
    """Sends the next request when a reply has come."""

    def __init__(self, peer: Peer, bodies: Iterator[bytes], connections: int, in_flight: int, tally: Callable[[], Tally] = Tally) -> None:
        """Connect and send the first requests; `tally` counts them, and judges replies. Raises Unreachable."""
        self._new_tally = tally
        self._tally = tally()
        self._connections = Connections(peer, bodies, self._tally, connections)
        self._connections.greet(_GREETING_S)
        self._connections.refill = True
        self._heard_ns = perf_counter_ns()
        for place in range(connections):
            for _ in range(in_flight // connections + (place < in_flight % connections)):
                self._connections.due(place, 0)
            self._connections.send(place)

    def run(self, seconds: float, ctrl_c: CtrlC = NEVER) -> Tally:
        """Load the server for that long, or until Ctrl-C; return what came back in that time. Raises Unreachable after 10 s of silence."""
        self._use_another_tally()
        until = perf_counter_ns() + int(seconds * 1e9)
        while perf_counter_ns() < until and not ctrl_c.asked:
            self._turn(until)
        return self._tally

    def close(self) -> Tally:
        """Wait for what is in flight, hang up, return the last replies. Raises Unreachable after 10 s of silence."""
        self._use_another_tally()
        self._connections.refill = False
        while self._connections.in_flight:
            self._turn(perf_counter_ns() + _TURN_NS)
        self._connections.close()
        return self._tally

    def _use_another_tally(self) -> None:
        self._tally = self._new_tally()
        self._connections.use(self._tally)

    def _turn(self, until_ns: int) -> None:
        now = perf_counter_ns()
        if self._connections.wait(min(until_ns, now + _TURN_NS)):
            self._heard_ns = now
        elif now - self._heard_ns > _SILENCE_NS:
            self._connections.close()
            raise Unreachable("no reply for 10 s")
