"""Where off-policy estimates take logged decisions from: arrays in memory, or a file that is read a part at a time (`ope_parts`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from liftgate.measure import ope, ope_trust
from liftgate.measure.refusal import Refusal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HELD_ROWS = 1_000_000
"""More decisions than this are not held at once."""


class Source(Protocol):
    """Logged decisions."""

    @property
    def has_model(self) -> bool:
        """Whether predicted rewards are there."""
        ...

    def refused(self) -> tuple[int, Refusal | None]:
        """Return how many decisions there are, and why their columns cannot be used at all."""
        ...

    def diagnosed(self, clip: float) -> ope_trust.Diagnostics:
        """Return the diagnostics of the weights."""
        ...

    def rewards(self) -> Floats:
        """Return rewards, among them the smallest and the largest."""
        ...

    def support(self) -> list[ope_trust.ActionSupport]:
        """Return how each action is covered, the largest share under the target first."""
        ...

    def units(self, clip: float, switch: float) -> ope.Units:
        """Return totals by unit."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """Decisions in memory."""

    logged: ope.Logged
    action: NDArray[np.intp]
    """Each one's place in `names`."""
    names: Sequence[str]

    @property
    def has_model(self) -> bool:
        """Whether predicted rewards are there."""
        return self.logged.has_model

    def refused(self) -> tuple[int, Refusal | None]:
        """Return how many decisions there are, and why their columns cannot be used at all."""
        return len(self.logged.reward), ope_trust.judge_columns(self.logged)

    def diagnosed(self, clip: float) -> ope_trust.Diagnostics:
        """Return the diagnostics of the weights."""
        return ope_trust.diagnose(self.logged, clip)

    def rewards(self) -> Floats:
        """Return the rewards."""
        return self.logged.reward

    def support(self) -> list[ope_trust.ActionSupport]:
        """Return how each action is covered."""
        return ope_trust.support_by_action(self.logged, self.action, self.names)

    def units(self, clip: float, switch: float) -> ope.Units:
        """Return totals by unit."""
        return ope.Held(ope.unit_totals(self.logged, clip, switch))
