"""kill -9 between the reservation of a cap and its exposure: the counter recovers when its leases end, and not before.

The control arm counts decisions: there nothing recovers, so the test can tell.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.v1.decision_pb2 import DecideRequest
from tests.faults.serving import Serving, decide_stub

LEASE_S = 5.0
CAP = 5
BUNDLE = """bundle: kill
currency: EUR
time_zone: UTC
profile_purpose: none
offers:
  leased: {value: 9.0, caps: [{max: 5, per: 7d, counts: exposure, lease: 5s}]}
  shared: {value: 9.0, caps: [{max: 5, per: 7d, counts: exposure, lease: 5s, scope: account}]}
  budget: {value: 9.0, caps: [{max: 5, per: 7d, counts: exposure, lease: 5s, scope: total}]}
  counted: {value: 9.0, caps: [{max: 5, per: 7d, counts: decision}]}
  plain: {value: 1.0}
placements:
  leased: {offers: [leased, plain], select: {policy: epsilon_greedy, epsilon: 0.0}}
  shared: {offers: [shared, plain], select: {policy: epsilon_greedy, epsilon: 0.0}}
  budget: {offers: [budget, plain], select: {policy: epsilon_greedy, epsilon: 0.0}}
  counted: {offers: [counted, plain], select: {policy: epsilon_greedy, epsilon: 0.0}}
layers:
  none-held: {kind: holdout, unit: person, salt: kill, share: 0.0, answer: none}
"""


@pytest.fixture(scope="module")
def valkey() -> Iterator[EmbeddedValkey]:
    """A Valkey that outlives the servers that are killed."""
    with EmbeddedValkey() as server:
        yield server


async def _ask(server: Serving, placement: str, tag: str, count: int) -> int:
    """Decide `count` times at once and return how often the capped offer came; calls that fail count as not offered."""
    async with grpc.aio.insecure_channel(server.target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = decide_stub(channel)

        async def one(i: int) -> bool:
            request = DecideRequest(request_id=f"{tag}-{i}", person_id="p", placement_id=placement, account_id="home")
            try:
                answer = await call(request, timeout=5)
            except grpc.aio.AioRpcError:
                return False
            return bool(answer.slots) and answer.slots[0].offer_id == placement

        return sum(await asyncio.gather(*(one(i) for i in range(count))))


@pytest.mark.slow
@pytest.mark.parametrize(("placement", "recovers"), [("leased", True), ("shared", True), ("budget", True), ("counted", False)])
async def test_a_counter_recovers_after_its_lease(valkey: EmbeddedValkey, tmp_path: Path, placement: str, recovers: bool) -> None:
    """Places reserved by a server that is killed come back after the lease, in every scope; counted decisions never do (control)."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "bundle.yaml").write_text(BUNDLE, encoding="utf-8")
    flags = ("--bundle", str(folder), "--models", str(tmp_path))
    with Serving(valkey.url, tmp_path / "one", *flags) as first:
        asking = asyncio.create_task(_ask(first, placement, f"{placement}-before", 400))
        await asyncio.sleep(0.15)
        first.kill()
        await asking
    with Serving(valkey.url, tmp_path / "two", *flags) as second:
        # Whatever the dead server had reserved, fill up to the cap.
        await _ask(second, placement, f"{placement}-fill", 32)
        filled = time.monotonic()
        assert await _ask(second, placement, f"{placement}-full", 32) == 0
        # A total's lease ends up to a 64th late.
        await asyncio.sleep(LEASE_S * 65 / 64 + 0.2 - (time.monotonic() - filled))
        assert await _ask(second, placement, f"{placement}-after", 32) == (CAP if recovers else 0)
