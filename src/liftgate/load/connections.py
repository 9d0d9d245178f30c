"""The connections of a run: who is ready, who was lost, and who takes the place of the lost."""

from __future__ import annotations

import select
from collections.abc import Iterator
from time import perf_counter_ns

from liftgate.load.connection import Connection, ConnectionLost, Peer
from liftgate.load.tally import Tally

_RETRY_NS = 100_000_000
_IN, _BOTH = select.EPOLLIN, select.EPOLLIN | select.EPOLLOUT
_EARLY_NS = 150_000
"""A sleep may end this late on a busy machine, so the last stretch before a request is due is not slept."""


class Unreachable(Exception):
    """The server cannot be loaded; the message says why."""


class Connections:
    """Places for connections, each with its own turn to send. A lost connection is made again, at most ten times a second."""

    def __init__(self, peer: Peer, bodies: Iterator[bytes], tally: Tally, count: int, most_in_flight: int | None = None) -> None:
        """Begin to connect. `most_in_flight`: of all places together, at least one each. Raises Unreachable."""
        self.tally = tally
        self.early_ns = _EARLY_NS
        """How long before a request is due sleeping ends and polling begins."""
        self.refill = False
        """Whether another request follows each call that ends, however it ends."""
        self._peer, self._bodies = peer, bodies
        self._most = [None if most_in_flight is None else most_in_flight // count + (i < most_in_flight % count) for i in range(count)]
        self._poll = select.epoll()
        self._place: dict[int, int] = {}
        self._all: dict[int, Connection] = {}
        self._armed: dict[int, int] = {}
        self._retry_ns = [0] * count
        self._owed = [0] * count
        self.at: list[Connection | None] = [None] * count
        """Who has each place; None: nobody can be reached now."""
        for place in range(count):
            try:
                self._connect(place)
            except OSError as err:
                self.close()
                raise Unreachable(f"cannot connect: {err.strerror or err}") from None

    def greet(self, timeout_s: float) -> None:
        """Wait until the server has spoken HTTP/2 on every connection. Raises Unreachable."""
        until = perf_counter_ns() + int(timeout_s * 1e9)
        while not all(one is not None and one.greeted for one in self.at):
            if perf_counter_ns() > until:
                raise Unreachable(f"the server took the connection and said nothing for {timeout_s:g} s")
            for fd, events in self._poll.poll(0.1):
                connection = self._all[fd]
                try:
                    if events & ~select.EPOLLOUT:
                        connection.receive()
                    connection.send()
                except ConnectionLost as err:
                    raise Unreachable(str(err)) from None
                self._arm(fd, connection)

    @property
    def in_flight(self) -> int:
        """Calls that were written and have no reply."""
        return sum(len(one.in_flight) for one in self._all.values())

    @property
    def pending(self) -> int:
        """Requests that are still to be written."""
        return sum(len(one.pending) for one in self._all.values())

    def use(self, tally: Tally) -> None:
        """Count into another tally from now on."""
        self.tally = tally
        for one in self._all.values():
            one.tally = tally

    def due(self, place: int, start_ns: int) -> None:
        """Give a place a request to send; `send` writes it."""
        connection = self.at[place]
        if connection is None:
            self.tally.fail("not connected")
        else:
            connection.pending.append(start_ns)

    def send(self, place: int) -> None:
        """Write what a place has to send."""
        connection = self.at[place]
        if connection is not None:
            self._write(connection, place)

    def wait(self, until_ns: int) -> int:
        """Handle what the server sent, at latest until then, and return how many calls ended."""
        gap = until_ns - perf_counter_ns() - self.early_ns
        if gap > 0:
            # epoll alone sleeps in whole milliseconds; select on its descriptor does not.
            select.select((self._poll,), (), (), gap * 1e-9)
        ended = 0
        for fd, events in self._poll.poll(0):
            connection = self._all.get(fd)
            if connection is None:
                continue
            place = self._place[fd]
            done = 0
            if events & ~select.EPOLLOUT:
                try:
                    done = connection.receive()
                except ConnectionLost as err:
                    ended += self._lost(connection, place, str(err))
                    continue
            if self.refill and done:
                self._again(connection, place, done)
            ended += done
            if connection.leaving:
                self._leave(connection, place)
            elif connection.pending or connection.out or fd in self._armed:
                self._write(connection, place)
        if any(self._retry_ns):
            self._retry()
        return ended

    def close(self, cause: str = "no reply") -> None:
        """Count what has no reply as failed and hang up."""
        for connection in self._all.values():
            if connection.pending:
                self.tally.fail("never sent: the server took no more", len(connection.pending))
            connection.abandon(cause)
        self._all.clear()
        self._poll.close()

    def _connect(self, place: int) -> Connection:
        connection = Connection(self._peer, self._bodies, self.tally, self._most[place])
        fd = connection.socket.fileno()
        self._all[fd], self._place[fd], self.at[place] = connection, place, connection
        self._poll.register(fd, _BOTH)
        self._armed[fd] = 1
        return connection

    def _write(self, connection: Connection, place: int) -> None:
        try:
            connection.send()
        except ConnectionLost as err:
            self._lost(connection, place, str(err))
            return
        fd = connection.socket.fileno()
        if (fd in self._armed) != bool(connection.out):
            self._arm(fd, connection)

    def _arm(self, fd: int, connection: Connection) -> None:
        if connection.out:
            self._armed[fd] = 1
            self._poll.modify(fd, _BOTH)
        else:
            self._armed.pop(fd, None)
            self._poll.modify(fd, _IN)

    def _again(self, connection: Connection, place: int, count: int) -> None:
        successor = self.at[place] if connection.leaving else connection
        if successor is None:
            self._owed[place] += count
        else:
            successor.pending.extend([0] * count)

    def _drop(self, connection: Connection, cause: str) -> int:
        fd = connection.socket.fileno()
        self._poll.unregister(fd)
        for table in (self._all, self._place, self._armed):
            table.pop(fd, None)
        return connection.abandon(cause)

    def _lost(self, connection: Connection, place: int, why: str) -> int:
        lost = self._drop(connection, f"connection lost: {why}")
        if self.at[place] is not connection:
            if self.refill:
                self._again(connection, place, lost)
            return lost
        self.at[place] = None
        waiting = list(connection.pending)
        if self.refill:
            self._owed[place] += lost + len(waiting)
        elif not connection.greeted and waiting:
            self.tally.fail("not connected", len(waiting))
        if connection.greeted:
            self._replace(place, [] if self.refill else waiting)
        else:
            self._retry_ns[place] = perf_counter_ns() + _RETRY_NS
        return lost

    def _leave(self, connection: Connection, place: int) -> None:
        if self.at[place] is connection:
            self._replace(place, list(connection.pending))
            connection.pending.clear()
        if not connection.in_flight:
            self._drop(connection, "")

    def _replace(self, place: int, waiting: list[int]) -> None:
        try:
            successor = self._connect(place)
        except OSError:
            self.at[place] = None
            self._retry_ns[place] = perf_counter_ns() + _RETRY_NS
            if waiting:
                self.tally.fail("not connected", len(waiting))
            return
        successor.pending.extend([*waiting, *([0] * self._owed[place])])
        self._owed[place] = 0

    def _retry(self) -> None:
        now = perf_counter_ns()
        for place, at in enumerate(self._retry_ns):
            if at and now >= at:
                self._retry_ns[place] = 0
                self._replace(place, [])
