"""Adaptive batching: a batch is whatever arrived while the last one ran; never a timer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from liftgate.bundle.compiled import Bundle
from liftgate.domain.request import DecideRequest
from liftgate.pipeline.ports import Models


@dataclass(frozen=True, slots=True)
class Live:
    """What is in force: a bundle and its loaded models. Taken once at a request's entry, swapped whole on reload."""

    bundle: Bundle
    models: Models


class Batcher:
    """Joins requests into batches and walks them."""

    async def submit(self, request: DecideRequest, live: Live, deadline: float | None = None) -> bytes:
        """Return the encoded answer. `deadline` is on the event loop's clock, seconds; None: none.

        Raises RequestIdReused, Overloaded, Expired, LogUnavailable. Cancelling it changes nothing for its neighbours.
        """
        raise NotImplementedError

    async def submit_many(self, requests: Sequence[DecideRequest], live: Live, deadline: float | None = None) -> list[bytes]:
        """Return one encoded answer each, in order, walked as batches of their own."""
        raise NotImplementedError
