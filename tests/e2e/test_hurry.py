"""Deadlines are budgets: a caller with little time gets the fallback in time, and its neighbours keep theirs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import grpc.aio
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.v1.decision_pb2 import DecideRequest
from liftgate.v1.reason_pb2 import REASON_PROFILE_STORE_UNAVAILABLE
from tests.faults.serving import Serving, decide_stub


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_a_short_deadline_with_redis_frozen_is_answered_degraded(transport: str, tmp_path: Path) -> None:
    """With store budgets of 10 s and Redis frozen, a call with 3 s is answered with the guarded default before its deadline."""
    flags = ("--transport", transport, "--fetch-budget-ms", "10000", "--reserve-budget-ms", "10000", "--hurry-ms", "5000")
    with EmbeddedValkey() as valkey, Serving(valkey.url, tmp_path / "log", *flags) as server:
        async with grpc.aio.insecure_channel(server.target) as channel:
            call = decide_stub(channel)
            assert not (await call(DecideRequest(person_id="person-0", placement_id="two"), timeout=20)).degraded
            os.kill(valkey.pid, signal.SIGSTOP)
            try:
                answer = await call(DecideRequest(person_id="person-0", placement_id="two"), timeout=3)
            finally:
                os.kill(valkey.pid, signal.SIGCONT)
            assert answer.reason == REASON_PROFILE_STORE_UNAVAILABLE
            assert [slot.offer_id for slot in answer.slots] == ["welcome"]
