"""Addresses, greetings and the pool of the Redis client."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import hiredis
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_address import Address
from liftgate.adapters.redis_client import NodeClient, allowance_s, check, code, connect
from liftgate.adapters.redis_cluster import ClusterClient
from liftgate.adapters.redis_profiles import RedisProfiles
from liftgate.adapters.redis_reservations import RedisReservations
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.input import InputSchema
from liftgate.pipeline.ports import Charge, Claim, ClaimStatus, PersonKey
from tests.ports import free_port

REDIS_SERVER = shutil.which("redis-server")
OPENSSL = shutil.which("openssl")


def test_addresses() -> None:
    """Host, port, database, name and password are read from the URL; TLS checks certificates unless told not to."""
    address = Address.parse("redis://me:s%40cret@example.test:7000/3")
    assert (address.host, address.port, address.db, address.username, address.password, address.tls) == (
        "example.test",
        7000,
        3,
        "me",
        "s@cret",
        None,
    )
    assert address.greeting() == [("AUTH", "me", "s@cret"), ("SELECT", 3)]
    assert Address.parse("redis://:pw@h").greeting() == [("AUTH", "pw")]
    plain = Address.parse("redis://h")
    assert (plain.port, plain.greeting()) == (6379, [])
    assert Address.parse("unix:///run/redis.sock?db=2").path == "/run/redis.sock"
    tls = Address.parse("rediss://h").tls
    assert tls is not None
    assert tls.verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("url", "clustered"),
    [
        ("redis://h:1", False),
        ("redis+cluster://h:1", True),
        ("rediss+cluster://h:1", True),
        ("redis://h:1?cluster=1", True),
        ("redis://h:1/0?cluster=true&db=0", True),
        ("redis://h:1?cluster=0", False),
        ("unix:///run/s", False),
    ],
)
async def test_which_urls_are_clusters(url: str, clustered: bool) -> None:
    """The scheme or `cluster=1` asks for a Cluster."""
    client = connect(url)
    assert client.clustered is clustered
    assert isinstance(client, ClusterClient if clustered else NodeClient)


@pytest.mark.parametrize("url", ["", "h:6379", "http://secret@h", "redis://h:secret", "unix+cluster:///secret", "redis://h/secret"])
async def test_wrong_urls(url: str) -> None:
    """A wrong URL is refused before anything is sent, without repeating what may be a password."""
    with pytest.raises(ValueError, match=r"redis|TCP") as caught:
        connect(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("budget_ms", "connections"), [(0.0, 1), (-1.0, 1), (float("nan"), 1), (1e9, 1), (8.0, 0)])
async def test_senseless_budgets_and_pools_are_refused(budget_ms: float, connections: int) -> None:
    """A call must have a budget and a connection."""
    with pytest.raises(ValueError, match=r"budget|pool"):
        connect("redis://h", budget_ms, connections)


async def test_the_pool_is_bounded() -> None:
    """More calls at once than connections share them; fill opens all of them; close closes them."""
    with EmbeddedValkey() as server:
        client = connect(server.url, 5000, max_connections=3)
        assert await asyncio.gather(*(client.call([("ECHO", str(i))]) for i in range(50))) == [[b"%d" % i] for i in range(50)]
        watcher = connect(server.url, 5000, max_connections=1)

        async def others() -> int:
            (listing,) = await watcher.call([("CLIENT", "LIST", "TYPE", "normal")])
            return len(listing.splitlines()) - 1

        assert await others() <= 3
        await client.fill()
        assert await others() == 3
        await client.close()
        async with asyncio.timeout(5):
            while await others():
                await asyncio.sleep(0.01)
        await watcher.close()


async def test_replies_of_every_kind() -> None:
    """Nothing, numbers, lists and errors come back as values in order, an empty call as nothing."""
    with EmbeddedValkey() as server:
        client = connect(server.url, 5000)
        replies = await client.call(
            [("SET", "a", b"\0\r\n"), ("GET", "a"), ("GET", "b"), ("STRLEN", "a"), ("MGET", "a", "b"), ("LPUSH", "a", 1)]
        )
        assert replies[:5] == [b"OK", b"\0\r\n", None, 3, [b"\0\r\n", None]]
        assert isinstance(replies[5], hiredis.ReplyError)
        assert code(replies[5]) == "WRONGTYPE"
        assert await client.call([]) == []
        with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
            check(replies)
        await client.close()


async def test_a_wrong_password_is_unavailable_and_not_repeated() -> None:
    """A refused greeting is StoreUnavailable with the error's code alone."""
    with EmbeddedValkey(options=("--requirepass", "right")) as server:
        good = connect(server.url.replace("unix://", "unix://:right@"), 5000)
        assert await good.call([("PING",)]) == [b"PONG"]
        await good.close()
        for url in (server.url.replace("unix://", "unix://:secret@"), server.url):
            client = connect(url, 5000)
            with pytest.raises(StoreUnavailable) as caught:
                check(await client.call([("GET", "canary")]))
            assert str(caught.value) in ("redis: error reply WRONGPASS", "redis: error reply NOAUTH")
            await client.close()


