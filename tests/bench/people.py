"""The bench's 10,000 people, stored packed for Liftgate and as plain hashes for the plain server, reset in one go."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

from liftgate.adapters import redis_keys
from liftgate.bundle.compiled import Bundle
from liftgate.domain.bucketing import Salt
from liftgate.domain.consent import document
from liftgate.domain.profile import pack

from .plain_decisions import plain_key
from .shop import COUNTRIES, FLAGS, NUMBERS, PROFILE_PURPOSE, TIERS
from .traffic import PEOPLE, person_id

_SALT = Salt("bench-people")
_STATUSES = ("granted",) * 23 + ("denied", "expired")


def profile(number: int) -> dict[str, Any]:
    """Return a person's features; one in fifty has no age."""
    found: dict[str, Any] = {}
    bits = _SALT.hash64(str(number))
    for i, (name, (kind, largest, _)) in enumerate(NUMBERS.items()):
        value = (bits >> 2 * i & 0xFFFF) / 65536 * largest
        found[name] = int(value) if kind == "int" else value
    if number % 50 == 7:
        del found["age"]
    found |= {name: bool(bits >> 40 + i & 1) for i, name in enumerate(FLAGS)}
    return found | {"country": COUNTRIES[bits % 3], "tier": TIERS[bits // 3 % 3]}


def consent(number: int) -> dict[str, str] | None:
    """Return status by purpose; one in a hundred was never asked."""
    if number % 100 == 13:
        return None
    return {PROFILE_PURPOSE: _STATUSES[number * 7 % 25], "marketing": "granted" if number % 5 else "denied"}


def _commands(bundle: Bundle) -> Iterator[list[bytes | str]]:
    now_s = int(time.time())
    yield ["FLUSHALL", "SYNC"]
    for number in range(PEOPLE):
        person, found, statuses = person_id(number), profile(number), consent(number)
        values = [column.encode(found.get(column.name.removeprefix("profile."))) for column in bundle.schema.profile]
        yield ["SET", redis_keys.profile(person), pack(bundle.schema, values, now_s)]
        pairs = [part for name, value in found.items() for part in (name, str(value))]
        yield ["HSET", plain_key(person, "features"), *pairs]
        if statuses is not None:
            grants = {name: {"status": status, "given_at_ms": 1_700_000_000_000} for name, status in statuses.items()}
            yield ["SET", redis_keys.consent(person), document(grants)]
            yield ["HSET", plain_key(person, "consent"), *[part for pair in statuses.items() for part in pair]]


def packed(bundle: Bundle) -> Iterator[list[bytes | str]]:
    """Yield the commands that store everybody as Liftgate reads them, and no more."""
    return (command for command in _commands(bundle) if command[0] == "SET")


def image(bundle: Bundle) -> bytes:
    """Return everything that `restore` sends, encoded once."""
    parts: list[bytes] = []
    for command in _commands(bundle):
        parts.append(b"*%d\r\n" % len(command))
        for word in command:
            raw = word.encode() if isinstance(word, str) else word
            parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(parts)


def restore(port: int, stored: bytes) -> None:
    """Empty the store and fill it with the image again: no contact history, no remembered answers. Raises RuntimeError."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        link.sendall(b"CLIENT REPLY OFF\r\n" + stored + b"CLIENT REPLY ON\r\nDBSIZE\r\n")
        answer = b""
        while answer.count(b"\r\n") < 2:
            piece = link.recv(4096)
            if not piece:
                raise RuntimeError("the store hung up")
            answer += piece
    if not answer.startswith(b"+OK\r\n:") or int(answer[6:].split(b"\r\n")[0]) < 3 * PEOPLE:
        raise RuntimeError(f"the store was not filled: {answer!r}")
