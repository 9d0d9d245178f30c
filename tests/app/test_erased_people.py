"""Loading people into a store from which somebody was erased: they are left out, counted, and named nowhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from liftgate.adapters import redis_keys
from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import Command, connect
from liftgate.adapters.redis_erasure import RedisErasure
from liftgate.app.cli.profiles import app
from liftgate.app.keys import hashed_ids

BUNDLE = Path(__file__).parents[1] / "cases" / "bundles" / "golden"
KEY = b"k" * 32
PEOPLE = "person_id,age,country,spend,last_purchase_at,consent.personalization\n" + "".join(
    f"canary-{i},41,DE,1.0,2026-01-01T00:00:00Z,granted\n" for i in range(5)
)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedValkey]:
    """A store for this module."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def url(server: EmbeddedValkey) -> str:
    """The store, with two people erased, of whom one came back."""

    async def erase() -> None:
        client = connect(server.url, 5000)
        try:
            await client.call([("FLUSHALL",)])
            erasure = RedisErasure(client, hashed_ids(KEY), settle_s=0.0)
            for person in ("canary-1", "canary-3"):
                await erasure.erase(person, "", 1_800_000_000_000, lambda: 5.0)
            await erasure.lift("canary-3", 5.0)
        finally:
            await client.close()

    asyncio.run(erase())
    return server.url


def ask(url: str, *commands: Command) -> list[Any]:
    """Return what the store says."""

    async def call() -> list[Any]:
        client = connect(url, 5000)
        try:
            return await client.call(commands)
        finally:
            await client.close()

    return asyncio.run(call())


def load(url: str, tmp_path: Path, *options: str, **variables: str) -> Result:
    """Load the five."""
    (tmp_path / "people.csv").write_text(PEOPLE)
    words = ("load", str(tmp_path / "people.csv"), "--bundle", str(BUNDLE), "--redis", url, *options)
    return CliRunner().invoke(app, words, env={"LIFTGATE_PSEUDONYM_KEY": "", "LIFTGATE_PSEUDONYM_KEY_FILE": "", **variables})


@pytest.mark.parametrize("layout", ["packed", "hash"])
def test_who_was_erased_is_left_out_and_counted(url: str, tmp_path: Path, layout: str) -> None:
    """Four of five are stored, profile and consent; the erased one has nothing in the store, and is named in no output."""
    told = load(url, tmp_path, "--layout", layout, "--json", LIFTGATE_PSEUDONYM_KEY=KEY.decode())
    assert told.exit_code == 0
    found = json.loads(told.stdout)
    assert (found["rows"], found["stored"], found["erased"], found["rejected"]) == (5, 4, 1, 0)
    assert "canary" not in told.output
    kept = ask(
        url, *[("EXISTS", redis_keys.tag(f"canary-{i}") + name) for i in range(5) for name in (b"f" if layout == "hash" else b"p", b"c")]
    )
    assert kept == [1, 1, 0, 0, 1, 1, 1, 1, 1, 1]
    assert "1 left out: erased" in load(url, tmp_path, "--layout", layout, LIFTGATE_PSEUDONYM_KEY=KEY.decode()).output


def test_without_the_key_nothing_is_stored_where_somebody_was_erased(url: str, tmp_path: Path) -> None:
    """The load is refused, and says which option is missing; with a file of the key it goes on; where nobody was erased none is needed."""
    refused = load(url, tmp_path)
    assert refused.exit_code == 2
    assert "--pseudonym-key-file" in refused.output
    assert ask(url, ("DBSIZE",)) == [1]
    (tmp_path / "key").write_bytes(KEY + b"\n")
    assert load(url, tmp_path, "--pseudonym-key-file", str(tmp_path / "key")).exit_code == 0
    ask(url, ("FLUSHALL",))
    assert load(url, tmp_path).exit_code == 0
    assert ask(url, ("DBSIZE",)) == [10]
