"""Feast's layout on Redis, held to bytes that the real Feast wrote (tests/adapters/feast_golden)."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from math import nan
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.feast_layout import EntityKeys, EntityType, FeastCodec, FeastSource, field, murmur3
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.domain.profile import ProfileState

GOLDEN = Path(__file__).parent / "feast_golden"
WROTE: dict[str, Any] = json.loads((GOLDEN / "golden.json").read_text())
AT, EARLIER = WROTE["at_s"], WROTE["earlier_s"]
COLUMNS = (
    Input("profile.age", InputType.INT),
    Input("profile.country", InputType.STRING, ("DE", "FR")),
    Input("profile.member", InputType.BOOL),
    Input("profile.score", InputType.FLOAT),
    Input("profile.seen", InputType.TIMESTAMP),
    Input("profile.spend", InputType.FLOAT),
    Input("profile.views", InputType.INT),
    Input("profile.visits", InputType.INT),
)
SCHEMA = InputSchema(COLUMNS, ())
FEATURES = {column.name.removeprefix("profile."): ("stats", column.name.removeprefix("profile.")) for column in COLUMNS}
FEATURES["views"] = ("live", "views")
FOUND, MISSING, UNREADABLE = ProfileState.FOUND, ProfileState.MISSING, ProfileState.UNREADABLE
WANTED: dict[str, tuple[ProfileState, list[float]]] = {
    "ada": (FOUND, [41, 1, 1, 0.25, 1_767_225_600_000, 12.5, 3, 7]),
    "bob": (FOUND, [0, -1, 0, 0.0, -1000, nan, nan, -3]),
    "empty": (FOUND, [nan] * 8),
    "héllo wörld 日本語": (FOUND, [2**40, -1, nan, nan, nan, nan, nan, nan]),
    "only-live": (FOUND, [nan, nan, nan, nan, nan, nan, 9, nan]),
    "null": (FOUND, [nan, 0, nan, nan, nan, nan, nan, nan]),
    "list": (UNREADABLE, [nan] * 8),
    "text": (UNREADABLE, [nan] * 8),
    "infinite": (UNREADABLE, [nan] * 8),
    "half": (UNREADABLE, [nan] * 8),
    "nobody": (MISSING, [nan] * 8),
}
"""What Feast was given (make.py), as columns."""


def source(serialization: Literal[2, 3] = 3, entity_type: EntityType = "string") -> FeastSource:
    """Return where the golden store has things."""
    return FeastSource(WROTE["project"], "customer_id", FEATURES, entity_type, serialization)


def reply(codec: FeastCodec, store: dict[str, dict[str, str]], person_id: str) -> list[bytes | None]:
    """Return what HMGET would answer from golden bytes."""
    key = codec.key(person_id)
    held = store.get(key.hex(), {}) if key is not None else {}
    return [bytes.fromhex(held[name.hex()]) if name.hex() in held else None for name in codec.asked]


@pytest.mark.parametrize("serialization", [2, 3])
def test_every_value_that_feast_wrote_is_read(serialization: Literal[2, 3]) -> None:
    """Numbers, text, bools, times, null, NaN and nothing come back as given; lists, wrong types and fractions of an int are unreadable."""
    codec, store = FeastCodec(source(serialization), SCHEMA), WROTE[f"string_v{serialization}"]
    assert {bytes.fromhex(key) for key in store} == {codec.key(person) for person in WANTED if person != "nobody"}
    profiles = codec.decode([reply(codec, store, person) for person in WANTED])
    assert profiles.state.tolist() == [state for state, _ in WANTED.values()]
    np.testing.assert_array_equal(profiles.value, [values for _, values in WANTED.values()])


def test_times_are_those_of_their_view() -> None:
    """A feature is as old as its own view; a view that was never written has no time, and neither has who is unreadable."""
    codec = FeastCodec(source(), SCHEMA)
    at = codec.decode([reply(codec, WROTE["string_v3"], person) for person in ("ada", "bob", "only-live", "text")]).at_s
    assert at[0].tolist() == [AT] * 6 + [EARLIER, AT]
    np.testing.assert_array_equal(at[1], [AT] * 6 + [nan, AT])
    np.testing.assert_array_equal(at[2], [nan] * 6 + [EARLIER, nan])
    assert np.isnan(at[3]).all()


@pytest.mark.parametrize("serialization", [2, 3])
@pytest.mark.parametrize("kind", ["int64", "int32"])
def test_entities_that_are_numbers(serialization: Literal[2, 3], kind: EntityType) -> None:
    """A person's id is the number that Feast's entity is, written plainly; anything else is nobody."""
    store, keys = WROTE[f"{kind}_v{serialization}"], EntityKeys(source(serialization, kind))
    ids = ("17", "-5") if kind == "int32" else ("17", "-5", str(2**40))
    assert {bytes.fromhex(key) for key in store} == {keys.key(person) for person in ids}
    for nobody in ("", "ada", "017", "+17", " 17", "1_7", "17.0", "-0", str(2**63), "\u0661\u0667"):
        assert keys.key(nobody) is None


def test_murmur3_vectors() -> None:
    """The hash agrees with published vectors of MurmurHash3_x86_32, seed 0, for every length of the tail."""
    vectors = {b"": 0, b"\0\0\0\0": 0x2362F9DE, b"\x21\x43\x65\x87": 0xF55B516B, b"\x21\x43\x65": 0x7E4A8634, b"\x21\x43": 0xA0F7B07A}
    vectors |= {
        b"\x21": 0x72661CF4,
        b"\0": 0x514E28B7,
        b"Hello, world!": 0xC0363E43,
        b"The quick brown fox jumps over the lazy dog": 0x2E4FF723,
    }
    assert {data: murmur3(data) for data in vectors} == vectors
    assert field("stats", "age").hex() in next(iter(WROTE["int64_v3"].values()))


@given(st.lists(st.none() | st.binary(max_size=24), min_size=10, max_size=10))
def test_any_bytes_are_read_or_refused(raws: list[bytes | None]) -> None:
    """Whatever stands in the fields, the person is found, missing or unreadable, and no value is infinite."""
    codec = FeastCodec(source(), SCHEMA)
    assert len(codec.asked) == 10
    profiles = codec.decode([raws])
    assert profiles.state[0] in (FOUND, MISSING, UNREADABLE)
    assert not np.isinf(profiles.value).any()
    if profiles.state[0] != FOUND:
        assert np.isnan(profiles.value).all()


@pytest.mark.skipif(importlib.util.find_spec("feast") is None, reason="feast is not installed: golden bytes were NOT made anew")
def test_the_golden_bytes_are_what_feast_writes() -> None:
    """Where the real Feast can be imported, it writes these bytes again."""
    with EmbeddedValkey(tcp=True) as valkey:
        made = subprocess.run([sys.executable, str(GOLDEN / "make.py"), f"127.0.0.1:{valkey.port}"], capture_output=True, check=True)
    found = json.loads(made.stdout)
    assert found | {"feast": ""} == WROTE | {"feast": ""}
