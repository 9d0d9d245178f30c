"""While a process serves, its other threads let the interpreter go sooner than Python has them do."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from liftgate.app import server
from liftgate.app.exit_code import ExitCode


def test_threads_beside_a_serving_loop_let_go_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch interval is a tenth of the usual one from before the loop runs until it has ended, whatever ends it."""
    seen: list[float] = []

    async def serving(*_: Any) -> ExitCode:
        seen.append(sys.getswitchinterval())
        raise KeyError

    monkeypatch.setattr(server, "_serve", serving)
    before = sys.getswitchinterval()
    nothing: Any = None
    with pytest.raises(KeyError):
        server.serve(nothing, nothing, nothing, nothing)
    assert seen == [pytest.approx(0.0005)]
    assert sys.getswitchinterval() == before > 0.001
