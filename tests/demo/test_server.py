"""The demo's server, started beside others."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.demo import server
from tests.ports import free_port


@pytest.mark.slow
def test_a_port_that_was_taken_meanwhile_is_tried_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody has come to listen on the port that was free, another one is taken; a port that was asked for is not replaced."""
    (tmp_path / "log").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other, EmbeddedValkey() as valkey:
        taken = other.getsockname()[1]
        found = [taken, free_port()]
        monkeypatch.setattr(server, "free_port", lambda: found.pop(0))
        with pytest.raises(server.ServerFailed, match="--port"):
            server.start(valkey.url, tmp_path / "log", tmp_path / "said", port=taken)
        assert len(found) == 2
        started = server.start(valkey.url, tmp_path / "log", tmp_path / "said")
        try:
            assert started.target != f"127.0.0.1:{taken}"
            assert not found
        finally:
            started.stop()
