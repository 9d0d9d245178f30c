"""Amends while a part of the store is away: what can be put right is, whoever else has to wait."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from liftgate.pipeline.amends import AT_ONCE, Amends
from liftgate.pipeline.ports import Amendment, Charge, Claim
from tests.fakes.stores import FakeReservations
from tests.pipeline.workbench import workbench

N = 2 * AT_ONCE + 10
"""More than two calls' worth of people whose server is away stand before everybody else."""


def _claim(i: int, person: str) -> Claim:
    return Claim(person, False, "", b"finger--", i.to_bytes(8, "big"), (Charge(b"cap-----", 9, 2e12, 2e12),), 1, b"", b"")


async def test_nobody_waits_for_others_whose_server_is_away(valkey_url: str, tmp_path: Path) -> None:
    """Amendments behind many of an absent server are made at once; those are made when it is back, and none is forgotten or made twice."""
    store = FakeReservations()
    claims = [_claim(i, f"{'away' if i < N else 'there'}-{i}") for i in range(N + 5)]
    await store.reserve(claims)
    store.away = lambda person: person.startswith("away")
    async with workbench(valkey_url, tmp_path) as bench:
        amends = Amends(replace(bench.ports, reservations=store), horizon_s=60.0)
        now = asyncio.get_running_loop().time()
        for claim in claims:
            amends.put(Amendment(claim, b""), now)

        def held() -> set[str]:
            return {person for (person, _), history in store.history.items() if history}

        async with asyncio.timeout(10):
            while any(person.startswith("there") for person in held()):
                await asyncio.sleep(0.01)
        assert held() == {claim.person_id for claim in claims[:N]}
        store.away = None
        async with asyncio.timeout(10):
            while held():
                await asyncio.sleep(0.01)
        await amends.close()


async def test_what_waits_keeps_no_record(valkey_url: str, tmp_path: Path) -> None:
    """While Redis is late an amendment waits for up to a minute: without the record of its claim, which nobody asks for again."""
    store = FakeReservations()
    claim = replace(_claim(1, "away-1"), record=b"a row of two or three thousand bytes")
    await store.reserve([claim])
    store.away = lambda person: person.startswith("away")
    async with workbench(valkey_url, tmp_path) as bench:
        amends = Amends(replace(bench.ports, reservations=store), horizon_s=60.0)
        amends.put(Amendment(claim, b""), asyncio.get_running_loop().time())
        assert claim.record == b""
        store.away = None
        await amends.close()
    assert not any(store.history.values())
