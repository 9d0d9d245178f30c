"""A loader in spare time: there is none, and the load ends all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from math import inf
from pathlib import Path

import pytest

from liftgate.app.aside import Aside, LoadFailed
from liftgate.app.handover import unpack
from liftgate.app.loading import Files
from liftgate.app.spare_time import Hunger, step_into
from tests.app.conftest import SMALL

_BUSY = "while True: pass"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """What a server of the small bundle reads."""
    return Files(SMALL, None, None, None, tmp_path / "log", False)


def policy(pid: int) -> int:
    """Return the class that a process is scheduled in."""
    return os.sched_getscheduler(pid)


def loaders_of(aside: Aside) -> tuple[bytes, list[tuple[int, int]]]:
    """Load, and return what came and the loaders that ran: process id and class, once each was past its first moments."""
    seen: dict[int, int] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            pid = aside.pid
            if pid is not None:
                try:
                    seen[pid] = policy(pid)
                except ProcessLookupError:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        return aside.load(), list(seen.items())
    finally:
        done.set()
        thread.join()


def test_a_loader_runs_in_spare_time(files: Files) -> None:
    """The first loader is in the idle class, and the process that started it is not; on a busy machine a second one may follow."""
    raw, seen = loaders_of(Aside(files))
    assert unpack(raw).bundle is not None
    assert seen[0][1] == os.SCHED_IDLE
    assert policy(0) == os.SCHED_OTHER


@pytest.mark.usefixtures("crowded_core")
def test_where_there_is_no_spare_time_another_loads_at_a_share(files: Files) -> None:
    """Beside a process that never sleeps the first loader is ended and a second one, of the usual class, comes to the end."""
    raw, seen = loaders_of(Aside(files, starved_s=0.5))
    assert unpack(raw).bundle is not None
    assert [kind for _, kind in seen] == [os.SCHED_IDLE, os.SCHED_OTHER]
    assert not any(Path(f"/proc/{pid}").exists() for pid, _ in seen)


@pytest.mark.usefixtures("crowded_core")
def test_control_without_the_second_loader_the_load_would_not_end(files: Files) -> None:
    """The same with endless patience: the loader in spare time gets nowhere, and its time runs out."""
    with pytest.raises(LoadFailed, match=r"^loading did not end within 4 s"):
        Aside(files, longest_s=4.0, starved_s=inf).load()


def test_patience_with_a_slow_one_ends_too(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not starved and yet takes too long in spare time is replaced by one at a share."""
    monkeypatch.setattr("liftgate.app.aside.LONGEST_IN_SPARE_TIME_S", 0.0)
    raw, seen = loaders_of(Aside(files, starved_s=inf))
    assert unpack(raw).bundle is not None
    assert [kind for _, kind in seen] == [os.SCHED_IDLE, os.SCHED_OTHER]


def test_without_the_class_a_loader_steps_back_by_itself(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel refuses, one loader of the usual class does it all, and nobody watches its hunger."""

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("liftgate.app.spare_time.os.sched_setscheduler", refuse)
    monkeypatch.setattr("liftgate.app.aside.LONGEST_IN_SPARE_TIME_S", 0.0)
    raw, seen = loaders_of(Aside(files, starved_s=0.0))
    assert unpack(raw).bundle is not None
    assert [kind for _, kind in seen] == [os.SCHED_OTHER]


def test_a_stop_while_starved_starts_no_second(files: Files) -> None:
    """A server that stops meanwhile ends the loader, and none begins at a share."""
    aside = Aside(files, starved_s=inf)
    seen: list[int] = []

    def stop() -> None:
        while (pid := aside.pid) is None:
            time.sleep(0.002)
        seen.append(pid)
        aside.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(LoadFailed, match=r"^the server is stopping$"):
        aside.load()
    thread.join()
    assert len(seen) == 1


def starves(hunger: Hunger, until_s: float) -> bool:
    """Look at a process again and again, and return whether it was starved before so long."""
    end = time.monotonic() + until_s
    while time.monotonic() < end:
        if hunger.starved(time.monotonic()):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.usefixtures("crowded_core")
def test_only_who_wants_a_processor_is_starved() -> None:
    """Of two that get none the one that computes is, and the one that was stopped is not: a disk or a person will let it go on."""
    computes, stopped = (subprocess.Popen([sys.executable, "-S", "-c", _BUSY]) for _ in range(2))
    try:
        os.kill(stopped.pid, signal.SIGSTOP)
        assert step_into(computes.pid)
        assert starves(Hunger(computes.pid, 0.3), 60.0)
        assert not starves(Hunger(stopped.pid, 0.1), 0.5)
        assert not Hunger(2**22 + 1, 0.0).starved(time.monotonic())
    finally:
        for process in (computes, stopped):
            process.kill()
            process.wait()
