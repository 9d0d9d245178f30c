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
_PASSES = np.array(PASSES, dtype=np.uint8)


@dataclass(slots=True)
class Verdict:
    """What one guardrail says of N people and K offers. Not to be changed."""

    reason: Codes
    """[N, K] the Reason against, PASSES: none. The chain's to write to from then on."""
    shadow: Codes | None = None
    """[N, K] the Reason that a rule in shadow would have given before any other did; None: no rule in shadow objects."""

    @property
    def mask(self) -> Bools:
        """[N, K] True: passes."""
        passes: Bools = self.reason == PASSES
        return passes


class Guardrail(Protocol):
    """Compiled for one bundle; pure."""

    idle: bool
    """The bundle has nothing that it could deny by: it is never asked."""

    def evaluate(self, batch: Batch) -> Verdict | None:
        """Judge every offer for every person, candidates or not. None: no objection to any."""
        ...


class Tally:
    """Collects one guardrail's objections: the first to an offer keeps its reason."""

    __slots__ = ("reason", "shadow", "shape")

    def __init__(self, batch: Batch, bundle: Bundle) -> None:
        self.shape = batch.n, len(bundle.offers)
        """[N, K]"""
        self.reason: Codes | None = None
        """Its own to write to."""
        self.shadow: Codes | None = None

    def object(self, against: Bools, reason: Reason | Codes, in_shadow: bool = False) -> None:
        """Deny, where `against` (broadcastable to [N, K]) is set and nothing has denied before, with one reason or a column of them.

        `in_shadow`: note it instead.
        """
        codes = np.uint8(reason) if isinstance(reason, Reason) else reason
        denied = self._denied()
        where = against & (denied == _PASSES)
        if in_shadow:
            self._note(codes, where)
        else:
            np.copyto(denied, codes, where=where)

    def object_with(self, codes: Codes, in_shadow: Bools | None = None) -> None:
        """Deny where `codes` [N, K] holds a Reason and nothing has denied before; where `in_shadow` is set ([K] to [N, K]) note it."""
        if in_shadow is None:
            if self.reason is None:
                self.reason = np.array(codes)
            else:
                np.copyto(self.reason, codes, where=self.reason == _PASSES)
            return
        denied = self._denied()
        first = denied == _PASSES
        self._note(codes, first & in_shadow)
        np.copyto(denied, codes, where=first & ~in_shadow)

    def _denied(self) -> Codes:
        if self.reason is None:
            self.reason = np.zeros(self.shape, dtype=np.uint8)
        return self.reason

    def _note(self, codes: Codes | np.uint8, where: Bools) -> None:
        if self.shadow is None:
            self.shadow = np.zeros(self.shape, dtype=np.uint8)
        np.copyto(self.shadow, codes, where=where & (self.shadow == _PASSES))

    def verdict(self) -> Verdict | None:
        """Return what was collected; None: nothing."""
        return None if self.reason is None else Verdict(self.reason, self.shadow)
