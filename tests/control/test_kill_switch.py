"""The kill switch on real servers and a real store: what is stopped is stopped everywhere, and what is not known stops everything."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.client import Client, Decision
from tests.app.conftest import Serve, Served
from tests.app.conftest import serve as serve  # the fixture
from tests.control.operators import run, write

GOLDEN = Path(__file__).parents[1] / "cases" / "bundles" / "golden"
SOON_S = 20.0
"""Far above a second, for a loaded machine: how fast it is, `python -m tests.bench.kill_switch` measures."""


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    """A store that several servers share."""
    with EmbeddedValkey() as server:
        yield server


def decide(server: Served, placement: str = "two", person: str = "person-0") -> Decision:
    """Ask for one decision over a connection of its own: any worker may take it."""
    with Client(f"127.0.0.1:{server.port}", timeout_ms=20_000) as client:
        return client.decide(person, placement, channel="web", explain=True)


def reasons(decision: Decision) -> dict[str, str]:
    """Return why each candidate was or was not allowed."""
    assert decision.explanation is not None
    return {candidate.offer_id: candidate.reason for candidate in decision.explanation.candidates}


def becomes(server: Served, offer: str, reason: str, placement: str = "two") -> None:
    """Wait until twenty answers in a row, over connections that any worker may take, give an offer this reason."""
    until, row = time.monotonic() + SOON_S, 0
    while row < 20:
        found = reasons(decide(server, placement))[offer]
        row = row + 1 if found == reason or (reason == "ALLOWED" and found == "CHOSEN") else 0
        assert time.monotonic() < until, f"{offer} is {found}, not {reason}"


@pytest.mark.slow
def test_a_stop_is_seen_by_every_worker_of_every_replica_and_a_start_needs_another_person(
    serve: Serve, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    """Two replicas, one of two workers: one command stops an offer on all; its owner cannot start it again alone, another person can."""
    flags = {"bundle": GOLDEN, "redis": valkey.url, "operators": write(tmp_path)}
    one = serve(wait="serving_all", workers=2, log=tmp_path / "one", **flags)
    two = serve(log=tmp_path / "two", **flags)
    assert reasons(decide(one))["better"] in ("ALLOWED", "CHOSEN")
    code, said = run("dora", one.port, "stop", "offer", "better", "--reason", "wrong price")
    assert code == 0, said
    for server in (one, two):
        becomes(server, "better", "STOPPED")
    code, listed = run("dora", two.port, "stop", "list")
    assert (code, [(stop["name"], stop["by"], stop["reason"]) for stop in listed["stopped"]]) == (0, [("better", "dora", "wrong price")])
    assert run("dora", one.port, "start", "offer", "better", "--reason", "mended")[0] == 2
    code, asked = run("anna", one.port, "start", "offer", "better", "--reason", "mended")
    assert code == 0
    assert reasons(decide(two))["better"] == "STOPPED"
    code, refused = run("anna", one.port, "review", "approve", asked["review_id"])
    assert code == 2
    assert "another person" in refused["error"]
    assert run("ben", two.port, "review", "approve", asked["review_id"])[0] == 0
    for server in (one, two):
        becomes(server, "better", "ALLOWED")
        assert server.end() == 0


@pytest.mark.slow
def test_a_worker_started_later_knows_what_was_stopped_before(serve: Serve, valkey: EmbeddedValkey, tmp_path: Path) -> None:
    """A stop outlives the server that took it."""
    flags = {"bundle": GOLDEN, "redis": valkey.url, "operators": write(tmp_path)}
    first = serve(**flags)
    assert run("anna", first.port, "stop", "all", "--reason", "the supervisor asks")[0] == 0
    assert first.end() == 0
    second = serve(**flags)
    assert decide(second, "one").reason == "PERSONALIZATION_STOPPED"
    assert second.lines("controls")[0]["stopped"] == ["all"]


@pytest.mark.slow
def test_with_the_store_away_at_the_start_nothing_is_shown_until_it_answers(serve: Serve, tmp_path: Path) -> None:
    """Unknown controls deny everything, the default included; a store that appears makes them known without a restart."""
    socket = Path(tempfile.mkdtemp(prefix="lg-")) / "s"  # short, for a socket's path
    server = serve(bundle=GOLDEN, redis=f"unix://{socket}", fetch_budget_ms=200)
    decision = decide(server)
    assert decision.offers == ()
    assert set(reasons(decision).values()) == {"CONTROLS_UNKNOWN"}
    server.metric_becomes("liftgate_workers_without_controls", 1)
    with EmbeddedValkey(tcp=True, options=("--unixsocket", str(socket))):
        becomes(server, "better", "ALLOWED")
        server.metric_becomes("liftgate_workers_without_controls", 0)
    shutil.rmtree(socket.parent)


def test_what_may_not_be_stopped_is_refused_in_words(serve: Serve, tmp_path: Path) -> None:
    """A misspelt name stops nothing and says what was meant; without a token, a reason or something stopped nothing happens."""
    server = serve(bundle=GOLDEN, operators=write(tmp_path))
    code, refused = run("anna", server.port, "stop", "offer", "beter", "--reason", "x")
    assert code == 2
    assert "better" in refused["error"]
    assert run("anna", server.port, "stop", "offer", "beter", "--reason", "x", "--unknown-name")[0] == 0
    assert run("stranger", server.port, "stop", "offer", "better", "--reason", "x")[0] == 2
    assert run("anna", server.port, "stop", "offer", "better")[0] == 2
    code, refused = run("anna", server.port, "start", "offer", "better", "--reason", "x")
    assert (code, "not stopped" in refused["error"]) == (2, True)
    assert reasons(decide(server))["better"] in ("ALLOWED", "CHOSEN")
