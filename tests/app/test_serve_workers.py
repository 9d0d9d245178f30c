"""Several workers on one port: they share the work, the metrics and their fate with the supervisor, not with one another."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from liftgate.client import Client
from tests.app.conftest import Serve, Served


def decide_over_new_connections(server: Served, count: int, prefix: str) -> None:
    """Ask for decisions, each over a connection of its own, which the kernel hands to one worker or another."""
    for i in range(count):
        assert server.decide(f"{prefix}{i}").from_service


def test_both_workers_serve_one_port_and_one_metrics_page(serve: Serve, tmp_path: Path) -> None:
    """40 decisions land in two workers' logs, are counted as 40 in one place, and SIGTERM seals both logs."""
    server = serve(wait="serving_all", workers=2)
    decide_over_new_connections(server, 40, "p")
    server.metric_becomes('liftgate_requests_total{code="OK",method="Decide"}', 40)
    assert server.metric("liftgate_workers_serving") == 2
    server.metric_becomes('liftgate_log_records_total{log="decision"}', 40)
    assert server.end() == 0
    segments = [path for path in (tmp_path / "log").iterdir() if path.name.startswith("decision-")]
    assert {path.suffix for path in segments} == {".seg"}
    assert len({path.name.split("-")[2] for path in segments}) == 2


def test_a_dead_worker_is_started_again_and_its_counters_stay(serve: Serve) -> None:
    """After kill -9 of one worker the port goes on answering, a new worker comes, and no counter has fallen."""
    server = serve(wait="serving_all", workers=2)
    decide_over_new_connections(server, 10, "before")
    victim = server.children()[0]
    os.kill(victim, signal.SIGKILL)
    server.wait_for("worker_died")
    decide_over_new_connections(server, 10, "after")
    server.metric_becomes("liftgate_workers_serving", 2)
    assert server.metric("liftgate_worker_restarts_total") == 1
    server.metric_becomes('liftgate_requests_total{code="OK",method="Decide"}', 20)
    assert victim not in server.children()
    assert server.end() == 0


def test_a_request_id_is_one_decision_across_workers(serve: Serve) -> None:
    """The same request sent over many connections gets one answer, whichever worker it meets."""
    server = serve(wait="serving_all", workers=2)
    answers = {server.decide("ada", request_id="one").decision_id for _ in range(12)}
    assert len(answers) == 1
    server.metric_becomes('liftgate_log_records_total{log="decision"}', 1)


def test_reload_reaches_every_worker(serve: Serve, bundle: Path) -> None:
    """SIGHUP to the supervisor swaps the bundle in both workers."""
    server = serve(wait="serving_all", workers=2, bundle=bundle)
    offers = bundle / "offers.yaml"
    offers.write_text(offers.read_text().replace("value: 1.25", "value: 1.75"))
    os.kill(server.process.pid, signal.SIGHUP)
    server.wait_for("reloaded", 2)
    digests = {line["digest"] for line in server.lines("reloaded")}
    assert len(digests) == 1
    assert {server.decide(f"p{i}").bundle_digest for i in range(12)} == digests


def test_workers_do_not_outlive_their_supervisor(serve: Serve) -> None:
    """kill -9 of the supervisor makes its workers drain and end: nobody is left holding the port."""
    server = serve(wait="serving_all", workers=2)
    workers = server.children()
    assert len(workers) == 2
    server.end(signal.SIGKILL)
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < until, "a worker outlived its supervisor"
        time.sleep(0.05)


def test_workers_come_at_once_after_a_single_one_that_had_connections(serve: Serve) -> None:
    """Connections that a server closed at its end stay known to the system for a minute, and keep no --workers from its port."""
    with socket.create_server(("127.0.0.1", 0)) as old:
        port = old.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            old.accept()[0].close()  # who closes first keeps the memory of it
            assert caller.recv(1) == b""
    with pytest.raises(OSError, match="in use"), socket.socket() as alone:
        alone.bind(("127.0.0.1", port))
    new = serve(wait="serving_all", workers=2, port=port)
    assert new.decide().from_service
    assert new.end() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_two_servers_share_a_port_when_both_say_so(serve: Serve, workers: int, tmp_path: Path) -> None:
    """With --share-port a new server joins the old one's port, the old one drains, and calls are answered throughout."""
    ready = "serving" if workers == 1 else "serving_all"
    old = serve(wait=ready, workers=workers, share_port="")
    new = serve(wait=ready, workers=workers, share_port="", port=old.port, log=tmp_path / "new" / "log")
    with Client(f"127.0.0.1:{old.port}", timeout_ms=20_000) as client:
        assert client.decide("ada", "home.hero").from_service
        assert old.end() == 0
        assert client.decide("ada", "home.hero").from_service
    assert new.decide().from_service
    assert new.end() == 0
