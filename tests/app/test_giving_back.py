"""Memory that is free goes back to the system: after a reload, and when it has risen, but seldom."""

from __future__ import annotations

import asyncio
import ctypes
from threading import Thread

import pytest

from liftgate.adapters.onnx_models import OnnxModels
from liftgate.app import giving_back, parting
from liftgate.app.giving_back import REST_S, RISE, Level, give_back, held, watch
from liftgate.bundle.load import load_bundle
from liftgate.pipeline.live import Live
from tests.app.test_handover import SMALL

_BLOCK, _BLOCKS = 8_192, 4_000
"""Bytes of each, below what the C library maps by itself."""

glibc = pytest.mark.skipif(giving_back._malloc_trim is None, reason="only glibc keeps and gives back")


@glibc
def test_holes_between_what_is_in_use_are_given_back() -> None:
    """Of 32 MB of which a block at the end is in use the C library keeps all, as the control arm shows, until it is told to give back."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
    blocks: list[int] = []

    def burst() -> None:
        # In a thread: it has an arena of its own, as the threads of a server have.
        for _ in range(_BLOCKS):
            block = libc.malloc(_BLOCK)
            ctypes.memset(block, 1, _BLOCK)
            blocks.append(block)
        for block in blocks[:-1]:
            libc.free(block)

    thread = Thread(target=burst)
    give_back()
    before = held()
    thread.start()
    thread.join()
    kept = held() - before
    give_back()
    left = held() - before
    libc.free(blocks[-1])
    size = _BLOCK * _BLOCKS
    assert kept > 0.8 * size
    assert left < 0.2 * size


def test_parting_with_a_bundle_ends_with_giving_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reload needed beside what it leaves is given back, once, when what was in force before is gone."""
    given: list[int] = []
    before: list[Live] = []
    monkeypatch.setattr(parting, "give_back", lambda: given.append(len(before)))
    monkeypatch.setattr(parting, "_LOOK_S", 0.0)
    bundle = load_bundle(SMALL)
    before.append(Live(bundle, OnnxModels.load(bundle)))
    parting._part(before)
    assert given == [0]


def test_only_a_rise_is_given_back_and_seldom() -> None:
    """Not before a minute, not for less than what is worth it above the least there was; what stays then is the new level."""
    level = Level(0.0, 100 * RISE)
    assert not level.risen(REST_S - 1, 200 * RISE)
    assert not level.risen(REST_S, 101 * RISE - 1)
    assert level.risen(REST_S, 101 * RISE)
    assert not level.risen(REST_S, 90 * RISE)
    assert level.risen(REST_S, 91 * RISE)
    level.given_back(REST_S, 95 * RISE)
    assert not level.risen(2 * REST_S - 1, 200 * RISE)
    assert not level.risen(2 * REST_S, 96 * RISE - 1)
    assert level.risen(2 * REST_S, 96 * RISE)


async def test_a_watch_gives_back_and_goes_by_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rise is given back once; what is in use, and so stays, is not given back again and again. Without figures there is no watch."""
    monkeypatch.setattr(giving_back, "LOOK_S", 0.0)
    levels = iter([50 * RISE, 50 * RISE, 60 * RISE, 58 * RISE, 58 * RISE, 58 * RISE])
    minutes = iter(range(1_000))
    given: list[int] = []

    def look() -> int:
        try:
            return next(levels)
        except StopIteration:
            raise OSError from None

    async with asyncio.timeout(10):
        await watch(look, lambda: given.append(1), lambda: next(minutes) * REST_S)
    assert given == [1]
