"""`liftgate doctor`: what is well and what is not, and what a person costs, measured."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from redis import Redis
from typer.testing import CliRunner, Result

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import Command, connect
from liftgate.app.cli.doctor import register
from tests.contract.cluster import Cluster

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


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A Cluster of two."""
    with Cluster(2) as running:
        yield running


def findings(url: str) -> dict[str, dict[str, Any]]:
    """Return what the doctor finds in a store, by what was looked at."""
    return {one["what"]: one for one in json.loads(run("--bundle", str(BUNDLE), "--redis", url, "--json").output)["findings"]}


def test_a_cluster_that_one_server_takes_away_is_named(cluster: Cluster) -> None:
    """Of a Cluster every server is looked at: one that wants full coverage is named with the mend, the others are well."""
    sound = run("--bundle", str(BUNDLE), "--redis", cluster.url)
    assert sound.exit_code == 0, sound.output
    assert "ok  cluster-require-full-coverage: no (2 of 2 servers)" in sound.output
    assert "ok  maxmemory-policy: noeviction (2 of 2 servers)" in sound.output
    assert "packed profile" in sound.output
    strict = cluster.nodes[1].port
    with Redis(port=strict) as client:
        client.config_set("cluster-require-full-coverage", "yes")
    result = run("--bundle", str(BUNDLE), "--redis", cluster.url)
    assert result.exit_code == 1
    assert "ok  cluster-require-full-coverage: no (1 of 2 servers)" in result.output
    assert f"NO  cluster-require-full-coverage at 127.0.0.1:{strict}: yes; set `cluster-require-full-coverage no`" in result.output


def test_a_server_of_a_cluster_that_is_away_is_named(cluster: Cluster) -> None:
    """The doctor looks at those that answer and says which one does not; a Cluster that is named as one server is told how to write it."""
    whole = findings(cluster.url.replace("redis+cluster:", "redis:"))
    assert not whole["cluster"]["fine"]
    assert "redis+cluster://HOST:PORT" in whole["cluster"]["mend"]
    gone = cluster.nodes[1].port
    cluster.nodes[1].stop()
    found = findings(cluster.url)
    assert found["server"]["said"].endswith("(1 of 2 servers)")
    assert not found[f"server at 127.0.0.1:{gone}"]["fine"]


def test_an_absent_store_and_a_wrong_bundle_are_said(tmp_path: Path) -> None:
    """A store that is away is exit code 1, a bundle with mistakes 2; the log's folder is looked at too."""
    away = run("--bundle", str(BUNDLE), "--redis", "redis://127.0.0.1:1", "--log", str(tmp_path / "nowhere"))
    assert away.exit_code == 1
    assert "NO  store:" in away.output
    assert "is no folder" in away.output
    assert run("--bundle", str(tmp_path), "--redis", "redis://127.0.0.1:1").exit_code == 2
