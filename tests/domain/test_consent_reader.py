"""Consent documents as columns: what is remembered of a document is what reading it anew would say, at any moment."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import orjson

from liftgate.domain import consent

PURPOSES = ("ads", "research")
_TIMES: tuple[Any, ...] = (5, 10, 10.5, 15, 20, 25, 5, 10, 15, 20, None, True, "x", 1e300)


def _record(dice: random.Random) -> Any:
    if dice.random() < 0.1:
        return dice.choice([None, 1, "granted", [], True])
    found: dict[str, Any] = {"status": dice.choice(["granted"] * 6 + ["denied", "expired", "withdrawn", "nope", None, []])}
    return found | {name: dice.choice(_TIMES) for name in ("given_at_ms", "expires_at_ms", "withdrawn_at_ms") if dice.random() < 0.6}


def _documents(dice: random.Random, count: int) -> list[bytes | None]:
    found: list[bytes | None] = [None, b"", b"x", b"[]", b"{}", b'{"v":1,"purposes":[]}', b'{"v":2,"purposes":{}}']
    for _ in range(count):
        purposes = {name: _record(dice) for name in PURPOSES if dice.random() < 0.8}
        found.append(orjson.dumps({"v": 1, "policy_version": dice.choice(["2026-05", "x" * 99, 3]), "purposes": purposes}))
    return found


def _read(reader: consent.Reader, raws: list[bytes | None], moments: list[int]) -> list[tuple[list[int], list[float], str]]:
    codes, ends, versions = reader.columns(raws, moments)
    shape = len(raws), len(PURPOSES)
    each = np.frombuffer(codes, dtype=np.uint8).reshape(shape).tolist(), np.frombuffer(ends).reshape(shape).tolist(), versions
    return list(zip(*each, strict=True))


def test_what_is_remembered_is_what_reading_anew_says() -> None:
    """Documents of every kind, met again before and after grants begin, end and are withdrawn, say what `parse` says of them."""
    dice, reader = random.Random(11), consent.Reader(PURPOSES)
    documents = _documents(dice, 300)
    for _ in range(20):
        raws, moments = dice.choices(documents, k=200), [dice.randrange(30) for _ in range(200)]
        wanted = [consent.parse(raw, PURPOSES, now_ms) for raw, now_ms in zip(raws, moments, strict=True)]
        assert _read(reader, raws, moments) == [([*map(int, codes)], ends, version) for codes, ends, version in wanted]


def test_a_grant_ends_at_its_moment_however_often_it_was_read() -> None:
    """The memory of a grant lasts to the last millisecond before its end, and no longer; a clock set back is no way around it."""
    raw = consent.document({name: {"status": "granted", "given_at_ms": 10, "expires_at_ms": 20} for name in PURPOSES})
    reader = consent.Reader(PURPOSES)
    said = [_read(reader, [raw], [now_ms])[0][0][0] for now_ms in (10, 19, 20, 19, 9)]
    assert said == [consent.parse(raw, PURPOSES, now_ms)[0][0] for now_ms in (10, 19, 20, 19, 9)]
    assert len(set(said)) == 2


def test_memory_is_bounded() -> None:
    """No more than so many documents are remembered, and none that is large."""
    reader = consent.Reader(PURPOSES)
    for i in range(consent.KNOWN + 10):
        reader.columns([b'{"v":1,"purposes":{},"n":%d}' % i], [0])
    assert 0 < len(reader._known) <= consent.KNOWN
    large = b'{"v":1,"purposes":{}}'.ljust(consent.LARGEST + 1)
    reader.columns([large], [0])
    assert large not in reader._known
