"""Where the traces of a server under test go: takes spans over OTLP, counts them, keeps none."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer, add_TraceServiceServicer_to_server


class Counting(TraceServiceServicer):
    """Counts into a file, so that the bench sees that traces did arrive."""

    def __init__(self, count: Path) -> None:
        self._file, self._spans = count, 0

    def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:
        """Take a batch of spans. One thread."""
        self._spans += sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
        self._file.write_text(str(self._spans))
        return ExportTraceServiceResponse()


def main() -> None:
    """Run as `python -m tests.bench.collector --port P --count FILE`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=Path, required=True)
    args = parser.parse_args()
    args.count.write_text("0")
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    add_TraceServiceServicer_to_server(Counting(args.count), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"127.0.0.1:{args.port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
