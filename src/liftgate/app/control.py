"""What a supervisor and its workers say to each other: lines of JSON over a socket pair, whose end tells each that the other is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from liftgate.app.keys import PseudonymKey
from liftgate.app.settings import Settings

Line = dict[str, Any]
MAX_LINE_BYTES = 1 << 23
"""A line holds at most the mistakes of every worker's bundle."""


def encode(line: Line) -> bytes:
    """Return one line."""
    return json.dumps(line).encode() + b"\n"


def decode(raw: bytes) -> Line:
    """Read one line. Raises ValueError."""
    line = json.loads(raw)
    if not isinstance(line, dict):
        raise ValueError("a line wants an object")
    return line


def orders(settings: Settings, key: PseudonymKey, worker: int) -> Line:
    """Return what a worker needs to begin. It holds secrets: it goes over the socket and nowhere else."""
    values: dict[str, Any] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        elif isinstance(value, Path):
            value = str(value)
        values[name] = value
    # The key travels as such: which file it came from is settled.
    values["pseudonym_key"] = values["pseudonym_key_file"] = None
    return {"worker": worker, "settings": values, "key_id": key.key_id, "key": key.key.hex()}


def read_orders(line: Line) -> tuple[Settings, PseudonymKey, int]:
    """Return settings, key and worker number. The environment has no say: every setting is given."""
    return Settings(**line["settings"]), PseudonymKey(line["key_id"], bytes.fromhex(line["key"]), None), int(line["worker"])
