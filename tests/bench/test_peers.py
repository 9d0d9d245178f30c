"""The servers that Liftgate is measured beside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.peers import __main__ as peers
from tests.bench.processes import BenchError

SEES = "import os, sys; from pathlib import Path; Path(sys.argv[1]).write_text(os.environ['ORT_DISABLE_TELEMETRY'])"


def test_every_peer_is_told_to_send_its_runtimes_maker_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that the comparison starts has ONNX Runtime's usage events turned off, also where the caller's environment has them on."""
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    monkeypatch.setenv("PYTHONPATH", "")
    seen = tmp_path / "seen"

    def run(*_: object) -> dict[str, object]:
        subprocess.run([sys.executable, "-c", SEES, str(seen)], check=True)
        raise BenchError("enough")

    monkeypatch.setattr(peers, "_run", run)
    monkeypatch.setattr(sys, "argv", ["peers"])
    assert peers.main() == 1
    assert seen.read_text() == "1"
