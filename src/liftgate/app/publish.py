"""A published bundle on disk: versions side by side, one link that says which one is in force, one that says which one was before.

    TARGET/current  -> versions/<digest>/bundle     what `liftgate serve --bundle TARGET/current` reads
    TARGET/previous -> versions/<digest>/bundle     where a rollback leads
    TARGET/versions/<digest>/{bundle/, publish.json}

A version is written whole and synced before any link leads to it, and never changed afterwards. `publish.json` says who published it and is
no part of the digest.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from liftgate.bundle.compiled import Bundle

CURRENT, PREVIOUS, VERSIONS, SIDECAR = "current", "previous", "versions", "publish.json"
FORMAT = 1
_MODEL_FILES = ("model.yaml", "model.onnx")


class CannotPublish(Exception):
    """The message says in plain words why and what to do."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What `publish.json` says."""

    bundle: str
    digest: str
    author: str
    """The operator's name, by their token."""
    at_ms: int
    reason: str
    previous_digest: str
    """Empty: it replaced nothing."""
    format: int = FORMAT

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


def sidecar_of(bundle: Path) -> Sidecar | None:
    """Return who published the bundle that a folder or link leads to; None: nobody did, by this command."""
    try:
        said: dict[str, Any] = json.loads((bundle.resolve(strict=True).parent / SIDECAR).read_bytes())
        return Sidecar(**said) if said.get("format") == FORMAT else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the target against other publishers. Makes it when absent. Raises CannotPublish."""
    try:
        (target / VERSIONS).mkdir(parents=True, exist_ok=True)
        loose = sorted(path.name for path in target.iterdir() if path.suffix == ".yaml")
        for name in (CURRENT, PREVIOUS):
            if (target / name).exists() and not (target / name).is_symlink():
                raise CannotPublish(f"{target / name} is no link: give a TARGET of its own, apart from the source folder")
        if loose:
            raise CannotPublish(f"{target} holds {loose[0]}, so it is a bundle's source: give a TARGET of its own")
        descriptor = os.open(target / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as err:
        raise CannotPublish(f"{target} cannot be written: {err.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise CannotPublish(f"somebody else is publishing to {target} right now; try again") from None
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def staged(source: Path, bundle: Bundle, target: Path) -> Iterator[Path]:
    """Copy what a load reads of `source`, its models and its tests, to a passing folder of the target; what is not placed goes away."""
    part = target / VERSIONS / f".part-{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    folder = part / "bundle"
    try:
        try:
            _copy(source, bundle, folder)
        except OSError as err:
            raise CannotPublish(f"{target} cannot be written: {err.strerror}") from None
        yield folder
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _copy(source: Path, bundle: Bundle, folder: Path) -> None:
    folder.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.suffix == ".yaml" and not path.name.startswith("."):
            shutil.copyfile(path, folder / path.name)
    for path in sorted((source / "tests").glob("*.yaml")):
        (folder / "tests").mkdir(exist_ok=True)
        shutil.copyfile(path, folder / "tests" / path.name)
    for model in bundle.models:
        there = folder / "models" / model.name / str(model.version)
        there.mkdir(parents=True)
        for name in _MODEL_FILES:
            shutil.copyfile(model.directory / name, there / name)


def place(folder: Path, target: Path, sidecar: Sidecar) -> Path:
    """Make a staged folder a version, durably, and return it. Nothing leads to it yet. Raises CannotPublish."""
    part = folder.parent
    try:
        (part / SIDECAR).write_bytes(sidecar.encode())
        for path in sorted(part.rglob("*")):
            _sync(path)
        _sync(part)
        # The same meaning may be published again with other comments: a version never changes, so it gets a name of its own.
        number, version = 1, target / VERSIONS / sidecar.digest
        while version.exists():
            number += 1
            version = target / VERSIONS / f"{sidecar.digest}.{number}"
        os.rename(part, version)
        _sync(target / VERSIONS)
        return version / "bundle"
    except OSError as err:
        raise CannotPublish(f"{target} cannot be written: {err.strerror}; nothing has changed") from None


def lead(target: Path, version: Path) -> None:
    """Make `current` lead to a version and `previous` to what was current, durably. Readers see one or the other. Raises CannotPublish."""
    current = target / CURRENT
    try:
        if current.is_symlink():
            _link(target / PREVIOUS, Path(os.readlink(current)))
        _link(current, version.relative_to(target))
        _sync(target)
    except OSError as err:
        raise CannotPublish(f"{current} cannot be swapped: {err.strerror}") from None


def previous(target: Path) -> Path:
    """Return the folder that a rollback leads to. Raises CannotPublish."""
    link = target / PREVIOUS
    if not link.is_symlink() or not link.exists():
        raise CannotPublish(f"{target} has no previous version to go back to")
    return target / os.readlink(link)


def _link(link: Path, leads_to: Path) -> None:
    part = link.with_name(f".{link.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    part.symlink_to(leads_to)
    os.replace(part, link)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
