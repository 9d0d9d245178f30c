"""Servers to load: in this process where faults are wanted, in one of their own where it has to be frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import grpc
import pytest

from liftgate.load import requests
from liftgate.load.connection import Peer
from liftgate.load.frames import request_headers
from liftgate.load.requests import DECIDE
from liftgate.v1 import decision_pb2
from liftgate.v1.offer_pb2 import Slot
from liftgate.v1.reason_pb2 import REASON_NO_OFFER_ALLOWED, REASON_OFFERED

OFFER = decision_pb2.DecideResponse(decision_id="d", reason=REASON_OFFERED, slots=[Slot(offer_id="o")]).SerializeToString()
NOTHING = decision_pb2.DecideResponse(decision_id="d", reason=REASON_NO_OFFER_ALLOWED).SerializeToString()
Answer = Callable[[decision_pb2.DecideRequest, Any], bytes]
Bodies = Callable[[], Iterator[bytes]]
PeerOf = Callable[..., Peer]
Serve = Callable[..., AbstractContextManager[int]]


@pytest.fixture
def serve() -> Serve:
    """Return what serves an answer on a port of its own until the block ends."""

    @contextmanager
    def serving(answer: Answer, method: str = DECIDE, port: int = 0, options: tuple[tuple[str, Any], ...] = ()) -> Iterator[int]:
        service, name = method.strip("/").split("/")
        handler = grpc.unary_unary_rpc_method_handler(answer, request_deserializer=decision_pb2.DecideRequest.FromString)
        server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0), *options])
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        try:
            yield bound
        finally:
            server.stop(0).wait()

    return serving


@pytest.fixture
def peer() -> PeerOf:
    """Return what makes the peer of a port."""

    def at(port: int, method: str = DECIDE, deadline_ms: float | None = None) -> Peer:
        return Peer.find("127.0.0.1", port, request_headers(f"127.0.0.1:{port}", method, deadline_ms))

    return at


@pytest.fixture
def bodies() -> Bodies:
    """Return what makes requests of a hundred people."""
    return lambda: requests.bodies(requests.numbered(100, requests.template("home.hero")))
