"""/metrics: the sum of the workers' pages, in a thread of its own."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from http.server import ThreadingHTTPServer
from typing import Any

from prometheus_client import MetricsHandler
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry

from liftgate.adapters.telemetry_page import Metric, Page


class PageCollector(Collector):
    """Pages as Prometheus families. Counter series that were never touched are left out where there are several labels."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self.pages = pages

    def describe(self) -> list[Family]:
        """Return nothing: registering must not read."""
        return []

    def collect(self) -> Iterator[Family]:
        """Yield every metric, summed over the pages."""
        layout = self.pages[0].layout
        columns = [page.cells.tolist() for page in self.pages]
        total = [sum(cells) for cells in zip(*columns, strict=True)]
        for metric in layout.metrics:
            yield self._named(metric, columns) if metric.places else _family(metric, total, layout.start(metric.name))
        yield self._holdout(total)
        yield self._bundles()

    def _named(self, metric: Metric, columns: Sequence[Sequence[int]]) -> Family:
        # Each worker gave out its places in an order of its own.
        start, counts = self.pages[0].layout.start(metric.name), dict[str, int]()
        for page, cells in zip(self.pages, columns, strict=True):
            for i, name in enumerate(page.names(metric)):
                counts[name] = counts.get(name, 0) + cells[start + i]
        family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        for name, count in counts.items():
            family.add_metric((name,), count)
        return family

    def _holdout(self, total: list[int]) -> Family:
        layout = self.pages[0].layout
        metric = next(metric for metric in layout.metrics if metric.name == "liftgate_decisions")
        start = layout.start(metric.name)
        counts = dict.fromkeys(metric.values[1], 0)
        for i, labels in enumerate(metric.series):
            counts[labels[1]] += total[start + i]
        # Whoever has not agreed to experiments is in no layer.
        decided = sum(counts.values()) - counts.get("not_enrolled", 0)
        share = GaugeMetricFamily("liftgate_holdout_share", "Held-out decisions / decisions for people in the layers, since the start.")
        share.add_metric([], counts["holdout"] / decided if decided else 0.0)
        return share

    def _bundles(self) -> Family:
        info = GaugeMetricFamily("liftgate_bundle_info", "Workers that run this bundle.", labels=("bundle", "digest", "version"))
        running: dict[tuple[str, str, str], int] = {}
        for page in self.pages:
            text = page.read_text()
            if text:
                key = (str(text.get("bundle", "")), str(text.get("digest", "")), str(text.get("version", "")))
                running[key] = running.get(key, 0) + 1
        for labels, workers in running.items():
            info.add_metric(labels, workers)
        return info


def _family(metric: Metric, total: list[int], start: int) -> Family:
    family: Any
    if metric.kind == "histogram":
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for i, labels in enumerate(metric.series):
            at = start + i * metric.width
            buckets, seen = [], 0
            for j, bound in enumerate((*metric.bounds, None)):
                seen += total[at + j]
                buckets.append(("+Inf" if bound is None else f"{bound * metric.unit:g}", float(seen)))
            family.add_metric(labels, buckets, total[at + metric.width - 1] * metric.unit)
        return family  # type: ignore[no-any-return]
    family = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(metric.name, metric.help, labels=metric.labels)
    for i, labels in enumerate(metric.series):
        if total[start + i] or len(metric.labels) < 2:
            family.add_metric(labels, total[start + i])
    return family  # type: ignore[no-any-return]


class _Server(ThreadingHTTPServer):
    """Does not ask the name service who it is, which can take seconds where there is none."""

    beside: Callable[[], AbstractContextManager[None]]

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self.beside():
            super().process_request_thread(request, client_address)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]


class MetricsServer:
    """/metrics over plain HTTP, in threads. Raises OSError when the port is taken."""

    def __init__(
        self, host: str, port: int, pages: Sequence[Page], beside: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        """`beside` surrounds the work of each answer, in the answer's thread: a page takes milliseconds of the interpreter."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(PageCollector(pages))
        kind = type("_Server6", (_Server,), {"address_family": socket.AF_INET6}) if ":" in host else _Server
        self._server: _Server = kind((host, port), MetricsHandler.factory(registry))
        self._server.beside = beside
        self._thread = threading.Thread(target=self._server.serve_forever, name="liftgate-metrics", daemon=True)
        self._thread.start()
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Stop answering and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
