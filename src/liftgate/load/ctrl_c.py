"""Ctrl-C as a wish: a run ends between two of its steps, with every call counted, and not in the middle of one."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any


class CtrlC:
    """While it lasts the first Ctrl-C sets `asked`, and the second raises KeyboardInterrupt as usual."""

    asked = False

    def __enter__(self) -> CtrlC:
        self._before: Any = None
        try:
            self._before = signal.signal(signal.SIGINT, self._ask)
        except ValueError:  # not the main thread: signals do not come here
            return self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


NEVER = CtrlC()
"""For runs that nobody ends."""
