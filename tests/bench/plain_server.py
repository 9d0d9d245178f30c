"""N0: what one would write without batching, on `grpc.aio` with uvloop: `PlainDecisions` behind the same contract."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import grpc
import redis.asyncio
import uvloop

from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.v1 import decision_pb2, decision_service_pb2_grpc, offer_pb2

from .plain_decisions import PlainDecisions
from .shop import compiled


class Plain(decision_service_pb2_grpc.DecisionServiceServicer):
    """Translates."""

    def __init__(self, decisions: PlainDecisions) -> None:
        self._decisions = decisions

    async def Decide(self, request: decision_pb2.DecideRequest, context: Any) -> decision_pb2.DecideResponse:
        """Answer one request."""
        asked = {"channel": request.context.channel, "device": request.context.device}
        answer = await self._decisions.decide(request.person_id, request.request_id, request.placement_id, asked)
        return decision_pb2.DecideResponse(
            decision_id=answer.decision_id,
            arm=int(answer.arm),  # type: ignore[arg-type]
            branch=int(answer.branch),  # type: ignore[arg-type]
            slots=[offer_pb2.Slot(**slot) for slot in answer.slots],
            reason=int(answer.reason),  # type: ignore[arg-type]
            bundle_digest=answer.bundle_digest,
            valid_until_ms=answer.valid_until_ms,
        )


async def serve(args: argparse.Namespace) -> None:
    """Serve until killed."""
    store = redis.asyncio.Redis(port=args.redis_port, decode_responses=True)
    # Liftgate's draws are a function of what stands for a person in its log. With its key, these are the same.
    key = args.pseudonym_key
    drawn_by = (lambda person: Pseudonyms("", key.encode())(person).hex()) if key else str
    servicer = Plain(PlainDecisions(compiled(args.shop), store, args.log, drawn_by))
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    decision_service_pb2_grpc.add_DecisionServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"127.0.0.1:{args.port}")
    await server.start()
    print("serving", flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Run as `python -m tests.bench.plain_server --shop DIR --redis-port R --log FILE --port P`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--shop", type=Path, required=True)
    parser.add_argument("--redis-port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--pseudonym-key", default="", help="draw as a Liftgate with this key and `--pseudonyms keyed` does")
    args = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(args))


if __name__ == "__main__":
    main()
