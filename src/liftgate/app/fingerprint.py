"""What tells one state of a bundle's files from another: names, sizes and times; reads no file. Without asyncio: loaders import it."""

from __future__ import annotations

import os
from pathlib import Path

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
