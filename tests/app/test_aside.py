"""The process that loads: whatever ends it, the reason is said in plain words, and nothing of it is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from liftgate.app.aside import Aside, LoadFailed
from liftgate.app.handover import unpack
from liftgate.app.loading import Files
from liftgate.bundle.load import load_bundle
from tests.app.conftest import SMALL
from tests.house.test_imports import OFFLINE, loaded_by


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """What a server of the small bundle reads."""
    return Files(SMALL, None, None, None, tmp_path / "log", False)


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Have a script run in place of the loader. It is given the loader's arguments: the last is where to write to."""
    path = folder / "loader"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def cause(aside: Aside) -> str:
    """Return why a load fails."""
    with pytest.raises(LoadFailed) as caught:
        aside.load()
    assert aside.pid is None
    return str(caught.value)


def once_it_runs(aside: Aside, act: Callable[[int], None]) -> threading.Thread:
    """Do something to the loader as soon as there is one."""

    def wait() -> None:
        while (pid := aside.pid) is None:
            time.sleep(0.002)
        act(pid)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_bundle_is_loaded_in_another_process(files: Files) -> None:
    """What comes back is what loading here gives, and the log keeps what explains it."""
    found = unpack(Aside(files).load())
    assert found.bundle is not None
    assert (found.bundle.digest, found.mistakes, found.cause) == (load_bundle(SMALL).digest, (), "")
    assert (files.log / "bundles" / f"{found.bundle.digest}.json").exists()


def test_mistakes_come_back_as_they_are(files: Files, tmp_path: Path) -> None:
    """Of bundle and operators, all at once, with file and line; what is no mistake of a file is told by class and place."""
    operators = tmp_path / "operators.yaml"
    operators.write_text("operators: [\n")
    broken = replace(files, bundle=tmp_path / "nothing", operators=operators)
    found = unpack(Aside(broken).load())
    assert (found.bundle, found.known) == (None, None)
    assert {mistake.file for mistake in found.mistakes} == {"operators.yaml", "nothing"}
    # A log that is a file.
    (tmp_path / "file").write_text("")
    found = unpack(Aside(replace(files, log=tmp_path / "file")).load())
    assert (found.bundle, "cannot be kept beside the log" in found.mistakes[0].problem) == (None, True)


def test_a_loader_that_is_killed_is_named(files: Files) -> None:
    """SIGKILL is what a machine without memory sends, and the words say so; the next load works."""
    aside = Aside(files)
    thread = once_it_runs(aside, lambda pid: os.kill(pid, signal.SIGKILL))
    assert cause(aside) == (
        "the loading process was ended by SIGKILL before it was done: the machine may have run out of memory; "
        "the bundle in force stays; reload again"
    )
    thread.join()
    assert unpack(aside.load()).bundle is not None


def test_every_other_end_has_words_of_its_own(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that cannot be started, that ends with a code, or that never ends."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    assert cause(Aside(files)).startswith("the loading process cannot be started (No such file or directory)")
    pretend(monkeypatch, tmp_path, "exit 7")
    assert cause(Aside(files)).startswith("the loading process ended with 7 before it was done")
    pretend(monkeypatch, tmp_path, "kill -TERM $$")
    assert cause(Aside(files)).startswith("the loading process was ended by SIGTERM before it was done; ")
    pretend(monkeypatch, tmp_path, "exec sleep 600")
    assert cause(Aside(files, longest_s=0.2)).startswith("loading did not end within 0.2 s, and was ended")


def test_a_stopping_server_waits_for_no_loader(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping ends the loader that runs, and none begins afterwards."""
    pretend(monkeypatch, tmp_path, "exec sleep 600")
    aside = Aside(files)
    seen: list[int] = []

    def stop(pid: int) -> None:
        seen.append(pid)
        aside.stop()

    thread = once_it_runs(aside, stop)
    assert cause(aside) == "the server is stopping"
    thread.join()
    assert not Path(f"/proc/{seen[0]}").exists()
    assert cause(aside) == "the server is stopping"
    assert len(seen) == 1


def test_a_loader_ends_with_its_server(files: Files) -> None:
    """When nobody holds the other end of its input any more it ends by itself, before its order as well as after."""
    mine, theirs = os.pipe()
    for order in (b"", b'{"bundle": "/nowhere"'):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "liftgate.app.loader", str(theirs)], stdin=subprocess.PIPE, pass_fds=(theirs,)
        )
        process.communicate(order, timeout=60)
        assert process.returncode == 1
    os.close(theirs)
    os.close(mine)


def test_a_loader_loads_nothing_offline() -> None:
    """Nor what serves: no gRPC, no Redis client, no event loop, no settings and no log."""
    modules = ("adapters.operators", "app.handover", "app.loading", "app.loader")
    loaded = loaded_by("\n".join(f"import liftgate.{module}" for module in modules))
    assert "onnxruntime" in loaded
    wire = {"grpc", "pygrpc_native", "redis", "hiredis", "opentelemetry", "prometheus_client"}
    assert not loaded & {*OFFLINE, *wire, "asyncio", "pydantic_settings", "structlog"}


def test_files_are_told_as_they_are(tmp_path: Path) -> None:
    """An order comes over with every path, none and all."""
    for files in (
        Files(tmp_path, None, None, None, tmp_path, False),
        Files(tmp_path / "a", tmp_path / "b", tmp_path / "c", tmp_path / "d", tmp_path / "e", True),
    ):
        assert Files.read(files.plain()) == files
