"""Frequency caps under concurrency, through the whole walk, two workers on one Valkey."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from liftgate.adapters import redis_keys
from liftgate.domain.request import DecideRequest
from liftgate.v1.decision_pb2 import DecideResponse
from tests.pipeline.workbench import Bench, workbench

SEEDS = 1_000 if os.environ.get("LIFTGATE_TEST_SEEDS") == "all" else 200
"""1,000 with LIFTGATE_TEST_SEEDS=all."""
AT_ONCE = 64
CAP = 3


async def _offered(benches: list[Bench], person: str, placement: str, tag: str) -> list[str]:
    """Ask 64 times at once, over all workers, and return what was offered."""

    def one(i: int) -> asyncio.Task[bytes]:
        request = DecideRequest(f"{tag}-{person}-{i}", person, placement)
        bench = benches[i % len(benches)]
        return asyncio.ensure_future(bench.batcher.submit(request, bench.live))

    answers = await asyncio.gather(*(one(i) for i in range(AT_ONCE)))
    return [DecideResponse.FromString(raw).slots[0].offer_id for raw in answers if DecideResponse.FromString(raw).slots]


@pytest.mark.slow
async def test_a_cap_of_three_holds_in_every_seed(valkey_url: str, tmp_path: Path) -> None:
    """64 decides at once for one person over two workers never spend a cap of 3 more than 3 times, and always 3 times."""
    async with workbench(valkey_url, tmp_path / "a") as one, workbench(valkey_url, tmp_path / "b") as other:
        people = [f"race-{seed}" for seed in range(SEEDS)]
        held_out = np.any(one.live.layers.held_out(people), axis=1)
        for person, held in zip(people, held_out.tolist(), strict=True):
            offered = await _offered([one, other], person, "thrice", "race")
            if not held:
                assert offered.count("thrice") == CAP
                assert offered.count("plain") == AT_ONCE - CAP
        lost_races = sum(record.reservation_attempts > 1 for record in one.records + other.records)
        assert lost_races > SEEDS, "the race was never close: the test shows nothing"


async def test_a_lease_gives_its_place_back(valkey_url: str, tmp_path: Path) -> None:
    """Reservations that are never committed hold a cap until their lease ends, and not a millisecond longer."""
    async with workbench(valkey_url, tmp_path) as bench:
        await bench.forget("leaser")
        assert not bench.live.layers.held_out(["leaser"]).any()
        start = bench.hands.ms
        for moment, wanted in ((0, CAP), (599_999, 0), (600_000, CAP)):
            bench.hands.ms = start + moment
            offered = await _offered([bench], "leaser", "thrice-leased", f"at-{moment}")
            assert offered.count("thrice-leased") == wanted, moment


async def test_held_out_people_spend_ghost_caps(valkey_url: str, tmp_path: Path) -> None:
    """A held-out person's would_offer obeys the cap as a treated person's offers do, without touching the real counter."""
    async with workbench(valkey_url, tmp_path) as bench:
        await bench.forget("person-4")
        await _offered([bench], "person-4", "thrice", "ghost")
        would = [offer for record in bench.records for offer in record.would_offer]
        assert would.count("thrice") == CAP
        assert would.count("plain") == AT_ONCE - CAP
        (real,) = await bench.client.call([("GET", redis_keys.history("person-4", False))])
        assert real is None
