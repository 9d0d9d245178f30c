"""Commands as they go out to a Redis or Valkey server: an array of lengths and arguments."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

import hiredis

Command = tuple[bytes | str | int, ...]
"""A command's name and arguments, as they go out. The key of one with a single key stands second, in EVAL and EVALSHA fourth."""

_pack: Any = hiredis.pack_command
_KEPT = 65_536
"""Lengths of arguments below this are written once."""


class _Lengths(dict[int, bytes]):
    """The end of an argument and the length of the next, by that length."""

    def __missing__(self, size: int) -> bytes:
        raw = b"\r\n$%d\r\n" % size
        if size < _KEPT:
            self[size] = raw
        return raw


_lengths = _Lengths()


@lru_cache(maxsize=4096)
def _begun(name: str | bytes, size: int) -> bytes:
    """Return the beginning of a command of so many words, up to its name."""
    raw = name.encode() if isinstance(name, str) else name
    return b"*%d\r\n$%d\r\n%b" % (size, len(raw), raw)


def packed(commands: Sequence[Command]) -> bytes:
    """Return commands as they go out. Cheapest where names are text and all else is bytes, as in those of every batch."""
    try:
        return _of_bytes(commands)
    except TypeError:
        return b"".join(map(_pack, commands))


def _of_bytes(commands: Sequence[Any]) -> bytes:
    """Return commands as they go out, arguments copied once. Raises TypeError where an argument is not bytes, or there is but a name."""
    words = list(chain.from_iterable(commands))
    if len(words) < 2:
        raise TypeError
    ahead = list(itemgetter(*map(len, words))(_lengths))
    at = 0
    for command in commands:
        size = len(command)
        ahead[at], words[at] = b"\r\n", _begun(command[0], size)
        at += size
    # The first command ends nothing.
    ahead[0] = b""
    parts = [b"\r\n"] * (2 * at + 1)
    parts[:-1:2], parts[1::2] = ahead, words
    return b"".join(parts)
