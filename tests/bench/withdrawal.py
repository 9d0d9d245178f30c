"""How long a withdrawal takes to hold: `python -m tests.bench.withdrawal [--rounds N] [--callers N]`.

A real server with two workers, an embedded Valkey, callers that ask for decisions without a pause. Each round grants consent to one
person, waits until it shows, withdraws it with ConsentService.Set, and asks for that person on eight connections all the while. Measured:
from sending the Set to its answer, and to the first refusal on the connection that is last to refuse. Counted: decisions that were asked
for after the answer of the Set and still went by the old consent. There must be none.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import grpc.aio
import numpy as np
import uvloop

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.v1.consent_service_pb2 import CONSENT_STATUS_GRANTED, CONSENT_STATUS_WITHDRAWN, Consent, SetRequest, SetResponse
from liftgate.v1.decision_pb2 import Context, DecideRequest, DecideResponse
from tests.faults.serving import Serving, decide_stub

BUNDLE = Path(__file__).parents[1] / "cases" / "bundles" / "consent"
CONNECTIONS = 8
"""Enough that the kernel hands some to each of two workers."""
PATIENCE_S = 30.0


@dataclass
class Seen:
    """What the rounds saw, seconds."""

    answered: list[float] = field(default_factory=list)
    """From sending the withdrawal to its answer."""
    refused: list[float] = field(default_factory=list)
    """From sending it until every connection had its first refusal."""
    yes: int = 0
    """Decisions that went by the grant."""
    late_yes: int = 0
    """Decisions asked for after the answer that still went by the old consent."""
    asked_after: int = 0
    """Decisions asked for after the answer."""
    load: int = 0
    """Decisions of other people meanwhile."""


async def rounds(target: str, count: int, callers: int) -> Seen:
    """Run the rounds against a server of the consent bundle."""
    seen, over = Seen(), asyncio.Event()
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(target, options=options) for _ in range(CONNECTIONS)]
    setting = grpc.aio.insecure_channel(target, options=options)
    busy = [asyncio.create_task(_load(channels[i % CONNECTIONS], i, over, seen)) for i in range(callers)]
    try:
        for number in range(count):
            await _round(setting, channels, f"person-{number}", seen)
    finally:
        over.set()
        await asyncio.gather(*busy)
        for channel in (*channels, setting):
            await channel.close()
    return seen


async def _load(channel: grpc.aio.Channel, number: int, over: asyncio.Event, seen: Seen) -> None:
    call = decide_stub(channel)
    while not over.is_set():
        await call(
            DecideRequest(person_id=f"other-{number}-{seen.load % 997}", placement_id="home", context=Context(channel="web")),
            timeout=PATIENCE_S,
        )
        seen.load += 1


async def _set(channel: grpc.aio.Channel, person: str, status: int) -> None:
    call = channel.unary_unary(
        "/liftgate.v1.ConsentService/Set",
        request_serializer=SetRequest.SerializeToString,
        response_deserializer=SetResponse.FromString,
    )
    consent = Consent(purpose="personalization", status=status, source="bench")  # type: ignore[arg-type]
    await call(SetRequest(person_id=person, consent=consent), timeout=PATIENCE_S)


async def _round(setting: grpc.aio.Channel, channels: list[grpc.aio.Channel], person: str, seen: Seen) -> None:
    await _set(setting, person, CONSENT_STATUS_GRANTED)
    request = DecideRequest(person_id=person, placement_id="home", context=Context(channel="web"))
    answer_at: list[float] = []

    def answered() -> float:
        return answer_at[0] if answer_at else float("inf")

    shown = [asyncio.Event() for _ in channels]
    asking = [asyncio.create_task(_until_refused(*each, request, answered, seen)) for each in zip(channels, shown, strict=True)]
    # All of them have seen a yes at least once before the withdrawal goes out.
    await asyncio.wait_for(asyncio.gather(*(one.wait() for one in shown)), PATIENCE_S)
    sent = time.perf_counter()
    await _set(setting, person, CONSENT_STATUS_WITHDRAWN)
    answer_at.append(time.perf_counter())
    refused = await asyncio.wait_for(asyncio.gather(*asking), PATIENCE_S)
    seen.answered.append(answer_at[0] - sent)
    seen.refused.append(max(refused) - sent)


async def _until_refused(
    channel: grpc.aio.Channel, shown: asyncio.Event, request: DecideRequest, answered: Callable[[], float], seen: Seen
) -> float:
    """Ask until what is shown is not personal; return when. Ask a few times more: once refused is refused for good."""
    call = decide_stub(channel)
    refused, more = 0.0, 3
    while not refused or more:
        asked = time.perf_counter()
        answer: DecideResponse = await call(request, timeout=PATIENCE_S)
        if answer.degraded:
            # The store was too slow for this one: that is a no, and no sign of the withdrawal.
            continue
        personal = [slot.offer_id for slot in answer.slots] == ["personal"]
        if personal:
            shown.set()
        after = asked > answered()
        seen.yes += personal
        seen.asked_after += after
        seen.late_yes += personal and after
        if refused and after:
            more -= 1
        if not personal and not refused:
            refused = time.perf_counter()
    return refused


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.withdrawal", description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    with TemporaryDirectory(prefix="withdrawal-") as name, EmbeddedValkey() as valkey:
        flags = ("--bundle", str(BUNDLE), "--workers", str(args.workers))
        with Serving(valkey.url, Path(name) / "log", *flags) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            began = time.perf_counter()
            seen = runner.run(rounds(server.target, args.rounds, args.callers))
            took = time.perf_counter() - began
            server.terminate()
    for label, values in (("Set answered", seen.answered), ("refused everywhere", seen.refused)):
        p50, p99 = np.percentile(np.array(values) * 1000, [50, 99])
        print(f"{label:20} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   most {max(values) * 1000:7.1f} ms")
    print(f"{seen.late_yes} of {seen.asked_after} decisions asked for after the answer went by the old consent")
    print(f"{args.rounds} withdrawals, {args.workers} workers, {seen.load / took:,.0f} other decisions a second")


if __name__ == "__main__":
    main()
