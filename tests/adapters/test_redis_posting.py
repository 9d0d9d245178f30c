"""Commands in no hurry: they go along with the next call, or alone soon after, and whoever waits for them always hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import hiredis
import pytest

from liftgate.adapters import redis_keys, redis_node
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import connect
from liftgate.adapters.redis_node import NodeClient
from liftgate.adapters.redis_reservations import RedisReservations
from liftgate.domain.errors import StoreUnavailable
from liftgate.pipeline.ports import Claim
from tests.contract.cluster import Cluster

MINE = Claim("p", False, "r", b"finger--", b"reserve-", (), 1, b"answer", b"record")
RECORD = redis_keys.record("p", MINE.reservation_id.hex().encode())


class Scribe:
    """A server that answers every command with how many it has had, and keeps what each read brought."""

    def __init__(self) -> None:
        self.reads: list[list[bytes]] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self._count = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        parser = hiredis.Reader()
        while raw := await reader.read(65_536):
            parser.feed(raw)
            names = []
            while (command := parser.gets()) is not False:
                names.append(command[0])
            self.reads.append(names)
            await self.hold.wait()
            for _ in names:
                self._count += 1
                writer.write(b":%d\r\n" % self._count)
        writer.close()


@asynccontextmanager
async def scribed(connections: int = 1) -> AsyncIterator[tuple[Scribe, NodeClient]]:
    """Yield such a server and a client of it with one connection open."""
    scribe = Scribe()
    server = await asyncio.start_server(scribe.serve, "127.0.0.1", 0)
    async with server:
        client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", 5000, connections)
        assert isinstance(client, NodeClient)
        assert await client.call([("PING",)]) == [1]
        yield scribe, client
        await client.close()


async def test_they_go_ahead_of_the_next_call_in_one_piece() -> None:
    """Two posts and a call reach the server together, posts first, and each hears its own replies."""
    async with scribed() as (scribe, client):
        one, two = client.post([("DEL", b"a"), ("DEL", b"b")]), client.post([("UNLINK", b"c")])
        assert await client.call([("GET", b"d"), ("GET", b"e")]) == [5, 6]
        assert scribe.reads[1:] == [[b"DEL", b"DEL", b"UNLINK", b"GET", b"GET"]]
        assert (await one, await two) == ([2, 3], [4])


async def test_they_go_alone_when_no_call_comes() -> None:
    """Without a call they are sent all the same, together, and nothing is left to be sent again."""
    async with scribed() as (scribe, client):
        one, two = client.post([("DEL", b"a")]), client.post([("DEL", b"b")])
        assert (await one, await two) == ([2], [3])
        assert await client.post([("DEL", b"c")]) == [4]
        assert await client.call([("GET", b"d")]) == [5]
        assert scribe.reads[1:] == [[b"DEL", b"DEL"], [b"DEL"], [b"GET"]]


async def test_they_go_with_the_next_call_where_every_connection_is_in_use() -> None:
    """While the only connection waits for a reply posts wait too, however long, and go ahead of the call after it."""
    async with scribed() as (scribe, client):
        scribe.hold.clear()
        slow = asyncio.ensure_future(client.call([("GET", b"slow")]))
        posted = client.post([("DEL", b"a")])
        after = asyncio.ensure_future(client.call([("GET", b"after")]))
        await asyncio.sleep(0.03)
        assert not posted.done()
        scribe.hold.set()
        assert (await slow, await posted, await after) == ([2], [3], [4])
        assert scribe.reads[1:] == [[b"GET"], [b"DEL", b"GET"]]


async def test_whoever_has_left_keeps_nothing_back() -> None:
    """A post whose caller is gone is sent nonetheless, alone or ahead of a call, and the call's replies are its own."""
    async with scribed() as (scribe, client):
        for _ in range(2):
            client.post([("DEL", b"a")]).cancel()
            assert await client.call([("GET", b"d")]) == [scribe._count]
        client.post([("DEL", b"a")]).cancel()
        await asyncio.sleep(0.03)
        assert [name for names in scribe.reads[1:] for name in names] == [b"DEL", b"GET", b"DEL", b"GET", b"DEL"]


