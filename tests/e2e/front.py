"""A whole server in this process on a loopback port: real batching, walk, log and transport, with a gate before the store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from liftgate.adapters.grpc_answers import GrpcAnswers
from liftgate.adapters.grpc_consent import ConsentService
from liftgate.adapters.grpc_events import EventService
from liftgate.adapters.grpc_service import DecisionService, Handler
from liftgate.adapters.operators import Operators
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.segment_sink import SegmentLog
from liftgate.adapters.system import SystemClock, TimeOrderedIds
from liftgate.adapters.transports import GrpcServer, Tls, Transport
from liftgate.bundle.compiled import Bundle
from liftgate.domain import request as asked
from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.domain.errors import LogUnavailable
from liftgate.domain.input import InputSchema
from liftgate.pipeline.batching import Batcher, Limits
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Fetched, PersonKey
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.walk import Ports
from liftgate.record.codec import decode_decision
from liftgate.v1.decision_pb2 import DecideRequest
from liftgate.v1.record_pb2 import DecisionRecord
from tests.adapters.shop import live
from tests.fakes.audit import FakeAudit
from tests.fakes.consent import FakeConsentStore
from tests.fakes.events import FakeEventsSeen
from tests.fakes.stores import FakeProfileStore, FakeReservations

DECIDE = "/liftgate.v1.DecisionService/Decide"
DECIDE_BATCH = "/liftgate.v1.DecisionService/DecideBatch"
EXPLAIN = "/liftgate.v1.DecisionService/Explain"
RECORD = "/liftgate.v1.EventService/Record"
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
PATIENCE_S = 20.0
"""Deadline of calls that are meant to be answered; never waited for unless something is broken."""


class Gate:
    """The profile store behind a gate: shut, every batch waits in its fetch until it is opened."""

    def __init__(self) -> None:
        self._inner = FakeProfileStore()
        self._open = asyncio.Event()
        self._open.set()
        self._waiting: asyncio.Condition = asyncio.Condition()
        self.consent = self._inner.consent
        """Consent documents by person."""
        self.people: list[list[str]] = []
        """Who was asked about, batch by batch."""

    def shut(self) -> None:
        """Hold every fetch from now on."""
        self._open.clear()

    def open(self) -> None:
        """Let them go."""
        self._open.set()

    async def held(self, batches: int = 1) -> None:
        """Return when so many batches have come to the gate since the start."""
        async with self._waiting:
            await asyncio.wait_for(self._waiting.wait_for(lambda: len(self.people) >= batches), PATIENCE_S)

    async def fetch(
        self, people: Sequence[PersonKey], schema: InputSchema, budget_s: float | None = None, totals: Sequence[bytes] = ()
    ) -> Fetched:
        """See `pipeline.ports.ProfileStore`."""
        async with self._waiting:
            self.people.append([person.person_id for person in people])
            self._waiting.notify_all()
        await self._open.wait()
        return await self._inner.fetch(people, schema)


class Disk:
    """The real log, or a full disk."""

    def __init__(self, inner: SegmentLog) -> None:
        self._inner = inner
        self.full = False
        self.raw: list[bytes] = []

    async def append(self, records: Sequence[bytes]) -> None:
        """See `pipeline.ports.Log`."""
        if self.full:
            raise LogUnavailable("switched off")
        await self._inner.append(records)
        self.raw += records

    @property
    def decisions(self) -> list[DecisionRecord]:
        """What is in the log."""
        return [decode_decision(record) for record in self.raw]


@dataclass
class Watcher:
    """Counts calls and lets the walk report in vain."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By method and status name."""
    in_flight: int = 0
    crashes: list[tuple[str, str]] = field(default_factory=list)
    _ended: asyncio.Condition = field(default_factory=asyncio.Condition)

    def began(self) -> None:
        """See CallObserver."""
        self.in_flight += 1

    def answered(self, method: str, code: int, seconds: float) -> None:
        """See CallObserver."""
        self.in_flight -= 1
        name = next(status.name for status in grpc.StatusCode if status.value[0] == code)
        self.calls[method, name] += 1

    def turned_away(self, method: str, code: int, calls: int) -> None:
        """See CallObserver."""
        name = next(status.name for status in grpc.StatusCode if status.value[0] == code)
        self.calls[method, name] += calls

    async def until(self, method: str, *codes: str, count: int = 1) -> None:
        """Return when so many calls of a method have ended with one of the codes."""
        async with asyncio.timeout(PATIENCE_S):
            while sum(self.calls[method, code] for code in codes) < count:
                await asyncio.sleep(0.002)

    def decided(self, batch: Batch, bundle: Bundle, decisions: Sequence[Decision]) -> None:
        """See ports.Observer."""

    def fell_back(self, stage: Stage, cause: str, requests: Sequence[asked.DecideRequest] = ()) -> None:
        """See ports.Observer."""

    def joined(self, recovered: bool) -> None:
        """See ports.Observer."""


