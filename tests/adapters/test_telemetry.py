"""Telemetry: what is counted, how workers' pages add up, which spans are made, and that no person is named."""

from __future__ import annotations

import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from liftgate.adapters.telemetry import Telemetry
from liftgate.adapters.telemetry_export import MetricsServer, PageCollector
from liftgate.adapters.telemetry_metrics import LAYOUT
from liftgate.adapters.telemetry_page import OTHER, Page
from liftgate.adapters.telemetry_spans import DecisionSpans
from liftgate.domain.batch import Batch
from liftgate.domain.decision import Decision
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.domain.reason import Arm, Branch, Reason
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.stages import Stage

PERSON = "canary-person@example.org"


class _Named:
    """The attributes of a bundle that telemetry reads."""

    name = "shop"
    digest = "ab" * 32

    def __init__(self, **max_age_s: float) -> None:
        """Features and their max_age; inf: none."""
        columns = [Input(f"profile.{name}", InputType.FLOAT, (), float("nan"), age) for name, age in max_age_s.items()]
        self.schema = InputSchema(tuple(columns), ())


BUNDLE: object = _Named()


def scrape(*pages: Page) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample of the pages' /metrics text by name and labels."""
    registry = CollectorRegistry()
    registry.register(PageCollector(pages))
    text = generate_latest(registry).decode()
    return {(s.name, frozenset(s.labels.items())): s.value for family in text_string_to_metric_families(text) for s in family.samples}


