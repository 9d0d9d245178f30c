"""`DecideBatch` as a process of its own: some calls in flight, each for so many people; every answer of every call is looked at."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from typing import Any

import grpc.aio

from liftgate.v1.decision_service_pb2 import DecideBatchResponse

from . import traffic
from .cpu import busy_s, cpu_s

_METHOD = "/liftgate.v1.DecisionService/DecideBatch"


def request(bodies: list[bytes]) -> bytes:
    """Return the encoded call of encoded requests of less than 16 KB each."""
    parts = []
    for body in bodies:
        size = len(body)
        # Field 1, length-delimited; the length as a varint of one or two bytes.
        parts.append(b"\n" + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + body)
    return b"".join(parts)


class Batches:
    """Counts what calls answered."""

    def __init__(self, port: int, people: int) -> None:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)])
        self._call = channel.unary_unary(_METHOD)
        self._bodies, self._people = traffic.bodies(), people
        self.took_s: list[float] = []
        self.answers = self.offered = self.degraded = 0
        self.failed: dict[str, int] = {}

    async def run(self, seconds: float, in_flight: int) -> float:
        """Keep calls going for that long; return how long it took, s. Counts begin anew."""
        self.took_s, self.answers, self.offered, self.degraded = [], 0, 0, 0
        start = time.perf_counter()
        await asyncio.gather(*[self._calls(start + seconds) for _ in range(in_flight)])
        return time.perf_counter() - start

    async def _calls(self, until: float) -> None:
        while (began := time.perf_counter()) < until:
            asked = list(itertools.islice(self._bodies, self._people))
            try:
                raw = await self._call(request(asked), timeout=30)
            except grpc.aio.AioRpcError as error:
                self._fail(f"{error.code().name}: {error.details()}")
                continue
            answers = DecideBatchResponse.FromString(raw).responses
            self.took_s.append(time.perf_counter() - began)
            if len(answers) != self._people or not all(one.decision_id and one.reason and one.arm for one in answers):
                self._fail("a wrong answer")
                continue
            self.answers += self._people
            self.offered += sum(len(one.slots) > 0 for one in answers)
            self.degraded += sum(one.degraded for one in answers)

    def _fail(self, cause: str) -> None:
        self.failed[cause] = self.failed.get(cause, 0) + 1


async def _measure(args: argparse.Namespace, watched: dict[str, str]) -> dict[str, Any]:
    load = Batches(args.port, args.people)
    await load.run(args.warm_up, args.in_flight)
    first = load.answers
    before = {label: cpu_s(int(pid)) for label, pid in watched.items()}
    busy, own = busy_s(), time.process_time()
    seconds = await load.run(args.seconds, args.in_flight)
    own, busy = time.process_time() - own, busy_s() - busy
    spent = {label: cpu_s(int(pid)) - before[label] for label, pid in watched.items()}
    count, took = max(1, load.answers), sorted(load.took_s) or [0.0]
    return {
        "seconds": seconds,
        "ok": load.answers,
        "answered": first + load.answers,
        "failed": load.failed,
        "samples": load.answers,
        "offered_share": load.offered / count,
        "degraded_share": load.degraded / count,
        "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[len(took) * 99 // 100] * 1e3,
        "per_s": load.answers / seconds,
        "cpu_us": {**{label: one / count * 1e6 for label, one in spent.items()}, "generator": own / count * 1e6},
        "others_cores": max(0.0, busy - own - sum(spent.values())) / seconds,
    }


def batches(args: argparse.Namespace) -> dict[str, Any]:
    """Report decisions, not calls; `p50_ms` and `p99_ms` are those of a call."""
    return asyncio.run(_measure(args, dict(pair.split("=") for pair in args.watch)))
