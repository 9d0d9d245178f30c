"""Requests that are sent when they are due, whatever the server does, and timed from then on."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from time import perf_counter_ns

from liftgate.load.connections import Connections
from liftgate.load.ctrl_c import NEVER, CtrlC
from liftgate.load.schedule import Schedule

_LEAD_NS = 2_000_000
_TURN_NS = 50_000_000


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that is over."""

    start_ns: int
    """When the schedule began, `perf_counter_ns`."""
    sent: int
    """Requests that were due before the run ended."""
    ended_ns: int
    """When the last of them was followed by none, from the start: where the schedule ends, unless it was interrupted."""
    interrupted: bool


def run(connections: Connections, schedule: Schedule, drain_s: float, ctrl_c: CtrlC = NEVER) -> Ran:
    """Send the whole schedule, then wait at most `drain_s` for what is in flight. Ctrl-C ends the run early and keeps what came back."""
    due = array("q", schedule.due_ns.tobytes())
    # Never due: it spares a check for the end in the loop below.
    due.append(2**62)
    last, places, sent = len(due) - 1, len(connections.at), 0
    start = perf_counter_ns() + _LEAD_NS
    place = 0
    touched: dict[int, None] = {}
    while sent < last and not ctrl_c.asked:
        now = perf_counter_ns() - start
        while due[sent] <= now:
            connections.due(place, start + due[sent])
            touched[place] = None
            place = place + 1 if place + 1 < places else 0
            sent += 1
        for one in touched:
            connections.send(one)
        touched.clear()
        if sent < last:
            connections.wait(min(start + due[sent], perf_counter_ns() + _TURN_NS))
    interrupted = ctrl_c.asked
    until = perf_counter_ns() + int((min(drain_s, 1.0) if interrupted else drain_s) * 1e9)
    while (connections.in_flight or connections.pending) and (now := perf_counter_ns()) < until:
        connections.wait(min(now + _TURN_NS, until))
    connections.close(f"no reply within {drain_s:g} s after the last request")
    return Ran(start, sent, due[sent] if interrupted and sent < last else int(schedule.ends_ns[-1]), interrupted)
