"""A real `liftgate serve` in a process of its own, and a client that remembers what was acknowledged."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

from liftgate.record.parquet import read_log
from liftgate.v1.decision_pb2 import DecideRequest, DecideResponse
from tests.ports import free_port

BUNDLE = Path(__file__).parents[1] / "cases" / "bundles" / "golden"
START_S = 120.0
"""Longest wait for a start or an end; it takes a second or two on a machine that has time."""


class Serving:
    """One server process. It is ended, with its children, when the block ends."""

    def __init__(self, redis_url: str, log: Path, *flags: str, port: int = 0) -> None:
        self.port = port or free_port()
        self.log = log
        self._flags = flags
        self._redis_url = redis_url
        self.process: subprocess.Popen[bytes] | None = None
        self._scratch = ""

    def start(self) -> Serving:
        """Start it and return when health says SERVING."""
        command = [sys.executable, "-m", "liftgate.app.cli.main", "serve"]
        if "--bundle" not in self._flags:
            command += ["--bundle", str(BUNDLE)]
        command += [
            "--redis",
            self._redis_url,
            "--log",
            str(self.log),
            "--port",
            str(self.port),
            "--metrics-port",
            "0",
            "--lame-duck-s",
            "0",
        ]
        self.log.mkdir(parents=True, exist_ok=True)
        self.output = self.log.parent / f"{self.log.name}.output"
        # Short, for a socket's path: what a killed server leaves behind goes with it.
        self._scratch = tempfile.mkdtemp(prefix="lg-")
        environment = os.environ | {"TMPDIR": self._scratch}
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, *self._flags], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=environment
            )
        deadline = time.monotonic() + START_S
        while not self._serving():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not come up:\n{self.output.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)
        return self

    def _serving(self) -> bool:
        with grpc.insecure_channel(self.target) as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            try:
                return bool(check(health_pb2.HealthCheckRequest(), timeout=1).status == health_pb2.HealthCheckResponse.SERVING)
            except grpc.RpcError:
                return False

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def kill(self) -> None:
        """kill -9 it and its children, as a crash would."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def terminate(self) -> int:
        """SIGTERM, wait, and return the exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(timeout=START_S)
        shutil.rmtree(self._scratch, ignore_errors=True)
        return code

    def __enter__(self) -> Serving:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


@dataclass
class Load:
    """What a load saw."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    """request_id to decision_id."""
    errors: list[grpc.StatusCode] = field(default_factory=list)
    degraded: int = 0
    slowest_s: float = 0.0


def decide_stub(channel: grpc.aio.Channel) -> grpc.aio.UnaryUnaryMultiCallable[DecideRequest, DecideResponse]:
    """Return the Decide call."""
    return channel.unary_unary(
        "/liftgate.v1.DecisionService/Decide",
        request_serializer=DecideRequest.SerializeToString,
        response_deserializer=DecideResponse.FromString,
    )


async def load(
    targets: Iterable[str], tag: str, stop: asyncio.Event, at_once: int = 32, timeout_s: float = 5.0, seen: Load | None = None
) -> Load:
    """Call Decide from `at_once` loops over the targets until `stop` is set; a loop ends early when its server is gone.

    `seen` fills up meanwhile.
    """
    seen = Load() if seen is None else seen
    channels = [grpc.aio.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) for target in targets]

    async def loop(number: int) -> None:
        call = decide_stub(channels[number % len(channels)])
        count = 0
        while not stop.is_set():
            request_id = f"{tag}-{number}-{count}"
            count += 1
            started = time.perf_counter()
            try:
                answer = await call(
                    DecideRequest(request_id=request_id, person_id=f"person-{(number * 7919 + count) % 5000}", placement_id="two"),
                    timeout=timeout_s,
                )
            except grpc.aio.AioRpcError as error:
                seen.errors.append(error.code())
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    return
                continue
            seen.slowest_s = max(seen.slowest_s, time.perf_counter() - started)
            seen.acknowledged[request_id] = answer.decision_id
            seen.degraded += answer.degraded

    try:
        await asyncio.gather(*(loop(number) for number in range(at_once)))
    finally:
        for channel in channels:
            await channel.close()
    return seen


def logged(directory: Path) -> dict[str, str]:
    """Return request_id to decision_id of every decision in a log directory."""
    return {row["request_id"]: row["decision_id"] for row in read_log(directory, "decision")}