def value(samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    """Return one sample, 0 where it is absent."""
    return samples.get((name, frozenset(labels.items())), 0.0)


def batch_of(n: int, **request: object) -> tuple[Batch, list[Decision]]:
    """Return n offered decisions over three candidates, one of them suppressed, one not eligible."""
    batch = Batch([DecideRequest(f"r{i}", PERSON, "home", **request) for i in range(n)], np.full(n, 1_700_000_000_000))  # type: ignore[arg-type]
    batch.reason = np.array([[Reason.CHOSEN, Reason.SUPPRESSED, Reason.NOT_ELIGIBLE]] * n, dtype=np.uint8)
    batch.stage_us = np.array([100 * stage for stage in Stage])
    # What telemetry does not read is left empty.
    unread: dict[str, Any] = {field.name: () for field in fields(Decision) if field.init}
    decisions = [
        Decision(
            **unread
            | {
                "row": i,
                "decision_id": f"{i:032x}",
                "arm": Arm.HOLDOUT if i == 0 else Arm.TREATMENT,
                "branch": Branch.HOLDOUT if i == 0 else Branch.EXPLOIT,
                "reason": Reason.HELD_OUT if i == 0 else Reason.OFFERED,
                "degraded": False,
            }
        )
        for i in range(n)
    ]
    return batch, decisions


def decided(telemetry: Telemetry, n: int, **request: object) -> None:
    """Tell telemetry about a batch."""
    batch, decisions = batch_of(n, **request)
    telemetry.decided(batch, BUNDLE, decisions)  # type: ignore[arg-type]


def test_a_batch_is_counted_once_in_every_metric() -> None:
    """Decisions, refusals, stages and sizes of a batch of 4 all come out of /metrics."""
    page = Page(LAYOUT)
    decided(Telemetry(page), 4)
    samples = scrape(page)
    assert value(samples, "liftgate_decisions_total", reason="offered", arm="treatment", branch="exploit") == 3
    assert value(samples, "liftgate_decisions_total", reason="held_out", arm="holdout", branch="holdout") == 1
    assert value(samples, "liftgate_holdout_share") == 0.25
    assert value(samples, "liftgate_candidate_refusals_total", reason="suppressed") == 4
    assert value(samples, "liftgate_candidate_refusals_total", reason="not_eligible") == 4
    assert value(samples, "liftgate_candidate_refusals_total", reason="consent_missing") == 0
    assert value(samples, "liftgate_batch_size_sum") == 4
    assert value(samples, "liftgate_batch_size_bucket", le="2") == 0
    assert value(samples, "liftgate_batch_size_bucket", le="4") == 1
    for stage in Stage:
        assert value(samples, "liftgate_stage_seconds_count", stage=stage.label) == 1
        assert value(samples, "liftgate_stage_seconds_sum", stage=stage.label) == pytest.approx(1e-4 * stage)
    assert value(samples, "liftgate_errors_total", where="telemetry") == 0


def test_dry_runs_are_no_decisions() -> None:
    """A dry run changes neither the decision counts nor the holdout share."""
    page = Page(LAYOUT)
    decided(Telemetry(page), 4, dry_run=True)
    assert not [key for key in scrape(page) if key[0] == "liftgate_decisions_total"]


def test_workers_pages_add_up_and_a_dead_worker_keeps_its_counters() -> None:
    """Two processes' pages over one file each are summed; clearing the gauges of a dead one leaves its counts."""
    with tempfile.TemporaryFile() as file:
        file.truncate(LAYOUT.size)
        written, read = Page(LAYOUT, file.fileno()), Page(LAYOUT, file.fileno())
        other = Page(LAYOUT)
        for page in (written, other):
            telemetry = Telemetry(page)
            telemetry.began()
            telemetry.began()
            telemetry.answered("Decide", 0, 0.003)
            telemetry.serving(True, BUNDLE, "1.0")  # type: ignore[arg-type]
        samples = scrape(read, other)
        assert value(samples, "liftgate_requests_total", method="Decide", code="OK") == 2
        assert value(samples, "liftgate_request_seconds_bucket", method="Decide", le="0.004") == 2
        assert value(samples, "liftgate_request_seconds_bucket", method="Decide", le="0.002") == 0
        assert value(samples, "liftgate_in_flight") == 2
        assert value(samples, "liftgate_workers_serving") == 2
        assert value(samples, "liftgate_bundle_info", bundle="shop", digest="ab" * 32, version="1.0") == 2
        read.clear_gauges()
        samples = scrape(read, other)
        assert value(samples, "liftgate_requests_total", method="Decide", code="OK") == 2
        assert value(samples, "liftgate_in_flight") == 1
        assert value(samples, "liftgate_workers_serving") == 1
        assert value(samples, "liftgate_bundle_info", bundle="shop", digest="ab" * 32, version="1.0") == 1


def test_a_repeated_fallback_is_counted_each_time_and_said_once() -> None:
    """100 fallbacks of one cause in a row give 100 counts and one log line; another cause gets its own line."""
    said: list[tuple[str, Mapping[str, object]]] = []
    page = Page(LAYOUT)
    telemetry = Telemetry(page, warn=lambda event, fields: said.append((event, fields)))
    for _ in range(100):
        telemetry.fell_back(Stage.FETCH, "StoreUnavailable")
    telemetry.fell_back(Stage.SCORE, "ModelFailed")
    samples = scrape(page)
    assert value(samples, "liftgate_fallbacks_total", stage="fetch") == 100
    assert value(samples, "liftgate_fallbacks_total", stage="score") == 1
    assert said == [
        ("fallback", {"cause": "StoreUnavailable", "stage": "fetch", "unsaid": 0}),
        ("fallback", {"cause": "ModelFailed", "stage": "score", "unsaid": 0}),
    ]


def test_a_fault_in_telemetry_is_counted_and_not_raised() -> None:
    """A batch that telemetry cannot read leaves a count under errors and no exception."""
    page = Page(LAYOUT)
    batch, decisions = batch_of(1)
    decisions[0].arm = Arm.UNSPECIFIED
    Telemetry(page).decided(batch, BUNDLE, decisions)  # type: ignore[arg-type]
    assert value(scrape(page), "liftgate_errors_total", where="telemetry") == 1


def test_calls_turned_away_together_count_as_if_each_had_been_answered_in_no_time() -> None:
    """The page is the same after three calls refused one by one and after three that were turned away at once."""
    one, other = Telemetry(Page(LAYOUT)), Telemetry(Page(LAYOUT))
    for _ in range(3):
        one.began()
        one.answered("Decide", 8, 0.0)
    other.turned_away("Decide", 8, 3)
    assert list(one.page.cells) == list(other.page.cells)
    assert sum(other.page.cells) == 6


def test_internal_answers_count_as_errors_and_unknown_methods_only_as_in_flight() -> None:
    """Status 13 moves the error counter and says once what failed; a method that is not ours has no series."""
    said: list[tuple[str, Mapping[str, object]]] = []
    page = Page(LAYOUT)
    telemetry = Telemetry(page, warn=lambda event, fields: said.append((event, fields)))
    for method in ("Decide", "Decide", "NoSuchMethod"):
        telemetry.began()
        telemetry.failed("Decide", "ValueError at liftgate.x:1")
        telemetry.answered(method, 13, 0.001)
    samples = scrape(page)
    assert value(samples, "liftgate_errors_total", where="call") == 3
    assert value(samples, "liftgate_requests_total", method="Decide", code="INTERNAL") == 2
    assert value(samples, "liftgate_in_flight") == 0
    assert said == [("internal_error", {"cause": "ValueError at liftgate.x:1", "method": "Decide", "unsaid": 0})]


def test_the_log_is_counted_by_records_bytes_and_cause_of_loss() -> None:
    """Totals that a log reports twice are counted once, and what is new is added."""
    page = Page(LAYOUT)
    telemetry = Telemetry(page)
    telemetry.logged("decision", 3, 900, {"disk_full": 2})
    telemetry.logged("decision", 4, 1000, {"disk_full": 2, "a new cause": 1})
    samples = scrape(page)
    assert value(samples, "liftgate_log_records_total", log="decision") == 4
    assert value(samples, "liftgate_log_bytes_total", log="decision") == 1000
    assert value(samples, "liftgate_log_losses_total", log="decision", cause="disk_full") == 2
    assert value(samples, "liftgate_log_losses_total", log="decision", cause="other") == 1


def spans_of(**request: object) -> list[ReadableSpan]:
    """Return the spans of a batch of two, the requests made with these fields."""
    exporter = InMemorySpanExporter()
    telemetry = Telemetry(Page(LAYOUT), spans=DecisionSpans(SimpleSpanProcessor(exporter)))
    decided(telemetry, 2, **request)
    return list(exporter.get_finished_spans())


def test_a_sampled_request_gets_one_span_under_the_callers() -> None:
    """The span has the caller's trace id and parent, each stage's time under its name, and an end after its start."""
    spans = spans_of(sampled=True, trace_id=bytes(range(16)), span_id=bytes(range(8)))
    assert len(spans) == 2
    span = spans[0]
    assert span.context is not None
    assert span.parent is not None
    assert span.context.trace_id == int.from_bytes(bytes(range(16)), "big")
    assert span.parent.span_id == int.from_bytes(bytes(range(8)), "big")
    assert span.attributes is not None
    for stage in Stage:
        assert span.attributes[f"liftgate.{stage.label}_us"] == 100 * stage
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == 3_600_000
    assert PERSON not in span.to_json()


def test_an_unsampled_request_gets_no_span() -> None:
    """Nothing is exported for requests that are not sampled."""
    assert spans_of(sampled=False, trace_id=bytes(range(16)), span_id=bytes(range(8))) == []


def test_of_requests_without_a_trace_the_share_asked_for_is_traced() -> None:
    """A ratio of 0.25 traces one request in four, each in a trace of its own; a caller's own no is kept."""
    exporter = InMemorySpanExporter()
    telemetry = Telemetry(Page(LAYOUT), spans=DecisionSpans(SimpleSpanProcessor(exporter)), sample_ratio=0.25)
    for _ in range(20):
        decided(telemetry, 2)
        decided(telemetry, 2, sampled=False, trace_id=bytes(range(16)), span_id=bytes(range(8)))
    spans = exporter.get_finished_spans()
    assert len(spans) == 10
    assert len({span.context.trace_id for span in spans if span.context is not None}) == 10


def test_metrics_answer_over_http_and_name_no_person() -> None:
    """/metrics serves the pages as text in which no person's id is found, and the port is free again after close."""
    page = Page(LAYOUT)
    decided(Telemetry(page), 2)
    server = MetricsServer("127.0.0.1", 0, [page])
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    finally:
        server.close()
    assert "liftgate_decisions_total" in text
    assert PERSON not in text
    MetricsServer("127.0.0.1", server.port, [page]).close()


def test_a_page_is_made_as_its_server_was_told() -> None:
    """What surrounds an answer is entered and left in the thread that makes it, once an answer, also for one that is no page."""
    seen: list[threading.Thread] = []

    @contextmanager
    def beside() -> Iterator[None]:
        seen.append(threading.current_thread())
        yield
        seen.append(threading.current_thread())

    server = MetricsServer("127.0.0.1", 0, [Page(LAYOUT)], beside)
    for _ in range(2):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
            assert b"liftgate_holdout_share" in answer.read()
    server.close()
    until = time.monotonic() + 60
    # The end of an answer is read before its thread has ended.
    while len(seen) < 4:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert {seen.count(thread) for thread in seen} == {2}
    assert threading.main_thread() not in seen


def stale_of(samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]) -> dict[str, float]:
    """Return how often each feature was stale."""
    return {dict(labels)["feature"]: count for (name, labels), count in samples.items() if name == "liftgate_stale_features_total"}


