"""Traces: one span a sampled decision arrives at an OTLP collector, under the caller's own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from liftgate.client import Client
from liftgate.pipeline.stages import Stage
from tests.app.conftest import Serve

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector() -> Iterator[tuple[str, Queue[Span]]]:
    """Run a small OTLP collector on loopback; return its address and what it was sent."""
    spans: Queue[Span] = Queue()

    def export(request: ExportTraceServiceRequest, _: grpc.ServicerContext) -> ExportTraceServiceResponse:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    spans.put(span)
        return ExportTraceServiceResponse()

    method = grpc.unary_unary_rpc_method_handler(
        export, request_deserializer=ExportTraceServiceRequest.FromString, response_serializer=ExportTraceServiceResponse.SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("opentelemetry.proto.collector.trace.v1.TraceService", {"Export": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", spans
    server.stop(None).wait()


def test_a_sampled_call_arrives_as_one_span_and_an_unsampled_one_does_not(serve: Serve, collector: tuple[str, Queue[Span]]) -> None:
    """Of two calls with a traceparent, the sampled one gives a child span with every stage's time; no person is in it."""
    endpoint, spans = collector
    server = serve(otlp_endpoint=endpoint, trace_sample_ratio=0)
    with Client(f"127.0.0.1:{server.port}", timeout_ms=20_000) as client:
        client.decide("canary-person", "home.hero", traceparent=f"00-{TRACE}-{PARENT}-00")
        decision = client.decide("canary-person", "home.hero", traceparent=f"00-{TRACE}-{PARENT}-01")
    assert server.end() == 0  # exports what is left before it ends
    span = spans.get(timeout=30)
    assert spans.empty()
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == PARENT
    attributes = {pair.key: pair.value for pair in span.attributes}
    assert attributes["liftgate.decision_id"].string_value == decision.decision_id
    assert {f"liftgate.{stage.label}_us" for stage in Stage} <= set(attributes)
    assert b"canary-person" not in span.SerializeToString()
