"""`PlainDecisions` over one shop, for servers in environments of their own: they have no onnx and none of the bench's other needs."""

from __future__ import annotations

from pathlib import Path

import redis.asyncio

from liftgate.bundle.load import load_bundle
from tests.bench.plain_decisions import PlainDecisions


def decisions(shop: Path, redis_port: int, log: Path) -> PlainDecisions:
    """Return decisions of the shop's bundle, with a connection pool of their own."""
    store = redis.asyncio.Redis(port=redis_port, decode_responses=True)
    return PlainDecisions(load_bundle(shop / "bundle", shop / "models"), store, log)
