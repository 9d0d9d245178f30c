"""A server that stands still, for 200 ms or a second: what shows it, and what hides it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from liftgate.load import open_loop, result
from liftgate.load.closed_loop import ClosedLoop
from liftgate.load.connections import Connections
from liftgate.load.run import open_run
from liftgate.load.schedule import Step, plan
from liftgate.load.tally import Tally
from tests.load.conftest import Bodies, PeerOf
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
RATE, RUN_S, BEFORE_S, FROZEN_S = 1000, 3.5, 1.0, 1.0
SLOW_NS = 400_000_000
"""Shorter pauses are those of a busy machine."""
HUNDREDS = 200
"""Of 1,000 requests a second 600 are due in the first 600 ms of a second: each of them takes more than 400 ms."""
IN_FLIGHT = 16
SHORT_S, SHORT_RATE, SHORT_RUN_S = 0.2, 2000, 1.5
MARGIN_NS = 5_000_000
"""A stopped process comes to rest a moment after it was told to."""


@pytest.fixture
def server() -> Iterator[tuple[int, int]]:
    """Run an empty server in a process of its own; yield port and pid."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.empty_server", "--port", str(port), "--transport", "native", "--loop", "uvloop"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "serving"
        yield port, process.pid
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.kill()
        process.communicate()


def freeze_soon(pid: int) -> threading.Thread:
    """Stop a process for a second, a second from now."""

    def freeze() -> None:
        time.sleep(BEFORE_S)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(FROZEN_S)
        os.kill(pid, signal.SIGCONT)

    thread = threading.Thread(target=freeze)
    thread.start()
    return thread


def freeze_shortly(pid: int, stood_ns: list[int]) -> threading.Thread:
    """Stop a process for 200 ms, half a second from now, and note from when until when by `perf_counter_ns`."""

    def freeze() -> None:
        time.sleep(0.5)
        os.kill(pid, signal.SIGSTOP)
        stood_ns.append(time.perf_counter_ns())
        time.sleep(SHORT_S)
        stood_ns.append(time.perf_counter_ns())
        os.kill(pid, signal.SIGCONT)

    thread = threading.Thread(target=freeze)
    thread.start()
    return thread


def slow(latency_ns: result.Times) -> int:
    """Return how many latencies are above 400 ms."""
    return int((latency_ns > SLOW_NS).sum())


def test_a_frozen_server_shows_as_hundreds_of_slow_requests(server: tuple[int, int], peer: PeerOf, bodies: Bodies) -> None:
    """Requests that were due while it stood still are slow by as long as they waited, and none is lost."""
    port, pid = server
    freezing = freeze_soon(pid)
    outcome = open_run(peer(port), bodies(), plan([Step(RATE, RUN_S)], seed=2), connections=4)
    freezing.join()
    assert outcome.data["failed"] == {}
    assert outcome.data["ok"] == outcome.data["sent"]
    assert slow(outcome.latency_ns) > HUNDREDS


def test_a_freeze_of_200_ms_is_in_every_request_that_was_due_meanwhile(server: tuple[int, int], peer: PeerOf, bodies: Bodies) -> None:
    """Hundreds are due while the server stands still, and each of them counts until it went on at least, however late it was sent."""
    port, pid = server
    tally, schedule, stood_ns = Tally(), plan([Step(SHORT_RATE, SHORT_RUN_S)], seed=3), list[int]()
    lines = Connections(peer(port), bodies(), tally, 4)
    lines.greet(10)
    freezing = freeze_shortly(pid, stood_ns)
    ran = open_loop.run(lines, schedule, 10)
    freezing.join()
    assert tally.failed == {}
    stopped, went_on = stood_ns[0] + MARGIN_NS, stood_ns[1]
    due, latency = result.times(tally.start_ns), result.times(tally.latency_ns)
    meanwhile = (due >= stopped) & (due < went_on)
    planned = schedule.due_ns + ran.start_ns
    assert int(meanwhile.sum()) == int(((planned >= stopped) & (planned < went_on)).sum()) > HUNDREDS
    assert (due + latency)[meanwhile].min() >= went_on


def test_timing_from_the_actual_send_would_hide_it(server: tuple[int, int], peer: PeerOf, bodies: Bodies) -> None:
    """The control: where a client has a bounded number of calls, the same run timed from each send shows a handful of slow requests."""
    port, pid = server
    tally = Tally()
    lines = Connections(peer(port), bodies(), tally, 2, IN_FLIGHT)
    lines.greet(10)
    freezing = freeze_soon(pid)
    open_loop.run(lines, plan([Step(RATE, RUN_S)], seed=2), 10)
    freezing.join()
    latency, wait = result.times(tally.latency_ns), result.times(tally.wait_ns)
    assert tally.held > 0
    assert slow(latency) > HUNDREDS
    assert 0 < slow(latency - wait) < slow(latency) / 3


def test_a_loop_that_waits_for_replies_hides_it(server: tuple[int, int], peer: PeerOf, bodies: Bodies) -> None:
    """The other control: a closed loop sends nothing while it waits, so that the same freeze is a handful among thousands."""
    port, pid = server
    loop = ClosedLoop(peer(port), bodies(), connections=2, in_flight=IN_FLIGHT)
    freezing = freeze_soon(pid)
    tally = loop.run(RUN_S)
    freezing.join()
    loop.close()
    latency = result.times(tally.latency_ns)
    assert 0 < slow(latency) < HUNDREDS / 2
