"""A page of counters: one fixed array of 64-bit cells a worker, in memory that the process which answers /metrics can read.

Every label set is closed, so every series has its cell from the start: counting is `cells[i] += 1`, takes no lock, and costs the
same whether one process reads its own page or a parent sums the pages of all workers. A page outlives a crash of its worker,
so its counters never fall. Labels that a bundle names have a fixed number of places, each named once and for good. Aligned 64-bit
cells are written whole; a reader may see a batch half counted and no worse.
"""

from __future__ import annotations

import json
import mmap
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

_TEXT_BYTES = 512
"""Room at the front of a page for the bundle's name and digest, as JSON padded with zeros."""
_NAME_BYTES = 64
"""The longest name of a feature."""
OTHER = "other"
"""Who finds no place of its own."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric and its closed label values."""

    name: str
    """Without `_total`."""
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ()
    """For each label, every value that it can have."""
    bounds: tuple[int, ...] = ()
    """Histogram: upper bounds, ascending, in cell units."""
    unit: float = 1.0
    """What a cell's unit is in the metric's: 1e-6 for cells in microseconds under a metric in seconds."""
    places: int = 0
    """Counter with one label whose values a bundle names: room for so many, the last of them for `OTHER`."""

    @property
    def series(self) -> tuple[tuple[str, ...], ...]:
        """Label values of each series, the last label fastest; numbers for places, whose names each page has."""
        if self.places:
            return tuple((str(place),) for place in range(self.places))
        return tuple(product(*self.values))

    @property
    def width(self) -> int:
        """Cells a series: one, or a histogram's buckets, +Inf and sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


class Layout:
    """Where each metric lies in a page."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = tuple(metrics)
        self._start: dict[str, int] = {}
        at = 0
        for metric in self.metrics:
            self._start[metric.name] = at
            at += metric.width * len(metric.series)
        self.cells = at
        self.names: dict[str, int] = {}
        """Of each metric with places the byte of a page at which their names begin."""
        self.size = _TEXT_BYTES + 8 * at
        for metric in self.metrics:
            if metric.places:
                self.names[metric.name] = self.size
                self.size += _NAME_BYTES * metric.places

    def start(self, name: str) -> int:
        """Return the first cell of a metric."""
        return self._start[name]

    def cell(self, name: str, *labels: str) -> int:
        """Return the first cell of one series. Raises KeyError or ValueError for what is not in the closed lists."""
        metric = next(metric for metric in self.metrics if metric.name == name)
        return self._start[name] + metric.series.index(labels) * metric.width


class Page:
    """One worker's cells. One writer; any number of readers."""

    __slots__ = ("_memory", "cells", "layout")

    def __init__(self, layout: Layout, fd: int = -1) -> None:
        """Map `fd`, a file of `layout.size` bytes shared with a parent; -1: memory of this process alone."""
        self.layout = layout
        self._memory = mmap.mmap(fd, layout.size)
        self.cells: memoryview = memoryview(self._memory)[_TEXT_BYTES : _TEXT_BYTES + 8 * layout.cells].cast("q")

    def observe(self, start: int, bounds: tuple[int, ...], value: int, times: int = 1) -> None:
        """Count a value, in cell units, so many times in the histogram series that starts at `start`."""
        cells = self.cells
        cells[start + bisect_left(bounds, value)] += times
        cells[start + len(bounds) + 1] += value * times

    def names(self, metric: Metric) -> list[str]:
        """Return what the places of a metric are called, in order, as far as they are taken."""
        start = self.layout.names[metric.name]
        found = []
        for at in range(start, start + metric.places * _NAME_BYTES, _NAME_BYTES):
            name = self._memory[at : at + _NAME_BYTES]
            if not name[0]:
                break
            found.append(name.rstrip(b"\0").decode("utf-8", "replace"))
        return found

    def place(self, metric: Metric, name: str) -> int:
        """Return the cell of a name, giving it the next place if it has none; `OTHER` has the last."""
        taken = self.names(metric)
        if name not in taken:
            name = name if len(taken) < metric.places - 1 else OTHER
        if name not in taken:
            at = self.layout.names[metric.name] + len(taken) * _NAME_BYTES
            raw = name.encode()[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0")
            # A reader takes a place for free until its first byte is there.
            self._memory[at + 1 : at + _NAME_BYTES] = raw[1:]
            self._memory[at] = raw[0]
            taken.append(name)
        return self.layout.start(metric.name) + taken.index(name)

    def write_text(self, text: dict[str, str]) -> None:
        """Keep a few words beside the numbers. Words that do not fit are cut, the page is not harmed."""
        raw = json.dumps(text).encode()
        if len(raw) > _TEXT_BYTES:
            raw = json.dumps({key: value[:64] for key, value in text.items()}).encode()[:_TEXT_BYTES]
        self._memory[:_TEXT_BYTES] = raw.ljust(_TEXT_BYTES, b"\0")

    def read_text(self) -> dict[str, Any]:
        """Return the words, or nothing while they are being written."""
        try:
            words = json.loads(self._memory[:_TEXT_BYTES].rstrip(b"\0") or b"{}")
        except ValueError:
            return {}
        return words if isinstance(words, dict) else {}

    def clear_gauges(self) -> None:
        """Zero what describes a live process, after that process has died."""
        for metric in self.layout.metrics:
            if metric.kind == "gauge":
                start = self.layout.start(metric.name)
                for i in range(len(metric.series)):
                    self.cells[start + i] = 0
        self.write_text({})
