"""A cap of 1 with exposure commits, lost exposures and the reservations of a killed server: never above the cap, never stuck.

The control arm drives an offer without a cap in the same way: there people see it more than once, so the test can tell.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from pathlib import Path

import grpc
import grpc.aio
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.record.parquet import read_log
from liftgate.v1.decision_pb2 import DecideRequest
from liftgate.v1.event_service_pb2 import Event, EventKind
from tests.faults.serving import Serving, decide_stub
from tests.faults.test_features_workers import record

PEOPLE, AT_ONCE = 60, 6
LEASE_S = 5
ROUNDS = 12
"""At most, in which every exposure is told that is not too late; nearly always one is enough, or two."""
FRESH_S = 2.0
"""An exposure is told only this soon after its decision: later ones, on a machine that is very busy, count as lost."""
BUNDLE = f"""bundle: one
currency: EUR
time_zone: UTC
profile_purpose: none
offers:
  once: {{value: 9.0, caps: [{{max: 1, per: 7d, counts: exposure, lease: {LEASE_S}s}}]}}
  often: {{value: 9.0}}
  plain: {{value: 1.0}}
placements:
  once: {{offers: [once, plain], select: {{policy: greedy}}}}
  often: {{offers: [often, plain], select: {{policy: greedy}}}}
layers:
  none-held: {{kind: holdout, unit: person, salt: one, share: 0.0, answer: none}}
"""


class Drive:
    """Asks for everybody at once over all servers, and tells some of the exposures."""

    def __init__(self, offer: str) -> None:
        self.offer = offer
        self.exposed: Counter[str] = Counter()
        self.dice = random.Random(17)

    async def round(self, tag: str, servers: list[Serving], told: float) -> int:
        """Ask, and tell this share of exposures over the last server; return how often the offer came to who had not seen it."""
        channels = [grpc.aio.insecure_channel(each.target, options=[("grpc.use_local_subchannel_pool", 1)]) for each in servers]
        waiting = [f"p{i}" for i in range(PEOPLE) if not self.exposed[f"p{i}"]]
        dice = {(person, i): self.dice.random() < told for person in waiting for i in range(AT_ONCE)}
        came = 0

        async def one(person: str, i: int) -> None:
            nonlocal came
            request = DecideRequest(request_id=f"{tag}-{person}-{i}", person_id=person, placement_id=self.offer)
            try:
                answer = await decide_stub(channels[i % len(channels)])(request, timeout=20)
            except grpc.aio.AioRpcError:
                return  # of the server that was killed
            if not answer.slots or answer.slots[0].offer_id != self.offer:
                return
            came += 1
            # The first 12 digits of the id are its time in ms.
            if dice[person, i] and time.time() - int(answer.decision_id[:12], 16) / 1000 < FRESH_S:
                event = Event(event_id=answer.decision_id, kind=EventKind.EVENT_KIND_EXPOSURE, person_id=person)
                event.decision_id, event.offer_id = answer.decision_id, self.offer
                await record(channels[-1], [event])
                self.exposed[person] += 1

        try:
            await asyncio.gather(*(one(person, i) for person in waiting for i in range(AT_ONCE)))
        finally:
            for channel in channels:
                await channel.close()
        return came


@pytest.mark.slow
@pytest.mark.parametrize(("offer", "capped"), [("once", True), ("often", False)])
async def test_never_above_and_never_stuck(tmp_path: Path, offer: str, capped: bool) -> None:
    """Through lost exposures and a kill -9 each of 60 people sees the offer exactly once, and it is held by one decision at a time."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.yaml").write_text(BUNDLE, encoding="utf-8")
    budgets = ("--fetch-budget-ms", "2000", "--reserve-budget-ms", "2000")
    flags = ("--bundle", str(tmp_path / "bundle"), "--models", str(tmp_path), *budgets)
    drive = Drive(offer)
    with ExitStack() as stack:
        valkey = stack.enter_context(EmbeddedValkey())
        killed = stack.enter_context(Serving(valkey.url, tmp_path / "killed", *flags))
        lasting = stack.enter_context(Serving(valkey.url, tmp_path / "lasting", *flags))
        first = asyncio.create_task(drive.round("kill", [killed, lasting], told=0.3))
        await asyncio.sleep(0.1)
        killed.kill()
        await first
        last = time.monotonic()
        for tag, told in (("lost", 0.5), *((f"told{i}", 1.0) for i in range(ROUNDS))):
            await asyncio.sleep(max(LEASE_S + 0.2 - (time.monotonic() - last), 0))
            await drive.round(tag, [lasting], told)
            last = time.monotonic()
            if len(drive.exposed) == PEOPLE:
                break
        lasting.terminate()
    held = defaultdict(list)
    for directory in (tmp_path / "killed", tmp_path / "lasting"):
        for row in {row["decision_id"]: row for row in read_log(directory, "decision") if row["offered"] == [offer]}.values():
            held[str(row["request_id"]).split("-")[-2]].append(int(row["decided_at_ms"]))
    apart = [later - earlier for times in held.values() for earlier, later in zip(sorted(times), sorted(times)[1:], strict=False)]
    if not capped:
        assert max(drive.exposed.values()) > 1, "the harness cannot see a cap that does not hold"
        assert min(apart) < LEASE_S * 1000
        return
    assert set(drive.exposed.values()) == {1}
    assert len(drive.exposed) == PEOPLE, "somebody's place was never given back"
    assert min(apart) >= LEASE_S * 1000, "two decisions held one place"
    assert len(apart) > PEOPLE // 4, "hardly an exposure was lost: the test shows nothing"
