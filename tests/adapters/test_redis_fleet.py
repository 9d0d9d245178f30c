"""The fleet's roll call in a real store: who reports is seen, who is gone is not, and what cannot be read harms nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import orjson
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.fleet import Outcome, Reported, WorkerState, agree
from liftgate.adapters.redis_client import RedisClient, connect
from liftgate.adapters.redis_fleet import GONE_MS, KEY, RedisFleet
from liftgate.adapters.redis_published import Published, RedisPublished
from liftgate.bundle.mistake import Mistake
from liftgate.domain.errors import StoreUnavailable
from tests.contract.cluster import Cluster

REFUSED = Outcome("w", "refused", 5, "a" * 64, "a" * 64, "ada", (Mistake("a.yaml", 3, "offers", "is wrong", "mend it"),), "")
ONE = WorkerState("one", "host-a", 7, 7420, "native", "1.0", "shop", "a" * 64, 5, REFUSED)
TWO = replace(ONE, worker_id="two", host="host-b", last_reload=None)


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    """One store for this file."""
    with EmbeddedValkey() as running:
        yield running.url


@pytest.fixture
async def client(valkey: str) -> AsyncIterator[RedisClient]:
    """A client of an empty store."""
    made = connect(valkey, 2_000)
    await made.call([("FLUSHALL",)])
    yield made
    await made.close()


async def test_what_is_reported_is_read(client: RedisClient) -> None:
    """Two workers' states come back as they were, the last reload's mistakes included; one that leaves is off the roll."""
    fleet = RedisFleet(client)
    await fleet.report(TWO)
    await fleet.report(ONE)
    found = await fleet.read()
    assert [one.state for one in found] == [ONE, TWO]
    assert agree(found)
    assert not agree([*found, Reported(replace(TWO, digest="b" * 64), 0)])
    assert not agree([])
    await fleet.leave("one")
    assert [one.state for one in await fleet.read()] == [TWO]


async def test_a_cluster_calls_the_roll_too() -> None:
    """On a Cluster a worker that reports is read, and one that leaves is gone."""
    with Cluster(2) as cluster:
        client = connect(cluster.url, 2_000)
        try:
            fleet = RedisFleet(client)
            await fleet.report(ONE)
            assert [one.state for one in await fleet.read()] == [ONE]
            await fleet.leave("one")
            assert await fleet.read() == []
        finally:
            await client.close()


async def test_who_is_silent_for_a_minute_is_gone(client: RedisClient) -> None:
    """An old report is not shown and is forgotten; so is what no version of ours has written."""
    fleet = RedisFleet(client)
    await fleet.report(ONE)
    ((seconds, _),) = await client.call([("TIME",)])
    old = {"at_ms": int(seconds) * 1000 - GONE_MS - 2_000, **TWO.plain()}
    await client.call([("HSET", KEY, "two", orjson.dumps(old), "x", b"\xff", "y", b"[]", "z", b'{"at_ms": 1}')])
    assert [one.state for one in await fleet.read()] == [ONE]
    assert await client.call([("HLEN", KEY)]) == [1]


async def test_a_store_that_is_away_is_said(valkey: str) -> None:
    """Reports and reads end with StoreUnavailable within their budget."""
    away = connect("redis://127.0.0.1:1/0", 200)
    for call in (RedisFleet(away).report(ONE), RedisFleet(away).read(), RedisPublished(away).authors("a")):
        with pytest.raises(StoreUnavailable):
            await call
    await away.close()


async def test_every_author_of_a_digest_is_kept(client: RedisClient) -> None:
    """Who publishes a digest again does not push out who was first, and becomes an author too."""
    published = RedisPublished(client)
    first = Published("ada", 5, "spring", "shop", "")
    await published.announce("d", first)
    await published.announce("d", replace(first, at_ms=9, reason="again"))
    await published.announce("d", Published("ben", 7, "back", "shop", "e"))
    assert await published.authors("d") == (first, Published("ben", 7, "back", "shop", "e"))
    assert await published.authors("e") == ()
