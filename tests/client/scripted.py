"""A gRPC server that answers from a script, for the tests of the client. It knows nothing of Liftgate but the paths."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status.rpc_status import to_status

from liftgate.v1 import decision_pb2, event_service_pb2, offer_pb2, reason_pb2

OK = decision_pb2.DecideResponse(
    decision_id="ab" * 16,
    arm=reason_pb2.ARM_TREATMENT,
    branch=reason_pb2.BRANCH_EXPLOIT,
    reason=reason_pb2.REASON_OFFERED,
    bundle_digest="d" * 64,
    valid_until_ms=7,
    slots=[offer_pb2.Slot(offer_id="gift")],
)


@dataclass(frozen=True)
class Fail:
    """One scripted failure."""

    code: grpc.StatusCode
    retry_ms: int | None = None
    violations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Hang:
    """Never answer."""


Step = Message | Fail | Hang


@dataclass
class Script:
    """What to answer, call by call; the last step is repeated."""

    steps: list[Step]
    port: int = 0
    seen: list[bytes] = field(default_factory=list)
    """Bodies received."""
    remaining_s: list[float] = field(default_factory=list)
    """Deadlines received."""
    metadata: list[dict[str, Any]] = field(default_factory=list)

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def requests(self) -> list[decision_pb2.DecideRequest]:
        """Bodies received, as DecideRequests."""
        return [decision_pb2.DecideRequest.FromString(raw) for raw in self.seen]

    def events(self) -> list[event_service_pb2.RecordRequest]:
        """Bodies received, as RecordRequests."""
        return [event_service_pb2.RecordRequest.FromString(raw) for raw in self.seen]

    async def handle(self, raw: bytes, context: Any) -> bytes:
        """Answer by the script."""
        step = self.steps[min(len(self.seen), len(self.steps) - 1)]
        self.seen.append(raw)
        self.remaining_s.append(context.time_remaining())
        self.metadata.append(dict(context.invocation_metadata()))
        if isinstance(step, Hang):
            await asyncio.sleep(60)
        if isinstance(step, Fail):
            await context.abort_with_status(to_status(_status(step)))
        assert isinstance(step, Message)
        return step.SerializeToString()


def _status(step: Fail) -> status_pb2.Status:
    status = status_pb2.Status(code=step.code.value[0], message="scripted")
    details: list[Message] = []
    if step.retry_ms is not None:
        delay = Duration()
        delay.FromMilliseconds(step.retry_ms)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if step.violations:
        listed = error_details_pb2.BadRequest()
        for name, description in step.violations:
            listed.field_violations.add(field=name, description=description)
        details.append(listed)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


@asynccontextmanager
async def scripted(*steps: Step) -> AsyncIterator[Script]:
    """Give a server that answers with these steps."""
    script = Script(list(steps))
    handler = grpc.unary_unary_rpc_method_handler(script.handle)
    services: dict[str, dict[str, Callable[..., Any]]] = {
        "liftgate.v1.DecisionService": {"Decide": handler, "DecideBatch": handler},
        "liftgate.v1.EventService": {"Record": handler},
    }
    server = grpc.aio.server()
    for service, methods in services.items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    script.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield script
    finally:
        await server.stop(0)
