"""Mutual exclusion under concurrency, through the whole walk, two workers on one Valkey."""

from __future__ import annotations

import asyncio
from pathlib import Path

from liftgate.adapters import redis_keys
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.request import DecideRequest
from liftgate.v1.decision_pb2 import DecideResponse
from tests.pipeline.workbench import BUNDLES, Bench, workbench

PEOPLE = 60
AT_ONCE = 64


async def _offered(benches: list[Bench], person: str, placement: str) -> set[str]:
    """Ask 64 times at once, over all workers, and return what was offered."""

    async def one(i: int) -> str:
        bench = benches[i % len(benches)]
        raw = await bench.batcher.submit(DecideRequest(f"{person}-{i}", person, placement), bench.live)
        return DecideResponse.FromString(raw).slots[0].offer_id

    return set(await asyncio.gather(*(one(i) for i in range(AT_ONCE))))


async def test_nobody_ever_gets_two_that_exclude_one_another(valkey_url: str, tmp_path: Path) -> None:
    """64 decides at once for one person, drawn evenly among loan, card and plain: loan or card, never both; vectors say what was left."""
    folder = BUNDLES / "suppression"
    async with workbench(valkey_url, tmp_path / "a", folder) as one, workbench(valkey_url, tmp_path / "b", folder) as other:
        first = set()
        for number in range(PEOPLE):
            person = f"exclusive-{number}"
            offered = await _offered([one, other], person, "race")
            assert not {"loan", "card"} <= offered
            first |= offered
            (raw,) = await one.client.call([("GET", redis_keys.history(person, False))])
            assert len(raw) // ENTRY.size <= 4
        assert first == {"loan", "card", "plain"}
        records = one.records + other.records
        assert sum(record.reservation_attempts > 1 for record in records) > PEOPLE, "the race was never close: the test shows nothing"
        for record in records:
            names = list(record.candidate_offer_id)
            vector = dict(zip(names, record.slots[0].probability, strict=True))
            assert sorted({round(p, 9) for p in vector.values() if p}) in ([round(1 / 3, 9)], [0.5])
