"""Promise 6: Redis frozen or dead costs no error; the answers are degraded, and whole again soon after."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import grpc
import grpc.aio
import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.v1.decision_pb2 import DecideRequest
from tests.faults.serving import Serving, decide_stub, load, logged


@pytest.mark.slow
async def test_frozen_for_five_seconds_without_an_error(tmp_path: Path) -> None:
    """Redis stopped for 5 s under load: no call fails, degraded answers meanwhile, whole answers again after."""
    with EmbeddedValkey() as valkey, Serving(valkey.url, tmp_path / "log") as server:
        stop = asyncio.Event()
        running = asyncio.create_task(load([server.target], "frozen", stop, at_once=8, timeout_s=4.0))
        await asyncio.sleep(1)
        os.kill(valkey.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(5)
        finally:
            os.kill(valkey.pid, signal.SIGCONT)
        await asyncio.sleep(1)
        stop.set()
        seen = await running
        assert seen.errors == []
        assert seen.degraded > 0
        async with grpc.aio.insecure_channel(server.target) as channel:
            async with asyncio.timeout(20):
                # On a busy machine an answer or two of the store come too late for its budget.
                while (await decide_stub(channel)(DecideRequest(person_id="person-0", placement_id="two"))).degraded:
                    await asyncio.sleep(0.05)
        assert server.terminate() == 0
        rows = logged(tmp_path / "log")
        assert all(rows.get(request_id) == decision_id for request_id, decision_id in seen.acknowledged.items())


async def test_a_server_starts_and_answers_without_redis(tmp_path: Path) -> None:
    """With nobody listening where Redis should be, the server starts and answers: degraded, status OK, and nothing shown.

    What is stopped is not known, and the default offer may be.
    """
    with Serving("redis://127.0.0.1:1/0", tmp_path / "log") as server:
        async with grpc.aio.insecure_channel(server.target) as channel:
            answer = await decide_stub(channel)(DecideRequest(person_id="person-0", placement_id="two"), timeout=20)
        assert answer.degraded
        assert list(answer.slots) == []
