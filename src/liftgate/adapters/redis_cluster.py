"""A Redis or Valkey Cluster: commands grouped by server, one pipelined round trip each, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import hiredis
from redis.crc import key_slot

from liftgate.adapters.redis_client import Address, Command, NodeClient, RedisClient, code
from liftgate.domain.errors import StoreUnavailable

_SLOTS = 16384
_SCRIPTED = ("EVAL", "EVALSHA")


class ClusterClient:
    """Knows which server holds which slot, learns it anew when told MOVED or when a server is away."""

    clustered = True

    def __init__(self, seed: Address, budget_s: float, max_connections: int) -> None:
        self.budget_s = budget_s
        self._seed = seed
        self._max = max_connections
        self._nodes: dict[tuple[str, int], NodeClient] = {}
        self._owner: list[NodeClient | None] = []
        self._stale = True

    async def call(self, commands: Sequence[Command], budget_s: float | None = None) -> list[Any]:
        """See `RedisClient`. A slot that has just moved is followed once, within the same budget."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.budget_s if budget_s is None else budget_s)
        if self._stale:
            await self._learn(deadline)
        replies: list[Any] = [None] * len(commands)
        await self._route(commands, range(len(commands)), replies, deadline)
        moved = [i for i, reply in enumerate(replies) if isinstance(reply, hiredis.ReplyError) and code(reply) in ("MOVED", "ASK")]
        if moved:
            await self._follow(commands, moved, replies, deadline)
        return replies

    async def _route(self, commands: Sequence[Command], rows: Sequence[int], replies: list[Any], deadline: float) -> None:
        """Send the commands at `rows` to their servers and put the replies in place."""
        groups: dict[NodeClient, list[int]] = {}
        for row in rows:
            command = commands[row]
            owner = self._owner[key_slot(_key(command))]
            if owner is None:
                self._stale = True
                raise StoreUnavailable("redis: a slot has no server")
            groups.setdefault(owner, []).append(row)
        await self._send([(node, [commands[row] for row in rows], rows) for node, rows in groups.items()], replies, deadline)

    async def _send(self, parts: Sequence[tuple[NodeClient, list[Command], list[int]]], replies: list[Any], deadline: float) -> None:
        left = deadline - asyncio.get_running_loop().time()
        try:
            if len(parts) == 1:
                answers = [await parts[0][0].call(parts[0][1], left)]
            else:
                answers = await asyncio.gather(*(node.call(group, left) for node, group, _ in parts))
        except StoreUnavailable:
            # The server may have handed its slots to another.
            self._stale = True
            raise
        for (_, _, rows), answer in zip(parts, answers, strict=True):
            for row, reply in zip(rows, answer, strict=True):
                replies[row] = reply

    async def _follow(self, commands: Sequence[Command], rows: list[int], replies: list[Any], deadline: float) -> None:
        asked = [row for row in rows if code(replies[row]) == "ASK"]
        for row in asked:
            # A slot on its way: its old server names the new one, for this command only.
            host, _, port = str(replies[row]).split(" ")[2].rpartition(":")
            node = self._node(host or self._seed.host, int(port))
            left = deadline - asyncio.get_running_loop().time()
            replies[row] = (await node.call([("ASKING",), commands[row]], left))[1]
        moved = [row for row in rows if row not in asked]
        if moved:
            await self._learn(deadline)
            await self._route(commands, moved, replies, deadline)

    async def _learn(self, deadline: float) -> None:
        """Ask any known server, the seed last, who holds which slot."""
        seed = self._node(self._seed.host, self._seed.port)
        candidates = [*(node for node in self._nodes.values() if node is not seed), seed]
        loop = asyncio.get_running_loop()
        for i, node in enumerate(candidates):
            # A server that hangs may use up only its share of what is left.
            share = (deadline - loop.time()) / (len(candidates) - i)
            try:
                (ranges,) = await node.call([("CLUSTER", "SLOTS")], share)
            except StoreUnavailable:
                continue
            if isinstance(ranges, list) and ranges:
                self._adopt(ranges)
                return
        raise StoreUnavailable("redis: no server of the Cluster says who holds what")

    def _adopt(self, ranges: list[Any]) -> None:
        owner: list[NodeClient | None] = [None] * _SLOTS
        for first, last, primary, *_ in ranges:
            host = (primary[0] or b"").decode() or self._seed.host
            owner[first : last + 1] = [self._node(host, primary[1])] * (last - first + 1)
        self._owner, self._stale = owner, False

    def _node(self, host: str, port: int) -> NodeClient:
        node = self._nodes.get((host, port))
        if node is None:
            node = self._nodes[(host, port)] = NodeClient(self._seed.at(host, port), self.budget_s, self._max)
        return node

    async def servers(self, budget_s: float) -> Sequence[RedisClient]:
        """See `RedisClient`."""
        await self._learn(asyncio.get_running_loop().time() + budget_s)
        return list({node for node in self._owner if node is not None})

    async def fill(self, budget_s: float = 5.0) -> None:
        """See `RedisClient`."""
        await self._learn(asyncio.get_running_loop().time() + budget_s)
        owners = {node for node in self._owner if node is not None}
        await asyncio.gather(*(node.fill(budget_s) for node in owners))

    async def on_every_server(self, commands: Sequence[Command], budget_s: float = 5.0) -> list[list[Any]]:
        """Run commands without a key, such as INFO, on every server that holds slots. Raises StoreUnavailable."""
        await self._learn(asyncio.get_running_loop().time() + budget_s)
        owners = {node for node in self._owner if node is not None}
        return list(await asyncio.gather(*(node.call(commands, budget_s) for node in owners)))

    async def close(self) -> None:
        """See `RedisClient`."""
        for node in self._nodes.values():
            await node.close()


def _key(command: Command) -> bytes:
    key = command[3] if command[0] in _SCRIPTED else command[1]
    return key if isinstance(key, bytes) else str(key).encode()
