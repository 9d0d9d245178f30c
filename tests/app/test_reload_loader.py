"""Reloads of real servers whose loader is killed, stopped or overtaken: the old bundle serves on, and the log says why."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.app.conftest import SMALL, START_S, Serve, Served
from tests.app.test_reload import edit


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of the test's own."""
    return Path(shutil.copytree(SMALL, tmp_path / "bundle"))


def loaders(server: Served) -> list[int]:
    """Return the process ids of loaders below a server."""
    return server.below({server.process.pid, *server.children()}, b"liftgate.app.loader")


def held(server: Served, count: int = 1) -> list[int]:
    """Return the loaders that a reload has just started, stopped where they are."""
    until = time.monotonic() + START_S
    found: set[int] = set()
    while len(found) < count:
        assert time.monotonic() < until, f"{len(found)} loaders of {count}:\n{server.text}"
        for pid in set(loaders(server)) - found:
            os.kill(pid, signal.SIGSTOP)
            found.add(pid)
    return sorted(found)


@pytest.mark.parametrize("transport", ["native", "grpcio"])
def test_a_killed_loader_leaves_the_old_bundle_serving(serve: Serve, bundle: Path, transport: str) -> None:
    """While it loads and after it was killed, decisions are of the old bundle; the log names the signal; the next reload goes through."""
    server = serve(bundle=bundle, transport=transport)
    before = server.decide().bundle_digest
    edit(bundle, "spring")
    server.process.send_signal(signal.SIGHUP)
    (pid,) = held(server)
    assert server.decide().bundle_digest == before
    os.kill(pid, signal.SIGKILL)
    refused = server.wait_for("reload_refused")
    assert "ended by SIGKILL before it was done" in refused["cause"]
    assert (refused["kept"], server.decide().bundle_digest) == (before, before)
    server.metric_becomes('liftgate_reloads_total{result="refused"}', 1)
    server.process.send_signal(signal.SIGHUP)
    after = server.wait_for("reloaded")["digest"]
    assert (server.decide().bundle_digest, after != before) == (after, True)
    assert server.end() == 0


def test_one_workers_loader_is_another_workers_nothing(serve: Serve, bundle: Path) -> None:
    """Of two workers each loads for itself: the one whose loader was killed keeps the old bundle and says so, the other swaps."""
    server = serve("serving_all", bundle=bundle, workers=2)
    edit(bundle, "spring")
    server.process.send_signal(signal.SIGHUP)
    one, other = held(server, 2)
    os.kill(one, signal.SIGKILL)
    os.kill(other, signal.SIGCONT)
    kept, swapped = server.wait_for("reload_refused")["kept"], server.wait_for("reloaded")
    assert (kept, swapped["digest"] != kept) == (swapped["before"], True)
    assert server.end() == 0
    assert loaders(server) == []


def test_a_reload_waits_for_the_one_that_runs(serve: Serve, bundle: Path) -> None:
    """A signal during a reload is a reload of its own after it: it meets what was written meanwhile."""
    server = serve(bundle=bundle)
    edit(bundle, "spring")
    server.process.send_signal(signal.SIGHUP)
    (pid,) = held(server)
    server.process.send_signal(signal.SIGHUP)
    server.decide()
    assert loaders(server) == [pid]
    os.kill(pid, signal.SIGCONT)
    first = server.wait_for("reloaded")
    assert server.wait_for("reload_unchanged")["digest"] == first["digest"]
    assert server.end() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_is_told_to_stop_waits_for_no_loader(serve: Serve, bundle: Path, workers: int) -> None:
    """SIGTERM during a reload drains as ever: the reload is refused, the loader is gone, and the exit code is 0."""
    server = serve("serving" if workers == 1 else "serving_all", bundle=bundle, workers=workers)
    edit(bundle, "spring")
    server.process.send_signal(signal.SIGHUP)
    pids = held(server, workers)
    assert server.end() == 0
    assert server.lines("reload_refused")[0]["cause"] == "the server is stopping"
    assert not server.lines("reloaded")
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_loader_ends_with_a_server_that_is_killed(serve: Serve, bundle: Path) -> None:
    """kill -9 leaves no loader behind."""
    server = serve(bundle=bundle)
    edit(bundle, "spring")
    server.process.send_signal(signal.SIGHUP)
    (pid,) = held(server)
    server.end(signal.SIGKILL)
    os.kill(pid, signal.SIGCONT)
    until = time.monotonic() + START_S
    while b"liftgate.app.loader" in _command(pid):
        assert time.monotonic() < until
        time.sleep(0.02)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