async def test_a_post_hears_of_every_end() -> None:
    """Without a connection, when it is lost on the way, and when the client is closed, a post says StoreUnavailable."""
    client = connect("redis://127.0.0.1:1", 5000)
    with pytest.raises(StoreUnavailable):
        await client.post([("DEL", b"a")])
    with EmbeddedValkey() as server:
        client = connect(server.url, 5000)
        await client.call([("PING",)])
        posted = client.post([("DEL", b"a")])
        with pytest.raises(StoreUnavailable):
            await client.call([("QUIT",), ("GET", b"never answered")])
        with pytest.raises(StoreUnavailable):
            await posted
        assert await client.call([("PING",)]) == [b"PONG"]
        posted = client.post([("DEL", b"a")])
        await client.close()
        with pytest.raises(StoreUnavailable):
            await posted


async def test_a_confirmation_lost_with_its_connection_is_sent_again() -> None:
    """A record is dropped although the connection that took the confirmation along broke, and the breaker blames nobody twice."""
    with EmbeddedValkey() as server:
        client, breaker = connect(server.url, 5000), Breaker()
        reservations = RedisReservations(client, breaker, budget_ms=5000)
        await reservations.reserve([MINE])
        confirming = asyncio.ensure_future(reservations.confirm([MINE]))
        await asyncio.sleep(0)
        # What comes behind QUIT is not run, and what goes ahead of a call is: so the connection has to break before.
        for link in client._links:  # type: ignore[attr-defined]
            link.close()
        await confirming
        assert await client.call([("EXISTS", RECORD)]) == [0]
        assert breaker.failures == 0
        await client.close()


async def test_confirming_costs_no_round_trip_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten rounds of a fetch, a reservation and a confirmation are twenty reads of the server's, not thirty."""
    # However slow the machine is.
    monkeypatch.setattr(redis_node, "POST_S", 60.0)
    with EmbeddedValkey() as server:
        client = connect(server.url, 5000, 1)
        reservations = RedisReservations(client, budget_ms=5000)

        async def reads() -> int:
            (info,) = await client.call([("INFO", "stats")])
            return int(info.split(b"total_reads_processed:")[1].split(b"\r")[0])

        await reservations.reserve([MINE])
        before, confirming = await reads(), []
        for i in range(10):
            await client.call([("GET", b"profile")])
            claim = Claim("p", False, f"r{i}", b"finger--", b"%08d" % i, (), 1, b"answer", b"record")
            await reservations.reserve([claim])
            confirming.append(asyncio.ensure_future(reservations.confirm([claim])))
            await asyncio.sleep(0)
        assert await reads() - before == 21
        await asyncio.gather(*confirming)
        await client.close()


async def test_a_cluster_takes_posts_by_server() -> None:
    """On a Cluster each server gets its own; where one is not known to be well, or a slot has moved, it is confirmed the usual way."""
    people = [f"person {i}" for i in range(12)]
    with Cluster(3) as cluster:
        client = connect(cluster.url, 5000)
        reservations = RedisReservations(client, budget_ms=5000)
        claims = [Claim(person, False, "r", b"finger--", b"reserve-", (), 1, b"answer", b"record") for person in people]
        with pytest.raises(StoreUnavailable):
            await client.post([("DEL", RECORD)])
        await reservations.reserve(claims)
        commands = [("DEL", redis_keys.record(person, MINE.reservation_id.hex().encode())) for person in people]
        assert await client.post(commands[:6]) == [1] * 6
        # Whoever holds a slot is told wrongly now: every server has another's.
        client._owner = client._owner[5000:] + client._owner[:5000]  # type: ignore[attr-defined]
        await reservations.confirm(claims[6:])
        assert [reply for command in commands for reply in await client.call([command])] == [0] * 12
        await client.close()