def test_decisions_with_a_stale_feature_are_counted_by_feature() -> None:
    """Every feature with a max_age has a series from the start, of several workers one; dry runs count nowhere, and no person is named."""
    pages = [Page(LAYOUT), Page(LAYOUT)]
    bundles: list[Any] = [_Named(visits=60.0, age=float("inf"), spend=60.0), _Named(spend=60.0, visits=60.0)]
    workers = [Telemetry(page) for page in pages]
    for worker, bundle in zip(workers, bundles, strict=True):
        worker.serving(True, bundle, "1.0")
    assert stale_of(scrape(*pages)) == {"visits": 0, "spend": 0}
    batch, decisions = batch_of(3)
    workers[0].decided(batch, bundles[0], decisions)
    assert stale_of(scrape(*pages)) == {"visits": 0, "spend": 0}
    batch.stale = np.array([[True, False, True], [True, False, False], [False, False, False]])
    workers[0].decided(batch, bundles[0], decisions)
    batch.stale = np.array([[True, False]] * 3)
    workers[1].decided(batch, bundles[1], decisions[:1])
    assert stale_of(scrape(*pages)) == {"visits": 2, "spend": 2}
    dry, made = batch_of(3, dry_run=True)
    dry.stale = batch.stale
    workers[1].decided(dry, bundles[1], made)
    samples = scrape(*pages)
    assert stale_of(samples) == {"visits": 2, "spend": 2}
    assert value(samples, "liftgate_errors_total", where="telemetry") == 0
    assert PERSON not in str(samples)


