"""When to try again: only what is safe, only within the deadline, always with the same request_id."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from liftgate.client.failure import Failure

_ALWAYS = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """UNAVAILABLE and CANCELLED are tried again after a pause; RESOURCE_EXHAUSTED only when the service says after how long."""

    attempts: int = 3
    """Calls in all, 1 or more."""
    first_pause_s: float = 0.01
    factor: float = 4.0
    """Each pause is this much longer than the one before."""

    def pause_s(self, attempt: int, failure: Failure, left_s: float, jitter: float) -> float | None:
        """Return how long to wait after attempt number `attempt` (from 1) before the next; None: give up.

        `left_s` is what is left of the deadline; `jitter` in [0, 1) spreads callers: a pause lies between half and all of its length.
        """
        if attempt >= self.attempts:
            return None
        if failure.code not in _ALWAYS and (failure.code is not grpc.StatusCode.RESOURCE_EXHAUSTED or failure.retry_after_s is None):
            return None
        own_s = self.first_pause_s * self.factor ** (attempt - 1) * (0.5 + jitter / 2)
        # What the service asks for is a minimum: spread callers above it, not below.
        pause = own_s if failure.retry_after_s is None else failure.retry_after_s * (1 + jitter / 2)
        return pause if pause < left_s else None
