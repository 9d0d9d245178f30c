"""What a guardrail is: one class, one method, a mask and a reason; it removes no rows and knows no other guardrail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Bools, Codes
from liftgate.domain.reason import Reason


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guardrail says of N people and K offers."""

    mask: Bools
    """[N, K] True: passes."""
    reason: Codes
    """[N, K] the Reason against, where the mask is False."""


class Guardrail(Protocol):
    """Compiled for one bundle; pure."""

    hard: bool
    """True: default offers must pass it too."""

    def evaluate(self, batch: Batch) -> Verdict:
        """Judge every offer for every person, candidates or not."""
        ...


class Tally:
    """Collects one guardrail's verdict: the first objection to an offer keeps its reason."""

    __slots__ = ("mask", "reason")

    def __init__(self, batch: Batch, bundle: Bundle) -> None:
        shape = (batch.n, len(bundle.offers))
        self.mask = np.ones(shape, dtype=np.bool_)
        self.reason = np.zeros(shape, dtype=np.uint8)

    def object(self, against: Bools, reason: Reason | Codes) -> None:
        """Deny where `against` (broadcastable to [N, K]) is set and nothing has denied before."""
        fresh = self.mask & against
        if isinstance(reason, Reason):
            self.reason[fresh] = reason
        else:
            self.reason[fresh] = np.broadcast_to(reason, fresh.shape)[fresh]
        self.mask &= ~against

    def verdict(self) -> Verdict:
        """Return what was collected."""
        return Verdict(self.mask, self.reason)
