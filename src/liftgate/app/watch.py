"""Has anything changed in the bundle's folder? Looks at names, sizes and times; reads no file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

LOOK_S = 0.5
"""How often to look. What has changed is read when two looks in a row agree."""

Fingerprint = tuple[tuple[str, int, int, int, int], ...]
"""Path, inode, size, time of content, time of change (ns), of everything that a load would look at."""


def fingerprint(bundle: Path, models: Path | None, *others: Path) -> Fingerprint:
    """Return what tells one state of the files from another; what is not there is left out. `models`: as in the settings."""
    found: list[tuple[str, int, int, int, int]] = []
    if models is None:
        inside = bundle / "models"
        models = inside if inside.is_dir() else bundle.parent / "models"
    for path in (bundle, *_entries(bundle), *others):
        _note(path, found)
    for name in _entries(models):
        for version in _entries(name):
            for file in ("model.yaml", "model.onnx"):
                _note(version / file, found)
    return tuple(found)


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(directory) if not entry.name.startswith("."))
    except OSError:
        return []


def _note(path: Path, found: list[tuple[str, int, int, int, int]]) -> None:
    try:
        stat = os.stat(path)  # follows links, so a link that leads elsewhere now is a change
    except OSError:
        return
    found.append((str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


async def watch(look: Callable[[], Fingerprint], changed: Callable[[], Awaitable[object]], before: Fingerprint) -> None:
    """Call `changed` after each change, once the files have come to rest. Runs until cancelled; looks in a thread."""

    def glance() -> Fingerprint:
        try:
            return look()
        except (OSError, RuntimeError):  # a link that leads to itself; the load says so
            return ()

    while True:
        await asyncio.sleep(LOOK_S)
        now = await asyncio.to_thread(glance)
        if now == before:
            continue
        while True:
            await asyncio.sleep(LOOK_S)
            again = await asyncio.to_thread(glance)
            if again == now:
                break
            now = again
        before = now
        await changed()