def test_a_features_count_survives_a_crash_and_a_reload() -> None:
    """A worker that takes over a page, and one whose bundle changes, count on under the names that are there."""
    with tempfile.TemporaryFile() as file:
        file.truncate(LAYOUT.size)
        batch, decisions = batch_of(1)
        batch.stale = np.array([[False, True]])
        for bundle in (_Named(spend=1.0, visits=1.0), _Named(score=1.0, spend=1.0), _Named(spend=1.0, score=1.0)):
            # Each time another process, as far as the page knows.
            Telemetry(Page(LAYOUT, file.fileno())).decided(batch, bundle, decisions)  # type: ignore[arg-type]
        assert stale_of(scrape(Page(LAYOUT, file.fileno()))) == {"spend": 1, "visits": 1, "score": 1}


def test_more_names_than_places_are_counted_together() -> None:
    """Features beyond the room of a page share `other`, and each of them is counted."""
    page = Page(LAYOUT)
    bundle: Any = _Named(**{f"f{i}": 1.0 for i in range(300)})
    batch, decisions = batch_of(1)
    batch.stale = np.ones((1, 300), dtype=np.bool_)
    Telemetry(page).decided(batch, bundle, decisions)
    found = stale_of(scrape(page))
    assert len(found) == 256
    assert found.pop(OTHER) == 45
    assert set(found.values()) == {1}


def test_what_shadow_would_have_refused_is_counted_apart() -> None:
    """The shadow column counts in its own metric by reason; without one nothing does."""
    page = Page(LAYOUT)
    telemetry = Telemetry(page)
    batch, decisions = batch_of(2)
    telemetry.decided(batch, BUNDLE, decisions)  # type: ignore[arg-type]
    assert value(scrape(page), "liftgate_shadow_refusals_total", reason="suppressed") == 0
    batch.shadow_reason = np.zeros_like(batch.reason)
    batch.shadow_reason[:, 0] = Reason.SUPPRESSED
    telemetry.decided(batch, BUNDLE, decisions)  # type: ignore[arg-type]
    samples = scrape(page)
    assert value(samples, "liftgate_shadow_refusals_total", reason="suppressed") == 2
    assert value(samples, "liftgate_candidate_refusals_total", reason="suppressed") == 4
