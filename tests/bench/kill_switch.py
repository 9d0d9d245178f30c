"""How long after `Stop` is called the stopped offer is still answered, anywhere: `python -m tests.bench.kill_switch [ROUNDS]`.

Two replicas, one of them with two workers, share one Valkey. Twelve connections ask without pause. A round stops the offer by the RPC,
notes when the last answer that still shows it arrives, and lifts the stop. What is counted includes the call itself and its audit record
on disk. With `--deaf` every listening connection is cut just before, so that the reconnection or the heartbeat has to bring it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import grpc.aio

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import RedisClient, connect
from liftgate.adapters.redis_controls import RedisControls
from liftgate.pipeline.controls import STOPS, Change
from liftgate.v1 import control_service_pb2 as wire
from liftgate.v1.decision_pb2 import DecideRequest
from tests.control.operators import token, write
from tests.faults.serving import Serving, decide_stub

CONNECTIONS = 8, 4
PAUSE_S = 0.15


class Asker:
    """One connection that asks without pause and remembers when it last saw the offer."""

    def __init__(self, target: str) -> None:
        self.channel = grpc.aio.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
        self.shown_at = 0.0
        self.gone_at = 0.0
        self.answers = 0

    async def run(self) -> None:
        """Ask until cancelled."""
        call = decide_stub(self.channel)
        while True:
            answer = await call(DecideRequest(person_id="person-0", placement_id="one"), timeout=10)
            now = time.perf_counter()
            self.answers += 1
            if any(slot.offer_id == "plain" for slot in answer.slots):
                self.shown_at = now
            else:
                self.gone_at = now


async def measure(targets: list[str], client: RedisClient, rounds: int, deaf: bool) -> tuple[list[float], list[float], float]:
    """Return seconds from the call to the last answer with the offer, seconds the call took, and answers a second."""
    store = RedisControls(client)
    askers = [Asker(target) for target, count in zip(targets, CONNECTIONS, strict=True) for _ in range(count)]
    tasks = [asyncio.create_task(asker.run()) for asker in askers]
    stopping = grpc.aio.insecure_channel(targets[0])
    stop = stopping.unary_unary(
        "/liftgate.v1.ControlService/Stop",
        request_serializer=wire.StopRequest.SerializeToString,
        response_deserializer=wire.StopResponse.FromString,
    )
    request = wire.StopRequest(kind=wire.CONTROL_KIND_OFFER, name="plain", reason="bench")
    latencies, calls = [], []
    began = time.perf_counter()
    for _ in range(rounds):
        await asyncio.sleep(PAUSE_S)
        if deaf:
            await client.call([("CLIENT", "KILL", "TYPE", "pubsub")])
        called = time.perf_counter()
        await stop(request, metadata=(("authorization", f"Bearer {token('anna')}"),), timeout=10)
        calls.append(time.perf_counter() - called)
        while any(asker.gone_at < called or asker.shown_at > asker.gone_at for asker in askers):
            await asyncio.sleep(0.001)
        latencies.append(max(0.0, *(asker.shown_at - called for asker in askers)))
        stored = await store.get(STOPS, "offer/plain")
        await store.change([Change(STOPS, "offer/plain", stored, None)])
        while any(asker.shown_at < asker.gone_at for asker in askers):
            await asyncio.sleep(0.001)
    rate = sum(asker.answers for asker in askers) / (time.perf_counter() - began)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for asker in askers:
        await asker.channel.close()
    await stopping.close()
    return latencies, calls, rate


def main() -> None:
    """Measure and print."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--deaf"]
    rounds, deaf = int(arguments[0]) if arguments else 200, "--deaf" in sys.argv
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lg-")))
        valkey = stack.enter_context(EmbeddedValkey())
        flags = ("--operators", str(write(directory)), "--fetch-budget-ms", "1000", "--reserve-budget-ms", "1000")
        servers = [
            stack.enter_context(Serving(valkey.url, directory / "one", "--workers", "2", *flags)),
            stack.enter_context(Serving(valkey.url, directory / "two", *flags)),
        ]

        async def run() -> tuple[list[float], list[float], float]:
            client = connect(valkey.url, budget_ms=5_000)
            try:
                return await measure([server.target for server in servers], client, rounds, deaf)
            finally:
                await client.close()

        latencies, calls, rate = asyncio.run(run())
    print(
        f"{rounds} stops, 3 workers of 2 replicas, {rate:,.0f} decisions a second meanwhile{', listening connections cut' if deaf else ''}"
    )
    for name, seconds in (("last answer with it", latencies), ("the call itself", calls)):
        ordered = sorted(seconds)
        p50, p99 = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        print(f"{name:22} p50 {p50 * 1e3:6.1f} ms   p99 {p99 * 1e3:6.1f} ms   max {ordered[-1] * 1e3:6.1f} ms")


if __name__ == "__main__":
    main()
