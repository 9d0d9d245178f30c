"""A closed loop counts what there is to count."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from liftgate.load.closed_loop import ClosedLoop
from liftgate.v1 import decision_pb2
from tests.load.conftest import NOTHING, OFFER, Bodies, PeerOf, Serve

EMPTY = decision_pb2.DecideResponse(decision_id="d").SerializeToString()


def test_every_good_reply_is_counted_once_and_every_request_id_is_new(serve: Serve, peer: PeerOf, bodies: Bodies) -> None:
    """What the server answered and what the generator counted agree, over several connections."""
    seen: list[str] = []

    def answer(request: decision_pb2.DecideRequest, _: Any) -> bytes:
        seen.append(request.request_id)
        return OFFER

    with serve(answer) as port:
        loop = ClosedLoop(peer(port), bodies(), connections=2, in_flight=8)
        first = loop.run(0.1)
        tally = loop.run(0.3)
        rest = loop.close()
    assert tally.ok > 0
    assert first.ok + tally.ok + rest.ok == len(seen) == len(set(seen))
    assert not tally.failed
    assert tally.samples[0] == OFFER
    assert len(tally.latency_ns) == len(tally.start_ns) == tally.ok


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("status", "grpc-status 14: away"),
        ("no message", "neither an offer nor a reason"),
        ("no reason", "neither an offer nor a reason"),
        ("other", "not a DecideResponse"),
    ],
)
def test_a_reply_that_is_not_good_is_not_counted_as_good(fault: str, cause: str, serve: Serve, peer: PeerOf, bodies: Bodies) -> None:
    """Failing statuses and replies without offer and reason are told apart from answers, also when only some calls fail."""

    def answer(request: decision_pb2.DecideRequest, context: Any) -> bytes:
        if request.person_id[-1] != "0":
            return NOTHING
        if fault == "status":
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        return {"no message": b"", "no reason": EMPTY, "other": b"\xff\xff"}[fault]

    with serve(answer) as port:
        loop = ClosedLoop(peer(port), bodies(), connections=1, in_flight=4)
        tally = loop.run(0.4)
        loop.close()
    assert set(tally.failed) == {cause}
    assert tally.ok > tally.failed[cause] > 0
    assert set(tally.answers) == {(62, False, False)}


def test_calls_go_on_after_the_server_ended_connections(serve: Serve, peer: PeerOf, bodies: Bodies) -> None:
    """A server that says goodbye to every connection after a while loses no call and gets new connections."""
    ports: set[str] = set()

    def answer(_: decision_pb2.DecideRequest, context: Any) -> bytes:
        ports.add(context.peer())
        return OFFER

    with serve(answer, options=(("grpc.max_connection_age_ms", 150), ("grpc.max_connection_age_grace_ms", 5000))) as port:
        loop = ClosedLoop(peer(port), bodies(), connections=2, in_flight=4)
        for _ in range(20):
            tally = loop.run(1.0)
            assert not tally.failed
            if len(ports) > 2:
                break  # else the machine was too busy for a connection to be renewed
        loop.close()
    assert len(ports) > 2
