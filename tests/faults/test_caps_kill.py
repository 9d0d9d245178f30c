"""kill -9 between the reservation of a cap and its exposure: the counter recovers when its leases end, and not before.

The control arm counts decisions: there nothing recovers, so the test can tell.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc
import grpc.aio
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.v1.decision_pb2 import DecideRequest
from tests.faults.serving import Serving, decide_stub

LEASES_S = (5, 15, 60)
"""A longer one is tried where the machine is so busy that a lease is over before anybody has asked whether it holds."""
CAP = 5
BUDGETS = ("--fetch-budget-ms", "5000", "--reserve-budget-ms", "5000")
BUNDLE = """bundle: kill
currency: EUR
time_zone: UTC
profile_purpose: none
offers:
  leased: {{value: 9.0, caps: [{{max: 5, per: 7d, counts: exposure, lease: {lease}s}}]}}
  shared: {{value: 9.0, caps: [{{max: 5, per: 7d, counts: exposure, lease: {lease}s, scope: account}}]}}
  budget: {{value: 9.0, caps: [{{max: 5, per: 7d, counts: exposure, lease: {lease}s, scope: total}}]}}
  counted: {{value: 9.0, caps: [{{max: 5, per: 7d, counts: decision}}]}}
  plain: {{value: 1.0}}
placements:
  leased: {{offers: [leased, plain], select: {{policy: epsilon_greedy, epsilon: 0.0}}}}
  shared: {{offers: [shared, plain], select: {{policy: epsilon_greedy, epsilon: 0.0}}}}
  budget: {{offers: [budget, plain], select: {{policy: epsilon_greedy, epsilon: 0.0}}}}
  counted: {{offers: [counted, plain], select: {{policy: epsilon_greedy, epsilon: 0.0}}}}
layers:
  none-held: {{kind: holdout, unit: person, salt: kill, share: 0.0, answer: none}}
"""


async def _ask(server: Serving, placement: str, tag: str, count: int) -> int:
    """Decide `count` times at once and return how often the capped offer came; calls that fail count as not offered."""
    async with grpc.aio.insecure_channel(server.target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = decide_stub(channel)

        async def one(i: int) -> bool:
            request = DecideRequest(request_id=f"{tag}-{i}", person_id="p", placement_id=placement, account_id="home")
            try:
                answer = await call(request, timeout=20)
            except grpc.aio.AioRpcError:
                return False
            return bool(answer.slots) and answer.slots[0].offer_id == placement

        return sum(await asyncio.gather(*(one(i) for i in range(count))))


async def _trial(folder: Path, placement: str, lease_s: int) -> tuple[int, int] | None:
    """Return how often the offer came while the counter was full, and after the leases; None: it took so long that leases had ended."""
    folder.mkdir()
    (folder / "bundle.yaml").write_text(BUNDLE.format(lease=lease_s), encoding="utf-8")
    flags = ("--bundle", str(folder), "--models", str(folder), *BUDGETS)
    with EmbeddedValkey() as valkey:
        with Serving(valkey.url, folder / "one", *flags) as first:
            began = time.monotonic()
            asking = asyncio.create_task(_ask(first, placement, "before", 400))
            await asyncio.sleep(0.15)
            first.kill()
            await asking
        with Serving(valkey.url, folder / "two", *flags) as second:
            # Whatever the dead server had reserved, fill up to the cap.
            await _ask(second, placement, "fill", 32)
            filled = time.monotonic()
            full = await _ask(second, placement, "full", 32)
            if placement != "counted" and time.monotonic() - began > lease_s:
                return None
            # A total's lease ends up to a 64th late.
            await asyncio.sleep(lease_s * 65 / 64 + 0.2 - (time.monotonic() - filled))
            asked = time.monotonic()
            after = await _ask(second, placement, "after", 32)
            return None if placement != "counted" and time.monotonic() - asked > lease_s else (full, after)


@pytest.mark.slow
@pytest.mark.parametrize(("placement", "recovers"), [("leased", True), ("shared", True), ("budget", True), ("counted", False)])
async def test_a_counter_recovers_after_its_lease(tmp_path: Path, placement: str, recovers: bool) -> None:
    """Places reserved by a server that is killed come back after the lease, in every scope; counted decisions never do (control)."""
    for lease_s in LEASES_S:
        found = await _trial(tmp_path / f"{lease_s}", placement, lease_s)
        if found is not None:
            assert found == (0, CAP if recovers else 0)
            return
    raise AssertionError(f"this machine does not start a server and ask it within {LEASES_S[-1]} s")
