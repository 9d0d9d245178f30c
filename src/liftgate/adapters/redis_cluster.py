"""A Redis or Valkey Cluster: commands grouped by server, one pipelined round trip each, side by side.

Each server has a breaker of its own: one that is away costs the others nothing but the first few calls that it does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import hiredis
from redis.crc import key_slot

from liftgate.adapters.breaker import Breaker
from liftgate.adapters.redis_address import Address
from liftgate.adapters.redis_client import Command, NodeClient, PartAway, RedisClient, code
from liftgate.domain.errors import StoreUnavailable

_SLOTS = 16384
_KEY_AT: dict[object, int] = {"EVAL": 3, "EVALSHA": 3, "MEMORY": 2}
_MOVED = ("MOVED", "ASK")
_AWAY = frozenset({"CLUSTERDOWN", "LOADING", "MASTERDOWN", "TRYAGAIN", "READONLY", *_MOVED})
"""What a server says that cannot answer for a key now."""
RELEARN_S = 0.1
"""Between two looks at who holds which slot, while a server is away."""


@dataclass(eq=False, slots=True)
class _Server:
    """One server, and what is known of its health."""

    client: NodeClient
    breaker: Breaker = field(default_factory=Breaker)


class ClusterClient:
    """Knows which server holds which slot, learns it anew when told MOVED or when a server is away. Belongs to one event loop."""

    clustered = True

    def __init__(self, seed: Address, budget_s: float, max_connections: int) -> None:
        self.budget_s = budget_s
        self.where = seed.where
        self._seed = seed
        self._max = max_connections
        self._servers: dict[tuple[str, int], _Server] = {}
        self._owner: list[_Server | None] = []
        self._learning: asyncio.Task[None] | None = None
        self._relearn_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, commands: Sequence[Command], budget_s: float | None = None) -> list[Any]:
        """See `RedisClient`. A slot that has just moved is followed once, within the same budget."""
        replies, away = await self.parts(commands, budget_s)
        if away:
            raise PartAway("redis: a server of the Cluster is away")
        return replies

    async def post(self, commands: Sequence[Command]) -> list[Any]:
        """See `RedisClient`. Raises StoreUnavailable at once where a server is not known to be well, or which one it is not known."""
        groups: dict[_Server, list[int]] = {}
        for row, command in enumerate(commands):
            owner = self._owner[key_slot(key_of(command))] if self._owner else None
            if owner is None or owner.breaker.failures:
                raise PartAway("redis: a server of the Cluster is away")
            groups.setdefault(owner, []).append(row)
        posted = [server.client.post([commands[row] for row in group]) for server, group in groups.items()]
        replies: list[Any] = [None] * len(commands)
        for group, answer in zip(groups.values(), await asyncio.gather(*posted, return_exceptions=True), strict=True):
            if isinstance(answer, BaseException):
                raise answer
            for row, reply in zip(group, answer, strict=True):
                replies[row] = reply
        return replies

    async def parts(
        self, commands: Sequence[Command], budget_s: float | None = None, hurried: bool = False
    ) -> tuple[list[Any], Sequence[int]]:
        """Return replies as `call` does, and the places of commands whose server did not answer; they may or may not have run.

        `hurried`: as for `guarded`. Raises StoreUnavailable when no server of the Cluster says who holds what.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.budget_s if budget_s is None else budget_s)
        if not self._owner:
            await self._learn(deadline)
        replies: list[Any] = [None] * len(commands)
        away = await self._route(commands, range(len(commands)), replies, deadline, hurried)
        refused = [i for i, reply in enumerate(replies) if isinstance(reply, hiredis.ReplyError) and code(reply) in _AWAY]
        if refused:
            away += await self._follow(commands, refused, replies, deadline, hurried)
        if away:
            self._look_again(loop)
        return replies, away

    async def _route(
        self, commands: Sequence[Command], rows: Sequence[int], replies: list[Any], deadline: float, hurried: bool
    ) -> list[int]:
        """Send the commands at `rows` to their servers and put the replies in place; return the rows without any."""
        groups: dict[_Server, list[int]] = {}
        away: list[int] = []
        for row in rows:
            owner = self._owner[key_slot(key_of(commands[row]))]
            if owner is None:
                away.append(row)
            else:
                groups.setdefault(owner, []).append(row)
        sent = [(server, group) for server, group in groups.items() if self._admits(server)]
        if len(sent) < len(groups):
            away += [row for server, group in groups.items() if server.breaker.is_open for row in group]
        asked = [self._ask(server, [commands[row] for row in group], deadline, hurried) for server, group in sent]
        found = [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked)
        for (_, group), answer in zip(sent, found, strict=True):
            if answer is None:
                away += group
                continue
            for row, reply in zip(group, answer, strict=True):
                replies[row] = reply
        return away

    def _admits(self, server: _Server) -> bool:
        """Say whether a call may go to a server. While its breaker is open none does: a probe of its own looks whether it is back."""
        breaker = server.breaker
        if not breaker.is_open:
            return True
        if breaker.admit():
            self._spawn(self._probe(server))
        return False

    async def _ask(self, server: _Server, commands: list[Command], deadline: float, hurried: bool) -> list[Any] | None:
        """Return a server's replies; None: it did not answer."""
        left = deadline - asyncio.get_running_loop().time()
        try:
            replies = await server.client.call(commands, left)
        except StoreUnavailable:
            # Where another has used up the time, that this one was too late says nothing about it.
            if not hurried and 2 * left >= self.budget_s:
                server.breaker.failed()
            return None
        server.breaker.succeeded()
        return replies

    async def _probe(self, server: _Server) -> None:
        with suppress(StoreUnavailable):
            await server.client.call([("PING",)], self.budget_s)
            server.breaker.succeeded()

    async def _follow(self, commands: Sequence[Command], rows: list[int], replies: list[Any], deadline: float, hurried: bool) -> list[int]:
        """Ask again for what a server sent away; return the rows that nobody answers for."""
        moved, away = [], []
        for row in rows:
            word = code(replies[row])
            if word == "MOVED":
                moved.append(row)
            elif word != "ASK" or not await self._asking(commands[row], row, replies, deadline, hurried):
                away.append(row)
        if moved:
            with suppress(StoreUnavailable):
                await self._learn(deadline)
            away += await self._route(commands, moved, replies, deadline, hurried)
            away += [row for row in moved if isinstance(replies[row], hiredis.ReplyError) and code(replies[row]) in _AWAY]
        return list(dict.fromkeys(away))

    async def _asking(self, command: Command, row: int, replies: list[Any], deadline: float, hurried: bool) -> bool:
        """Follow a slot on its way: its old server names the new one, for this command only."""
        host, _, port = str(replies[row]).split(" ")[2].rpartition(":")
        answer = await self._ask(self._server(host or self._seed.host, int(port)), [("ASKING",), command], deadline, hurried)
        if answer is None:
            return False
        replies[row] = answer[1]
        return not (isinstance(answer[1], hiredis.ReplyError) and code(answer[1]) in _AWAY)

    async def _learn(self, deadline: float) -> None:
        """Ask any known server, the seed last and those that are away after it, who holds which slot."""
        seed = self._server(self._seed.host, self._seed.port)
        candidates = [*(server for server in self._servers.values() if server is not seed), seed]
        candidates.sort(key=lambda server: server.breaker.is_open)
        loop = asyncio.get_running_loop()
        for i, server in enumerate(candidates):
            # A server that hangs may use up only its share of what is left.
            share = (deadline - loop.time()) / (len(candidates) - i)
            try:
                (ranges,) = await server.client.call([("CLUSTER", "SLOTS")], share)
            except StoreUnavailable:
                continue
            if isinstance(ranges, list) and ranges:
                self._adopt(ranges)
                return
        raise StoreUnavailable("redis: no server of the Cluster says who holds what")

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        """Learn beside what is called, now and then while a server is away: another may have taken over its slots."""
        if loop.time() >= self._relearn_at and (self._learning is None or self._learning.done()):
            self._relearn_at = loop.time() + RELEARN_S
            self._learning = self._spawn(self._relearn(loop.time() + max(self.budget_s, RELEARN_S)))

    async def _relearn(self, deadline: float) -> None:
        with suppress(StoreUnavailable):
            await self._learn(deadline)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _adopt(self, ranges: list[Any]) -> None:
        owner: list[_Server | None] = [None] * _SLOTS
        for first, last, primary, *_ in ranges:
            host = (primary[0] or b"").decode() or self._seed.host
            owner[first : last + 1] = [self._server(host, primary[1])] * (last - first + 1)
        self._owner = owner

    def _server(self, host: str, port: int) -> _Server:
        server = self._servers.get((host, port))
        if server is None:
            client = NodeClient(self._seed.at(host, port), self.budget_s, self._max)
            server = self._servers[(host, port)] = _Server(client)
        return server

    async def servers(self, budget_s: float) -> Sequence[RedisClient]:
        """See `RedisClient`."""
        await self._learn(asyncio.get_running_loop().time() + budget_s)
        return list({server.client for server in self._owner if server is not None})

    async def fill(self, budget_s: float = 5.0) -> None:
        """See `RedisClient`."""
        await asyncio.gather(*(server.fill(budget_s) for server in await self.servers(budget_s)))

    async def on_every_server(self, commands: Sequence[Command], budget_s: float = 5.0) -> list[list[Any]]:
        """Run commands without a key, such as INFO, on every server that holds slots. Raises StoreUnavailable."""
        return list(await asyncio.gather(*(server.call(commands, budget_s) for server in await self.servers(budget_s))))

    async def close(self) -> None:
        """See `RedisClient`."""
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for server in self._servers.values():
            await server.client.close()


def key_of(command: Command) -> bytes:
    """Return the key that a command goes by."""
    key = command[_KEY_AT.get(command[0], 1)]
    return key if isinstance(key, bytes) else str(key).encode()
