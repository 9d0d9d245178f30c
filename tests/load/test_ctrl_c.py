"""Ctrl-C ends a run early, and its figures are those until then."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from liftgate.load.ctrl_c import CtrlC
from liftgate.load.run import closed_run, open_run
from liftgate.load.schedule import Step, plan
from tests.load.conftest import OFFER, Bodies, PeerOf, Serve

AT = 40


class Interrupting:
    """Requests, and Ctrl-C while one of them is being written."""

    def __init__(self, bodies: Iterator[bytes]) -> None:
        self._bodies = bodies
        self._drawn = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._drawn += 1
        if self._drawn == AT:
            os.kill(os.getpid(), signal.SIGINT)
        return next(self._bodies)


def test_an_open_loop_counts_until_then(serve: Serve, peer: PeerOf, bodies: Bodies) -> None:
    """What was due before Ctrl-C is answered and counted, over the time that it was due in and not over all that was planned."""
    schedule = plan([Step(100, 5.0), Step(200, 60.0)], "constant")
    with serve(lambda _, __: OFFER) as port:
        data = open_run(peer(port), Interrupting(bodies()), schedule, connections=2).data
    assert data["interrupted"]
    assert AT <= data["sent"] < 12_500
    assert data["ok"] + sum(data["failed"].values()) == data["sent"]
    assert data["seconds"] == pytest.approx(float(schedule.due_ns[data["sent"]]) / 1e9, abs=0.001)
    assert sum(step["sent"] for step in data["steps"]) == data["sent"]
    assert sum(step["duration_s"] for step in data["steps"]) == pytest.approx(data["seconds"], abs=0.002)


def test_a_closed_loop_counts_until_then(serve: Serve, peer: PeerOf, bodies: Bodies, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came back before Ctrl-C is counted, and what was in flight is waited for."""
    monkeypatch.setattr("liftgate.load.run._WARM_UP_S", 0.0)
    with serve(lambda _, __: OFFER) as port:
        data = closed_run(peer(port), Interrupting(bodies()), 600.0, connections=2, in_flight=4).data
    assert data["interrupted"]
    assert 0 < data["ok"] == data["sent"]
    assert data["seconds"] < 600


def test_a_closed_loop_that_is_ended_while_it_warms_up_has_nothing(serve: Serve, peer: PeerOf, bodies: Bodies) -> None:
    """Ctrl-C in the first half second ends the run, too: nothing was measured."""
    with serve(lambda _, __: OFFER) as port:
        data = closed_run(peer(port), Interrupting(bodies()), 600.0, connections=2, in_flight=4).data
    assert data["interrupted"]
    assert (data["ok"], data["sent"]) == (0, 0)


def test_the_second_ctrl_c_is_one() -> None:
    """Who does not want to wait for what is in flight presses it again; afterwards Ctrl-C is what it was before."""
    before = signal.getsignal(signal.SIGINT)
    with CtrlC() as ctrl_c:
        os.kill(os.getpid(), signal.SIGINT)
        assert ctrl_c.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
