"""When each request is due, fixed before the first one is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

MOST_REQUESTS = 20_000_000
"""In one run: 32 bytes are kept of each."""
POISSON, CONSTANT = "poisson", "constant"
ARRIVALS = (POISSON, CONSTANT)


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of a run at one rate."""

    rate: float
    """Requests per second."""
    duration_s: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """A run, fixed in advance."""

    steps: tuple[Step, ...]
    due_ns: npt.NDArray[np.int64]
    """[N] ascending, from the run's start."""
    arrivals: str
    seed: int

    @property
    def ends_ns(self) -> npt.NDArray[np.int64]:
        """[S] when each step ends, from the run's start."""
        return np.cumsum([round(step.duration_s * 1e9) for step in self.steps]).astype(np.int64)


def ramp(first: float, last: float, step: float, duration_s: float) -> tuple[Step, ...]:
    """Return steps from one rate to another, both included, each `duration_s` long; `step` > 0 is taken in the direction of the ramp."""
    count = max(1, round(abs(last - first) / step))
    sign = 1 if last >= first else -1
    rates = [first + sign * step * i for i in range(count)]
    return tuple(Step(rate, duration_s) for rate in [*(rate for rate in rates if rate * sign < last * sign), last])


def plan(steps: Sequence[Step], arrivals: str = POISSON, seed: int = 0) -> Schedule:
    """Draw a schedule: independent exponential gaps, or equal ones. Raises ValueError when it would hold too many requests or none."""
    expected = sum(step.rate * step.duration_s for step in steps)
    if expected > MOST_REQUESTS:
        raise ValueError(f"{expected:,.0f} requests are more than one run holds ({MOST_REQUESTS:,}); ask for a shorter one")
    dice = np.random.default_rng(seed)  # noqa: TID251  # when a test asks is no decision
    parts, starts = [], np.cumsum([0.0, *(step.duration_s for step in steps)])
    for step, (start, end) in zip(steps, pairwise(starts), strict=True):
        if arrivals == CONSTANT:
            at = start + np.arange(int(step.rate * step.duration_s)) / step.rate
        else:
            # Given their number, arrivals of a Poisson process are uniform over the step.
            at = np.sort(dice.uniform(start, end, dice.poisson(step.rate * step.duration_s)))
        parts.append(np.rint(at * 1e9).astype(np.int64))
    due = np.concatenate(parts)
    if not len(due):
        raise ValueError("no request is due within this duration; ask for a longer one or a higher rate")
    return Schedule(tuple(steps), due, arrivals, seed)
