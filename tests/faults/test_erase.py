"""Promise 17: after an erasure nothing that the system ever wrote leads to the person, a restored backup included.

A real server decides, takes events and consent; then every byte of its store, its log, its Parquet, its audit chain and its output is read.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from liftgate.adapters import redis_erasure, redis_keys
from liftgate.adapters.consent_client import ConsentClient
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.operators import token_hash
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.redis_client import RedisClient, connect
from liftgate.adapters.redis_erasure import RedisErasure
from liftgate.app.known_people import names_of
from liftgate.client import Client, Event
from liftgate.domain.consent_record import ConsentRecord
from liftgate.record.parquet import read_log
from tests.app.conftest import Served

PERSON, ACCOUNT, OTHER = "ada.lovelace@example.com", "acc-ada-4711", "bob@example.com"
TOKEN = "lg_test-token-of-the-privacy-office"
KEY = b"k" * 32
LIFTGATE = (sys.executable, "-m", "liftgate.app.cli.main")
BUNDLE = Path(__file__).parents[1] / "cases" / "bundles" / "consent"


@pytest.fixture
def operators(tmp_path: Path) -> Path:
    """A file that knows one operator, who may erase."""
    path = tmp_path / "operators.yaml"
    path.write_text(f'operators:\n  eve:\n    roles: [privacy]\n    token_sha256: "{token_hash(TOKEN)}"\n')
    return path


@pytest.fixture
def store() -> Iterator[EmbeddedValkey]:
    """A store of this test's own."""
    with EmbeddedValkey() as store:
        yield store


def serve(directory: Path, scratch: Path, operators: Path, url: str) -> Served:
    """Start a server on a store."""
    directory.mkdir(exist_ok=True)
    flags = {"redis": url, "operators": str(operators), "bundle": str(BUNDLE), "metrics-port": "0", "log": str(directory / "log")}
    return Served(directory, str(scratch), flags, {"LIFTGATE_PSEUDONYM_KEY": KEY.decode()})


def live_a_little(port: int) -> None:
    """Let two people be decided about, agree, and do things."""
    target = f"127.0.0.1:{port}"
    with ConsentClient(target, "") as consents:
        for person in (PERSON, OTHER):
            for status in ("denied", "granted"):
                consents.set(person, ConsentRecord(purpose="personalization", status=status, source="checkout"))
    with Client(target, timeout_ms=20_000) as client:
        for person in (PERSON, OTHER):
            made = [client.decide(person, "home", channel="web", request_id=f"request-{i}-of-{person[:3]}") for i in range(5)]
            client.record([Event("click", person, decision_id=one.decision_id, event_id=f"click-{one.decision_id}") for one in made])


async def everything(url: str) -> dict[bytes, bytes]:
    """Return every key with its value as the server dumps it."""
    client = connect(url, 5000)
    try:
        (keys,) = await client.call([("KEYS", "*")], 5.0)
        return dict(zip(keys, await client.call([("DUMP", key) for key in keys], 5.0), strict=True))
    finally:
        await client.close()


async def put_back(url: str, backup: Mapping[bytes, bytes]) -> None:
    """Make a store what it was."""
    client = connect(url, 5000)
    try:
        await client.call([("FLUSHALL",), *(("RESTORE", key, 0, value) for key, value in backup.items())], 5.0)
    finally:
        await client.close()


async def named(url: str) -> set[bytes]:
    """Return every pseudonym that can be made of the person's id with all that is stored, and the key."""
    client: RedisClient = connect(url, 5000)
    try:
        return set(await names_of(client, KEY, [PERSON]))
    finally:
        await client.close()


def written(directory: Path) -> bytes:
    """Return every byte of every file."""
    return b"\0".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def rows(log: Path) -> list[bytes]:
    """Return the pseudonyms of all rows, of decisions and events."""
    return [row["person_pseudonym"] for stream in ("decision", "event") for row in read_log(log, stream)]


def seal(log: Path) -> None:
    """Make Parquet beside the segments."""
    subprocess.run([*LIFTGATE, "log", "seal", str(log)], check=True, capture_output=True)


