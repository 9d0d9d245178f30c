"""What a batch pays once, however many are in it: a run of each model, the question to the store, the reservation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from liftgate.adapters import redis_keys
from liftgate.adapters.onnx_models import OnnxModels
from liftgate.bundle.compiled import ModelSpec
from liftgate.domain import consent
from liftgate.domain.input import Floats
from liftgate.domain.profile import pack
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.batching import Live
from tests.pipeline.workbench import BUNDLES, NOW_MS, Bench, workbench

PEOPLE = 24


class CountedModels:
    """The real models, and how many people each of their runs was for."""

    def __init__(self, inner: OnnxModels) -> None:
        self._inner, self.runs = inner, dict[str, list[int]]()

    def score(self, model: ModelSpec, matrix: Floats) -> Floats:
        """Pass it on."""
        self.runs.setdefault(model.name, []).append(len(matrix))
        return self._inner.score(model, matrix)


async def _asked(bench: Bench) -> tuple[int, int]:
    """Return how many times the store was asked for people, and how many times for reservations, since it started."""
    (info,) = await bench.client.call([("INFO", "commandstats")])
    counts = dict(line.split(b":calls=") for line in info.split() if b":calls=" in line)
    fetched, reserved = (int(counts.get(name, b"0").split(b",")[0]) for name in (b"cmdstat_mget", b"cmdstat_evalsha"))
    return fetched, reserved


@pytest.mark.parametrize("batches", [1, PEOPLE], ids=["together", "one by one"])
async def test_a_batch_asks_once(valkey_url: str, tmp_path: Path, batches: int) -> None:
    """24 people together: each model runs once for all of them, and the store is asked once and reserves once; alone, 24 times each."""
    async with workbench(valkey_url, tmp_path, bundle=BUNDLES / "worth") as bench:
        bundle, models = bench.live.bundle, CountedModels(OnnxModels.load(bench.live.bundle))
        live = Live(bundle, models)
        for i in range(PEOPLE):
            await bench.put(redis_keys.profile(f"person-{i}"), pack(bundle.schema, [40.0, 5.0], NOW_MS // 1000))
            await bench.put(redis_keys.consent(f"person-{i}"), consent.document({"personalization": {"status": "granted"}}))
        # The first reservation of a store also brings it the script.
        await bench.batcher.submit(DecideRequest("first", "person-0", "levers"), live)
        await bench.batcher.drain()
        bench.watcher.batches.clear()
        before = await _asked(bench)
        together = PEOPLE // batches
        for begins in range(0, PEOPLE, together):
            people = range(begins, begins + together)
            await asyncio.gather(*(bench.batcher.submit(DecideRequest(f"r{i}", f"person-{i}", "uplift"), live) for i in people))
        await bench.batcher.drain()
        after = await _asked(bench)
        assert bench.watcher.batches == [together] * batches
        assert all(record.scored for record in bench.records[1:])
        assert models.runs == {name: [together] * batches for name in ("buys", "buys_anyway")}
        assert (after[0] - before[0], after[1] - before[1]) == (batches, batches)
