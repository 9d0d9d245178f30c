"""Parting with what was in force: freeing a large bundle in one go would hold up every decision for as long as it takes."""

from __future__ import annotations

import gc
import sys
import threading
from time import sleep
from types import MappingProxyType
from typing import Any

from liftgate.app.giving_back import give_back
from liftgate.app.slices import sliced
from liftgate.pipeline.live import Live

_LOOK_S = 1.0
_LOOKS = 60
"""How often to look whether anybody still has it."""
_OWN = 3
"""References that the look itself holds: the list, the name, the argument."""
_SETS = 256
_CONTAINERS = frozenset({dict, list, tuple, set, frozenset, MappingProxyType})


def part_with(live: Live) -> None:
    """Free it bit by bit in a thread, once no walk has it. The caller lets go of it, too."""
    threading.Thread(target=_part, args=([live],), name="parting", daemon=True).start()


def _part(held: list[Any]) -> None:
    for _ in range(_LOOKS):
        sleep(_LOOK_S)
        whole = held[0]
        if sys.getrefcount(whole) <= _OWN:
            break
    with sliced():
        parts = parts_of(held.pop())
        del whole
        # From the whole to its parts: each is held by the list until its turn, so that none takes others with it.
        while parts:
            parts.pop()
    # Now and not after each part: what is free lies together, as far as it ever will.
    give_back()


def parts_of(whole: Any) -> list[Any]:
    """Return everything that it consists of, containers and objects of ours, each once; none before those that it holds itself."""
    parts: list[Any] = []
    # Many small sets: one of a whole bundle's parts is freed in one go, which takes longer than a slice.
    seen: list[set[int]] = [set() for _ in range(_SETS)]
    ahead: list[tuple[Any, bool]] = [(whole, False)]
    while ahead:
        one, done = ahead.pop()
        if done:
            parts.append(one)
        elif id(one) not in (known := seen[id(one) // 16 % _SETS]):
            known.add(id(one))
            ahead.append((one, True))
            for other in gc.get_referents(one):
                if type(other) in _CONTAINERS or type(other).__module__.startswith("liftgate."):
                    ahead.append((other, False))
    while seen:
        seen.pop()
    return parts
