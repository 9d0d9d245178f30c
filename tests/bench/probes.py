"""Probes of read-your-writes: an event, and on its acknowledgement the decision that must see it; sent when they are due, a few us each."""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from time import perf_counter_ns

from liftgate.load.connection import Peer
from liftgate.load.connections import Connections
from liftgate.load.frames import request_headers
from liftgate.load.tally import Tally
from liftgate.v1.decision_pb2 import DecideRequest, DecideResponse
from liftgate.v1.event_service_pb2 import Event, EventKind, RecordRequest, RecordResponse

from .processes import BenchError

_PATIENCE_NS = 10_000_000_000
_LEAD_NS = 5_000_000


@dataclass(slots=True)
class Probed:
    """Milliseconds, one for each probe, ascending."""

    told_ms: list[float]
    """From when the event was due until its acknowledgement: every decision asked for from then on sees it."""
    seen_ms: list[float]
    """From when the event was due until the decision that saw it was there; inf: the store was away, so it was degraded."""


@dataclass(slots=True)
class _Acknowledged(Tally):
    """Takes acknowledgements; calls are told apart by when they were due."""

    at_ns: dict[int, int] = field(default_factory=dict)

    def reply(self, verdict: str, message: bytes, start_ns: int, sent_ns: int, now_ns: int) -> None:
        """See `Tally`."""
        answer = RecordResponse.FromString(message[5:])
        if verdict or (answer.accepted, answer.uncounted, answer.duplicates) != (1, 0, 0):
            raise BenchError(f"an event was answered {verdict or answer}")
        self.at_ns[start_ns] = now_ns


@dataclass(slots=True)
class _Decided(Tally):
    """Takes decisions, which must show the offer."""

    at_ns: dict[int, float] = field(default_factory=dict)
    offer_id: str = ""

    def reply(self, verdict: str, message: bytes, start_ns: int, sent_ns: int, now_ns: int) -> None:
        """See `Tally`."""
        answer = DecideResponse.FromString(message[5:])
        shown = [slot.offer_id for slot in answer.slots]
        if verdict or (not answer.degraded and shown != [self.offer_id]):
            raise BenchError(f"a decision after its event was answered {verdict or answer}")
        self.at_ns[start_ns] = inf if answer.degraded else now_ns


def probe(port: int, people: Sequence[str], due_ns: Sequence[int], signal: str, offer_id: str) -> Probed:
    """Tell one event `signal` of each person when it is due, ns from now, and ask for a decision as soon as it is acknowledged.

    Raises BenchError on a wrong answer, and when replies stay away.
    """
    host = f"127.0.0.1:{port}"
    told, decided = _Acknowledged(), _Decided(offer_id=offer_id)
    events, asks = deque[bytes](), deque[bytes]()
    record = _connection(host, port, "/liftgate.v1.EventService/Record", events, told)
    decide = _connection(host, port, "/liftgate.v1.DecisionService/Decide", asks, decided)
    begin = perf_counter_ns() + _LEAD_NS
    starts = [begin + due for due in due_ns]
    person_of = dict(zip(starts, people, strict=True))
    for person in people:
        event = Event(event_id=f"view-{person}", kind=EventKind.EVENT_KIND_CUSTOM, name=signal, person_id=person)
        events.append(RecordRequest(events=[event]).SerializeToString())
    sockets = [one.at[0].socket for one in (record, decide) if one.at[0] is not None]
    sent = asked = 0
    until = starts[-1] + _PATIENCE_NS
    while len(decided.at_ns) < len(people):
        now = perf_counter_ns()
        if now > until:
            raise BenchError(f"{len(people) - len(decided.at_ns)} probes had no answer in 10 s")
        while sent < len(starts) and starts[sent] <= now:
            record.due(0, starts[sent])
            sent += 1
        record.send(0)
        wait_ns = (starts[sent] if sent < len(starts) else now + 50_000_000) - perf_counter_ns()
        select.select(sockets, (), (), max(0.0, wait_ns * 1e-9))
        record.wait(0)
        if len(told.at_ns) > asked:
            for start in list(told.at_ns)[asked:]:
                asks.append(DecideRequest(person_id=person_of[start], placement_id="home").SerializeToString())
                decide.due(0, start)
            asked = len(told.at_ns)
            decide.send(0)
        decide.wait(0)
    for one in (record, decide):
        one.close()
    first = sorted((at - start) / 1e6 for start, at in told.at_ns.items())
    return Probed(first, sorted((at - start) / 1e6 for start, at in decided.at_ns.items()))


def _connection(host: str, port: int, path: str, bodies: deque[bytes], tally: Tally) -> Connections:
    def given() -> Iterator[bytes]:
        while True:
            yield bodies.popleft()

    made = Connections(Peer.find("127.0.0.1", port, request_headers(host, path)), given(), tally, 1)
    made.greet(10.0)
    return made
