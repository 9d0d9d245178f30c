"""Pauses: what a person did holds an offer, a group or a channel back for a while."""

from __future__ import annotations

from liftgate.bundle.compiled import Bundle
from liftgate.domain.reason import Reason
from liftgate.guardrails.cap_columns import CapColumns


class Pause(CapColumns):
    """Denies what outcomes have paused; where contact history could not be read, everything that could be paused."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, Reason.PAUSED)
