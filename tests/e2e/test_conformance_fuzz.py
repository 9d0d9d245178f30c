"""Both transports: hostile bytes get documented status codes only, and the server serves on."""

from __future__ import annotations

import asyncio
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import grpc
import grpc.aio
import pytest

from liftgate.adapters.transports import Transport
from liftgate.domain.bucketing import Salt
from liftgate.pipeline.batching import Limits
from liftgate.v1.consent_service_pb2 import CONSENT_STATUS_GRANTED, LAWFUL_BASIS_CONSENT, Consent, GetRequest, SetRequest
from liftgate.v1.decision_pb2 import AttributeValue, CandidateList, Context
from liftgate.v1.decision_service_pb2 import DecideBatchRequest
from liftgate.v1.event_service_pb2 import Event, EventKind, RecordRequest
from tests.e2e.front import CHECK, DECIDE, DECIDE_BATCH, RECORD, Front, front, request

BODIES = {"native": 12_000, "grpcio": 4_000}
DOCUMENTED = {"OK", "INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND"}
GOOD = request(
    request_id="r-1",
    context=Context(channel="web", attributes={"basket": AttributeValue(double_value=1.0), "city": AttributeValue(string_value="Berlin")}),
    candidates=CandidateList(offer_ids=["gift"]),
    explain=True,
)
CONSENT = SetRequest(
    person_id="p-1",
    consent=Consent(
        purpose="personalization",
        status=CONSENT_STATUS_GRANTED,
        given_at_ms=1,
        expires_at_ms=2**41,
        basis=LAWFUL_BASIS_CONSENT,
        jurisdiction="EU",
        source="form",
    ),
    replace_unreadable=True,
)
SEEDS = (
    (DECIDE, GOOD.SerializeToString()),
    (DECIDE_BATCH, DecideBatchRequest(requests=[GOOD, request("p-2")]).SerializeToString()),
    (RECORD, RecordRequest(events=[Event(event_id="e", kind=EventKind.EVENT_KIND_PURCHASE, person_id="p", value=1.0)]).SerializeToString()),
    ("/liftgate.v1.ConsentService/Set", CONSENT.SerializeToString()),
    ("/liftgate.v1.ConsentService/Get", GetRequest(person_id="p-1").SerializeToString()),
    (CHECK, b"\x0a\x1bliftgate.v1.DecisionService"),
)


def _bytes(salt: Salt, unit: str, length: int) -> bytes:
    return b"".join(blake2b(f"{salt.hash64(unit)}/{i}".encode()).digest() for i in range(length // 64 + 1))[:length]


def _body(salt: Salt, i: int) -> tuple[str, bytes]:
    """Return a path and a body: random, or a good one with bytes changed, cut, doubled or spliced with another's."""
    path, seed = SEEDS[i % len(SEEDS)]
    raw = bytearray(seed)
    kind = salt.bucket(f"kind {i}", 5)
    at = salt.bucket(f"at {i}", len(raw))
    if kind == 0:
        return path, _bytes(salt, f"body {i}", salt.bucket(f"length {i}", 300))
    if kind == 1:
        for n in range(1 + salt.bucket(f"changes {i}", 4)):
            raw[salt.bucket(f"change {i} {n}", len(raw))] = salt.bucket(f"byte {i} {n}", 256)
    elif kind == 2:
        del raw[at:]
    elif kind == 3:
        raw[at:at] = raw[: salt.bucket(f"length {i}", len(raw))]
    else:
        other = SEEDS[(i + 1) % len(SEEDS)][1]
        raw[at:] = other[salt.bucket(f"from {i}", len(other)) :]
    return path, bytes(raw)


async def _code(served: Front, path: str, body: bytes) -> str:
    try:
        await served.call(path, body)
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return "OK"


@pytest.mark.slow
async def test_hostile_bodies(transport: Transport, tmp_path: Path) -> None:
    """Thousands of random and mutated bodies: documented codes only, no crash of ours, and a good call still works."""
    salt = Salt("fuzz", transport)
    async with front(transport, tmp_path, limits=Limits(max_queue=10_000)) as served:
        ends: Counter[str] = Counter()
        for start in range(0, BODIES[transport], 200):
            bodies = [_body(salt, i) for i in range(start, start + 200)]
            ends.update(await asyncio.gather(*(_code(served, path, body) for path, body in bodies)))
        assert set(ends) <= DOCUMENTED
        # The fuzz bites on both sides of the line.
        assert min(ends["OK"], ends["INVALID_ARGUMENT"]) > BODIES[transport] // 50
        assert served.watcher.crashes == []
        await served.call(DECIDE, request())


async def test_connections_of_random_bytes(transport: Transport, tmp_path: Path) -> None:
    """Connections that speak no HTTP/2, or stop in the middle of it, harm nobody."""
    salt = Salt("noise", transport)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    async with front(transport, tmp_path) as served:

        async def noise(i: int) -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", served.port)
            start = preface[: salt.bucket(f"cut {i}", len(preface) + 1)] if i % 2 else preface if i % 3 else b""
            writer.write(start + _bytes(salt, f"noise {i}", salt.bucket(f"length {i}", 500)))
            try:
                await writer.drain()
                writer.close()
                await writer.wait_closed()
            except OSError:
                pass  # the server hung up first, which is its right

        await asyncio.gather(*(noise(i) for i in range(100)))
        await served.call(DECIDE, request())
        assert served.watcher.crashes == []
