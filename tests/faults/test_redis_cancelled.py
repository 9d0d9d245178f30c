"""Promise 7: nobody ever gets another person's data, however many calls are cancelled or time out."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator

import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.breaker import Breaker
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import connect
from liftgate.adapters.redis_profiles import RedisProfiles
from liftgate.adapters.redis_reservations import RedisReservations
from liftgate.domain.bucketing import Salt
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.pipeline.ports import Charge, Claim, PersonKey
from tests.faults.redis_proxy import DelayProxy

SCHEMA = InputSchema((Input("profile.age", InputType.INT),), ())
PEOPLE = 500
BUDGET_MS = 20.0
SALT = Salt("faults", "whose-data")


def delays() -> Iterator[float]:
    """Return pauses, the same in every run: half of them none, half up to three times the budget."""
    for i in itertools.count():
        yield max(0.0, SALT.uniform(f"delay {i}") - 0.5) * 6 * BUDGET_MS / 1000


async def store_everybody(url: str) -> None:
    """Write a consent value that names its person, for all of them."""
    client = connect(url, 5000)
    await client.call([("MSET", *(part for i in range(PEOPLE) for part in (redis_keys.consent(f"p{i}"), b"consent of p%d" % i)))])
    await client.close()


async def test_ten_thousand_cancelled_and_late_calls() -> None:
    """In 10,000 fetches through a slow proxy, a third of them cancelled and many late, every answer is the asker's own."""
    tally: Counter[str] = Counter()
    with EmbeddedValkey() as server:
        await store_everybody(server.url)
        async with DelayProxy(server.url.removeprefix("unix://"), delays()) as proxy:
            client = connect(f"redis://127.0.0.1:{proxy.port}", BUDGET_MS, max_connections=32)
            profiles = RedisProfiles(client, breaker=Breaker(failures=10**9), budget_ms=BUDGET_MS)

            async def one(i: int) -> None:
                asked = [f"p{SALT.bucket(f'{i} {j}', PEOPLE)}" for j in range(1 + i % 3)]
                call = asyncio.ensure_future(profiles.fetch([PersonKey(person, False) for person in asked], SCHEMA))
                if i % 3 == 0:
                    await asyncio.sleep(SALT.uniform(f"cancel {i}") * BUDGET_MS / 1000)
                    call.cancel()
                try:
                    fetched = await call
                except asyncio.CancelledError:
                    tally["cancelled"] += 1
                except StoreUnavailable:
                    tally["late"] += 1
                else:
                    right = list(fetched.consent) == [f"consent of {person}".encode() for person in asked]
                    tally["right" if right else "WRONG"] += 1

            async def some(numbers: range) -> None:
                for i in numbers:
                    await one(i)

            await asyncio.gather(*(some(range(first, 10_000, 32)) for first in range(32)))
            await client.close()
    assert tally["WRONG"] == 0
    assert min(tally["right"], tally["late"], tally["cancelled"]) > 200, f"the storm was none: {tally}"


async def test_late_reservations_are_answered_to_nobody_else() -> None:
    """Remembered answers that come late or to a cancelled call never reach another claim."""
    tally: Counter[str] = Counter()
    with EmbeddedValkey() as server:
        async with DelayProxy(server.url.removeprefix("unix://"), delays()) as proxy:
            client = connect(f"redis://127.0.0.1:{proxy.port}", BUDGET_MS, max_connections=16)
            reservations = RedisReservations(client, Breaker(failures=10**9), budget_ms=BUDGET_MS)

            async def one(i: int) -> None:
                person = f"p{i % 50}"
                mine = f"answer of {person}".encode()
                claim = Claim(
                    person, False, "same", b"finger--", i.to_bytes(8, "big"), (Charge(b"cap-----", 9, 2e12, 2e12),), 1, mine, mine
                )
                call = asyncio.ensure_future(reservations.reserve([claim]))
                if i % 4 == 0:
                    await asyncio.sleep(SALT.uniform(f"cancel {i}") * BUDGET_MS / 1000)
                    call.cancel()
                try:
                    (outcome,) = await call
                except asyncio.CancelledError:
                    tally["cancelled"] += 1
                except StoreUnavailable:
                    tally["late"] += 1
                else:
                    tally["right" if outcome.response in (b"", mine) else "WRONG"] += 1

            async def some(numbers: range) -> None:
                for i in numbers:
                    await one(i)

            await asyncio.gather(*(some(range(first, 2_000, 16)) for first in range(16)))
            await client.close()
    assert tally["WRONG"] == 0
    assert min(tally["right"], tally["late"], tally["cancelled"]) > 50, f"the storm was none: {tally}"


async def test_control_a_reused_connection_mixes_people_up() -> None:
    """Control arm: a client that goes on using a connection after a timeout hands out other people's data."""
    wrong = 0
    with EmbeddedValkey() as server:
        await store_everybody(server.url)
        async with DelayProxy(server.url.removeprefix("unix://"), delays()) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            for i in range(200):
                writer.write(b"GET lg:{p%d}:c\r\n" % i)
                try:
                    async with asyncio.timeout(BUDGET_MS / 1000):
                        await reader.readline()
                        wrong += (await reader.readline()).strip() != b"consent of p%d" % i
                except TimeoutError:
                    continue
            writer.close()
    assert wrong > 10


@pytest.mark.parametrize("rogue", [b"+OK\r\n+OK\r\n", b"+OK\r\n+O", b"not redis\r\n"])
async def test_a_byte_too_many_ends_the_connection(rogue: bytes) -> None:
    """A server that answers more than was asked, or nonsense, is hung up on; the next call has a fresh connection."""
    greeted = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal greeted
        greeted += 1
        answer = rogue if greeted == 1 else b"+PONG\r\n"
        while await reader.read(1000):
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", 5000)
        with pytest.raises(StoreUnavailable):
            await client.call([("PING",)])
        assert await client.call([("PING",)]) == [b"PONG"]
        assert greeted == 2
        await client.close()


async def test_a_byte_between_calls_ends_the_connection() -> None:
    """Bytes that arrive while nobody waits are nobody's: the connection is closed and never lent again."""
    greeted = 0
    nudged = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal greeted
        greeted += 1
        await reader.read(1000)
        writer.write(b"+PONG\r\n")
        await writer.drain()
        if greeted == 1:
            await asyncio.sleep(0.02)
            writer.write(b"+another's\r\n")
            await writer.drain()
        await reader.read(1000)
        nudged.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", 5000)
        assert await client.call([("PING",)]) == [b"PONG"]
        await asyncio.wait_for(nudged.wait(), 5)
        assert await client.call([("PING",)]) == [b"PONG"]
        assert greeted == 2
        await client.close()
