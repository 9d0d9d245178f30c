"""Processes of the bench: each pinned to a core before it starts, each ended by its own id."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import free_port

from .cpu import tree

# Threads inherit the affinity of the thread that starts them, so it is set before the program is there.
_PIN = "import os, sys; os.sched_setaffinity(0, set(map(int, sys.argv[1].split(',')))); os.execv(sys.argv[2], sys.argv[2:])"
_START_TIMEOUT_S = 120.0
ROOT = Path(__file__).parents[2]


class BenchError(Exception):
    """A process did not come up, or an answer was wrong: there is nothing to print."""


def cores() -> tuple[int, int]:
    """Return the core of the server under test and the core of everything else; the same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def scratch() -> Path:
    """Return a directory on the repository's disk, out of git: a log on a memory file system would make fsync free."""
    path = ROOT / ".liftgate"
    path.mkdir(exist_ok=True)
    return path


def free_ports() -> tuple[int, int]:
    """Return two loopback ports that nobody listens on."""
    return free_port(), free_port()


def pinned(core: int | Sequence[int], command: Sequence[str]) -> list[str]:
    """Return a command that runs `command` on one core, or on some."""
    program = shutil.which(command[0]) or command[0]
    some = [core] if isinstance(core, int) else core
    return [sys.executable, "-c", _PIN, ",".join(map(str, some)), program, *command[1:]]


@dataclass(frozen=True, slots=True)
class Running:
    """A server that accepts connections."""

    port: int
    pid: int


@contextlib.contextmanager
def serving(command: Sequence[str], port: int, core: int | Sequence[int], output: Path, says: str = "") -> Iterator[Running]:
    """Run a server until the block ends. Raises BenchError with the end of its output when it does not listen, and say `says`, in time."""
    with open(output, "wb") as sink:
        process = subprocess.Popen(pinned(core, command), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not _listens(port) or says not in output.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{' '.join(command)}\ndid not listen:\n{output.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield Running(port, process.pid)
        if process.poll() is not None:
            raise BenchError(f"{' '.join(command)}\nended by itself:\n{output.read_text(errors='replace')[-2000:]}")
    finally:
        _end(process)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
        return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    family = tree(process.pid) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def load(core: int, mode: str, *flags: str, tolerate: bool = False, timeout_s: float = 300.0) -> dict[str, Any]:
    """Run the load generator to its end. Raises BenchError on anything but good answers; `tolerate`: only where there are no good ones."""
    command = [sys.executable, "-m", "tests.bench.load", mode, *flags]
    done = subprocess.run(pinned(core, command), cwd=ROOT, capture_output=True, text=True, timeout=timeout_s)
    if done.returncode:
        raise BenchError(f"the load generator failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    if not result["ok"] or (result["failed"] and not tolerate):
        raise BenchError(f"wrong answers: {result['ok']} good, others {result['failed']}")
    return result
