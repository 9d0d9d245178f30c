"""Caps of every scope on two real workers, over the wire: 64 calls at once, and never above."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import grpc.aio
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.record.parquet import read_log
from liftgate.v1.decision_pb2 import Context, DecideRequest
from tests.faults.serving import Serving, decide_stub

HOMES, AT_ONCE, CHANNELS = 20, 64, 16
PERSON, HOME, EVERYBODY, CONTACTS = 3, 5, 60, 12
BUNDLE = f"""bundle: workers
currency: EUR
time_zone: Europe/Berlin
profile_purpose: none
groups:
  family: {{caps: [{{max: {HOME}, per: month, scope: account}}]}}
offers:
  capped: {{group: family, value: 9.0, caps: [{{max: {PERSON}, per: day, zone: person}}, {{max: {EVERYBODY}, per: 7d, scope: total}}]}}
  plain: {{value: 1.0}}
placements:
  all: {{offers: all, select: {{policy: epsilon_greedy, epsilon: 0.2}}}}
contact_policy: {{channels: {{email: {{max: {CONTACTS}, per: 7d}}}}}}
layers:
  none-held: {{kind: holdout, unit: person, salt: workers, share: 0.0, answer: none}}
"""


@pytest.mark.slow
async def test_two_workers_never_go_above(tmp_path: Path) -> None:
    """Households of two, 64 calls at once each: no person, household or channel is above its limit, and the budget is met exactly."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "bundle.yaml").write_text(BUNDLE, encoding="utf-8")
    flags = (
        "--bundle",
        str(folder),
        "--models",
        str(tmp_path),
        "--workers",
        "2",
        "--reserve-budget-ms",
        "2000",
        "--fetch-budget-ms",
        "2000",
    )
    capped: Counter[str] = Counter()
    contacts: Counter[str] = Counter()
    with EmbeddedValkey() as valkey, Serving(valkey.url, tmp_path / "log", *flags) as server:
        pool = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.insecure_channel(server.target, options=pool) for _ in range(CHANNELS)]
        try:
            for home in range(HOMES):

                async def one(i: int, home: int = home) -> None:
                    person = f"{home}-{i % 2}"
                    context = Context(channel="email" if i % 4 else "web", time_zone="Asia/Kolkata")
                    request = DecideRequest(
                        request_id=f"{home}-{i}", person_id=person, placement_id="all", account_id=f"home-{home}", context=context
                    )
                    answer = await decide_stub(channels[i % CHANNELS])(request, timeout=20)
                    assert not answer.degraded
                    capped[person] += any(slot.offer_id == "capped" for slot in answer.slots)
                    contacts[person] += bool(answer.slots) and context.channel == "email"

                await asyncio.gather(*(one(i) for i in range(AT_ONCE)))
        finally:
            for channel in channels:
                await channel.close()
        server.terminate()
    homes = Counter({home: capped[f"{home}-0"] + capped[f"{home}-1"] for home in range(HOMES)})
    assert max(capped.values()) <= PERSON
    assert max(homes.values()) == HOME
    assert sum(capped.values()) == EVERYBODY, "everybody's budget is spent, and not more"
    assert max(contacts.values()) == CONTACTS
    rows = list(read_log(tmp_path / "log", "decision"))
    assert len(rows) == HOMES * AT_ONCE
    assert any(row["reservation_attempts"] > 1 for row in rows), "the race was never close: the test shows nothing"
