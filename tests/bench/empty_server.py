"""E: a Decide that parses its request and builds and serialises an answer of the usual size, and does nothing else."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import grpc
import pygrpc_native.aio
import uvloop

from liftgate.v1 import decision_pb2, decision_service_pb2_grpc, offer_pb2, reason_pb2

_PAYLOAD = '{"title":"Offer number 17","image":"offer-17.png"}'
_DIGEST = "0123456789abcdef" * 4


class Empty(decision_service_pb2_grpc.DecisionServiceServicer):
    """Answers without looking."""

    async def Decide(self, request: decision_pb2.DecideRequest, context: Any) -> decision_pb2.DecideResponse:
        """Return an answer as large as a real one."""
        return decision_pb2.DecideResponse(
            decision_id="0198f3a2" + request.request_id[-24:],
            arm=reason_pb2.ARM_TREATMENT,
            branch=reason_pb2.BRANCH_EXPLOIT,
            slots=[
                offer_pb2.Slot(
                    offer_id="offer-017",
                    payload_json=_PAYLOAD,
                    propensity=0.0374,
                    value=4.25,
                    selection_probability=0.905,
                )
            ],
            reason=reason_pb2.REASON_OFFERED,
            bundle_digest=_DIGEST,
            valid_until_ms=1_767_225_600_000,
        )


async def serve(transport: str, port: int) -> None:
    """Serve until killed."""
    # SO_REUSEPORT off: an old server on the port must be an error, not half of the traffic.
    server = pygrpc_native.aio.server() if transport == "native" else grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    decision_service_pb2_grpc.add_DecisionServiceServicer_to_server(Empty(), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("serving", flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Run as `python -m tests.bench.empty_server --port P --transport grpcio|native --loop asyncio|uvloop`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--transport", choices=("grpcio", "native"), default="grpcio")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    args = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if args.loop == "uvloop" else None) as runner:
        runner.run(serve(args.transport, args.port))


if __name__ == "__main__":
    main()
