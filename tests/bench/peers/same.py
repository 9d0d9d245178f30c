"""Peers are compared only while they answer alike."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import grpc

from liftgate.v1 import decision_pb2, decision_service_pb2_grpc
from tests.bench.contenders import Place
from tests.bench.processes import BenchError, serving

from .load import json_bodies

if TYPE_CHECKING:
    from .__main__ import Peer

_CALLS = 300
_PATIENCE_S = 60.0
"""A supervisor listens before its worker can answer."""


def same_answers(peers: Sequence[Peer], place: Callable[[str], Place], core: int) -> str:
    """Send every decider the same requests; return in words that they agree. Raises BenchError naming the first difference.

    That N0 agrees with Liftgate is held by `tests/bench/test_plain_server.py`, with a key for its draws.
    """
    bodies = list(itertools.islice(json_bodies(), _CALLS))
    first: list[Any] = []
    for peer in peers:
        where = place(f"the same answers: {peer.label}")
        with serving(peer.command(where), where.port, core, where.log / "output"):
            found = _over_grpc(where.port, bodies) if peer.kind == "grpc" else _over_http(where.port, bodies)
        first = first or found
        for number, (one, other) in enumerate(zip(first, found, strict=True)):
            if one != other:
                raise BenchError(f"{peer.label} answers request {number} with {other}, {peers[0].label} with {one}")
    return f"{', '.join(peer.label for peer in peers)} gave the same {_CALLS} answers to the same requests."


def warm(port: int) -> None:
    """Return when a server over HTTP has answered once."""
    _over_http(port, [next(json_bodies())])


def _over_http(port: int, bodies: Sequence[bytes]) -> list[Any]:
    link, found = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S), []
    for body in bodies:
        link.request("POST", "/decide", body, {"content-type": "application/json"})
        answer = json.loads(link.getresponse().read())
        shown = [(slot["offer_id"], round(slot["selection_probability"], 9)) for slot in answer["slots"]]
        found.append((answer["arm"], answer["branch"], answer["reason"], shown))
    link.close()
    return found


def _over_grpc(port: int, bodies: Sequence[bytes]) -> list[Any]:
    found = []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)  # type: ignore[no-untyped-call]
        for body in bodies:
            said = json.loads(body)
            asked = decision_pb2.Context(**said.pop("context"))
            answer = stub.Decide(decision_pb2.DecideRequest(context=asked, **said), timeout=10)
            shown = [(slot.offer_id, round(slot.selection_probability, 9)) for slot in answer.slots]
            found.append((answer.arm, answer.branch, answer.reason, shown))
    return found
