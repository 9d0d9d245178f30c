"""Latencies as HdrHistogram's percentile distribution, the text that its plotters read."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from liftgate.load.result import Times

_SUB_BUCKETS = 2048
"""Three significant digits, as HdrHistogram keeps them."""
_TICKS = 5
_NS_A_MS = 1e6


def bucketed(values: Times) -> Times:
    """Return the largest value that HdrHistogram does not tell apart from each value."""
    width = np.zeros_like(values)
    beyond = values >= _SUB_BUCKETS
    width[beyond] = np.floor(np.log2(values[beyond])).astype(np.int64) - 10
    return ((values >> width) + 1 << width) - 1


def _levels(ordered: Times) -> Iterator[tuple[int, float, int]]:
    """Yield value, percentile (0 to 1) and the count up to the value, in steps that halve towards 1."""
    values, counts = np.unique(ordered, return_counts=True)
    below = np.cumsum(counts)
    total, level = int(below[-1]), 0.0
    while True:
        at = int(np.searchsorted(below, math.ceil(level / 100 * total)))
        at = min(at, len(values) - 1)
        if below[at] >= total:
            yield int(values[-1]), 1.0, total
            return
        yield int(values[at]), level / 100, int(below[at])
        halvings = int(math.log2(100 / (100 - level))) + 1
        level += 100 / (_TICKS * 2**halvings)


def distribution(latency: Times) -> str:
    """Return the percentile distribution of latencies in ns, written in ms. Raises ValueError when there is none."""
    if not len(latency):
        raise ValueError("no good reply: there is no distribution to write")
    ordered = np.sort(bucketed(latency))
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    for value, share, count in _levels(ordered):
        tail = f" {1 / (1 - share):14.2f}" if share < 1 else ""
        lines.append(f"{value / _NS_A_MS:12.3f} {share:2.12f} {count:10d}{tail}")
    buckets = max(1, int(math.log2(max(int(ordered[-1]), _SUB_BUCKETS))) - 9)
    lines += [
        f"#[Mean    = {ordered.mean() / _NS_A_MS:12.3f}, StdDeviation   = {ordered.std() / _NS_A_MS:12.3f}]",
        f"#[Max     = {ordered[-1] / _NS_A_MS:12.3f}, Total count    = {len(ordered):12d}]",
        f"#[Buckets = {buckets:12d}, SubBuckets     = {_SUB_BUCKETS:12d}]",
    ]
    return "\n".join(lines) + "\n"
