"""Mutual exclusion: who was chosen one of several offers is not offered the others for a while."""

from __future__ import annotations

from liftgate.bundle.compiled import Bundle
from liftgate.domain.reason import Reason
from liftgate.guardrails.cap_columns import CapColumns


class Exclusion(CapColumns):
    """Denies offers that one chosen before excludes; where contact history could not be read, every offer that could be excluded."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, Reason.EXCLUDED)
