"""Promise 6, Redis' part: frozen, killed or not there at all, every call ends, and is live again when Redis is."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter

import pytest
import redis.asyncio

from liftgate.adapters.breaker import Breaker
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import RedisClient, connect, guarded
from liftgate.adapters.redis_profiles import RedisProfiles
from liftgate.adapters.redis_reservations import RedisReservations
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.pipeline.ports import Charge, Claim, PersonKey
from tests.contract.cluster import Cluster
from tests.ports import free_port

SCHEMA = InputSchema((Input("profile.age", InputType.INT),), ())
PERSON = [PersonKey("p", False)]
CLAIM = [Claim("p", False, "r", b"finger--", b"reserve-", (Charge(b"cap-----", 9, 2e12, 2e12),), 1, b"answer", b"record")]
BUDGET_MS = 40.0
HANGS_S = 4.0
"""A call that takes this long hangs: far beyond every budget here, far below redis-py's own patience."""
FROZEN_S = 5.0


class Adapters:
    """Profiles and reservations over one client and breaker."""

    def __init__(self, client: RedisClient, breaker: Breaker | None = None) -> None:
        self.client = client
        self.breaker = breaker or Breaker()
        self.profiles = RedisProfiles(client, breaker=self.breaker, budget_ms=BUDGET_MS)
        self.reservations = RedisReservations(client, self.breaker, budget_ms=BUDGET_MS)

    async def each(self) -> Counter[str]:
        """Call everything once; count what answered and what said StoreUnavailable. A hang is a TimeoutError."""
        tally: Counter[str] = Counter()
        calls = [
            self.profiles.fetch(PERSON, SCHEMA),
            self.reservations.reserve(CLAIM),
            self.reservations.look(CLAIM),
            self.reservations.confirm(CLAIM),
        ]
        for outcome in await asyncio.gather(*(asyncio.wait_for(call, HANGS_S) for call in calls), return_exceptions=True):
            if isinstance(outcome, StoreUnavailable):
                tally["unavailable"] += 1
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                tally["answered"] += 1
        return tally

    async def live_again(self) -> None:
        """Return once everything answers. Raises after half a minute."""
        async with asyncio.timeout(30):
            while (await self.each())["unavailable"]:
                await asyncio.sleep(0.02)


async def test_frozen_for_five_seconds() -> None:
    """While Redis is stopped by SIGSTOP each call says StoreUnavailable within its budget; after SIGCONT it is live again."""
    tally: Counter[str] = Counter()
    with EmbeddedValkey() as server:
        adapters = Adapters(connect(server.url, BUDGET_MS))
        await adapters.live_again()
        os.kill(server.pid, signal.SIGSTOP)
        ends = time.monotonic() + FROZEN_S
        while time.monotonic() < ends:
            tally += await adapters.each()
            await asyncio.sleep(0.01)
        assert adapters.breaker.is_open
        os.kill(server.pid, signal.SIGCONT)
        await adapters.live_again()
        assert not adapters.breaker.is_open
        await adapters.client.close()
    assert tally["answered"] == 0
    assert tally["unavailable"] > 100


async def test_control_a_default_client_hangs() -> None:
    """Control arm: redis-py as it comes waits for the frozen server, long past anybody's deadline."""
    with EmbeddedValkey() as server:
        client = redis.asyncio.Redis(unix_socket_path=server.url.removeprefix("unix://"))
        assert await client.ping()
        os.kill(server.pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.get("lg:{p}:p"), HANGS_S)
        os.kill(server.pid, signal.SIGCONT)
        await client.aclose()


async def test_frozen_without_a_breaker() -> None:
    """The budget holds by itself: 60 calls at once over two connections to a frozen server all end, queueing included."""
    with EmbeddedValkey() as server:
        adapters = Adapters(connect(server.url, BUDGET_MS, max_connections=2), Breaker(failures=10**9))
        await adapters.live_again()
        os.kill(server.pid, signal.SIGSTOP)
        tallies = await asyncio.gather(*(adapters.each() for _ in range(15)))
        assert sum(tallies, Counter()) == Counter(unavailable=60)
        os.kill(server.pid, signal.SIGCONT)
        await adapters.live_again()
        await adapters.client.close()


async def test_killed_and_back() -> None:
    """SIGKILL makes calls fail, not hang; a new server on the same port, without our scripts, is used as soon as it is there."""
    server = EmbeddedValkey(port=free_port()).start()
    try:
        adapters = Adapters(connect(server.url, BUDGET_MS))
        await adapters.live_again()
        port = server.port
        server.kill()
        assert await adapters.each() == Counter(unavailable=4)
        assert await adapters.each() == Counter(unavailable=4)
        with EmbeddedValkey(port=port):
            await adapters.live_again()
            assert [outcome.status for outcome in await adapters.reservations.reserve(CLAIM)] != []
        await adapters.client.close()
    finally:
        server.stop()


async def test_never_there() -> None:
    """A refused connection and a missing socket are StoreUnavailable, and the message holds no id and no address."""
    port = free_port()
    for url in (f"redis://user:secret@127.0.0.1:{port}", "unix:///nonexistent/socket", f"redis+cluster://127.0.0.1:{port}"):
        adapters = Adapters(connect(url, BUDGET_MS))
        assert await adapters.each() == Counter(unavailable=4)
        with pytest.raises(StoreUnavailable) as caught:
            await adapters.profiles.fetch([PersonKey("canary-person", False)], SCHEMA)
        assert "canary" not in str(caught.value)
        assert "secret" not in str(caught.value)
        assert str(port) not in str(caught.value)


async def test_a_cluster_server_frozen() -> None:
    """With one server of a Cluster frozen, its people are StoreUnavailable within the budget and the others are answered."""
    with Cluster(3) as cluster:
        adapters = Adapters(connect(cluster.url, BUDGET_MS), Breaker(failures=10**9))
        await adapters.live_again()
        os.kill(cluster.nodes[1].pid, signal.SIGSTOP)
        tally: Counter[str] = Counter()
        for i in range(30):
            try:
                await asyncio.wait_for(adapters.profiles.fetch([PersonKey(f"p{i}", False)], SCHEMA), HANGS_S)
                tally["answered"] += 1
            except StoreUnavailable:
                tally["unavailable"] += 1
        os.kill(cluster.nodes[1].pid, signal.SIGCONT)
        await adapters.live_again()
        await adapters.client.close()
    assert min(tally["answered"], tally["unavailable"]) > 3


async def test_while_open_nothing_goes_out() -> None:
    """After five failures only one probe per 250 ms reaches for the server; a success lets everything through again."""
    now = 0.0
    attempts = 0
    up = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        while up and await reader.read(1000):
            writer.write(b"+PONG\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", 5000)
        breaker = Breaker(clock=lambda: now)

        async def call() -> None:
            await guarded(client, breaker, [("PING",)], 5.0)

        for _ in range(50):
            with pytest.raises(StoreUnavailable):
                await call()
        assert attempts == 5
        for tenths in range(1, 31):
            now = tenths / 10
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await call()
        assert attempts == 5 + 10, "every third tenth of a second is the first past 250 ms"
        up, now = True, now + 0.25
        for _ in range(20):
            await call()
        assert attempts == 16
        await client.close()
