"""The load generator sees what it is there to see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from liftgate.v1 import decision_pb2

from . import traffic
from .h2 import ClosedLoop
from .hpack import decode, huffman

Answer = Callable[[decision_pb2.DecideRequest, Any], bytes]


@contextmanager
def _server(answer: Answer) -> Iterator[int]:
    handler = grpc.unary_unary_rpc_method_handler(answer, request_deserializer=decision_pb2.DecideRequest.FromString)
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("liftgate.v1.DecisionService", {"Decide": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


def test_every_good_reply_is_counted_once_and_every_request_id_is_new() -> None:
    """What the server answered and what the generator counted agree, over several connections."""
    seen: list[str] = []

    def answer(request: decision_pb2.DecideRequest, _: Any) -> bytes:
        seen.append(request.request_id)
        return b"\n\1x"

    with _server(answer) as port:
        loop = ClosedLoop(port, traffic.PATH, traffic.bodies(), connections=2, in_flight=8)
        tally = loop.run(0.3)
        rest = loop.close()
    assert tally.ok > 0
    assert tally.ok + rest.ok == len(seen) == len(set(seen))
    assert not tally.failed
    assert tally.samples[0] == b"\n\1x"


@pytest.mark.parametrize("fault", ["status", "empty"])
def test_a_reply_that_is_not_good_is_not_counted_as_good(fault: str) -> None:
    """A failing status and an empty message are told apart from answers, also when only some calls fail."""

    def answer(request: decision_pb2.DecideRequest, context: Any) -> bytes:
        if traffic.person_id(0)[-1] != request.person_id[-1]:
            return b"\n\1x"
        if fault == "status":
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        return b""

    with _server(answer) as port:
        loop = ClosedLoop(port, traffic.PATH, traffic.bodies(), connections=1, in_flight=4)
        tally = loop.run(0.3)
        loop.close()
    (cause,) = tally.failed
    assert cause == {"status": "grpc-status 14: away", "empty": "no message"}[fault]
    assert tally.ok > tally.failed[cause] > 0


def test_header_blocks_are_read_and_those_that_need_history_refused() -> None:
    """Huffman strings of RFC 7541 appendix C decode; an index into a dynamic table is an error."""
    assert huffman(bytes.fromhex("f1e3c2e5f23a6ba0ab90f4ff")) == "www.example.com"
    assert huffman(bytes.fromhex("aec3771a4b")) == "private"
    assert decode(b"\x88\x00\x0bgrpc-status\x010") == {":status": "200", "grpc-status": "0"}
    with pytest.raises(ValueError, match="dynamic"):
        decode(b"\xbe")
