"""Every byte that a system wrote, unpacked where it is packed, and the forms that a value could hide in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq

_HASHES = ("md5", "sha1", "sha256", "sha512", "blake2b")
_DIGITS = re.compile(rb"[0-9a-fA-F]{32,128}")


def contents(*directories: Path) -> bytes:
    """Return what stands in every file, names included; Parquet is compressed, so its values are read out."""
    parts = []
    for directory in directories:
        for path in sorted(directory.rglob("*")):
            parts.append(path.name.encode())
            if path.is_file() and not path.is_socket():
                raw = path.read_bytes()
                parts.append(raw)
                if raw[:4] == b"PAR1":
                    parts += _values(pq.read_table(path).to_pylist())
    return b"\0".join(parts)


def _values(value: object) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
        yield value.hex().encode()
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _values(each)
    elif isinstance(value, list):
        for each in value:
            yield from _values(each)
    elif value is not None:
        yield str(value).encode("utf-8", "surrogatepass")


def forms(value: str) -> set[bytes]:
    """Return a text as it stands in files that mean no harm: itself, as JSON, URL and UTF-16, in base64 at each offset, in hexadecimal."""
    raw = value.encode()
    found = {raw, json.dumps(value)[1:-1].encode(), quote(value).encode(), quote(value, safe="").encode(), value.encode("utf-16-le")}
    for shift in range(3):
        packed = base64.b64encode(b"\0" * shift + raw)
        # Its first and last characters depend on what stands beside it.
        found |= {packed[4 if shift else 0 : -4], packed[4 if shift else 0 : -4].replace(b"+", b"-").replace(b"/", b"_")}
    return found | {raw.hex().encode(), raw.hex().upper().encode(), raw[::-1]}


def hashed(value: str) -> dict[str, bytes]:
    """Return the hashes of a text that need no key, which whoever knows the text can make."""
    return {name: hashlib.new(name, value.encode()).digest() for name in _HASHES} | {
        f"blake2b-{size}": hashlib.blake2b(value.encode(), digest_size=size).digest() for size in (8, 16, 32)
    }


def found(values: Iterable[str], written: bytes) -> list[tuple[str, str]]:
    """Return which values stand in the bytes, and how."""
    digits = {match.lower() for match in _DIGITS.findall(written)}
    begins = {size: {one[:size] for one in digits} for size in (16, 32, 40, 64, 128)}
    seen = []
    for value in values:
        seen += [(value, "text") for form in forms(value) if form in written][:1]
        seen += [(value, name) for name, raw in hashed(value).items() if raw in written or raw.hex().encode() in begins[2 * len(raw)]]
    return seen


def around(value: str, written: bytes) -> str:
    """Return what stands beside a value, for whoever looks for the leak."""
    for form in forms(value):
        if (at := written.find(form)) >= 0:
            return written[max(at - 120, 0) : at + len(form) + 60].decode("utf-8", "backslashreplace")
    return ""
