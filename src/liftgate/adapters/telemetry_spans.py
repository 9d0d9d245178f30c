"""One OpenTelemetry span for each sampled decision, with stage timings as attributes. Nothing is made for the others."""

from __future__ import annotations

import os
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from liftgate import __version__
from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.pipeline.stages import Stage

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NAME = "liftgate.v1.DecisionService/Decide"


class DecisionSpans:
    """Makes finished spans and hands them to a processor, which exports them in a thread of its own."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._processor = processor
        self._resource = Resource.create({"service.name": "liftgate", "service.version": __version__})
        self._scope = InstrumentationScope("liftgate", __version__)

    def emit(self, batch: Batch, bundle: Bundle, decision: Decision) -> None:
        """Emit the span of one decision: a child of the caller's span where the request named one. Holds no person's id."""
        request = batch.requests[decision.row]
        start_ns = int(batch.now_ms[decision.row]) * 1_000_000
        attributes: dict[str, Any] = {
            "liftgate.decision_id": decision.decision_id,
            "liftgate.request_id": request.request_id,
            "liftgate.placement": request.placement_id,
            "liftgate.arm": decision.arm.name.lower(),
            "liftgate.branch": decision.branch.name.lower(),
            "liftgate.reason": decision.reason.name.lower(),
            "liftgate.degraded": decision.degraded,
            "liftgate.bundle_digest": bundle.digest,
            "liftgate.batch_size": batch.n,
        }
        stage_us: list[int] = [] if batch.stage_us is None else batch.stage_us.tolist()
        for stage, spent_us in zip(Stage, stage_us, strict=False):
            attributes[f"liftgate.{stage.label}_us"] = spent_us
        trace_id = int.from_bytes(request.trace_id or os.urandom(16), "big")
        parent = None
        if request.trace_id and request.span_id:
            parent = SpanContext(trace_id, int.from_bytes(request.span_id, "big"), is_remote=True, trace_flags=_SAMPLED)
        self._processor.on_end(
            ReadableSpan(
                name=_NAME,
                context=SpanContext(trace_id, int.from_bytes(os.urandom(8), "big") or 1, is_remote=False, trace_flags=_SAMPLED),
                parent=parent,
                resource=self._resource,
                attributes=attributes,
                kind=SpanKind.SERVER,
                start_time=start_ns,
                end_time=start_ns + sum(stage_us) * 1_000,
                instrumentation_scope=self._scope,
            )
        )

    def close(self) -> None:
        """Export what is left, waiting at most two seconds, and stop."""
        self._processor.force_flush(2_000)
        self._processor.shutdown()


def otlp_spans(endpoint: str) -> DecisionSpans:
    """Return spans that go to an OTLP collector over gRPC. Raises ImportError without the extra `otlp`."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return DecisionSpans(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=5)))