@pytest.mark.parametrize("text", ["lg:{canary}:p is wrong", "", "Canary ERR", "ERR{canary}"])
def test_error_texts_keep_quiet(text: str) -> None:
    """Only a plain code in capitals is ever repeated from a server's error."""
    assert code(hiredis.ReplyError(text)) == "ERR"


@pytest.mark.skipif(not REDIS_SERVER or not OPENSSL, reason="redis-server or openssl is not installed")
async def test_tls(tmp_path: Path) -> None:
    """Over TLS a server with a known authority is spoken to, and one with an unknown authority is not."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    make = [str(OPENSSL), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem", *subject]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    port = free_port()
    files = ("--tls-cert-file", str(tmp_path / "cert.pem"), "--tls-key-file", str(tmp_path / "key.pem"))
    options = ("--tls-port", str(port), *files, "--tls-auth-clients", "no")
    with EmbeddedValkey(binary=Path(str(REDIS_SERVER)), port=free_port(), options=options):
        trusted = connect(f"rediss://localhost:{port}?ssl_ca_certs={tmp_path / 'cert.pem'}", 5000)
        assert await trusted.call([("SET", "a", b"x" * 100_000), ("STRLEN", "a")]) == [b"OK", 100_000]
        await trusted.close()
        stranger = connect(f"rediss://localhost:{port}", 5000)
        with pytest.raises(StoreUnavailable):
            await stranger.call([("PING",)])
        await stranger.close()


async def test_the_rights_in_the_docs_are_enough(tmp_path: Path) -> None:
    """A Redis user with the rights of docs/redis.md can do everything that the service does."""
    rights = ("+@read", "+@write", "+@scripting", "+@connection", "~lg:*", ">pw", "on")
    with EmbeddedValkey() as server:
        admin = connect(server.url, 5000)
        assert await admin.call([("ACL", "SETUSER", "liftgate", *rights)]) == [b"OK"]
        await admin.close()
        client = connect(server.url.replace("unix://", "unix://liftgate:pw@"), 5000)
        await client.fill()
        reservations = RedisReservations(client, budget_ms=5000)
        made = Claim("p", False, "r", b"f" * 8, b"r" * 8, (Charge(b"c" * 8, 1, 2e12, 2e12),), 1, b"", b"")
        assert [outcome.status for outcome in await reservations.reserve([made])] == [ClaimStatus.MADE]
        await reservations.confirm([made])
        fetched = await RedisProfiles(client, budget_ms=5000).fetch([PersonKey("p", False)], InputSchema((), ()))
        assert [len(raw or b"") for raw in fetched.history] == [32]
        await client.close()


def test_large_batches_are_allowed_more_time() -> None:
    """Up to 32 people a call has its budget, beyond them as much a person; never less than the budget."""
    assert [allowance_s(0.008, people) for people in (1, 32, 128, 256)] == pytest.approx([0.008, 0.008, 0.032, 0.064])


async def test_a_place_is_handed_on_by_whoever_leaves() -> None:
    """A call that is cancelled while it waits for a connection, or just as its turn comes, or that gives up, keeps nobody's place."""
    client = NodeClient(Address.parse("redis://127.0.0.1:1/0"), 5.0, 1)
    clock = asyncio.get_running_loop().time
    client._free = 0
    early, late = [asyncio.create_task(client._turn(clock() + 20)) for _ in range(2)]
    await asyncio.sleep(0)
    early.cancel()
    await asyncio.wait([early])
    client._pass_on()
    late.cancel()  # its turn has come, and it does not know yet
    await asyncio.wait([late])
    assert early.cancelled()
    assert late.cancelled()
    assert client._free == 1
    client._free = 0
    with pytest.raises(TimeoutError):
        await client._turn(clock())
    client._pass_on()
    assert client._free == 1
    waiting = asyncio.create_task(client._turn(clock() + 20))
    client._free = 0
    await asyncio.sleep(0)
    client._pass_on()
    await waiting
    assert client._free == 0
