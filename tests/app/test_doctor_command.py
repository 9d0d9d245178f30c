"""`liftgate doctor`: what is well and what is not, and what a person costs, measured."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import Command, connect
from liftgate.app.cli.doctor import register

BUNDLE = Path(__file__).parents[1] / "cases" / "bundles" / "features"
APP = typer.Typer()
register(APP)


def run(*words: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(APP, list(words))


def on(url: str, *commands: Command) -> list[Any]:
    """Run commands."""

    async def call() -> list[Any]:
        client = connect(url, 5000)
        try:
            return await client.call(commands, 5.0)
        finally:
            await client.close()

    return asyncio.run(call())


@pytest.fixture(scope="module")
def url() -> Any:
    """A store for this module."""
    with EmbeddedValkey() as server:
        yield server.url


def test_memory_is_measured_and_nothing_stays(url: str) -> None:
    """What the server says a person takes is at least what was stored, a million take a million times that, and no key is left."""
    result = run("--bundle", str(BUNDLE), "--redis", url, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["fine"]
    assert len(found["memory"]) == 7
    for one in found["memory"]:
        assert one["measured_bytes"] >= one["value_bytes"] > 0
        assert one["gb_a_million"] == pytest.approx(one["measured_bytes"] / 1000, abs=0.001)
    typical, full, most = (one["measured_bytes"] for one in found["memory"] if one["what"].startswith("features"))
    assert typical < full < most
    assert on(url, ("DBSIZE",)) == [0]


def test_eviction_is_named(url: str) -> None:
    """A store that may throw keys away is not well, and the mend says what to set."""
    on(url, ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"))
    try:
        result = run("--bundle", str(BUNDLE), "--redis", url)
    finally:
        on(url, ("CONFIG", "SET", "maxmemory-policy", "noeviction"))
    assert result.exit_code == 1
    assert "NO  maxmemory-policy: allkeys-lru; set `maxmemory-policy noeviction`" in result.output


def test_an_absent_store_and_a_wrong_bundle_are_said(tmp_path: Path) -> None:
    """A store that is away is exit code 1, a bundle with mistakes 2; the log's folder is looked at too."""
    away = run("--bundle", str(BUNDLE), "--redis", "redis://127.0.0.1:1", "--log", str(tmp_path / "nowhere"))
    assert away.exit_code == 1
    assert "NO  store:" in away.output
    assert "is no folder" in away.output
    assert run("--bundle", str(tmp_path), "--redis", "redis://127.0.0.1:1").exit_code == 2