@dataclass
class Front:
    """A server and a channel to it."""

    server: GrpcServer
    port: int
    channel: grpc.aio.Channel
    gate: Gate
    decisions: Disk
    events: Disk
    watcher: Watcher
    live: Callable[[], Live]
    consents: FakeConsentStore
    audit: FakeAudit

    async def call(self, path: str, body: Message | bytes, timeout: float | None = PATIENCE_S, **options: Any) -> bytes:
        """Call a method with raw bytes. Raises grpc.aio.AioRpcError."""
        raw = body if isinstance(body, bytes) else body.SerializeToString()
        return bytes(await self.channel.unary_unary(path)(raw, timeout=timeout, **options))

    async def failure(self, path: str, body: Message | bytes, timeout: float | None = PATIENCE_S, **options: Any) -> Failure:
        """Call a method that is expected to fail, and return how."""
        try:
            await self.call(path, body, timeout, **options)
        except grpc.aio.AioRpcError as error:
            return Failure.of(error)
        raise AssertionError(f"{path} succeeded")


@dataclass
class Failure:
    """A status as the caller sees it."""

    code: str
    message: str
    details: list[Message]

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> Failure:
        """Read an error and the google.rpc.Status in its trailers."""
        details: list[Message] = []
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                status = status_pb2.Status.FromString(value)
                assert (status.code, status.message) == (error.code().value[0], error.details())
                details = [_unpack(packed) for packed in status.details]
        return cls(error.code().name, error.details() or "", details)

    @property
    def paths(self) -> list[str]:
        """Field paths of the BadRequest."""
        return [
            violation.field for one in self.details if isinstance(one, error_details_pb2.BadRequest) for violation in one.field_violations
        ]

    @property
    def retry_s(self) -> float | None:
        """What RetryInfo says; None: there is none."""
        for one in self.details:
            if isinstance(one, error_details_pb2.RetryInfo):
                return float(one.retry_delay.seconds + one.retry_delay.nanos / 1e9)
        return None


def _unpack(packed: Any) -> Message:
    for kind in (error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
        if packed.Is(kind.DESCRIPTOR):
            detail: Message = kind.FromString(packed.value)
            return detail
    raise AssertionError(packed.type_url)


def request(person: str = "person-1", **fields: Any) -> DecideRequest:
    """Return an ordinary request."""
    ordinary: dict[str, Any] = {"person_id": person, "placement_id": "home.hero", "slot_count": 1}
    return DecideRequest(**(ordinary | fields))


@asynccontextmanager
async def front(
    transport: Transport,
    directory: Path,
    *,
    limits: Limits | None = None,
    default_deadline_ms: float = 60_000.0,
    in_force: Callable[[], Live] | None = None,
    tls: Tls | None = None,
    channel_credentials: grpc.ChannelCredentials | None = None,
    options: Iterable[tuple[str, Any]] = (),
    more: Callable[[Watcher], Mapping[str, Mapping[str, Handler]]] | None = None,
    explain: Handler | None = None,
    **server: Any,
) -> AsyncIterator[Front]:
    """Give a serving server; it and everything behind it end with the block. `more`: other services' handlers."""
    shop = live()
    current = in_force or (lambda: shop)
    gate, watcher = Gate(), Watcher()
    logs = [SegmentLog(directory, stream, "write") for stream in ("decision", "event")]
    for log in logs:
        log.open()
    decisions, events = map(Disk, logs)
    pseudonyms, clock, ids = Pseudonyms("test", b"k" * 32), SystemClock(), TimeOrderedIds()
    ports = Ports(gate, FakeReservations(), decisions, GrpcAnswers(), watcher, ids, clock, pseudonyms, pseudonyms.key_id)
    batcher = Batcher(ports, limits)

    def report(method: str, what: str) -> None:
        watcher.crashes.append((method, what))

    deciding = DecisionService(current, batcher, ids, watcher, default_deadline_ms=default_deadline_ms, report=report, explain=explain)
    recording = EventService(current, events, FakeEventsSeen(), pseudonyms, clock, watcher, report=report)
    consents, audit = FakeConsentStore(gate.consent), FakeAudit()
    consenting = ConsentService(current, consents, audit, pseudonyms, clock, Operators(None), watcher, report=report)
    services = {
        "liftgate.v1.DecisionService": deciding.handlers(),
        "liftgate.v1.EventService": recording.handlers(),
        "liftgate.v1.ConsentService": consenting.handlers(),
        **(more(watcher) if more else {}),
    }
    direct = {"liftgate.v1.DecisionService": deciding.direct()}
    serving = GrpcServer(services, transport=transport, tls=tls, direct=direct, **server)
    port = await serving.start()
    serving.health.set_serving(True)
    # A subchannel of its own, so that no test reuses another's connection.
    private = (("grpc.use_local_subchannel_pool", 1), *options)
    if channel_credentials is None:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=private)
    else:
        channel = grpc.aio.secure_channel(f"localhost:{port}", channel_credentials, options=private)
    try:
        yield Front(serving, port, channel, gate, decisions, events, watcher, current, consents, audit)
    finally:
        gate.open()
        await channel.close()
        await serving.stop(1.0)
        await batcher.drain()
        for log in logs:
            await log.close()
