"""Watching files: every change is seen, a change under way is waited for, and nothing on disk ends the watch."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from liftgate.app import watch as watching
from liftgate.app.fingerprint import Fingerprint, fingerprint
from liftgate.app.watch import watch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle's folder with one model."""
    (tmp_path / "bundle/models/m/1").mkdir(parents=True)
    for name in ("a.yaml", "models/m/1/model.yaml", "models/m/1/model.onnx"):
        (tmp_path / "bundle" / name).write_text("x")
    return tmp_path / "bundle"


@pytest.mark.parametrize("name", ["a.yaml", "models/m/1/model.yaml", "models/m/1/model.onnx"])
def test_a_change_of_any_file_that_is_read_is_seen(folder: Path, name: str) -> None:
    """Content of the same size, a new file, a removed file and a replaced one each make another fingerprint."""
    seen = [fingerprint(folder, None)]

    def look() -> None:
        seen.append(fingerprint(folder, None))
        assert seen[-1] not in seen[:-1]

    path = folder / name
    path.write_text("y")
    os.utime(path, ns=(1, 1))
    look()
    fresh = path.with_suffix(".fresh")
    fresh.write_text("y")
    os.replace(fresh, path)
    look()
    path.unlink()
    look()


def test_what_is_not_read_is_not_seen(folder: Path) -> None:
    """Hidden files, such as an editor's, are no change; nor is a folder that is not there an error."""
    before = [entry for entry in fingerprint(folder, None) if entry[0] != str(folder)]
    (folder / ".a.yaml.swp").write_text("x")
    assert [entry for entry in fingerprint(folder, None) if entry[0] != str(folder)] == before
    assert fingerprint(folder / "nothing", folder / "nowhere") == ()


async def test_a_change_under_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks that differ from one another are one change, told once, when two agree; a look that fails is a look like any other."""
    monkeypatch.setattr(watching, "LOOK_S", 0.001)
    states = [0, 0, 1, 2, RuntimeError("link"), 3, 3, 3, 3, OSError(), OSError(), 3, 3]
    told: list[int] = []
    looks = 0
    done = asyncio.Event()

    def look() -> Fingerprint:
        nonlocal looks
        state = states[min(looks, len(states) - 1)]
        looks += 1
        if isinstance(state, Exception):
            raise state
        return ((str(state), 0, 0, 0, 0),)

    async def changed() -> None:
        told.append(looks)
        if len(told) == 3:
            done.set()

    watcher = asyncio.create_task(watch(look, changed, ((str(0), 0, 0, 0, 0),)))
    await done.wait()
    watcher.cancel()
    # After the second 3 in a row, after the second failure in a row, and after the 3s that follow it.
    assert told == [7, 11, 13]
