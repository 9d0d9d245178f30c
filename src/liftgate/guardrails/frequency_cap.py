"""Frequency caps as far as contact history tells before the choice; the reservation after it is what holds them."""

from __future__ import annotations

from liftgate.bundle.compiled import Bundle
from liftgate.domain.reason import Reason
from liftgate.guardrails.cap_columns import CapColumns


class FrequencyCap(CapColumns):
    """Denies offers with a used-up cap by person; where contact history could not be read, every one with a hard cap."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, Reason.FREQUENCY_CAP)
