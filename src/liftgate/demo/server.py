"""The service itself, as anyone would start it: `liftgate serve` in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from liftgate.adapters.embedded_valkey import ending_with_us
from liftgate.demo.shop import BUNDLE, MODELS

_START_S = 60.0
_STOP_S = 60.0
_TRIES = 3
_TAKEN = "--port (LIFTGATE_PORT)"
"""What a server says that cannot have its port."""


class ServerFailed(Exception):
    """The server did not start or did not stop as it should. The message shows the end of what it said."""


@dataclass(slots=True)
class Server:
    """A running `liftgate serve`."""

    process: subprocess.Popen[bytes]
    target: str
    """host:port"""
    said: Path
    """What it wrote to stdout and stderr."""
    command: Sequence[str]
    started_s: float
    """Seconds from start to SERVING."""

    def stop(self) -> float:
        """Drain it with SIGTERM and return the seconds that took. Raises ServerFailed unless it ends with 0."""
        began = monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"the server did not drain within {_STOP_S:.0f} s:\n{tail(self.said)}") from None
        if code:
            raise ServerFailed(f"the server ended with exit code {code}:\n{tail(self.said)}")
        return monotonic() - began

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def start(redis_url: str, log: Path, said: Path, port: int = 0, metrics_port: int = 0, quiet: bool = True) -> Server:
    """Start the service on the fast transport and return once health says SERVING. `port` 0: any free one.

    `quiet` drains without waiting for load balancers, and logs warnings only. Raises ServerFailed.
    """
    for _ in range(_TRIES):
        try:
            return _start(redis_url, log, said, port or free_port(), metrics_port, quiet)
        except ServerFailed as err:
            # What was free may be somebody's by the time the server listens.
            if port or _TAKEN not in str(err):
                raise
            last = err
    raise last


def _start(redis_url: str, log: Path, said: Path, port: int, metrics_port: int, quiet: bool) -> Server:
    settings = {
        "bundle": BUNDLE,
        "models": MODELS,
        "redis": redis_url,
        "log": log,
        "port": port,
        "transport": "native",
        "workers": 1,
        "metrics-port": metrics_port,
        # Callers, service and store share this machine's cores, so the store may have to wait for its turn.
        "fetch-budget-ms": 2_000,
        "reserve-budget-ms": 2_000,
        # Made-up people: by one fixed key, so that draws are the same in every run.
        "pseudonyms": "keyed",
        "pseudonym-key": "a key for made-up people",
        **({"lame-duck-s": 0, "log-level": "warning"} if quiet else {}),
    }
    arguments = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "liftgate.app.cli.main", "serve", *arguments]
    # Settings of the surrounding shell are for other servers.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIFTGATE_")}
    began = monotonic()
    with open(said, "wb") as out:
        process = subprocess.Popen(  # noqa: S603  # our own CLI
            # Killed, this process has it drain.
            [*ending_with_us(signal.SIGTERM), *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=environment,
        )
    server = Server(process, f"127.0.0.1:{port}", said, command, 0.0)
    try:
        _wait(server, began + _START_S)
    except BaseException:
        server.kill()
        raise
    server.started_s = monotonic() - began
    return server


def _wait(server: Server, deadline: float) -> None:
    with grpc.insecure_channel(server.target, options=[("grpc.max_reconnect_backoff_ms", 100)]) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while True:
            if server.process.poll() is not None:
                raise ServerFailed(f"the server ended with exit code {server.process.returncode}:\n{tail(server.said)}")
            try:
                answer = health.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            except grpc.RpcError:
                pass
            if monotonic() > deadline:
                raise ServerFailed(f"the server was not ready within {_START_S:.0f} s:\n{tail(server.said)}")
            sleep(0.02)


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tail(path: Path) -> str:
    """Return the last lines of a file, empty when there is none."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-12:]) if path.exists() else ""
