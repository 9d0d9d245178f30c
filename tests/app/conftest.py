"""Real servers, started as anyone would start them, and ended when the test ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from liftgate.client import Client, Decision
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "tests/cases/bundles/small"
START_S = 120.0
LINE = dict[str, Any]


class Served:
    """One `liftgate serve` process."""

    def __init__(self, directory: Path, scratch: str, flags: Mapping[str, str], variables: Mapping[str, str]) -> None:
        self.directory = directory
        self.port, self.metrics_port = free_port(), free_port()
        self.stderr = directory / f"stderr-{self.port}"
        given = {
            "bundle": str(SMALL),
            "redis": "embedded",
            "log": str(directory / "log"),
            "port": str(self.port),
            "metrics-port": str(self.metrics_port),
            "lame-duck-s": "0",
            # A loaded machine must not look like an outage.
            "fetch-budget-ms": "2000",
            "reserve-budget-ms": "2000",
        } | dict(flags)
        self.port, self.metrics_port = int(given["port"]), int(given["metrics-port"])
        command = [sys.executable, "-m", "liftgate.app.cli.main", "serve"]
        for name, value in given.items():
            command += [f"--{name}"] if value == "" else [f"--{name}", value]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LIFTGATE_")} | {"TMPDIR": scratch}
        with self.stderr.open("wb") as out:
            self.process = subprocess.Popen(command, stderr=out, stdout=out, env=environment | dict(variables), cwd=directory)

    @property
    def text(self) -> str:
        """Everything that it has said."""
        return self.stderr.read_text()

    def lines(self, event: str = "") -> list[LINE]:
        """Return its log lines, of one event if one is named. What is no JSON is left out."""
        found = []
        for raw in self.text.splitlines():
            if raw.startswith("{") and raw.endswith("}"):
                line = json.loads(raw)
                if event in ("", line["event"]):
                    found.append(line)
        return found

    def wait_for(self, event: str, count: int = 1) -> LINE:
        """Return the count-th line of an event, waiting for it."""
        until = time.monotonic() + START_S
        while len(found := self.lines(event)) < count:
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"no {event!r} (exit code {self.process.returncode}):\n{self.text}")
            time.sleep(0.02)
        return found[count - 1]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(START_S)

    def decide(self, person: str = "ada", request_id: str | None = None) -> Decision:
        """Ask for one decision over a connection of its own."""
        with Client(f"127.0.0.1:{self.port}", timeout_ms=20_000) as client:
            return client.decide(person, "home.hero", channel="web", request_id=request_id)

    def metric(self, sample: str) -> float:
        """Return one sample of /metrics by its full text, 0 where it is absent."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=20) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(sample + " "):
                    return float(line.rsplit(" ", 1)[1])
        return 0.0

    def metric_becomes(self, sample: str, value: float) -> None:
        """Wait until a sample has a value; counters are copied every tenth of a second."""
        until = time.monotonic() + START_S
        while (found := self.metric(sample)) != value:
            assert time.monotonic() < until, f"{sample} is {found}, not {value}:\n{self.text}"
            time.sleep(0.05)

    def children(self) -> list[int]:
        """Return the process ids of its workers."""
        return self.below({self.process.pid}, b"liftgate.app.worker")

    def below(self, parents: set[int], module: bytes) -> list[int]:
        """Return the process ids of those that some processes started to run a module."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                command = stat.with_name("cmdline").read_bytes()
            except OSError:
                continue
            if parent in parents and module in command:
                found.append(int(stat.parent.name))
        return found


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function that starts a server with flags (`_` for `-`; "" for a switch) and waits until it serves."""
    started: list[Served] = []
    # Short, for a socket's path; a killed server leaves its embedded store's directory here.
    scratch = tempfile.mkdtemp(prefix="lg-")

    def start(wait: str | None = "serving", variables: Mapping[str, str] | None = None, **flags: object) -> Served:
        served = Served(tmp_path, scratch, {name.replace("_", "-"): str(value) for name, value in flags.items()}, variables or {})
        started.append(served)
        if wait is not None:
            served.wait_for(wait)
        return served

    yield start
    for served in started:
        if served.process.poll() is None:
            workers = served.children()
            served.process.kill()
            served.process.wait()
            for pid in workers:
                until = time.monotonic() + START_S
                while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
                    time.sleep(0.02)
    shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a copy of the small bundle, to be changed."""
    return Path(shutil.copytree(SMALL, tmp_path / "bundle"))


@pytest.fixture
def crowded_core() -> Iterator[None]:
    """This thread, and what it starts, may use one processor alone, and another process never leaves that."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    busy = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        busy.kill()
        busy.wait()
