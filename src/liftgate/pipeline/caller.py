"""Who waits for answers, and how much is taken on at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Caller(Protocol):
    """Who waits for an answer: a future, or a transport's call. Told once, on the event loop's thread."""

    def done(self) -> bool:
        """Say whether it has been told, or has given up."""
        ...

    def set_result(self, answer: bytes, /) -> None:
        """Take the encoded answer."""
        ...

    def set_exception(self, error: Exception, /) -> None:
        """Take the error instead."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken on at once."""

    max_batch: int = 128
    """Requests in a batch; twice as many where all of them are of batch calls, and nobody waits alone."""
    max_queue: int = 1024
    """Requests waiting; one more is Overloaded."""
    batches_in_flight: int = 1
    """Beyond the first, only large ones start (`further_from`): they walk while others wait for Redis. `serve` allows two."""
    horizon_s: float = 60.0
    """How long an answer given without Redis is remembered for retries."""
    hurry_s: float = 0.03
    """Requests with less time left than this get smaller budgets for their round trips, in batches of their own."""
    gather_turns: int = 0
    """Turns of the loop without another request before a batch starts, where the last one held several; 0: it starts at once."""
    further_from: int = 32
    """So many waiting requests, or a full batch, start a further batch: fewer would cost more together than they gain by not waiting."""
