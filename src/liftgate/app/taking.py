"""Taking over what was loaded aside: its bundle is unpacked, the models are loaded again and all is warmed, in slices of a thread."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from liftgate.adapters.onnx_models import OnnxModels
from liftgate.app.aside import Aside, LoadFailed
from liftgate.app.handover import Handed, unpack
from liftgate.app.loading import LOOKS, Files, Found, found, look
from liftgate.app.slices import sliced
from liftgate.app.warm import warm
from liftgate.bundle.compiled import Bundle
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Clock

_SWITCH_S = 0.0002
"""How long the taking thread may keep the interpreter while the event loop wants it."""


class Taking:
    """Has the files loaded aside and makes of them what can be put in force. One read at a time, in a thread."""

    def __init__(self, files: Files, aside: Aside, clock: Clock, also: Callable[[Bundle], None] = lambda bundle: None) -> None:
        """`also` is told of each bundle that is taken; what it raises of BadInput is a mistake."""
        self._files, self._aside, self._clock, self._also = files, aside, clock, also

    def read(self) -> Found[Live]:
        """Return what is to be in force, or every mistake. Blocks. Raises LoadFailed."""
        for _ in range(LOOKS):
            before = look(self._files)
            raw = self._aside.load()
            with _beside_the_loop():
                result = self._found(_unpacked(raw))
            # The loader held the same files to the same rules: a model that is refused only here has changed since.
            if result.loaded is not None or look(self._files) == before:
                break
        return result

    def _found(self, handed: Handed) -> Found[Live]:
        bundle, known = handed.bundle, handed.known
        if bundle is None or known is None:
            return Found(None, known, handed.mistakes)
        return found(lambda: self._take(bundle), lambda: known)

    def _take(self, bundle: Bundle) -> Live:
        live = Live(bundle, OnnxModels.load(bundle))
        self._also(bundle)
        warm(live, self._clock.now_ms())
        return live


def _unpacked(raw: bytes) -> Handed:
    try:
        handed = unpack(raw)
    except ValueError as err:
        raise LoadFailed(f"what the loading process handed over is not whole ({err}); reload again") from None
    if handed.cause:
        raise LoadFailed(handed.cause)
    return handed


@contextmanager
def _beside_the_loop() -> Iterator[None]:
    """Work in slices, let the interpreter go when asked, and leave nothing for the collector to walk through.

    What is made here lives as long as the bundle is in force and holds no cycles: it goes by reference counts. A full collection would
    stop every thread for longer than a decision may take.
    """
    interval, collects = sys.getswitchinterval(), gc.isenabled()
    # Cycles that are garbage by now would stay for ever once frozen.
    gc.collect(1)
    gc.disable()
    # Each time that the event loop comes back from the kernel it waits for this thread to let go: 5 ms at each is a decision's budget.
    sys.setswitchinterval(_SWITCH_S)
    try:
        with sliced():
            yield
        gc.freeze()
    finally:
        sys.setswitchinterval(interval)
        if collects:
            gc.enable()
