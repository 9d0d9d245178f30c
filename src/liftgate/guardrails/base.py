"""What a guardrail is: one class, one method, a mask and a reason; it removes no rows and knows no other guardrail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Bools, Codes
from liftgate.domain.reason import Reason

PASSES = 0
"""In reason columns: no objection."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guardrail says of N people and K offers."""

    mask: Bools
    """[N, K] True: passes."""
    reason: Codes
    """[N, K] the Reason against, where the mask is False."""


class Guardrail(Protocol):
    """Compiled for one bundle; pure."""

    def evaluate(self, batch: Batch) -> Verdict | None:
        """Judge every offer for every person, candidates or not. None: no objection to any."""
        ...


class Tally:
    """Collects one guardrail's objections: the first to an offer keeps its reason."""

    __slots__ = ("reason",)

    def __init__(self, batch: Batch, bundle: Bundle) -> None:
        self.reason: Codes = np.zeros((batch.n, len(bundle.offers)), dtype=np.uint8)

    def object(self, against: Bools, reason: Reason | Codes) -> None:
        """Deny, where `against` (broadcastable to [N, K]) is set and nothing has denied before, with one reason or a column of them."""
        np.copyto(self.reason, np.uint8(reason) if isinstance(reason, Reason) else reason, where=against & (self.reason == PASSES))

    def object_with(self, codes: Codes) -> None:
        """Deny where `codes` [N, K] holds a Reason and nothing has denied before."""
        np.copyto(self.reason, codes, where=self.reason == PASSES)

    def verdict(self) -> Verdict:
        """Return what was collected."""
        return Verdict(self.reason == PASSES, self.reason)
