"""A real Valkey for the tests of the walk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """URL of a Valkey server that ends with the test session."""
    with EmbeddedValkey() as server:
        yield server.url
