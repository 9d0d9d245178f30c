"""Commands go out as hiredis would write them."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.adapters.redis_pack import packed

_WORDS = st.one_of(st.binary(max_size=200), st.text(max_size=40), st.integers(-(2**60), 2**60))
_OF_BYTES = st.tuples(st.sampled_from(["SET", "MGET", "EVALSHA", b"DEL"]), st.lists(st.binary(max_size=300), max_size=9))
_OF_ANY = st.tuples(st.sampled_from(["SET", "PING", "EVAL"]), st.lists(_WORDS, max_size=9))


def _by_hiredis(commands: list[tuple[bytes | str | int, ...]]) -> bytes:
    pack: Any = hiredis.pack_command
    return b"".join(map(pack, commands))


@given(st.lists(st.one_of(_OF_BYTES, _OF_ANY), max_size=12))
def test_commands_are_written_as_hiredis_writes_them(made: list[tuple[str | bytes, list[bytes | str | int]]]) -> None:
    """Whatever commands go out together, of bytes, text and numbers, one or many, their bytes are those of hiredis."""
    commands = [(name, *words) for name, words in made]
    assert packed(commands) == _by_hiredis(commands)


@pytest.mark.parametrize("size", [0, 127, 65_535, 65_536, 70_000])
def test_long_arguments_are_written_whole(size: int) -> None:
    """An argument of any length is written behind that length, first met or not."""
    commands: list[tuple[bytes | str | int, ...]] = [("SET", b"key", bytes(size), b"PX", b"1000"), ("GET", b"key")]
    assert packed(commands) == _by_hiredis(commands) == packed(commands)


def test_a_lone_name_is_a_command() -> None:
    """A command without arguments is written too, alone and among others."""
    assert packed([("PING",)]) == b"*1\r\n$4\r\nPING\r\n"
    assert packed([("PING",), ("GET", b"k")]) == b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
