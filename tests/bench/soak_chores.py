"""What goes on beside the load of a soak: reloads, sealing to Parquet, scrapes, and a look at memory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from .contenders import Place
from .cpu import tree
from .processes import ROOT, Running, pinned

_SCRAPE_S, _MEMORY_S, _SEAL_S = 10.0, 2.0, 60.0
_PAGE = os.sysconf("SC_PAGE_SIZE")
Doing = tuple[str, float, float]
"""What was done, from when until when, Unix time in ms."""


class Chores:
    """Does everything in one thread until the block ends."""

    def __init__(self, server: Running, place: Place, bundle: Path, output: Path, core: int, reload_s: float) -> None:
        self.memory: list[tuple[float, float, float, float]] = []
        """When (Unix time, ms), and what was resident, MB: of processes that stay memory and pages of files, of loaders all."""
        self.problems: list[str] = []
        self._server, self._place, self._bundle, self._output, self._core = server, place, bundle, output, core
        self._every = {"scrape": _SCRAPE_S, "memory": _MEMORY_S, "parquet": _SEAL_S, "reload": reload_s}
        self._done: list[Doing] = []
        self._asked_ms: list[float] = []
        self._segments: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chores")
        self._sealing: subprocess.Popen[bytes] | None = None
        self._sealing_since = 0.0

    def __enter__(self) -> Chores:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        if self._sealing is not None:
            self._sealing.wait()
            self._sealed()

    def _run(self) -> None:
        os.sched_setaffinity(0, {self._core})
        due = {what: time.monotonic() + every / 2 for what, every in self._every.items()}
        acts = {"scrape": self._scrape, "memory": self._look, "parquet": self._seal, "reload": self._reload}
        while not self._stop.wait(0.1):
            self._sealed()
            self._rotations()
            for what, act in acts.items():
                if time.monotonic() >= due[what]:
                    due[what] += self._every[what]
                    try:
                        act()
                    except Exception as error:  # noted, and the soak goes on: what is measured is the server
                        self.problems.append(f"{what}: {type(error).__name__}: {error}")

    def _scrape(self) -> None:
        began = _now_ms()
        with urllib.request.urlopen(f"http://127.0.0.1:{self._place.metrics_port}/metrics", timeout=10) as page:
            if b"liftgate_" not in page.read():
                raise ValueError("a page without metrics")
        self._done.append(("scrape", began, _now_ms()))

    def _look(self) -> None:
        held = np.zeros(3)
        for pid in tree(self._server.pid):
            # A process that loads a bundle comes and goes, perhaps between two of these lines.
            with contextlib.suppress(OSError):
                held += resident_mb(pid)
        memory, files, loading = held.tolist()
        self.memory.append((_now_ms(), memory, files, loading))

    def _seal(self) -> None:
        if self._sealing is None:
            seal = ["log", "seal", str(self._place.log), "--spare-time", "--delete", "--json"]
            command = pinned(self._core, [str(Path(sys.executable).with_name("liftgate")), *seal])
            self._sealing_since = _now_ms()
            self._sealing = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _sealed(self) -> None:
        if self._sealing is not None and self._sealing.poll() is not None:
            self._done.append(("parquet", self._sealing_since, _now_ms()))
            if self._sealing.returncode:
                self.problems.append(f"liftgate log seal ended with {self._sealing.returncode}")
            self._sealing = None

    def _rotations(self) -> None:
        found = {path.name for path in self._place.log.rglob("*.open")}
        new = found - self._segments
        if self._segments and new:
            now = _now_ms()
            self._done.append(("rotation", now - 150, now))
        self._segments |= found

    def _reload(self) -> None:
        """Change one offer's worth, so that the bundle is another one, and have it read."""
        path = self._bundle / "bundle.yaml"
        whole = json.loads(path.read_text())
        whole["offers"]["offer-001"]["value"] = 2.0 + len(self._asked_ms) % 2
        path.write_text(json.dumps(whole, indent=1))
        self._asked_ms.append(_now_ms())
        os.kill(self._server.pid, signal.SIGHUP)

    def doings(self) -> list[Doing]:
        """Return everything that was done, by time. To be asked when the block has ended."""
        ends = []
        for line in self._output.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict) and said.get("event") in ("reloaded", "reload_refused", "reload_unchanged"):
                    ends.append((_moment_ms(said), said["event"]))
        for began in self._asked_ms:
            end = next(((at, event) for at, event in ends if at >= began), None)
            if end is None or end[1] != "reloaded":
                self.problems.append(f"a reload {'has no end' if end is None else end[1]}")
            self._done.append(("reload", began, end[0] if end else began))
        return sorted(self._done, key=lambda one: one[1])


class Watching:
    """A canary on each core until the block ends."""

    def __init__(self, on: Sequence[int]) -> None:
        self.late: list[tuple[float, float]] = []
        """When (Unix time, ms) and for how long (ms) the machine stood still."""
        self.cores = on

    def __enter__(self) -> Watching:
        command = [sys.executable, "-m", "tests.bench.canary", "--core"]
        self._all = [subprocess.Popen([*command, str(core)], cwd=ROOT, stdout=subprocess.PIPE) for core in sorted(set(self.cores))]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self._all:
            process.terminate()
            out = process.communicate()[0]
            self.late += [(at, late) for at, late in json.loads(out or "[]")]
        self.late.sort()


def resident_mb(pid: int) -> tuple[float, float, float]:
    """Return what is resident of a process, MB: memory, pages of files (shared memory too), or, where it loads a bundle, all as the third.

    Raises OSError when it is gone.
    """
    loads = b"liftgate.app.loader" in Path(f"/proc/{pid}/cmdline").read_bytes()
    pages, of_files = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
    memory, files = (pages - of_files) * _PAGE / 1e6, of_files * _PAGE / 1e6
    return (0.0, 0.0, memory + files) if loads else (memory, files, 0.0)


def _now_ms() -> float:
    return time.time() * 1e3


def _moment_ms(said: dict[str, Any]) -> float:
    return datetime.fromisoformat(said["time"]).timestamp() * 1e3
