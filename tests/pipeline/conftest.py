"""A real Valkey for the tests of the walk, empty for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from liftgate.adapters.embedded_valkey import EmbeddedValkey


@pytest.fixture(scope="session")
def valkey() -> Iterator[EmbeddedValkey]:
    """A Valkey server that ends with the test session."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def valkey_url(valkey: EmbeddedValkey) -> str:
    """URL of a Valkey server that holds nothing: whatever was tested before, in whichever order."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return valkey.url
