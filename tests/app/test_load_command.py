"""`liftgate load`: figures for people and for programs, and plain words where it cannot or will not load."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from liftgate.app.cli.main import make_app
from tests.app.conftest import Serve
from tests.ports import free_port

LOAD = ("load", "--placement", "home.hero")


def liftgate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "liftgate.app.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def saying(first: bytes) -> Iterator[int]:
    """Accept one connection, say something that is not HTTP/2, hang up; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def once() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(first)

        thread = threading.Thread(target=once, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def test_a_service_is_loaded_and_its_answers_counted(serve: Serve, tmp_path: Path) -> None:
    """Every reply of a running service is good and has a reason; percentiles, lateness and a file for plotters come with it."""
    server = serve()
    people, hdr = tmp_path / "people.txt", tmp_path / "latency.hgrm"
    people.write_text("ada\nbob\n")
    asked = (*LOAD, "--target", f"127.0.0.1:{server.port}", "--duration", "1s", "--people", str(people), "--deadline", "30s")
    shown = liftgate(*asked, "--rate", "50", "--json", "--hdr", str(hdr), "--seed", "7")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert found["sent"] == found["ok"] == sum(found["reasons"].values()) > 20
    assert found["failed"] == {}
    assert {"p50", "p90", "p99", "p99.9", "max"} < set(found["latency_ms"])
    assert set(found["generator"]) >= {"lateness_ms", "held_back", "cpu_us_a_reply"}
    assert found["within_deadline"] <= found["ok"]
    assert f"Total count    = {found['ok']:12d}]" in hdr.read_text()
    printed = liftgate(*asked, "--ramp", "20:40:20")
    assert printed.returncode == 0, printed.stderr
    for words in ("good replies", "most of these people are not in the store", "p99.9", "sent late by", "answered/s", "│"):
        assert words in printed.stdout
    closed = liftgate(*asked, "--closed", "--in-flight", "2", "--dry-run", "--json")
    assert closed.returncode == 0, closed.stderr
    assert json.loads(closed.stdout)["mode"] == "closed"


def test_a_placement_that_is_not_there_ends_with_one(serve: Serve) -> None:
    """Refused requests are counted by what the service said, and the exit code tells a script."""
    server = serve()
    done = liftgate("load", "--placement", "no.such", "--target", f"127.0.0.1:{server.port}", "--rate", "20", "--duration", "1s", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["ok"] == 0
    assert sum(found["failed"].values()) == found["sent"]
    assert all(cause.startswith("grpc-status 3") for cause in found["failed"])


def test_another_machine_is_not_loaded_without_the_flag() -> None:
    """A host that is not this one is refused before anything is sent, with the flag that allows it."""
    done = CliRunner().invoke(make_app("load"), [*LOAD, "--target", "192.0.2.1:7420", "--rate", "1"])
    assert done.exit_code == 2
    assert "--yes-this-is-my-server" in done.stderr


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x46", "speaks TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks HTTP/1"),
        (b"", "closed the connection"),
    ],
)
def test_what_does_not_speak_plaintext_grpc_is_told(first: bytes, words: str) -> None:
    """TLS, HTTP/1 and silence each have words of their own."""
    with saying(first) as port:
        done = liftgate(*LOAD, "--target", f"127.0.0.1:{port}", "--rate", "10")
    assert done.returncode == 1
    assert words in done.stderr


def test_nobody_there_is_told() -> None:
    """A port that nobody listens on ends the command with 1 and says so, as JSON too."""
    done = liftgate(*LOAD, "--target", f"127.0.0.1:{free_port()}", "--rate", "10", "--json")
    assert done.returncode == 1
    assert "refused" in json.loads(done.stderr)["error"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say one of --rate"),
        (("--rate", "1", "--closed"), "say one of --rate"),
        (("--rate", "1", "--duration", "soon"), "--duration: wants"),
        (("--rate", "1", "--deadline", "x"), "--deadline: wants"),
        (("--ramp", "1-5"), "--ramp: wants"),
        (("--ramp", "10:30:0"), "each above 0"),
        (("--rate", "1", "--method", "Decide"), "--method: wants /package.Service/Method"),
        (("--rate", "1", "--people", "0"), "--people: wants"),
        (("--rate", "1", "--people", "500000000"), "1 to 2,000,000"),
        (("--rate", "1", "--people", "1e3"), "--people 1e3: no such file, and no whole number of people"),
        (("--rate", "1", "--people", str(Path(sys.executable).resolve())), "is no text in UTF-8"),
        (("--rate", "1", "--people", "no-such-file"), "--people no-such-file: no such file"),
        (("--rate", "1", "--arrivals", "bursts"), "poisson or constant"),
        (("--closed", "--arrivals", "constant"), "--arrivals is of a schedule, and --closed has none"),
        (("--closed", "--arrivals", "poisson"), "--arrivals is of a schedule, and --closed has none"),
        (("--closed", "--seed", "1"), "--seed is of a schedule, and --closed has none"),
        (("--rate", "1", "--arrivals", "constant", "--seed", "1"), "--arrivals constant draws nothing"),
        (("--rate", "1", "--target", "https://localhost:7420"), "no TLS"),
        (("--rate", "1000000", "--duration", "1h"), "more than one run holds"),
        (("--rate", "1", "--hdr", "no-such-folder/latency.hgrm"), "--hdr no-such-folder/latency.hgrm: wants a file"),
    ],
)
def test_what_is_asked_wrongly_is_explained(arguments: tuple[str, ...], words: str) -> None:
    """Each mistake names its option and what is wanted, with exit code 2."""
    done = CliRunner().invoke(make_app("load"), [*LOAD, *arguments])
    assert done.exit_code == 2
    assert words in done.stderr
