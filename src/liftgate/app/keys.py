"""The key of the pseudonyms in the log: given, read from a file, or made once and kept outside the log directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.app.settings import BadSettings, Settings, mention

KEY_BYTES = 32
MADE_NAME = "pseudonym.key"


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """A key, the name that rows carry for it, and where it came from."""

    key_id: str
    """Eight hexadecimal digits of SHA-256 over a fixed text and the key: names it, does not reveal it."""
    key: bytes
    made_at: Path | None
    """The file, when it was made just now because none was given."""

    def __repr__(self) -> str:
        return f"PseudonymKey({self.key_id})"


def pseudonym_key(settings: Settings) -> PseudonymKey:
    """Return the key in force. Raises BadSettings when it cannot be read or made, is short, or would lie in the log directory."""
    if settings.pseudonym_key is not None:
        return _named(settings.pseudonym_key.get_secret_value().encode(), None)
    path = settings.pseudonym_key_file or made_path(settings.log)
    if _inside(path, settings.log):
        raise BadSettings(f"{mention('pseudonym_key_file')} must lie outside the log directory: whoever has both can tell who is who")
    made = None
    try:
        if settings.pseudonym_key_file is None and _make(path):
            made = path
        key = path.read_bytes().strip()
    except OSError as err:
        raise BadSettings(f"{mention('pseudonym_key_file')} {path}: {err.strerror}") from None
    if len(key) < 16:
        raise BadSettings(f"{mention('pseudonym_key_file')} {path} wants at least 16 bytes, not {len(key)}")
    return _named(key, made)


def hashed_ids(key: bytes) -> Pseudonyms:
    """Return what tombstones and the erasure journal call people: hashes under a key that is made from the pseudonyms' for them alone."""
    return Pseudonyms.of_units("erasure", "", key)


def made_path(log: Path) -> Path:
    """Return where a key is kept when none is given: `keys/` beside the log directory."""
    return log.absolute().parent / "keys" / MADE_NAME


def _named(key: bytes, made: Path | None) -> PseudonymKey:
    return PseudonymKey(sha256(b"liftgate pseudonym key id:" + key).hexdigest()[:8], key, made)


def _inside(path: Path, directory: Path) -> bool:
    return path.resolve().is_relative_to(directory.resolve())


def _make(path: Path) -> bool:
    """Make the key's file, whole or not at all, unless it is there. Return whether it was made."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(KEY_BYTES).hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)  # fails when another process was first: then its key counts
        except FileExistsError:
            return False
        return True
    finally:
        os.unlink(part)