def test_nothing_leads_to_an_erased_person(tmp_path: Path, operators: Path, store: EmbeddedValkey) -> None:
    """The id is in no byte, no stored material makes a pseudonym of a row again, others are untouched, and a restored backup forgets."""
    server = serve(tmp_path / "machine", tmp_path, operators, store.url)
    log = tmp_path / "machine" / "log"
    try:
        server.wait_for("serving")
        live_a_little(server.port)
        backup = asyncio.run(everything(store.url))
        assert any(PERSON.encode() in key for key in backup), "the control arm: before, it is there"
        assert asyncio.run(named(store.url)) & set(rows(log)), "the control arm: before, rows can be told"
        # An access request shows what there is.
        export = [*LIFTGATE, "person", "export", PERSON, "--redis", store.url, "--log", str(log), "--bundle", str(BUNDLE)]
        asked = subprocess.run(export, capture_output=True, check=True, env=os.environ | {"LIFTGATE_PSEUDONYM_KEY": KEY.decode()})
        shown = json.loads(asked.stdout)
        assert (len(shown["decisions"]), len(shown["events"])) == (5, 5)
        assert [entry["consent"]["status"] for entry in shown["stored"]["consent_history"]] == ["denied", "granted"]
        assert len(shown["stored"]["events_seen"]) == 5
        assert all(one["slots"] for one in shown["stored"]["remembered_answers"].values())
        assert OTHER not in asked.stdout.decode()
        others = {key: value for key, value in backup.items() if OTHER.encode() in key}
        erased = subprocess.run(
            [*LIFTGATE, "person", "erase", PERSON, "--account", ACCOUNT, "--yes", "--json", "--reason", "ticket 4711"],
            capture_output=True,
            check=True,
            env=os.environ | {"LIFTGATE_TOKEN": TOKEN, "LIFTGATE_TARGET": f"127.0.0.1:{server.port}"},
        )
        receipt = json.loads(erased.stdout)
        assert receipt["removed"] >= 10
        after = asyncio.run(everything(store.url))
        assert not [key for key, value in after.items() if PERSON.encode() in key + value]
        assert {key for key in after if OTHER.encode() in key} == set(others)

        # What happened before and is told now is not taken; neither does it bring the person back.
        with Client(f"127.0.0.1:{server.port}", timeout_ms=20_000) as client:
            told = client.record([Event("click", PERSON, event_id="late", occurred_at_ms=1_700_000_000_000), Event("click", OTHER)])
        assert (told.accepted, [one.field for one in told.rejections]) == (1, ["occurred_at_ms"])
        assert not [key for key in asyncio.run(everything(store.url)) if PERSON.encode() in key]

        # A backup from before is put back under the running server, which makes it forget again.
        asyncio.run(put_back(store.url, backup))
        server.wait_for("erased_again")
        restored = asyncio.run(everything(store.url))
        assert not [key for key, value in restored.items() if PERSON.encode() in key + value]
        assert {key for key in restored if OTHER.encode() in key} == set(others)
    finally:
        server.end()
    # And before a start, too.
    asyncio.run(put_back(store.url, backup))
    again = serve(tmp_path / "machine", tmp_path, operators, store.url)
    try:
        again.wait_for("serving")
        assert not [key for key, value in asyncio.run(everything(store.url)).items() if PERSON.encode() in key + value]
    finally:
        again.end()

    seal(log)
    assert list(log.glob("*.parquet"))
    assert not asyncio.run(named(store.url)) & set(rows(log))
    everywhere = written(tmp_path / "machine")
    for trace in (PERSON, ACCOUNT):
        assert trace.encode() not in everywhere
    for pseudonym in asyncio.run(named(store.url)):
        assert pseudonym not in everywhere
        assert pseudonym.hex().encode() not in everywhere
    assert f"erasure:{receipt['receipt']}".encode() in everywhere, "the act is in the audit chain"
    assert Pseudonyms("", KEY)(PERSON) not in everywhere
    shutil.rmtree(tmp_path / "machine")


@pytest.mark.parametrize("forgotten", [b"p", b"c", b"k", b"w", b"l"])
def test_a_kind_of_key_that_is_forgotten_is_found(store: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch, forgotten: bytes) -> None:
    """The control arm: an erasure that leaves out one kind of key, and looks for no others, leaves the id where this test sees it."""

    async def run() -> dict[bytes, bytes]:
        client = connect(store.url, 5000)
        try:
            await client.call([("SET", redis_keys.tag(PERSON) + name, b"x") for name in redis_keys.OWN], 5.0)
            erasure = RedisErasure(client, Pseudonyms("", KEY), settle_s=0.0)
            await erasure.erase(PERSON, "", 1, lambda: 5.0)
        finally:
            await client.close()
        return await everything(store.url)

    assert not [key for key in asyncio.run(run()) if PERSON.encode() in key]
    monkeypatch.setattr(redis_keys, "OWN", tuple(name for name in redis_keys.OWN if name != forgotten))
    monkeypatch.setattr(redis_erasure, "_literal", lambda text: b"nothing-like-it")
    keys = redis_keys.OWN

    async def forgetful() -> dict[bytes, bytes]:
        client = connect(store.url, 5000)
        try:
            await client.call([("SET", redis_keys.tag(PERSON) + name, b"x") for name in (*keys, forgotten)], 5.0)
            await RedisErasure(client, Pseudonyms("", KEY), settle_s=0.0).erase(PERSON, "", 1, lambda: 5.0)
        finally:
            await client.close()
        return await everything(store.url)

    assert [key for key in asyncio.run(forgetful()) if PERSON.encode() in key] == [redis_keys.tag(PERSON) + forgotten]
