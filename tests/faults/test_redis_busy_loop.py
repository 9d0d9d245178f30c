"""A loop that is busy past a store's budget is no fault of the store."""

from __future__ import annotations

import asyncio
import time

import redis

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import connect


async def test_a_reply_that_lies_in_the_socket_is_read_before_the_server_is_blamed() -> None:
    """Calls of 8 ms whose loop stands still for 30 ms after they are sent get their replies, every time."""
    with EmbeddedValkey() as server, redis.Redis(unix_socket_path=server.url.removeprefix("unix://")) as other:
        client = connect(server.url, budget_ms=8)
        await client.call([("SET", b"k", b"v")], 1.0)
        for _ in range(30):
            call = asyncio.ensure_future(client.call([("GET", b"k")]))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            time.sleep(0.03)
            # The server has answered whoever asked before, however little of a busy machine it was given.
            other.ping()
            other.ping()
            assert await call == [b"v"]
        await client.close()
