"""`liftgate log seal --spare-time`: what it does is what sealing does, and it ends where there is no spare time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from math import inf
from pathlib import Path

import pytest
from typer.testing import CliRunner

from liftgate.app.cli import in_spare_time as spare
from liftgate.app.cli.log import app
from tests.record.test_log_command import decisions, write

_LIFTGATE = [sys.executable, "-P", "-m", "liftgate.app.cli.main"]


def seal(directory: Path) -> subprocess.CompletedProcess[str]:
    """Seal a log in spare time, in a process."""
    return subprocess.run([*_LIFTGATE, "log", "seal", str(directory), "--spare-time", "--json", "--delete"], capture_output=True, text=True)


def test_a_log_is_sealed_in_spare_time(tmp_path: Path) -> None:
    """Segments become Parquet, --delete and --json are passed on, and so is the exit code of a damaged one."""
    write(tmp_path, "1", decisions(0, 3))
    done = seal(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["segments"][0]["state"] == "deleted"
    assert [path.name for path in tmp_path.iterdir()] == ["decision-1.parquet"]
    whole = write(tmp_path, "2", decisions(3, 3), first=3)
    whole.write_bytes(whole.read_bytes()[:-5])
    done = seal(tmp_path)
    assert (done.returncode, json.loads(done.stdout)["segments"][0]["state"]) == (1, "damaged")


@pytest.mark.usefixtures("crowded_core")
def test_where_there_is_no_spare_time_it_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside a process that never sleeps the one in spare time is ended, and this one goes to the end of the line to do the work."""
    steps: list[int] = []
    monkeypatch.setattr(os, "nice", steps.append)
    write(tmp_path, "1", decisions(0, 3))
    assert spare.in_spare_time(["log", "seal", str(tmp_path)], starved_s=0.5) is None
    assert steps == [spare.LAST]
    monkeypatch.setattr(spare, "in_spare_time", lambda arguments: None)
    done = CliRunner().invoke(app, ["seal", str(tmp_path), "--spare-time", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["segments"][0]["state"]) == (0, "shipped")


@pytest.mark.usefixtures("crowded_core")
def test_control_without_giving_up_it_would_not_end(tmp_path: Path) -> None:
    """The same with endless patience: it is still at it when ten times as long has passed, and ends with whoever started it."""
    write(tmp_path, "1", decisions(0, 3))
    ended: list[int | None] = []
    started: list[subprocess.Popen[bytes]] = []
    really = subprocess.Popen

    def start(command: list[str]) -> subprocess.Popen[bytes]:
        started.append(really(command))
        return started[0]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(subprocess, "Popen", start)
        core = os.sched_getaffinity(0)

        def run() -> None:
            os.sched_setaffinity(0, core)
            ended.append(spare.in_spare_time(["log", "seal", str(tmp_path)], starved_s=inf))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(5.0)
        assert ended == []
        started[0].kill()
        thread.join()
    assert ended == [-9]
    assert [path.name for path in tmp_path.iterdir()] == ["decision-1.seg"]
